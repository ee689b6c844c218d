"""History is answered as it was known: cutting off the future changes no answer; its figures are the tables'."""

from datetime import UTC, datetime, timedelta
from typing import NamedTuple

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from feature_repo.catalog import FEATURES_TECHNICAL
from lake.calendars import session_closes
from lake.clock import DEMO_START
from lake.errors import NotReadyError
from lake.market import Market
from lake.store import Lake
from lake.tables import (
    BARS,
    BLEND_WEIGHTS,
    CALIBRATIONS,
    DRIFT,
    EVALUATIONS,
    FORECASTS,
    LABELS,
    OUTCOMES,
    PROMOTIONS,
    REGIMES,
    SELECTIONS,
    VERDICTS,
)
from serving.history import (
    KnownTables,
    RowsPage,
    accuracy_of,
    bars_of,
    calibration_of,
    drift_of,
    features_of,
    forecasts_of,
    instant_as_of,
    latency_of,
    models_of,
    outcomes_of,
    read_moment,
    record_in_replay,
    records_by,
    records_by_size,
    regimes_of,
    selections_of,
    span_between,
    watch_list,
)
from support.history import LATE, cut_off, instants_in, lived_through
from support.properties import examples

LIVED = 45
READ = (
    *(BARS, FEATURES_TECHNICAL, LABELS, REGIMES, FORECASTS, OUTCOMES, BLEND_WEIGHTS, CALIBRATIONS),
    *(SELECTIONS, DRIFT, EVALUATIONS, VERDICTS, PROMOTIONS),
)
SYMBOLS = ("AAA", "BBB", "CCC", "DDD")
ASKED = {
    "bars": bars_of,
    "forecasts": lambda tables, symbol, at: forecasts_of(tables, symbol, 1, at),
    "replays": lambda tables, symbol, at: forecasts_of(tables, symbol, 5, at, model="ridge"),
    "outcomes": lambda tables, symbol, at: outcomes_of(tables, symbol, 5, at),
    "outcomes of replays": lambda tables, symbol, at: outcomes_of(tables, symbol, 1, at, model="ridge"),
    "calibration": lambda tables, symbol, at: calibration_of(tables, symbol, 1, at, model="ridge"),
    "calibration beside replays": lambda tables, symbol, at: calibration_of(tables, symbol, 5, at),
    "record in replay": lambda tables, symbol, at: record_in_replay(tables, symbol, 5, at),
    "accuracy": lambda tables, symbol, at: accuracy_of(tables, symbol, 1, at),
    "accuracy of a model": lambda tables, symbol, at: accuracy_of(tables, symbol, 5, at, model="ridge"),
    "records by size": lambda tables, _, at: records_by_size(tables, 1, at, model="ridge"),
    "records by symbol": lambda tables, _, at: records_by(tables, "symbol", 1, at),
    "records by regime": lambda tables, _, at: records_by(tables, "regime", 1, at, model="ridge"),
    "records by model": lambda tables, _, at: records_by(tables, "model_name", 5, at),
    "features": features_of,
    "watch list": lambda tables, _, at: watch_list(tables, SYMBOLS, 1, at),
    "regimes": lambda tables, _, at: regimes_of(tables, at),
    "selections": lambda tables, _, at: selections_of(tables, at),
    "drift": lambda tables, _, at: drift_of(tables, at),
    "models": lambda tables, _, at: models_of(tables, at),
    "times to answer": lambda tables, _, at: latency_of(tables, at),
}
"""Every function that answers as of an instant."""


class Lived(NamedTuple):
    lake: Lake
    tables: KnownTables
    closes: list[datetime]
    cuts: dict[datetime, KnownTables]
    """Tables with the rows alone that were known at an instant, by the instant."""


