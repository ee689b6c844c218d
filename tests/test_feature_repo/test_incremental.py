"""An update computes what changed bars touch, and what is stored afterwards is what a full computation gives."""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from unittest.mock import Mock

import numpy as np
import polars as pl
import pytest
from hypothesis import Phase, given
from hypothesis import strategies as st
from polars.testing import assert_frame_equal, assert_series_equal

from feature_repo.catalog import TECHNICAL
from feature_repo.engines import local
from feature_repo.engines.panel import compute_arrays, compute_group
from feature_repo.materialize import incremental, recent_rows, update
from feature_repo.materialize.update import update_group, update_labels, update_windows
from feature_repo.spec import FeatureGroup
from feature_repo.targets.labels import compute_labels
from lake.clock import DEMO_START, FixedClock
from lake.sources import tiny_market
from lake.store import Lake
from lake.tables import BARS, LABELS, MODEL_WINDOWS
from lake.universe import MARKET
from support.properties import examples

SYMBOLS = ("AAA", "BBB", "CCC")
PRICE = 100
MARKET_BARS = tiny_market([*SYMBOLS, MARKET], sessions=620, seed=11)
SESSIONS = MARKET_BARS["event_time"].unique().sort().to_list()
TABLE = TECHNICAL.table
SHORT = FeatureGroup("technical", TECHNICAL.meaning, tuple(f for f in TECHNICAL if f.warm_up <= 21), is_online=True)
"""The features of the group that look back a month: few bars suffice to see how far a change reaches."""


def run(lake: Lake, at: datetime, group: FeatureGroup = TECHNICAL) -> int:
    added = update_group(lake, FixedClock(at), group).added
    update_labels(lake, FixedClock(at))
    return added


def assert_as_computed_whole(lake: Lake, at: datetime, group: FeatureGroup = TECHNICAL) -> None:
    """The stored values are those of one computation over all bars: to 1e-9, with the same nulls."""
    bars = lake.read_as_of(BARS, at)
    for spec, whole in ((group.table, compute_group(bars, group)), (LABELS, compute_labels(bars))):
        stored = lake.read_as_of(spec, at)
        # A difference of two means is as exact as the means are, and they are of the size of a price.
        size = {name: 1e-9 * PRICE for name in spec.names if name.startswith("macd")}
        for name in [name for name in spec.names if name != "known_time"]:
            ours, full = stored[name], whole.sort(spec.key)[name]
            assert_series_equal(ours, full, rel_tol=1e-9, abs_tol=size.get(name, 0))
        # A row may have been known earlier than its newest bar says, if that bar changed nothing in it; never later.
        assert (stored["known_time"] <= whole.sort(spec.key)["known_time"]).all()


def changed(bars: pl.DataFrame, known: datetime, factor: float = 1.01) -> pl.DataFrame:
    prices = [pl.col(name) * factor for name in ("open", "high", "low", "close", "close_unadjusted", "close_traded")]
    return bars.with_columns(*prices, pl.lit(known).alias("known_time"))


def some_days(lake: Lake, seed: int) -> None:
    """Live through five sessions with late bars, restatements of symbols and of the index, gaps and a new listing."""
    random = np.random.default_rng(seed)
    bars = MARKET_BARS.with_columns(
        pl.when(pl.Series(random.random(MARKET_BARS.height)) > 0.001).then("volume").alias("volume")
    )
    is_late = pl.Series(random.random(bars.height) < 0.01) & (bars["event_time"] > SESSIONS[-60])
    is_new = (bars["symbol"] == "CCC") & (bars["event_time"] < SESSIONS[-4])
    lake.merge(BARS, bars.filter(~is_late & ~is_new & (bars["event_time"] <= SESSIONS[-6])))
    run(lake, SESSIONS[-6])
    for session in SESSIONS[-5:]:
        today = bars.filter(~is_new & (bars["event_time"] == session))
        late = bars.filter(is_late & ~is_new & (bars["event_time"] < session)).with_columns(
            pl.lit(session).alias("known_time")
        )
        old = bars.filter((bars["event_time"] < session) & ~is_late & ~is_new)
        restated = changed(old[np.unique(random.integers(0, old.height, random.integers(0, 3)))], session)
        known = pl.concat([today, late, restated]).unique(["symbol", "event_time"], keep="last")
        stored = lake.read(BARS).select("symbol", "event_time", "known_time")
        lake.merge(BARS, known.join(stored, on=["symbol", "event_time", "known_time"], how="anti"))
        if random.random() < 0.7 or session == SESSIONS[-1]:
            run(lake, session)


