"""`quantlake forecasts drain` where nothing waits: a sentence that names the home, and why there is nothing to do."""

import json
from pathlib import Path

from typer.testing import CliRunner

from dagster_project.cli import app


def test_a_home_without_a_log_is_said_with_the_reason(home_of_environment: Path) -> None:
    told = CliRunner().invoke(app, ["forecasts", "drain"], catch_exceptions=False)
    assert told.exit_code == 0
    expected = f"Nothing to bring in from the forecast log of {home_of_environment}: the service has not answered yet."
    assert told.stdout == f"{expected}\n"
    record = json.loads(CliRunner().invoke(app, ["forecasts", "drain", "--json"], catch_exceptions=False).stdout)
    assert (record["sentence"], record["added"]) == (expected, 0)