@pytest.fixture(scope="module")
def lived(made_market, engines, closes, copy_lake, tmp_path_factory):
    folder = tmp_path_factory.mktemp("history")
    Market("small", source="generated", index="^GSPC", clock="replay", starts_at=DEMO_START, currency="USD").write(
        folder
    )
    until = closes[-LIVED - 1]
    early = {name: type(one)(one.name, one.slope, until) for name, one in engines.items()}
    lake = lived_through(copy_lake(made_market, folder / "tables"), early, DEMO_START, LIVED)
    cuts = {}
    for place in (-30, -12, -1):
        cut = tmp_path_factory.mktemp("cut")
        lake.market.write(cut)
        at = closes[place] + timedelta(hours=3)
        cuts[at] = KnownTables(cut_off(lake, at, cut / "tables", READ))
    return Lived(lake, KnownTables(lake), closes[-LIVED:], cuts)


def dumped(answer):
    return [one.model_dump() for one in answer] if isinstance(answer, list) else answer.model_dump()


MINUTES = st.integers(0, 65 * 24 * 60)


@pytest.mark.parametrize("name", ASKED)
@examples(20)
@given(symbol=st.sampled_from(SYMBOLS), minutes=MINUTES)
def test_cutting_off_the_future_changes_no_answer_and_nothing_was_known_later(lived, name, symbol, minutes):
    last = max(lived.cuts)
    at = last - timedelta(minutes=minutes)
    cut = lived.cuts[min(instant for instant in lived.cuts if instant >= at)]
    said = dumped(ASKED[name](lived.tables, symbol, at))
    assert said == dumped(ASKED[name](cut, symbol, at))
    assert all(known <= at for known in instants_in(said))


@pytest.mark.parametrize("name", ASKED)
def test_there_is_a_future_to_leak_in_every_answer(lived, name):
    first, last = min(lived.cuts), max(lived.cuts)
    said = [dumped(ASKED[name](lived.tables, "AAA", at)) for at in (first, last)]
    assert said[0] != said[1]
    assert said[1] != dumped(ASKED[name](lived.cuts[first], "AAA", last))


def test_bars_are_those_of_the_table_and_restated_from_when_that_was_known(lived):
    close = lived.closes[-10]
    row = lived.lake.read(BARS, where=(pl.col("symbol") == "BBB") & (pl.col("event_time") == close))
    before, after = row.sort("known_time").iter_rows(named=True)
    for at, expected in ((close, before), (close + LATE - timedelta.resolution, before), (close + LATE, after)):
        bar = bars_of(lived.tables, "BBB", at).bars
        found = next(one for one in bar if one.event_time == close)
        assert (found.close, found.high, found.known_time) == (
            expected["close"], expected["high"], expected["known_time"],
        )  # fmt: skip
        assert (found.session, found.price_traded) == (close.date(), expected["close_traded"])


def test_forecasts_are_those_of_the_table_with_their_prices(lived):
    at = lived.closes[-1]
    rows = {row["forecast_id"]: row for row in lived.lake.read(FORECASTS).iter_rows(named=True)}
    found = forecasts_of(lived.tables, "CCC", 1, at)
    assert found.rows_in_all == len(found.forecasts) == LIVED + LIVED - 1  # the last served one was made later
    assert {one.kind for one in found.forecasts} == {"served", "scheduled"}
    for one in found.forecasts:
        row = rows[one.forecast_id]
        assert (one.p10, one.p50, one.p90, one.known_time) == (row["p10"], row["p50"], row["p90"], row["known_time"])
        assert (row["symbol"], row["horizon_sessions"]) == ("CCC", 1)
        price = None if row["price_basis"] is None else row["reference_price"]
        assert one.reference_price == price
        assert one.price_p90 == (None if price is None else pytest.approx(price * (1 + row["p90"])))