@examples(1, wide=60, phases=[Phase.explicit, Phase.generate])
@given(seed=st.integers(0, 1_000_000))
def test_any_days_end_as_one_computation(seed: int, tmp_path_factory: pytest.TempPathFactory) -> None:
    lake = Lake(tmp_path_factory.mktemp("days"))
    some_days(lake, seed)
    assert_as_computed_whole(lake, SESSIONS[-1])
    versions = lake.versions((TABLE, LABELS))
    assert run(lake, SESSIONS[-1]) == 0
    assert lake.versions((TABLE, LABELS)) == versions


@pytest.fixture
def computed(tmp_path: Path) -> Lake:
    """A lake whose features are up to the session before the last."""
    lake = Lake(tmp_path / "computed")
    lake.merge(BARS, MARKET_BARS.filter(pl.col("event_time") < SESSIONS[-1]))
    run(lake, SESSIONS[-2])
    return lake


def restate(lake: Lake, symbol: str, session: int, factor: float = 1.01) -> None:
    is_it = (pl.col("symbol") == symbol) & (pl.col("event_time") == SESSIONS[session])
    lake.merge(BARS, changed(lake.read(BARS, where=is_it), DEMO_START, factor))


def test_a_restated_index_reaches_every_symbol(computed: Lake) -> None:
    restate(computed, MARKET, -10)
    assert run(computed, DEMO_START) == 9 * len(SYMBOLS)
    assert_as_computed_whole(computed, DEMO_START)


def test_a_restated_bar_touches_its_symbol_from_there_on(computed: Lake) -> None:
    before = computed.read_as_of(TABLE, SESSIONS[-2])
    restate(computed, "BBB", -30)
    assert run(computed, DEMO_START) == 29
    now = computed.read_as_of(TABLE, DEMO_START)
    touched = (pl.col("symbol") == "BBB") & (pl.col("event_time") >= SESSIONS[-30])
    assert_frame_equal(now.filter(~touched), before.filter(~touched))  # their bytes, their known_time
    assert set(now.filter(touched)["known_time"]) == {DEMO_START}
    assert_frame_equal(computed.read_as_of(TABLE, SESSIONS[-2]), before)


