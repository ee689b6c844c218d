"""Inputs of the methods as they were known when a close was decided."""

from bisect import bisect_right
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from lake.errors import NotReadyError
from lake.membership import universe_at
from lake.store import newest_known
from lake.tables import BARS, BLEND_WEIGHTS, CALIBRATIONS, FORECAST_DECISIONS, FORECASTS, UNIVERSE
from serving.forecasts import ANSWERED, QUANTILES, REPLAY, blend_replayed, widened
from serving.portfolio.inputs import ForecastViews, PortfolioInputs

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lake.market import Market
    from lake.store import LakeReader
    from serving.evidence import FloatArray

LEAST_SHARE = 0.95
"""Share of the newest bars that a symbol has to have for a weight; a bar that is missing counts as no move."""
BARS_READ = ("symbol", "event_time", "known_time", "close", "volume")


@dataclass(frozen=True)
class KnownPrices:
    """Closes of a market as they were known at an instant.

    Parameters
    ----------
    times
        ``[bar]``: closes of the market's bars, the newest last.
    symbols
        With a bar among them.
    closes
        ``[bar, symbol]``: adjusted; a missing one is the last one before it, NaN before the first.
    is_there
        ``[bar, symbol]``: whether there is a bar.
    traded
        ``[symbol]``: mean money traded in a bar; NaN where the volume is not known.
    """

    times: "tuple[datetime, ...]"
    symbols: tuple[str, ...]
    closes: "FloatArray"
    is_there: "np.ndarray"
    traded: "FloatArray"

    @cached_property
    def place(self) -> dict[str, int]:
        """Column of each symbol."""
        return {name: place for place, name in enumerate(self.symbols)}

    @cached_property
    def time_place(self) -> dict[datetime, int]:
        """Row of each close."""
        return {at: place for place, at in enumerate(self.times)}

    @cached_property
    def returns(self) -> "FloatArray":
        """``[bar - 1, symbol]``: from each bar to the next; NaN before the first bar of a symbol."""
        found: FloatArray = self.closes[1:] / self.closes[:-1] - 1.0
        return found

    def last_bar(self, symbol: str) -> datetime | None:
        """Return the close of a symbol's newest bar; None where it has none among these."""
        place = self.place.get(symbol)
        there = np.flatnonzero(self.is_there[:, place]) if place is not None else np.empty(0, int)
        return self.times[int(there[-1])] if len(there) else None

    def moved_since(self, symbol: str, marked_at: datetime) -> float:
        """Return what a symbol earned since the bar of a close, by what is known now; 0 where that bar is too old."""
        place, start = self.place.get(symbol), self.time_place.get(marked_at)
        if place is None or start is None or not self.closes[start, place] > 0:
            return 0.0
        return float(self.closes[-1, place] / self.closes[start, place] - 1.0)


