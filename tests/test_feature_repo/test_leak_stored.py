"""The check behind every feature table: a sample of the lake's bars under other futures, and the rows as stored."""

import json
from datetime import datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from feature_repo.catalog import CALENDAR, FEATURES_TECHNICAL, TECHNICAL
from feature_repo.leaks import check_stored, check_stored_anew, note_passed, passed_before
from feature_repo.materialize import update_group, update_labels, update_regimes
from feature_repo.regimes import compute_regimes, hidden_markov
from feature_repo.regimes.daily import TRAINING_SESSIONS
from lake.calendars import closes
from lake.clock import DEMO_START, FixedClock
from lake.errors import DamagedTableError, UnknownNameError
from lake.market import Market
from lake.quality import forget_passes
from lake.sources import tiny_market
from lake.store import Lake
from lake.tables import BARS, LABELS, REGIMES
from lake.universe import MARKET


@pytest.mark.parametrize("table", ["features_technical", "labels", "regimes"])
def test_a_table_of_the_real_market_holds_what_was_known_then(featured_lake: Lake, table: str) -> None:
    checked = check_stored(featured_lake, table, DEMO_START)
    assert checked.passed, checked.leaks[:2]
    assert checked.rows > 3000
    assert checked.columns


def test_a_stored_row_that_knows_the_next_bar_is_caught(make_lake, small_market) -> None:
    """The mutant: the table holds each session's next return under the name of its own."""
    bars = small_market(80)
    lake = make_lake(bars)
    from feature_repo.engines.panel import compute_technical

    features = compute_technical(bars)
    lake.merge(FEATURES_TECHNICAL, features.with_columns(pl.col("return_1d").shift(-1).over("symbol")))
    checked = check_stored(lake, "features_technical", bars["event_time"].max())
    assert {(leak.column, leak.how) for leak in checked.leaks} == {("return_1d", "stored")}


@pytest.fixture
def market_of_six_years(make_lake) -> tuple[Lake, datetime]:
    """Bars of more sessions than the hidden Markov models of the regimes are fitted on."""
    bars = tiny_market(["AAA", MARKET], TRAINING_SESSIONS + 300, seed=3)
    return make_lake(bars), bars["event_time"].max()


def test_regimes_of_a_wrong_stored_fit_are_caught(market_of_six_years) -> None:
    """The mutant: parameters that a damaged disk or another program left in the cache of the table's computation."""
    lake, now = market_of_six_years
    folder = lake.root / ".stamps" / "hidden_markov"
    compute_regimes(lake.read_as_of(BARS, now), cache_folder=folder)
    for path in folder.iterdir():
        model = json.loads(path.read_text(encoding="utf-8"))
        del model[hidden_markov.SEAL]
        model["variance"] = [value * 9 for value in model["variance"]]
        path.write_text(json.dumps(model | {hidden_markov.SEAL: hidden_markov._seal(model)}), encoding="utf-8")
    update_regimes(lake, FixedClock(now))
    found = {(leak.column, leak.how) for leak in check_stored(lake, REGIMES.name, now).leaks}
    assert ("high_volatility_probability", "stored") in found


def test_a_check_fits_the_models_of_regimes_once_for_each_code(market_of_six_years, monkeypatch) -> None:
    lake, now = market_of_six_years
    update_regimes(lake, FixedClock(now))
    assert check_stored(lake, REGIMES.name, now).passed

    def refuse(*_: object) -> None:
        raise AssertionError("fitted again")

    monkeypatch.setattr(hidden_markov, "_fit_standard", refuse)
    assert check_stored(lake, REGIMES.name, now).passed
    with monkeypatch.context() as patch:
        patch.setattr("feature_repo.leaks.stored._code", lambda: "other code")
        with pytest.raises(AssertionError, match="fitted again"):
            check_stored(lake, REGIMES.name, now)
    forget_passes(lake)
    with pytest.raises(AssertionError, match="fitted again"):
        check_stored(lake, REGIMES.name, now)


def test_the_sample_changes_with_the_session(featured_lake: Lake) -> None:
    from feature_repo.leaks.stored import _sample

    samples = {tuple(_sample(featured_lake, DEMO_START.replace(hour=hour), 3)) for hour in range(21, 24)}
    assert len(samples) > 1
    assert all(len(sample) == 4 and sample[0] == "^GSPC" for sample in samples)