def look_too_short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(incremental, "_by_reach", lambda group: {group.warm_up // 4: list(group.features)})


def forget_the_index(monkeypatch: pytest.MonkeyPatch) -> None:
    touched = incremental.touched_from
    own = pl.col("symbol") != MARKET
    monkeypatch.setattr(incremental, "touched_from", lambda lake, new, read: touched(lake, new.filter(own), read))


def forget_late_knowledge(monkeypatch: pytest.MonkeyPatch) -> None:
    known = incremental._known_before
    monkeypatch.setattr(incremental, "_known_before", lambda lake, first, read: known(lake, first, read).clear())


def trust_gaps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(incremental, "_partly_unknown", lambda *_: pl.Series("symbol", [], dtype=pl.String))


def one_more_session(lake: Lake) -> None:
    lake.merge(BARS, MARKET_BARS.filter(pl.col("event_time") == SESSIONS[-1]))
    restate(lake, MARKET, -5)
    run(lake, DEMO_START)


@pytest.mark.parametrize("mutate", [None, look_too_short, forget_the_index])
def test_guards_are_what_keeps_the_values_right(
    computed: Lake, monkeypatch: pytest.MonkeyPatch, mutate: Callable[[pytest.MonkeyPatch], None] | None
) -> None:
    """With a look-back too short, or the index forgotten, the check of the property above fails."""
    if mutate is None:
        one_more_session(computed)
        assert_as_computed_whole(computed, DEMO_START)
        return
    mutate(monkeypatch)
    one_more_session(computed)
    with pytest.raises(AssertionError):
        assert_as_computed_whole(computed, DEMO_START)


def hold_on_to_what_was_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recent_rows, "_carried", lambda held, *_: held.recent)


def add_without_looking(monkeypatch: pytest.MonkeyPatch) -> None:
    def added(tail: recent_rows.RecentRows, fresh: pl.DataFrame, _: int) -> recent_rows.RecentRows:
        return replace(
            tail, rows=tail.rows.vstack(fresh.select(tail.rows.columns).cast(dict(tail.rows.schema)).head(0))
        )

    monkeypatch.setattr(recent_rows.RecentRows, "followed_by", added)


@pytest.mark.parametrize("mutate", [None, hold_on_to_what_was_read, add_without_looking])
def test_what_is_held_in_memory_is_what_is_stored(
    computed: Lake, monkeypatch: pytest.MonkeyPatch, mutate: Callable[[pytest.MonkeyPatch], None] | None
) -> None:
    """After a restatement the bars that were held are not the stored ones any more."""
    one_more_session(computed)
    if mutate:
        mutate(monkeypatch)
    is_it = (pl.col("symbol") == "BBB") & (pl.col("event_time") == SESSIONS[-3])
    later = DEMO_START + timedelta(days=1)
    computed.merge(BARS, changed(computed.read(BARS, where=is_it), later, 1.05))
    run(computed, later)
    if mutate is None:
        assert_as_computed_whole(computed, later)
    else:
        with pytest.raises(AssertionError):
            assert_as_computed_whole(computed, later)


def test_bars_of_one_more_session_are_added_to_those_held(computed: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    reads: list[int] = []
    read = recent_rows.RecentRows.read.__func__  # type: ignore[attr-defined]

    def counting(cls: type, place: recent_rows.ReadPoint, first: pl.DataFrame, count: int) -> recent_rows.RecentRows:
        reads.append(count)
        tail: recent_rows.RecentRows = read(cls, place, first, count)
        return tail

    monkeypatch.setattr(recent_rows.RecentRows, "read", classmethod(counting))
    recent_rows._cached_rows.clear()
    restate(computed, "AAA", -4)
    for symbol in SYMBOLS[1:]:
        restate(computed, symbol, -3)
    run(computed, DEMO_START)
    computed.merge(BARS, MARKET_BARS.filter(pl.col("event_time") == SESSIONS[-1]))
    run(computed, DEMO_START)
    assert reads == [TECHNICAL.warm_up]
    assert_as_computed_whole(computed, DEMO_START)


def test_another_lake_in_the_same_folder_is_read_afresh(tmp_path: Path) -> None:
    """Its tables have the same versions at the same instants, and another commit behind each of them."""
    for factor in (1.0, 1.5):
        lake = Lake(tmp_path / "again")
        shutil.rmtree(lake.root, ignore_errors=True)
        bars = changed(MARKET_BARS, DEMO_START, factor).with_columns(known_time="event_time")
        for session in (SESSIONS[-2], SESSIONS[-1]):
            lake.merge(BARS, bars.filter(pl.col("event_time") <= session))
            run(lake, session)
        assert_as_computed_whole(lake, DEMO_START)


@pytest.mark.parametrize("mutate", [None, trust_gaps])
def test_a_recursion_remembers_longer_than_its_bars_where_values_are_unknown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mutate: Callable[[pytest.MonkeyPatch], None] | None
) -> None:
    """Nine highs and lows in ten are unknown, so 420 bars hold only 42 of what Wilder's mean needs 420 of."""
    lake = Lake(tmp_path / "gaps")
    is_known = pl.int_range(pl.len()) % 10 == (len(SESSIONS) - 1) % 10
    gappy = [pl.when(is_known.over("symbol")).then(name).alias(name) for name in ("open", "high", "low")]
    bars = MARKET_BARS.sort("symbol", "event_time").with_columns(*gappy)
    if mutate:
        mutate(monkeypatch)
    for session in (SESSIONS[-2], SESSIONS[-1]):
        lake.merge(BARS, bars.filter(pl.col("event_time") <= session))
        run(lake, session)
    if mutate is None:
        assert_as_computed_whole(lake, DEMO_START)
    else:
        with pytest.raises(AssertionError):
            assert_as_computed_whole(lake, DEMO_START)


@pytest.mark.parametrize("mutate", [None, forget_late_knowledge])
def test_a_row_is_known_no_earlier_than_the_last_bar_it_looks_back_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mutate: Callable[[pytest.MonkeyPatch], None] | None
) -> None:
    """A bar before everything that is read again was known only after today's close."""
    lake, after_close = Lake(tmp_path / "late"), DEMO_START + timedelta(hours=1)
    lake.merge(BARS, MARKET_BARS.filter(pl.col("event_time") < SESSIONS[-1]))
    run(lake, SESSIONS[-2], SHORT)
    restate(lake, "AAA", 2)
    late = lake.read(BARS).filter(pl.col("known_time") == DEMO_START).with_columns(known_time=pl.lit(after_close))
    lake.merge(BARS, changed(late, after_close))
    run(lake, after_close, SHORT)
    if mutate:
        mutate(monkeypatch)
    lake.merge(BARS, MARKET_BARS.filter(pl.col("event_time") == SESSIONS[-1]))
    run(lake, after_close, SHORT)
    stored = lake.read(SHORT.table, where=pl.col("event_time") == SESSIONS[-1]).sort("symbol")["known_time"].to_list()
    assert (stored == [after_close, DEMO_START, DEMO_START]) is (mutate is None)