def test_what_a_challenger_said_is_in_no_answer(lived):
    kinds = {row[0] for row in lived.lake.read(FORECASTS).select("kind").unique().iter_rows()}
    assert {"shadow", "trial"} <= kinds
    at = lived.closes[-1]
    for model in (None, "ridge", "naive"):
        said = [
            *forecasts_of(lived.tables, "AAA", 1, at, model=model).forecasts,
            *outcomes_of(lived.tables, "AAA", 1, at, model=model).outcomes,
        ]
        assert said
        assert {one.kind for one in said} == ({"served", "scheduled"} if model is None else {"replay"})
        assert {one.model_name for one in said} == {model or "blend"}
    by_model = {one.group: one.band.outcomes for one in records_by(lived.tables, "model_name", 1, at)}
    assert by_model == dict.fromkeys(("blend", "naive", "ridge"), 4 * (LIVED - 1))


def test_outcomes_are_those_of_the_table_beside_naive(lived):
    at = lived.closes[-5]
    outcomes = {row["forecast_id"]: row for row in lived.lake.read(OUTCOMES).iter_rows(named=True)}
    found = outcomes_of(lived.tables, "DDD", 5, at, model="ridge").outcomes
    naive = {one.event_time: one for one in outcomes_of(lived.tables, "DDD", 5, at, model="naive").outcomes}
    assert len(found) == LIVED - 4 - 5
    for one in found:
        row = outcomes[one.forecast_id]
        assert (one.realised_return, one.pinball_loss, one.is_inside) == (
            row["realised_return"], row["pinball_loss"], row["is_covered"],
        )  # fmt: skip
        assert (one.known_time, one.naive_loss) == (row["known_time"], naive[one.event_time].pinball_loss)


def test_a_record_counts_a_forecast_that_was_asked_for_again_once(lived):
    at = lived.closes[-1]
    found = calibration_of(lived.tables, "AAA", 1, at)
    outcomes = outcomes_of(lived.tables, "AAA", 1, at).outcomes
    first = {}
    for one in sorted(outcomes, key=lambda one: one.kind):  # the scheduled one was made first
        first.setdefault(one.event_time, one)
    assert len(outcomes) == 2 * len(first)
    assert found.overall.band.outcomes == len(first) == LIVED - 1
    assert found.overall.band.held == sum(one.is_inside for one in first.values()) / len(first)
    loss, beside = (sum(getattr(one, name) for one in first.values()) for name in ("pinball_loss", "naive_loss"))
    assert found.overall.skill.skill == pytest.approx(1 - loss / beside)
    assert sum(one.band.outcomes for one in found.regimes) == len(first)


def test_a_record_of_few_outcomes_tells_no_share(lived):
    found = calibration_of(lived.tables, "AAA", 1, lived.closes[12])
    assert found.overall.band.outcomes == 12
    assert not found.overall.band.is_enough
    assert found.overall.band.sentence == found.overall.skill.sentence == "not enough outcomes (n=12)"
    assert (found.overall.band.held, found.overall.band.low, found.overall.skill.skill) == (None, None, None)


def test_every_symbols_record_is_the_one_of_its_own_page(lived):
    at = lived.closes[-3]
    records = {one.group: one for one in records_by(lived.tables, "symbol", 1, at)}
    rows = {row.symbol: row for row in watch_list(lived.tables, SYMBOLS, 1, at)}
    for symbol in SYMBOLS:
        own = calibration_of(lived.tables, symbol, 1, at).overall
        assert records[symbol].band == own.band == rows[symbol].band
        assert records[symbol].skill.model_dump() == pytest.approx(own.skill.model_dump(), abs=1e-12)


def test_a_row_of_the_watch_list_is_the_newest_bar_and_forecast(lived):
    at = lived.closes[-4] + timedelta(hours=5)
    (row, unknown) = watch_list(lived.tables, ["BBB", "ZZZ"], 5, at)
    before, last = bars_of(lived.tables, "BBB", at, page=RowsPage(2)).bars
    assert (row.session, row.close, row.known_time, row.sessions_old) == (last.session, last.close, last.known_time, 0)
    assert row.change == pytest.approx(last.close / before.close - 1)
    made = {one.event_time: one for one in forecasts_of(lived.tables, "BBB", 5, at).forecasts}
    newest, earlier = made[lived.closes[-4]], made[lived.closes[-5]]
    assert (row.forecast_id, row.p50, row.p90) == (newest.forecast_id, newest.p50, newest.p90)
    assert row.since_previous == pytest.approx(newest.p50 - earlier.p50)
    assert row.regime == regimes_of(lived.tables, at)[-1].regime
    assert (unknown.session, unknown.close, unknown.p50, unknown.band.outcomes) == (None, None, None, 0)