def test_a_pass_holds_until_rows_bars_or_the_day_change(make_lake, small_market) -> None:
    bars = small_market(40)
    lake, now = make_lake(bars), bars["event_time"].max()
    assert passed_before(lake, LABELS.name, now) is None
    note_passed(lake, LABELS.name, now)
    assert passed_before(lake, LABELS.name, now) is None, "no row is stored yet"
    update_labels(lake, FixedClock(now))

    def passes_again() -> bool:
        note_passed(lake, LABELS.name, now)
        return str(passed_before(lake, LABELS.name, now)).startswith("version 1, last passed ")

    assert passes_again()
    assert passed_before(lake, LABELS.name, now + timedelta(days=1)) is None, "the sample is another"
    lake.merge(BARS, bars.head(1).with_columns(pl.col("close") * 1.01, known_time=pl.lit(now)))
    assert passed_before(lake, LABELS.name, now) is None, "a bar was restated"
    assert passes_again()
    (path,) = map(Path, lake.contents(LABELS).paths[:1])
    path.write_bytes(path.read_bytes()[:-1] + b"?")
    with pytest.raises(DamagedTableError, match="the bytes of"):
        passed_before(lake, LABELS.name, now)


def test_a_changed_row_is_looked_at_again(make_lake, small_market) -> None:
    bars = small_market(40)
    lake, now = make_lake(bars), bars["event_time"].max()
    update_labels(lake, FixedClock(now))
    note_passed(lake, LABELS.name, now)
    restated = lake.read(LABELS).head(1).with_columns(pl.col("known_time") + pl.duration(seconds=1))
    lake.merge(LABELS, restated.with_columns(pl.col("^.*return$") + 0.01))
    assert passed_before(lake, LABELS.name, now) is None


def test_what_is_committed_while_a_check_looks_has_not_passed(make_lake, small_market, monkeypatch) -> None:
    bars = small_market(40)
    lake, now = make_lake(bars), bars["event_time"].max()
    update_labels(lake, FixedClock(now))

    def overtaken(*arguments):
        checked = check_stored(*arguments)
        restated = lake.read(LABELS).head(1).with_columns(pl.col("known_time") + pl.duration(seconds=1))
        lake.merge(LABELS, restated.with_columns(pl.col("^.*return$") + 0.01))
        return checked

    monkeypatch.setattr("feature_repo.leaks.stored.check_stored", overtaken)
    assert check_stored_anew(lake, LABELS.name, now).passed
    assert passed_before(lake, LABELS.name, now) is None


def test_a_lake_without_rows_of_the_table_has_nothing_stored_to_compare(make_lake, small_market) -> None:
    bars = small_market(40)
    assert check_stored(make_lake(bars), LABELS.name, bars["event_time"].max()).passed


def test_a_table_that_is_not_computed_from_bars_has_no_leak_check(featured_lake: Lake) -> None:
    with pytest.raises(UnknownNameError, match="no table with leak checks 'bars'"):
        check_stored(featured_lake, BARS.name, DEMO_START)


@pytest.mark.parametrize(("calendar", "index"), [("24/7", "^COINS"), ("XTKS", "^TOPIX")])
def test_a_market_of_another_calendar_and_index_passes(tmp_path: Path, calendar: str, index: str) -> None:
    Market("desk", source="file", index=index, calendar=calendar).write(tmp_path)
    lake, closed = Lake(tmp_path / "tables"), closes(calendar).filter(pl.col("event_time") <= DEMO_START).tail(330)
    bars = tiny_market(["7203.T", "BTC-USD", index], 330, seed=2).sort("symbol", "event_time")
    times = pl.concat([closed["event_time"]] * 3)
    lake.merge(BARS, bars.with_columns(times.alias("event_time"), times.alias("known_time")))
    clock = FixedClock(DEMO_START)
    for group in (TECHNICAL, CALENDAR):
        assert update_group(lake, clock, group).added == 2 * 330
    assert update_labels(lake, clock).added == 2 * (329 + 325)
    assert update_regimes(lake, clock).added > 0
    for table in (TECHNICAL.table.name, CALENDAR.table.name, LABELS.name, REGIMES.name):
        found = check_stored(lake, table, DEMO_START)
        assert found.passed, found.leaks[:1]