def test_bars_are_read_as_far_back_as_the_group_looks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    long = tiny_market(["AAA", MARKET], sessions=TECHNICAL.warm_up + 30, seed=12)
    sessions, lake = long["event_time"].unique().sort(), Lake(tmp_path / "tables")
    lake.merge(BARS, long.filter(pl.col("event_time") <= sessions[-6]))
    run(lake, sessions[-6])
    lake.merge(BARS, long)
    spy = Mock(wraps=compute_arrays)
    monkeypatch.setattr(incremental, "compute_arrays", spy)
    run(lake, sessions[-1])
    heights = [call.args[0].event.size for call in spy.call_args_list]
    assert (min(heights), max(heights)) == (1 + 5, TECHNICAL.warm_up + 5)  # what looks at one bar is computed over one
    assert_as_computed_whole(lake, sessions[-1])


def test_chunks_of_symbols_change_nothing(tmp_path: Path) -> None:
    lakes = [Lake(tmp_path / name) for name in ("whole", "chunks")]
    for lake, size in zip(lakes, (incremental.VALUES_AT_ONCE, 1), strict=True):
        for session in (SESSIONS[-2], SESSIONS[-1]):
            lake.merge(BARS, MARKET_BARS.filter(pl.col("event_time") <= session))
            update_group(lake, FixedClock(session), SHORT, values_at_once=size)
    whole, chunks = (lake.read_as_of(SHORT.table, DEMO_START) for lake in lakes)
    assert_frame_equal(whole, chunks)
    assert lakes[1].version(SHORT.table) > lakes[0].version(SHORT.table)


