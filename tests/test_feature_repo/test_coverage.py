"""What is told of the features: declarations, newest values, how much is known, what breaks its declaration."""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest
import typer
from typer.testing import CliRunner

from dagster_project.commands import leaks
from dagster_project.commands.features import app
from dagster_project.commands.shell import WIDTH
from feature_repo.catalog import FEATURES_TECHNICAL, GROUPS, TECHNICAL
from feature_repo.coverage import RecentValues, check_stored_tables, coverage, declaration, listing, newest_values
from feature_repo.materialize.update import update_technical
from lake.clock import DEMO_START, FixedClock
from lake.errors import DamagedTableError, NotReadyError, UnknownNameError
from lake.store import Lake


@pytest.fixture
def made(make_lake: Callable, small_market: Callable) -> Lake:
    lake = make_lake(small_market(60))
    update_technical(lake, FixedClock(DEMO_START))
    return lake


def test_every_declared_feature_is_listed_once_with_its_group() -> None:
    found = listing()
    assert [(one["group"], one["feature"]) for one in found] == [(g.name, f.name) for g in GROUPS for f in g]
    assert [one["feature"] for one in listing("technical")] == [feature.name for feature in TECHNICAL]
    with pytest.raises(UnknownNameError, match="Did you mean technical"):
        listing("tecnical")


def test_a_declaration_says_everything_that_is_there_to_say() -> None:
    said = declaration("rsi_14")
    assert (said["group"], said["unit"], said["lookback"], said["maximum"]) == ("technical", "0-100", 15, 100)
    assert "source" not in said
    with pytest.raises(UnknownNameError, match="Did you mean rsi_14"):
        declaration("rsi14")


def test_the_newest_values_are_the_last_sessions_of_each_symbol(made: Lake) -> None:
    stored = made.read_as_of(FEATURES_TECHNICAL, DEMO_START)
    found = newest_values(made, "return_1d", DEMO_START, symbols=5)
    assert [one.symbol for one in found] == ["AAA", "BBB"]
    for one in found:
        expected = stored.filter(pl.col("symbol") == one.symbol)["return_1d"].tail(30)
        assert list(one.values) == expected.to_list()
        assert one.event_time == DEMO_START
        assert len(one.sparkline) == 30


def test_a_sparkline_runs_from_the_least_to_the_greatest_and_leaves_a_gap_for_a_null() -> None:
    at = datetime(2012, 1, 3, tzinfo=UTC)
    assert RecentValues("A", at, (0.0, None, 1.0, 0.5)).sparkline == "▁ █▅"
    assert RecentValues("A", at, (2.0, 2.0)).sparkline == "▁▁"
    assert RecentValues("A", at, (None,)).sparkline == " "


@pytest.mark.parametrize("by", ["year", "symbol"])
def test_coverage_counts_what_is_known(made: Lake, by: str) -> None:
    stored = made.read(FEATURES_TECHNICAL)
    found = {one["feature"]: one for one in coverage(made, DEMO_START, by=by)}
    assert set(found) == {feature.name for feature in TECHNICAL}
    for name in ("return_1d", "return_20d", "return_252d", "market_return"):
        assert found[name]["rows"] == stored.height
        assert found[name]["share"] == stored[name].count() / stored.height
        key = stored["event_time"].dt.year().cast(pl.String) if by == "year" else stored["symbol"]
        for part, share in found[name]["by"].items():
            values = stored.filter(key == part)[name]
            assert share == values.count() / len(values)
    with pytest.raises(NotReadyError, match="No table of features of the group 'volume' is made yet"):
        coverage(made, DEMO_START, group="volume")


def test_a_table_that_keeps_its_declaration_has_no_problem(made: Lake) -> None:
    (kept,) = check_stored_tables(made, DEMO_START)
    assert (kept.table, kept.problems, kept.last) == ("features_technical", (), DEMO_START)
    assert kept.rows == made.read(FEATURES_TECHNICAL).height


