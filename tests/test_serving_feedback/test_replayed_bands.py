"""The record of the blend in replay is that of the bands that the request path makes of what was known at a close."""

from datetime import datetime, timedelta
from typing import NamedTuple

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lake.clock import DEMO_START, FixedClock
from lake.store import Lake
from lake.tables import BLEND_WEIGHTS, CALIBRATIONS, FORECASTS, LABELS, OUTCOMES
from lake.universe import MARKET
from serving.backfill import replay_forecasts
from serving.forecasts import Calibration, blend, calibrate
from serving.history import (
    KnownTables,
    RowsPage,
    accuracy_of,
    calibration_of,
    outcomes_of,
    record_in_replay,
    watch_list,
    watch_rows,
    watched_symbols,
)
from serving.outcomes import mature
from serving.strategies import KNOWN_REGIMES
from support.blend import weights_row
from support.properties import examples

REPLAYED, HORIZON = 48, 5
NOW = FixedClock(DEMO_START)
SYMBOLS = ("AAA", "BBB", "CCC", "DDD")
WIDTHS = {"naive": 0.2, "ridge": 3.0}
"""Factors of the two models' bands: which of them has the weight decides whether a band holds."""
WEIGHTS = ({"naive": 1.0}, {"ridge": 1.0}, {"naive": 0.75, "ridge": 0.25})
FACTORS = ((1.0, 0.25), (0.5, 2.0), (1.5, 1.0), (0.1, 0.1))


class Replayed(NamedTuple):
    lake: Lake
    tables: KnownTables
    closes: list[datetime]


@pytest.fixture(scope="module")
def replayed(made_market, engines, closes, copy_lake, tmp_path_factory) -> Replayed:
    """A lake with replays, and at each close other weights and corrections, but for the first closes none."""
    source = copy_lake(made_market, tmp_path_factory.mktemp("source") / "tables")
    until = closes[-REPLAYED - 1]
    early = {name: type(one)(one.name, one.slope, until) for name, one in engines.items()}
    replay_forecasts(source, early, NOW, sessions=REPLAYED)
    width = pl.col("model_name").replace_strict(WIDTHS, return_dtype=pl.Float64)
    ends = [(pl.col("p50") + width * (pl.col(name) - pl.col("p50"))).alias(name) for name in ("p10", "p90")]
    lake = copy_lake(made_market, tmp_path_factory.mktemp("replayed") / "tables")
    lake.merge(FORECASTS, source.read(FORECASTS).with_columns(*ends))
    mature(lake, NOW)
    lived = closes[-REPLAYED:]
    weights = [weights_row(at, {1: WEIGHTS[0], HORIZON: WEIGHTS[place % 3]}) for place, at in enumerate(lived)]
    lake.merge(BLEND_WEIGHTS, pl.concat(weights[2:]))
    lake.merge(CALIBRATIONS, pl.concat([corrections(at, place) for place, at in enumerate(lived)][5:]))
    return Replayed(lake, KnownTables(lake), lived)


def corrections(at: datetime, place: int) -> pl.DataFrame:
    """One row of `calibrations`: factors that change from close to close and from regime to regime."""
    count = len(KNOWN_REGIMES)
    sides = [FACTORS[(place + number) % len(FACTORS)] for number in range(count)]
    lower, upper = ([side[end] for side in sides] for end in (0, 1))
    row = (MARKET, at, at, list(KNOWN_REGIMES), [HORIZON] * count, lower, upper, [1.0] * count, [1.0] * count)
    return pl.DataFrame([row], schema=CALIBRATIONS.schema, orient="row")


def held_by_hand(replayed: Replayed, symbol: str, at: datetime) -> list[bool]:
    """Whether each replayed band held, row by row, with the functions that the request path answers by."""
    is_asked = (pl.col("symbol") == symbol) & (pl.col("horizon_sessions") == HORIZON)
    rows = replayed.lake.read(FORECASTS, where=is_asked).join(replayed.lake.read(OUTCOMES), on="forecast_id")
    found = []
    for place, close in enumerate(replayed.closes):
        said = {row["model_name"]: row for row in rows.filter(event_time=close).iter_rows(named=True)}
        if place < 2 or not said or said["naive"]["known_time_right"] > at:
            continue
        weights = WEIGHTS[place % 3]
        parts = {name: np.array([[[said[name][q] for q in ("p10", "p50", "p90")]]]) for name in weights}
        regime = said["naive"]["regime"]
        lower, upper = FACTORS[(place + KNOWN_REGIMES.index(regime)) % len(FACTORS)]
        known = Calibration(close, regime, (HORIZON,), (lower,), (upper,), (1.0,), (1.0,))
        (((p10, _, p90),),) = calibrate(blend(parts, weights), [HORIZON], [known if place >= 5 else None])
        found.append(bool(p10 <= said["naive"]["realised_return"] <= p90))
    return found