def test_another_recipe_computes_everything_again(computed: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[str] = []
    whole = local._compute_whole

    def told(*arguments: object, **options: object) -> object:
        calls.append("whole")
        return whole(*arguments, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(local, "_compute_whole", told)
    run(computed, SESSIONS[-2])
    assert calls == []
    path = computed.root / ".stamps" / f"{TABLE.name}.json"
    path.write_text(json.dumps(json.loads(path.read_text(encoding="utf-8")) | {"recipe": "older"}), encoding="utf-8")
    assert run(computed, SESSIONS[-2]) == 0
    assert calls == ["whole"]


def test_a_run_killed_between_its_chunks_is_done_again(computed: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    computed.merge(BARS, MARKET_BARS.filter(pl.col("event_time") == SESSIONS[-1]))

    def one_chunk_then_death(*arguments: object, **options: object) -> object:
        yield next(iter(recompute(*arguments, **{**options, "values_at_once": 1})))  # type: ignore[arg-type]
        raise KeyboardInterrupt

    recompute = incremental.recompute
    with monkeypatch.context() as patched:
        patched.setattr(incremental, "recompute", one_chunk_then_death)
        with pytest.raises(KeyboardInterrupt):
            update_group(computed, FixedClock(DEMO_START), TECHNICAL)
    assert run(computed, DEMO_START) == len(SYMBOLS) - 1
    assert_as_computed_whole(computed, DEMO_START)


def test_windows_read_the_last_sessions_only(computed: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[int] = []
    build = update.build_windows

    def counting(features: pl.DataFrame, spec: object, at: object) -> object:
        read.append(features.height)
        return build(features, spec, at=at)  # type: ignore[arg-type]

    monkeypatch.setattr(update, "build_windows", counting)
    assert update_windows(computed, FixedClock(SESSIONS[-2])).added == len(SYMBOLS)
    assert read == [len(SYMBOLS) * 30]
    assert computed.read(MODEL_WINDOWS).height == len(SYMBOLS)


def test_a_commit_between_looking_and_computing_is_not_lost(computed: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    look = update.new_rows

    def look_and_be_overtaken(*given: object, **named: object) -> object:
        found = look(*given, **named)
        monkeypatch.setattr(update, "new_rows", look)
        computed.merge(BARS, MARKET_BARS.filter(pl.col("event_time") == SESSIONS[-1]))
        return found

    monkeypatch.setattr(update, "new_rows", look_and_be_overtaken)
    run(computed, SESSIONS[-1])
    run(computed, SESSIONS[-1])
    assert_as_computed_whole(computed, SESSIONS[-1])


@pytest.mark.parametrize("still", [30, 100, 450])
def test_a_price_that_stood_still_is_followed_as_by_a_whole_computation(tmp_path: Path, still: int) -> None:
    """Both means of Wilder's index fade to nothing while the price rests, and keep their proportion."""
    rests = (pl.col("symbol") == "BBB") & (pl.col("event_time") > SESSIONS[-still])
    prices = ("open", "high", "low", "close", "close_unadjusted", "close_traded")
    bars = MARKET_BARS.with_columns(pl.when(rests).then(50.0).otherwise(pl.col(name)).alias(name) for name in prices)
    lake = Lake(tmp_path)
    for is_last in (False, True):
        lake.merge(BARS, bars.filter((pl.col("event_time") == SESSIONS[-1]) == is_last))
        run(lake, SESSIONS[-1])
    assert_as_computed_whole(lake, SESSIONS[-1])


def test_a_window_is_known_when_its_price_is(computed: Lake) -> None:
    """The money that was traded is restated, the returns are not: the window has its old values and a new price."""
    at, later = FixedClock(SESSIONS[-2]), SESSIONS[-2] + timedelta(hours=1)
    update_windows(computed, at)
    is_it = (pl.col("symbol") == "BBB") & (pl.col("event_time") == SESSIONS[-2])
    split = computed.read(BARS, where=is_it).with_columns(
        pl.col("^close_.*$") * 2, pl.col("volume_unadjusted") / 2, pl.lit(later).alias("known_time")
    )
    computed.merge(BARS, split)
    run(computed, later)
    assert update_windows(computed, FixedClock(later)).added == 1
    before, after = (computed.read_as_of(MODEL_WINDOWS, time).filter(symbol="BBB") for time in (at.now(), later))
    assert after["reference_price"].item() == 2 * before["reference_price"].item()
    assert after["known_time"].item() == later
