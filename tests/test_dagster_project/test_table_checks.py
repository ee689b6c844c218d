"""A failing check of a table is a sentence: on the check, on the line of the terminal and in the error of the run."""

from datetime import timedelta

import dagster as dg
import polars as pl
import pytest

from dagster_project import definitions, selections
from dagster_project.checks.tables import CHECKS, table_checks
from dagster_project.execution import progress_logger
from dagster_project.resources import Platform
from dagster_project.runs import RunFailedError, run_selection
from lake.clock import DEMO_START
from lake.quality import kinds_of
from lake.settings import settings as read_settings
from lake.sources import tiny_market
from lake.store import Lake
from lake.tables import BARS

MARKET = tiny_market(["AAPL", "IBM"], sessions=5, seed=4)
BAD = pl.lit(1e6).alias("close")
SENTENCE = "1 of 10 rows: AAPL 2012-12-24 18:00 UTC, close 1000000 > high "
NEXT = (
    "`quantlake sql \"SELECT * FROM bars WHERE symbol = 'AAPL' AND event_time = TIMESTAMPTZ '2012-12-24 18:00:00+00:00'"
)


@pytest.fixture
def lake(home_of_environment) -> Lake:
    """A home whose bars hold one close above its high."""
    opened = Lake.open(read_settings())
    opened.merge(BARS, pl.concat([MARKET.head(1).with_columns(BAD), MARKET.tail(-1)]))
    return opened


def results() -> dict[str | None, dg.AssetCheckResult]:
    (checks,) = table_checks(["bars"])
    return {result.check_name: result for result in checks(Platform())}


def test_one_check_per_kind_of_rule_and_the_failing_one_is_a_sentence(lake: Lake) -> None:
    found = results()
    assert set(found) == {CHECKS[kind][0] for kind in kinds_of(BARS)}
    assert [name for name, result in found.items() if not result.passed] == ["columns_in_order"]
    failed = found["columns_in_order"]
    assert failed.description.startswith(SENTENCE)
    assert NEXT in failed.description
    assert next(iter(failed.metadata)) == "failures"
    (failure,) = (row.data for row in failed.metadata["failures"].records)
    assert (failure["rule"], failure["rows"]) == ("high >= close", "1")
    assert str(failure["first"]).startswith("AAPL 2012-12-24 18:00 UTC")
    assert failed.metadata["rules_that_hold"].value == "4 of 5"
    assert found["within_bounds"].description == "all 10 rows"
    assert "failures" not in found["within_bounds"].metadata


def test_the_table_is_read_once_for_all_its_checks(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    from feature_repo.materialize import expectations

    looked: list[str] = []
    check = expectations.check_table
    monkeypatch.setattr(expectations, "check_table", lambda *given: looked.append(given[1].name) or check(*given))
    results()
    assert looked == ["bars"]


def test_a_restatement_cures_the_check(lake: Lake) -> None:
    cured = MARKET.head(1).with_columns(known_time=pl.col("known_time") + timedelta(hours=1))
    lake.merge(BARS, cured)
    assert cured["known_time"].item() < DEMO_START
    assert all(result.passed for result in results().values())


def test_the_terminal_and_the_error_of_a_run_hold_the_sentence_of_the_check(
    lake: Lake, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    @dg.asset
    def bars() -> None:
        """Bars that are there already."""

    @dg.asset(deps=[bars])
    def labels() -> None:
        """Whatever follows from bars."""

    small = dg.Definitions(
        assets=[bars, labels],
        asset_checks=table_checks(["bars"]),
        jobs=[dg.define_asset_job("daily_update")],
        resources={"platform": Platform()},
        loggers={"progress": progress_logger},
    )
    monkeypatch.setattr(definitions, "defs", small)
    with pytest.raises(RunFailedError, match="The run 'daily_update' failed because a check failed") as raised:
        run_selection(selections.DAILY_UPDATE, read_settings(), {})
    said = capsys.readouterr().out
    assert f"    ✗ failed: bars, columns in order: {SENTENCE}" in said
    assert "blocking asset check" not in said, "Dagster's own message says which check, and no row"
    assert "labels" not in said, "that nothing downstream was made is said once, in the error"
    for text in (said, str(raised.value)):
        assert text.count(SENTENCE) == 1
        assert NEXT in text
    lake.merge(BARS, MARKET.head(1).with_columns(known_time=pl.col("known_time") + timedelta(hours=1)))
    run_selection(selections.DAILY_UPDATE, read_settings(), {})
    assert "    ✓ bars: expectations hold (all 10 rows)\n" in capsys.readouterr().out


def test_the_check_of_an_order_names_the_columns_of_its_own_table():
    described = {spec.key: spec.description for check in table_checks(["regimes"]) for spec in check.check_specs}
    (order,) = [text for key, text in described.items() if key.name == "columns_in_order"]
    assert order == "Columns of regimes stand in their declared order: event_time <= known_time."