@pytest.mark.parametrize("symbol", SYMBOLS)
def test_the_record_is_that_of_the_bands_made_of_what_was_known_at_each_close(replayed, symbol):
    for at in (replayed.closes[-1], replayed.closes[-7] + timedelta(hours=1)):
        held = held_by_hand(replayed, symbol, at)
        record = record_in_replay(replayed.tables, symbol, HORIZON, at)
        assert (record.outcomes, record.sessions) == (len(held), len(held))
        assert len(held) >= 30
        assert record.held == pytest.approx(sum(held) / len(held))
        assert 0 < sum(held) < len(held)
        assert record.sentence.startswith("80 % band would have held in replay ")


@pytest.mark.parametrize("symbol", SYMBOLS)
def test_past_accuracy_is_that_of_the_record_with_its_losses_beside_naive(replayed, symbol):
    at = replayed.closes[-1]
    found = accuracy_of(replayed.tables, symbol, HORIZON, at)
    assert (found.record, found.model) == ("in_replay", None)
    assert [point.is_inside for point in found.points] == held_by_hand(replayed, symbol, at)
    assert found.overall.band == record_in_replay(replayed.tables, symbol, HORIZON, at)
    is_naive = (
        (pl.col("symbol") == symbol) & (pl.col("model_name") == "naive") & (pl.col("horizon_sessions") == HORIZON)
    )
    made = replayed.lake.read(FORECASTS, where=is_naive).select("forecast_id", close="event_time")
    naive = made.join(replayed.lake.read(OUTCOMES), on="forecast_id")
    for point in found.points:
        row = naive.row(by_predicate=pl.col("close") == point.event_time, named=True)
        assert (point.realised_return, point.naive_loss) == (row["realised_return"], row["pinball_loss"])
        gaps = [(q, point.realised_return - f) for q, f in ((0.1, point.p10), (0.5, point.p50), (0.9, point.p90))]
        assert point.pinball_loss == pytest.approx(np.mean([max(q * gap, (q - 1) * gap) for q, gap in gaps]))
        assert point.is_direction_hit == (None if point.p50 == 0 else point.p50 * point.realised_return > 0)
    skill = 1 - sum(p.pinball_loss for p in found.points) / sum(p.naive_loss for p in found.points)
    assert found.overall.skill.skill == pytest.approx(skill)
    hits = [point.is_direction_hit for point in found.points if point.is_direction_hit is not None]
    expected = pytest.approx(np.mean(hits)) if len(hits) >= 30 else None
    assert (found.overall.hits.outcomes, found.overall.hits.share) == (len(hits), expected)


def test_groups_of_past_accuracy_hold_each_outcome_once(replayed):
    found = accuracy_of(replayed.tables, "AAA", HORIZON, replayed.closes[-1], page=RowsPage(limit=5))
    assert (len(found.points), found.rows_in_all) == (5, found.overall.band.outcomes)
    for groups in (found.regimes, found.quarters):
        assert sum(group.band.outcomes for group in groups) == found.overall.band.outcomes
        assert sum(group.hits.outcomes for group in groups) == found.overall.hits.outcomes
    assert [group.group for group in found.quarters] == ["2012 Q4"]
    assert found.points[-1].event_time == replayed.closes[-HORIZON - 1]


def test_every_symbols_replay_on_the_watch_list_is_that_of_its_own_page(replayed):
    at = replayed.closes[-3]
    for row in watch_list(replayed.tables, SYMBOLS, HORIZON, at):
        own = calibration_of(replayed.tables, row.symbol, HORIZON, at)
        assert row.band_in_replay == own.band_in_replay == record_in_replay(replayed.tables, row.symbol, HORIZON, at)
        assert row.band_in_replay.is_enough
    (unknown,) = watch_list(replayed.tables, ["ZZZ"], HORIZON, at)
    assert unknown.band_in_replay.sentence == "not enough outcomes (n=0)"


@examples(20)
@given(asked=st.lists(st.sampled_from((*SYMBOLS, "ZZZ")), unique=True), place=st.integers(0, REPLAYED - 1))
def test_a_part_of_a_watch_list_is_those_rows_of_the_whole(replayed, asked, place):
    at = replayed.closes[place]
    whole = {row.symbol: row for row in watch_list(replayed.tables, (*SYMBOLS, "ZZZ"), HORIZON, at)}
    watched = watched_symbols(replayed.tables, (*SYMBOLS, "ZZZ"), HORIZON, at)
    part = watched.filter(pl.col("symbol").is_in(asked))
    for found in (
        watch_list(KnownTables(replayed.lake), asked, HORIZON, at),
        watch_rows(KnownTables(replayed.lake), part, HORIZON, at),
    ):
        assert {row.symbol: row for row in found} == {symbol: whole[symbol] for symbol in asked}


