"""Commands that a message names next are those of the market at hand: pasted, they work in its home."""

from pathlib import Path

import pytest

from dagster_project.checks.freshness import TableFreshness
from dagster_project.checks.health import Check, HealthFinding, examine
from dagster_project.cli import main
from dagster_project.commands.shell import stopped_sentence
from lake.clock import DEMO_START
from lake.market import Market
from lake.settings import Settings, settings
from lake.sources import tiny_market
from lake.store import Lake
from lake.tables import BARS


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


@pytest.mark.parametrize(
    ("market", "command"), [("demo", "quantlake lake"), ("long", "QUANTLAKE_MARKET=long quantlake lake")]
)
def test_an_error_of_a_room_below_names_commands_of_the_market_at_hand(
    home_of_environment: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    market: str,
    command: str,
) -> None:
    """The log of a table is torn: the store names two commands and knows no market."""
    monkeypatch.setenv("QUANTLAKE_MARKET", market)
    settings.cache_clear()
    lake = Lake.open(settings())
    lake.merge(BARS, tiny_market(["AAA"], sessions=3, seed=1))
    (lake.path(BARS) / "_delta_log" / f"{0:020}.json").write_bytes(b"torn")
    monkeypatch.setattr("sys.argv", ["quantlake", "lake", "versions", "bars"])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 1
    told = capsys.readouterr().err
    assert f"`{command} doctor bars`" in told
    assert f"`{command} repair bars`" in told


def test_a_table_that_is_behind_names_the_update_of_its_market() -> None:
    behind = TableFreshness("bars", None, DEMO_START, 0, remedy=Market("desk").command("update"))
    assert behind.sentence().endswith("Next: `QUANTLAKE_MARKET=desk quantlake update`.")
