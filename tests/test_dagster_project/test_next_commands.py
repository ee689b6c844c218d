"""Commands that a message names next are those of the market at hand: pasted, they work in its home."""

from pathlib import Path

import pytest

from dagster_project.checks.freshness import TableFreshness
from dagster_project.checks.health import Check, HealthFinding, examine
from dagster_project.commands.shell import stopped_sentence
from lake.clock import DEMO_START
from lake.market import Market
from lake.settings import Settings, settings


@pytest.mark.parametrize(
    ("arguments", "again"),
    [
        (["demo"], "QUANTLAKE_MARKET=long quantlake demo"),
        (["advance", "--sessions", "5"], "QUANTLAKE_MARKET=long quantlake advance"),
        (["sql", "from bars"], "QUANTLAKE_MARKET=long quantlake sql 'from bars'"),
    ],
)
def test_what_goes_on_after_ctrl_c_goes_on_in_the_market_that_was_stopped(
    home_of_environment: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], again: str
) -> None:
    monkeypatch.setenv("QUANTLAKE_MARKET", "long")
    settings.cache_clear()
    assert f"`{again}`" in stopped_sentence(arguments)


@pytest.mark.parametrize(
    ("remedy", "shown"),
    [
        ("quantlake lake repair bars", "QUANTLAKE_MARKET=desk quantlake lake repair bars"),
        ("chmod 700 data", "chmod 700 data"),
    ],
)
def test_remedies_of_the_doctor_name_the_market_of_the_home(tmp_path: Path, remedy: str, shown: str) -> None:
    Market("desk", source="file").write(tmp_path)
    check = Check("tables", lambda _: [HealthFinding("torn", tmp_path, "it is torn", remedy)])
    (examined,) = examine(Settings(home=tmp_path), checks=[check])
    assert [finding.remedy for finding in examined.findings] == [shown]


def test_a_table_that_is_behind_names_the_update_of_its_market() -> None:
    behind = TableFreshness("bars", None, DEMO_START, 0, remedy=Market("desk").command("update"))
    assert behind.sentence().endswith("Next: `QUANTLAKE_MARKET=desk quantlake update`.")
