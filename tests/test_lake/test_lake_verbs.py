"""The verbs of `quantlake lake` where a lake is empty, has lost its log, or is about to lose versions."""

import shutil
from collections.abc import Callable

import pytest
from click.testing import Result
from typer.testing import CliRunner

from dagster_project.commands.lake import app
from lake.errors import NotReadyError
from lake.store import Lake
from lake.tables import BARS
from lake.testing import tiny_market

Say = Callable[..., Result]


@pytest.fixture
def say(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> Say:
    monkeypatch.setattr(Lake, "open", lambda: lake)

    def run(*arguments: str, code: int = 0, answer: str | None = None) -> Result:
        said = CliRunner().invoke(app, list(arguments), input=answer, catch_exceptions=False)
        assert said.exit_code == code, said.output
        return said

    return run


@pytest.fixture
def bars(lake: Lake) -> Lake:
    for rows in tiny_market(["AAA"], sessions=4, seed=5).partition_by("event_time"):
        lake.merge(BARS, rows)
    return lake


def test_a_home_without_tables_is_not_called_whole(say: Say) -> None:
    with pytest.raises(NotReadyError, match="There is no table under"):
        say("doctor")


@pytest.mark.usefixtures("bars")
def test_one_table_is_whole(say: Say) -> None:
    assert "1 table is whole." in say("doctor").output


def test_a_table_whose_log_is_gone_is_found(say: Say, bars: Lake) -> None:
    shutil.rmtree(bars.path(BARS) / "_delta_log")
    assert "missing log" in say("doctor", code=1).output