def test_a_feature_is_ranked_within_its_own_past(lived):
    at = lived.closes[-6]
    found = features_of(lived.tables, "AAA", at)
    past = lived.lake.read_as_of(FEATURES_TECHNICAL, at, where=pl.col("symbol") == "AAA")
    assert (found.event_time, found.session) == (at, at.date())
    for one in found.features:
        known = past[one.name].drop_nulls()
        assert one.value == past[one.name][-1]
        assert (one.past, one.percentile) == (len(known), pytest.approx((known <= one.value).mean()))
    earlier = features_of(lived.tables, "AAA", at, session=lived.closes[-9].date())
    assert earlier.event_time == lived.closes[-9]
    with pytest.raises(NotReadyError, match="No feature of AAA was known"):
        features_of(lived.tables, "AAA", datetime(1999, 1, 4, tzinfo=UTC))


def test_a_selection_names_what_was_chosen_and_the_runner_up(lived):
    (first, *_, last) = selections_of(lived.tables, lived.closes[-1])
    assert (first.chosen, first.runner_up, first.e_value) == ("ridge", "buy_and_hold", 1.0)
    assert first.weights == {"naive": 1 / 3, "ridge": 1 - 1 / 3, "buy_and_hold": 0.0}
    assert last.reason == f"Review {LIVED // 5}."
    regime = last.regime
    assert {one.regime for one in selections_of(lived.tables, lived.closes[-1], regime=regime)} == {regime}


def test_the_models_table_has_the_champion_of_its_time(lived):
    for place in (0, 7, LIVED - 1):
        found = {one.model: one for one in models_of(lived.tables, lived.closes[place])}
        review = place // 5 + 1
        assert (found["ridge"].champion_version, found["ridge"].rows) == (str(review), 100 * review)
        assert (found["ridge"].experiment, found["naive"].is_baseline) == (f"test@{review}", True)


def test_parts_of_a_list_are_the_whole_list(lived):
    at, page, parts = lived.closes[-1], RowsPage(limit=7), []
    whole = forecasts_of(lived.tables, "AAA", 1, at).forecasts
    while True:
        part = forecasts_of(lived.tables, "AAA", 1, at, page=page)
        parts = [*part.forecasts, *parts]
        assert part.rows_in_all == len(whole)
        if part.next_offset is None:
            break
        page = RowsPage(limit=7, offset=part.next_offset)
    assert parts == whole
    assert forecasts_of(lived.tables, "AAA", 1, at, page=RowsPage(7, offset=10**6)).forecasts == []


def test_days_name_whole_sessions(lived):
    market, closes = lived.lake.market, lived.closes
    span = span_between(market, closes[3].date(), closes[5].date())
    found = bars_of(lived.tables, "AAA", closes[-1], span=span).bars
    assert [bar.event_time for bar in found] == closes[3:6]
    span = span_between(market, closes[3], closes[5] - timedelta.resolution)
    assert len(bars_of(lived.tables, "AAA", closes[-1], span=span).bars) == 2
    saturday = session_closes(closes[0], closes[-1])[0].date()
    assert instant_as_of(market, saturday, closes[-1]) <= closes[-1]
    assert instant_as_of(market, closes[-1] + timedelta(days=400), closes[-1]) == closes[-1]


@pytest.mark.parametrize("text", ["", "2012", "2012-13-01", "2012-12-31T21:00", "0001-01-01T00:00+05:00", "now"])
def test_a_text_that_is_no_moment_is_refused(text):
    from lake.errors import ConfigError

    with pytest.raises(ConfigError):
        read_moment(text)