def test_a_value_out_of_its_bounds_is_counted(made: Lake) -> None:
    last = made.read(FEATURES_TECHNICAL).filter(pl.col("event_time") == DEMO_START)
    later = pl.col("known_time") + pl.duration(hours=1)
    made.merge(FEATURES_TECHNICAL, last.with_columns(later, pl.lit(101.0).alias("rsi_14")))
    (kept,) = check_stored_tables(made, datetime(2013, 1, 1, tzinfo=UTC))
    assert kept.problems == ("2 values of rsi_14 are out of bounds or not finite",)
    (before,) = check_stored_tables(made, DEMO_START)
    assert before.problems == ()


def test_a_table_with_other_columns_than_declared_is_told_so(made: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    """The mutant of the schema check: the declaration lost a column and gained another."""
    from dataclasses import replace

    from feature_repo import coverage as module

    other = replace(TECHNICAL, features=(*TECHNICAL.features[1:], replace(TECHNICAL.features[0], name="return_2d")))
    monkeypatch.setattr(module, "GROUPS", (other,))
    (kept,) = check_stored_tables(made, DEMO_START)
    assert kept.problems == ("column return_2d is not stored", "column return_1d is stored and not declared")


def test_without_tables_the_next_step_is_named(lake: Lake) -> None:
    with pytest.raises(NotReadyError, match=r"No table of features is made yet .*make demo"):
        check_stored_tables(lake, DEMO_START)
    with pytest.raises(NotReadyError, match=r"No table of features is made yet .*make demo"):
        coverage(lake, DEMO_START)
    with pytest.raises(NotReadyError, match=r"'features_technical' is not made yet"):
        newest_values(lake, "rsi_14", DEMO_START)


def test_a_word_that_is_like_no_feature_gets_no_suggestion() -> None:
    with pytest.raises(UnknownNameError, match=r"'nonsense', nor one of a similar name.*features list") as caught:
        declaration("nonsense")
    assert caught.value.nearest == []
    with pytest.raises(UnknownNameError, match="Did you mean return_1d"):
        declaration("retrun_1d")


@pytest.mark.parametrize(
    "ask",
    [
        lambda lake: newest_values(lake, "rsi_14", DEMO_START),
        lambda lake: coverage(lake, DEMO_START),
        lambda lake: check_stored_tables(lake, DEMO_START),
    ],
    ids=["show", "coverage", "check"],
)
@pytest.mark.parametrize("how", ["torn", "missing"])
def test_a_damaged_file_is_a_sentence_that_names_the_next_step(made: Lake, ask: Callable, how: str) -> None:
    for name in made.files(FEATURES_TECHNICAL):
        file = Path(name)
        whole = file.read_bytes()
        file.unlink()
        if how == "torn":
            file.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(
        DamagedTableError,
        match=r"'features_technical' (cannot be read.*lake doctor|is damaged.*lake repair) features_technical",
    ):
        ask(made)


@pytest.mark.parametrize("columns", ["40", "100", None])
def test_coverage_folds_no_name_and_no_year_however_narrow_it_is(
    monkeypatch: pytest.MonkeyPatch, columns: str | None
) -> None:
    years = {str(year): 0.9996 for year in range(1993, 2013)}
    rows = [{"feature": "market_volatility_20d", "share": 1.0, "by": years}]
    monkeypatch.delenv("COLUMNS", raising=False)
    if columns:
        monkeypatch.setenv("COLUMNS", columns)
    monkeypatch.setattr("feature_repo.coverage.coverage", lambda *_: [{"group": "g", "rows": 5, **rows[0]}])
    shown = CliRunner().invoke(app, ["coverage"]).output
    assert max(map(len, shown.splitlines())) <= int(columns or WIDTH)
    words = shown.replace("|", " ").replace("│", " ").split()
    assert [word for word in words if word.isdigit() and len(word) == 4] == list(years)
    assert words.count("market_volatility_20d") == words.count("feature") == words.count("100")
    assert words.count("99") == len(years)


def test_the_self_test_of_the_leak_checks_is_announced_before_it_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    def begun(**_: object) -> None:
        raise NotReadyError("it has begun")

    monkeypatch.setattr(leaks, "_everything", lambda *_: [])
    monkeypatch.setattr("feature_repo.leaks.self_test", begun)
    leak_app = typer.Typer()
    leak_app.command()(leaks.leaks)
    result = CliRunner().invoke(leak_app, [])
    assert isinstance(result.exception, NotReadyError)
    assert "Self-test" in result.output
    assert CliRunner().invoke(leak_app, ["--json"]).output == ""