class KnownMarket:
    """A market as it was known at each of some closes.

    The rows are read once; at each close those that were known at its decision are used, and no other.

    Parameters
    ----------
    lake
        Whose tables these are.
    now
        Nothing that became known later is read.
    since
        First close that is asked about; the newest one where None.
    lookback
        Bars before it that are read as well.
    """

    def __init__(self, lake: "LakeReader", now: datetime, since: datetime | None, lookback: int) -> None:
        self._lake, self._now = lake, now
        self.market: Market = lake.market
        if not lake.exists(BARS):
            raise NotReadyError(f"No portfolio can be made: there are no bars. Run `{self.market.first_run}` first.")
        is_known = pl.col("known_time") <= now
        closes = lake.scan(BARS).filter(is_known).select(pl.col("event_time").unique()).collect()["event_time"].sort()
        if closes.is_empty():
            raise NotReadyError(f"No portfolio can be made: no bar is known by {now:%Y-%m-%d}.")
        asked = len(closes) - 1 if since is None else closes.search_sorted(since)
        self._first: datetime = closes[max(asked - lookback - 1, 0)]
        self.closes: list[datetime] = closes.filter(closes <= now - self.market.decided_after).to_list()
        rows = lake.scan(BARS).filter(is_known, pl.col("event_time") >= self._first).select(BARS_READ).collect()
        self._bars = rows.sort("symbol", "event_time", "known_time", maintain_order=True)
        times = lake.read(UNIVERSE).select("event_time", "known_time") if lake.exists(UNIVERSE) else None
        self._changes: list[datetime] = [] if times is None else times.max_horizontal().unique().sort().to_list()
        self._members: dict[int, list[str]] = {}

    def decided_at(self, close: datetime) -> datetime:
        """When a close is decided."""
        return close + self.market.decided_after

    def members(self, close: datetime) -> list[str]:
        """Return who belonged to the market when a close was decided, the index apart."""
        decided = self.decided_at(close)
        since = bisect_right(self._changes, decided)  # between two changes of the universe its members are the same
        if since not in self._members or not self._changes:
            found = universe_at(self._lake, self.market.name, decided)
            self._members[since] = [symbol for symbol in found if symbol != self.market.index]
        return self._members[since]

    def prices(self, close: datetime, bars: int) -> KnownPrices:
        """Return the newest bars up to a close as they were known when it was decided."""
        is_known = (pl.col("known_time") <= self.decided_at(close)) & (pl.col("event_time") <= close)
        rows = newest_known(self._bars.filter(is_known))
        times = rows["event_time"].unique().sort().tail(bars)
        kept = rows.filter(pl.col("event_time") >= times[0])
        wide = kept.pivot("symbol", index="event_time", values="close", sort_columns=True).sort("event_time")
        table = wide.drop("event_time")
        closes = table.select(pl.all().forward_fill()).to_numpy().astype(np.float64)
        money = kept.group_by("symbol").agg(
            pl.when(pl.col("volume").is_null().any()).then(None).otherwise((pl.col("close") * pl.col("volume")).mean())
        )
        by_symbol = dict(money.iter_rows())
        return KnownPrices(
            times=tuple(times.to_list()),
            symbols=tuple(table.columns),
            closes=np.where(np.isfinite(closes), closes, np.nan),
            is_there=table.select(pl.all().is_not_null()).to_numpy(),
            traded=np.array([_or_nan(by_symbol.get(name)) for name in table.columns]),
        )

    def inputs(self, close: datetime, prices: KnownPrices, lookback: int, least: int) -> PortfolioInputs:
        """Return what the methods are told at a close.

        Parameters
        ----------
        prices
            As `prices` returned them for this close, of at least ``lookback`` and one bars where there are as many.
        lookback, least
            Bars that returns are taken of, and fewest bars of a symbol that has a weight.
        """
        returns, there = prices.returns[-lookback:], prices.is_there[-lookback:]
        needed = max(least, LEAST_SHARE * len(returns))
        symbols = tuple(
            name
            for name in self.members(close)
            if (place := prices.place.get(name)) is not None
            and there[-1, place]
            and np.isfinite(returns[:, place]).sum() >= needed
        )
        places = [prices.place[name] for name in symbols]
        index = prices.place.get(self.market.index)
        weights, said = market_weights(prices.traded[places])
        return PortfolioInputs(
            close=close,
            symbols=symbols,
            returns=np.nan_to_num(returns[:, places], nan=0.0, posinf=np.inf, neginf=-np.inf),
            index_returns=None if index is None else np.nan_to_num(returns[:, index]),
            market_weights=weights,
            market_weights_by=said,
            views=self._views(close, symbols),
        )

    def _views(self, close: datetime, symbols: "Sequence[str]") -> ForecastViews | None:
        """Forecasts of a close over the longest horizon of the market: those that were answered, else the replays."""
        horizon = self.market.horizon_bars[-1]
        bands = self._forecasts
        is_of_close = (pl.col("event_time") == close) & (pl.col("known_time") <= self.decided_at(close))
        of_close = bands.filter(is_of_close).unique("symbol", keep="first", maintain_order=True)
        if of_close.is_empty():
            return None
        by_symbol = {row[0]: row[1:] for row in of_close.select("symbol", *QUANTILES).iter_rows()}
        low, median, high = np.array([by_symbol.get(name, (np.nan,) * 3) for name in symbols]).reshape(-1, 3).T
        return ForecastViews(horizon, median, low, high)

    @cached_property
    def _forecasts(self) -> pl.DataFrame:
        """``symbol``, ``event_time``, ``known_time`` and the quantiles; of each close what was answered comes first."""
        names = ("symbol", "event_time", "known_time", *QUANTILES)
        lake = self._lake
        if not lake.exists(FORECASTS):
            return FORECASTS.empty().select(names)
        is_asked = (pl.col("event_time") >= self._first) & (pl.col("horizon_sessions") == self.market.horizon_bars[-1])
        rows = lake.scan(FORECASTS).filter(is_asked, pl.col("known_time") <= self._now).collect()
        answered = rows.filter(pl.col("kind").is_in(ANSWERED)).sort("known_time", "made_at", maintain_order=True)
        return pl.concat([answered.select(names), self._replayed(rows).select(names)])

    def _replayed(self, rows: pl.DataFrame) -> pl.DataFrame:
        """Blends of the replays, with the bands corrected by the calibration in force at their close."""
        lake = self._lake
        if not lake.exists(BLEND_WEIGHTS):
            return rows.clear()
        key = ["symbol", "event_time", "horizon_sessions", "model_name"]
        replays = rows.filter(pl.col("kind") == REPLAY).sort("known_time", "made_at", maintain_order=True)
        weights = lake.read_as_of(BLEND_WEIGHTS, self._now)
        blends = blend_replayed(replays.unique(key, keep="first", maintain_order=True), weights)
        factors = self._factors(blends)
        joined = blends.join(factors, on=["event_time", "regime"], how="left", maintain_order="left")
        sides = joined.select(pl.col("lower", "upper").fill_null(1.0)).to_numpy()
        bands = widened(joined.select(QUANTILES).to_numpy(), sides)
        known = pl.max_horizontal("known_time", "corrected")
        return joined.select(
            "symbol", "event_time", known, *(pl.Series(name, end) for name, end in zip(QUANTILES, bands.T, strict=True))
        )

    def _factors(self, blends: pl.DataFrame) -> pl.DataFrame:
        """Factors of the bands in force at each close and regime: those learned by it; none before the first."""
        lake = self._lake
        rows = lake.read_as_of(CALIBRATIONS, self._now) if lake.exists(CALIBRATIONS) else CALIBRATIONS.empty()
        names = {"regimes": "regime", "horizons": "horizon_sessions", "lower": "lower", "upper": "upper"}
        stored = rows.select("event_time", pl.col("known_time").alias("corrected"), *names).sort("event_time")
        closes = blends.select(pl.col("event_time").unique().sort())
        in_force = closes.join_asof(stored, on="event_time", strategy="backward").drop_nulls()
        entries = in_force.explode(*names, empty_as_null=True).rename(names)
        return entries.filter(pl.col("horizon_sessions") == self.market.horizon_bars[-1]).drop("horizon_sessions")

    def versions(self) -> dict[str, int]:
        """Versions of the tables that were read."""
        read = (BARS, FORECASTS, FORECAST_DECISIONS, BLEND_WEIGHTS, CALIBRATIONS)
        return self._lake.versions([spec for spec in read if self._lake.exists(spec)])


def market_weights(traded: "FloatArray") -> "tuple[FloatArray, str]":
    """Return what stands for the weights of the market, and what it is made of.

    No table knows shares outstanding, so money traded stands for capitalisation; where a volume is not known, every
    symbol counts the same.

    Examples
    --------
    >>> market_weights(np.array([3.0, 1.0]))
    (array([0.75, 0.25]), 'money traded')
    >>> market_weights(np.array([3.0, np.nan]))[1]
    'equal weights, because the volume of 1 symbol is not known'
    """
    unknown = int((~(np.isfinite(traded) & (traded > 0))).sum())
    if len(traded) and not unknown:
        return traded / traded.sum(), "money traded"
    noun = "symbol" if unknown == 1 else "symbols"
    count = max(len(traded), 1)
    return np.full(len(traded), 1.0 / count), f"equal weights, because the volume of {unknown} {noun} is not known"


def _or_nan(value: float | None) -> float:
    return float("nan") if value is None else value