def test_a_lake_without_a_table_answers_with_nothing(tmp_path):
    Market("new", source="generated").write(tmp_path)
    tables, at = KnownTables(Lake(tmp_path / "tables")), DEMO_START
    assert bars_of(tables, "AAA", at).bars == forecasts_of(tables, "AAA", 1, at).forecasts == []
    assert outcomes_of(tables, "AAA", 1, at).outcomes == models_of(tables, at) == drift_of(tables, at) == []
    assert records_by(tables, "regime", 1, at) == regimes_of(tables, at) == selections_of(tables, at) == []
    assert latency_of(tables, at) == []
    (row,) = watch_list(tables, ["AAA"], 1, at)
    assert row.band.sentence == row.band_in_replay.sentence == "not enough outcomes (n=0)"
    assert calibration_of(tables, "AAA", 1, at).regimes == []


def test_a_new_version_of_a_table_is_seen_at_once_and_an_old_one_costs_no_read(market, closes):
    tables = KnownTables(market)
    first = tables.known(BARS, DEMO_START, symbol="AAA")
    assert tables.known(BARS, closes[5], symbol="AAA").height < first.height
    assert tables._rows(BARS, "AAA") is tables._rows(BARS, "AAA")
    last = market.read(BARS, where=(pl.col("symbol") == "AAA") & (pl.col("event_time") == closes[-1]))
    market.merge(BARS, last.with_columns(pl.col("known_time") + LATE, pl.col("high") * 2))
    assert tables.known(BARS, DEMO_START + LATE, symbol="AAA")["high"][-1] == pytest.approx(2 * first["high"][-1])


def test_parts_of_one_answer_say_what_each_says_alone_at_every_instant(lived):
    for at in lived.closes[-3:]:
        answer = lived.tables.for_one_answer()
        for model in (None, "naive", "ridge"):
            assert calibration_of(answer, "AAA", 1, at, model=model) == calibration_of(
                lived.tables, "AAA", 1, at, model=model
            )
            assert outcomes_of(answer, "AAA", 1, at, model=model) == outcomes_of(
                lived.tables, "AAA", 1, at, model=model
            )


def test_an_answer_filters_once_and_the_next_answer_sees_a_new_version(market, closes):
    shared = KnownTables(market)
    answer = shared.for_one_answer()
    first = answer.known(BARS, DEMO_START, symbol="AAA")
    assert answer.known(BARS, DEMO_START, symbol="AAA") is first
    assert answer.known(BARS, closes[5], symbol="AAA").height < first.height
    last = market.read(BARS, where=(pl.col("symbol") == "AAA") & (pl.col("event_time") == closes[-1]))
    market.merge(BARS, last.with_columns(pl.col("known_time") + LATE, pl.col("high") * 2))
    later = DEMO_START + LATE
    doubled = pytest.approx(2 * first["high"][-1])
    assert shared.for_one_answer().known(BARS, later, symbol="AAA")["high"][-1] == doubled


def test_no_more_frames_are_kept_than_allowed(market):
    tables = KnownTables(market, most=2)
    for symbol in (*SYMBOLS, *SYMBOLS):
        assert tables.known(BARS, DEMO_START, symbol=symbol)["symbol"].unique().to_list() == [symbol]
    assert len(tables._kept) == 2


def test_frames_are_kept_up_to_a_size_in_memory_and_the_last_one_whatever_its_size(market):
    size = market.read(BARS, where=pl.col("symbol") == "AAA").estimated_size()
    for most_bytes, kept in ((10 * size, len(SYMBOLS)), (int(2.5 * size), 2), (1, 1)):
        tables = KnownTables(market, most_bytes=most_bytes)
        for symbol in SYMBOLS:
            assert tables.known(BARS, DEMO_START, symbol=symbol)["symbol"].unique().to_list() == [symbol]
        assert [symbol for _, symbol in tables._kept] == list(SYMBOLS)[-kept:]
