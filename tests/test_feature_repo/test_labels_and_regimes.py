"""Targets and market states, against arithmetic done by hand."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import numpy as np
import polars as pl
import pytest

from feature_repo.regimes.daily import compute_regimes
from feature_repo.targets.labels import HORIZONS, compute_labels
from lake.calendars import session_closes
from lake.market import Market
from lake.tables import LABELS, REGIMES
from lake.universe import MARKET


def test_a_label_is_the_return_to_the_close_that_ends_its_horizon(real_bars: pl.DataFrame) -> None:
    labels = compute_labels(real_bars)
    assert LABELS.conform(labels).height == labels.height
    assert set(labels["horizon_sessions"].unique()) == set(HORIZONS) == {1, 5}
    assert MARKET not in labels["symbol"]
    for symbol, horizon in (("AAPL", 1), ("AAPL", 5), ("META", 5), ("XOM", 1)):
        close = real_bars.filter(pl.col("symbol") == symbol).sort("event_time")
        ours = labels.filter(pl.col("symbol") == symbol, pl.col("horizon_sessions") == horizon).sort("event_time")
        prices, times = close["close"].to_numpy(), close["event_time"]
        np.testing.assert_array_equal(ours["forward_return"].to_numpy(), prices[horizon:] / prices[:-horizon] - 1)
        assert ours["event_time"].to_list() == times[:-horizon].to_list()
        assert ours["known_time"].to_list() == times[horizon:].to_list()


def test_a_restated_bar_makes_its_labels_known_later(small_market) -> None:
    bars = small_market(10, symbols=("AAA",)).sort("symbol", "event_time")
    times = bars["event_time"].unique().sort().to_list()
    later = times[9] + timedelta(hours=3)
    restated = bars.with_columns(
        pl.when(pl.col("event_time") == times[4]).then(pl.lit(later)).otherwise("known_time").alias("known_time")
    )
    labels = compute_labels(restated, [1]).sort("event_time")["known_time"].to_list()
    assert labels == [*times[1:4], later, later, *times[6:]]


def test_a_halt_makes_no_label_over_more_sessions_than_its_horizon(small_market) -> None:
    bars = small_market(50, symbols=("AAA",)).sort("symbol", "event_time")
    times = bars["event_time"].unique().sort().to_list()
    halted = bars.filter(~pl.col("event_time").is_in(times[10:41]))  # a halt of 31 sessions
    labels, whole = compute_labels(halted, [1, 5]), compute_labels(bars, [1, 5])
    kept = labels.join(whole, on=["symbol", "event_time", "horizon_sessions"], how="semi")
    assert kept.equals(labels), "a label that the whole market does not have"
    assert labels.join(whole, on=labels.columns, how="semi").height == labels.height, "another return"
    one = labels.filter(horizon_sessions=1)["event_time"].to_list()
    five = labels.filter(horizon_sessions=5)["event_time"].to_list()
    assert one == [*times[:9], *times[41:49]]
    assert five == [*times[:5], *times[41:45]]


MINUTES = Market("minutes", calendar="XNYS", interval="60m", horizons=("60 minutes", "1 session"))


def hours(symbols: tuple[str, ...] = ("AAA", "BBB")) -> pl.DataFrame:
    """Bars of an hour from 2012-11-21 to 27: Wednesday, the half day after Thanksgiving, Monday, Tuesday."""
    closes = session_closes(datetime(2012, 11, 21, tzinfo=UTC), datetime(2012, 11, 27, 23, tzinfo=UTC), MINUTES.grid)
    random = np.random.default_rng(5)
    frames = [
        pl.DataFrame({"symbol": symbol, "event_time": closes, "close": random.uniform(50, 150, len(closes))})
        for symbol in symbols
    ]
    return pl.concat(frames).with_columns(
        pl.col("event_time").cast(pl.Datetime("us", "UTC")),
        pl.col("event_time").cast(pl.Datetime("us", "UTC")).alias("known_time"),
    )


def test_a_session_ahead_of_a_minute_bar_is_the_last_close_of_the_next_session() -> None:
    bars = hours()
    labels = compute_labels(bars, market=MINUTES).filter(horizon_sessions=1_000)
    assert LABELS.conform(labels).height == labels.height
    closes = {21: 21, 23: 18, 26: 21, 27: 21}  # hour at which each session closes, UTC
    following = dict(pairwise(closes))
    assert labels.height == 2 * (7 + 4 + 7), "every bar but those of the last session"
    price = {(symbol, at): close for symbol, at, close in bars.select("symbol", "event_time", "close").iter_rows()}
    for symbol, at, known, made in labels.select("symbol", "event_time", "known_time", "forward_return").iter_rows():
        day = following[at.day]
        end = datetime(2012, 11, day, closes[day], tzinfo=UTC)
        assert known == end
        assert made == price[symbol, end] / price[symbol, at] - 1


def test_a_session_ahead_of_a_minute_bar_is_known_when_the_latest_bar_of_the_way_was() -> None:
    bars = hours(("AAA",))
    times = bars["event_time"].to_list()
    late = times[12] + timedelta(days=2)  # on Monday
    told = pl.when(pl.col("event_time") == times[12]).then(pl.lit(late)).otherwise("known_time")
    labels = compute_labels(bars.with_columns(told.alias("known_time")), [1_000], market=MINUTES)
    assert set(labels.filter(pl.col("event_time") >= times[7])["known_time"][:4]) == {late}, "from the half day"
    assert (labels["known_time"] == late).sum() == 4 + 2, "of Monday the bar before it and its own"


def test_where_the_last_bar_of_the_session_is_missing_a_horizon_in_sessions_has_no_label() -> None:
    bars = hours()
    end = datetime(2012, 11, 26, 21, tzinfo=UTC)
    halted = bars.filter((pl.col("symbol") != "AAA") | (pl.col("event_time") != end))
    labels = compute_labels(halted, market=MINUTES).filter(horizon_sessions=1_000)
    assert labels.filter(symbol="AAA", known_time=end).is_empty()
    assert labels.filter(symbol="BBB", known_time=end).height == 4


def test_a_missing_bar_within_the_horizon_hides_no_label(small_market) -> None:
    bars = small_market(12, symbols=("AAA",)).sort("symbol", "event_time")
    times = bars["event_time"].unique().sort().to_list()
    labels = compute_labels(bars.filter(pl.col("event_time") != times[6]), [5]).sort("event_time")
    assert labels["event_time"].to_list() == [*times[:1], *times[2:6]]


def test_a_regime_names_volatility_and_trend_as_computed_by_hand(real_bars: pl.DataFrame) -> None:
    regimes = compute_regimes(real_bars)
    assert REGIMES.conform(regimes).height == regimes.height
    index = real_bars.filter(pl.col("symbol") == MARKET).sort("event_time")
    close, times = index["close"].to_numpy(), index["event_time"].to_list()
    returns = close[1:] / close[:-1] - 1
    volatility = np.full(len(close), np.nan)
    volatility[20:] = np.lib.stride_tricks.sliding_window_view(returns, 20).std(axis=1, ddof=1) * np.sqrt(252)
    assert regimes["event_time"].to_list() == times[199:]  # the first 200-session mean
    for t in (199, 260, 500, 1500, 2150, len(close) - 1):
        row = regimes.row(t - 199, named=True)
        past = volatility[max(20, t - 251) : t + 1]
        high = volatility[t] > np.median(past)
        up = close[t] >= close[t - 199 : t + 1].mean()
        assert row["regime"] == f"{'high' if high else 'low'}_volatility_{'up' if up else 'down'}trend"
        assert row["volatility"] == pytest.approx(volatility[t], rel=1e-9)
        assert row["trend_gap"] == pytest.approx(close[t] / close[t - 199 : t + 1].mean() - 1, rel=1e-9)
        assert row["known_time"] == times[t]


def test_a_restated_bar_makes_all_regimes_from_it_on_known_later(small_market) -> None:
    bars = small_market(240)
    times = bars["event_time"].unique().sort().to_list()
    restated, later = times[215], times[220] + timedelta(hours=3)
    is_it = (pl.col("symbol") == MARKET) & (pl.col("event_time") == restated)
    bars = bars.with_columns(pl.when(is_it).then(pl.lit(later)).otherwise("known_time").alias("known_time"))
    known = dict(compute_regimes(bars).select("event_time", "known_time").iter_rows())
    assert [known[at] for at in times[210:225]] == [*times[210:215], *[later] * 6, *times[221:225]]


def test_the_autumn_of_2008_was_a_high_volatility_downtrend(real_bars: pl.DataFrame) -> None:
    autumn = compute_regimes(real_bars).filter(
        pl.col("event_time").dt.year() == 2008, pl.col("event_time").dt.month().is_in([10, 11])
    )
    assert set(autumn["regime"]) == {"high_volatility_downtrend"}


def test_without_an_index_there_is_no_regime(small_market) -> None:
    assert compute_regimes(small_market(300).filter(pl.col("symbol") != MARKET)).is_empty()