def test_only_the_replays_of_the_symbols_that_are_shown_are_read(replayed):
    tables, at = KnownTables(replayed.lake), replayed.closes[-1]
    watched = watched_symbols(tables, SYMBOLS, HORIZON, at)
    shown = watched.filter(pl.col("symbol").is_in(["BBB", "CCC"]))
    assert [row.band_in_replay.is_enough for row in watch_rows(tables, shown, HORIZON, at)] == [True, True]
    kept = [frame for (name, *_), (_, frame) in tables._kept.items() if name == "replayed bands"]
    assert [sorted(frame["symbol"].unique()) for frame in kept] == [["BBB", "CCC"]]


def test_what_was_replayed_is_in_no_record_of_answered_forecasts(replayed):
    at = replayed.closes[-1]
    found = calibration_of(replayed.tables, "AAA", HORIZON, at)
    assert (found.overall.band.outcomes, found.regimes) == (0, [])
    assert outcomes_of(replayed.tables, "AAA", HORIZON, at).outcomes == []
    assert calibration_of(replayed.tables, "AAA", HORIZON, at, model="ridge").band_in_replay is None


def test_enough_answered_forecasts_stand_alone(replayed, copy_lake, tmp_path):
    lake = copy_lake(replayed.lake, tmp_path / "answered" / "tables")
    rows = lake.read(FORECASTS, where=(pl.col("model_name") == "ridge") & (pl.col("symbol") == "AAA"))
    changed = (
        pl.lit("scheduled").alias("kind"),
        pl.lit("blend").alias("model_name"),
        pl.col("forecast_id") + "-answered",
    )
    lake.merge(FORECASTS, rows.with_columns(*changed))
    mature(lake, NOW)
    tables, at = KnownTables(lake), replayed.closes[-1]
    asked = [calibration_of(tables, "AAA", HORIZON, at), *watch_list(tables, ["AAA", "BBB"], HORIZON, at)]
    assert [one.band_in_replay is None for one in asked] == [True, True, False]
    assert asked[1].band.outcomes == REPLAYED - HORIZON
    told = [accuracy_of(tables, symbol, HORIZON, at) for symbol in ("AAA", "BBB")]
    assert [one.record for one in told] == ["answered", "in_replay"]
    assert told[0].overall.band == asked[0].overall.band
    early = replayed.closes[20]
    assert calibration_of(tables, "AAA", HORIZON, early).band_in_replay.outcomes == len(
        held_by_hand(replayed, "AAA", early)
    )


def test_a_band_counts_from_when_the_weights_of_its_close_were_known(replayed, tmp_path):
    late, last = replayed.closes[30], replayed.closes[-1]
    known = pl.when(pl.col("event_time") == late).then(pl.lit(last)).otherwise("known_time").alias("known_time")
    lake = Lake(tmp_path / "late" / "tables")
    for spec in (FORECASTS, LABELS, CALIBRATIONS):
        lake.merge(spec, replayed.lake.read(spec))
    lake.merge(
        BLEND_WEIGHTS, replayed.lake.read(BLEND_WEIGHTS).with_columns(known.cast(BLEND_WEIGHTS.schema["known_time"]))
    )
    tables = KnownTables(lake)
    for at, missing in ((last - timedelta(minutes=1), 1), (last, 0)):
        whole = record_in_replay(replayed.tables, "AAA", HORIZON, at).outcomes
        assert record_in_replay(tables, "AAA", HORIZON, at).outcomes == whole - missing


def test_a_new_version_of_a_table_is_seen_at_once(replayed, copy_lake, tmp_path):
    lake = copy_lake(replayed.lake, tmp_path / "grown" / "tables")
    tables, at = KnownTables(lake), replayed.closes[-1] + timedelta(days=30)
    before = record_in_replay(tables, "AAA", HORIZON, at)
    assert watch_list(tables, ["AAA"], HORIZON, at)[0].band_in_replay == before
    last = replayed.closes[-1]
    row = {"symbol": "AAA", "event_time": last, "known_time": last + timedelta(days=7), "horizon_sessions": HORIZON}
    lake.merge(LABELS, pl.DataFrame([row | {"forward_return": 0.0}], schema=LABELS.schema))
    after = record_in_replay(tables, "AAA", HORIZON, at)
    assert after.outcomes == before.outcomes + 1
    assert watch_list(tables, ["AAA"], HORIZON, at)[0].band_in_replay == after
