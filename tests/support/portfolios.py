"""Small markets and inputs of portfolios, with answers that are known from elsewhere."""

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import polars as pl

from lake.calendars import session_closes
from lake.spec import TableSpec
from lake.store import Lake
from lake.tables import BARS, UNIVERSE
from serving.portfolio import ForecastViews, PortfolioInputs

COUNTRIES = ("AUS", "CAN", "FRA", "GER", "JPN", "UK", "USA")
CORRELATIONS = np.array(
    [
        [1.000, 0.488, 0.478, 0.515, 0.439, 0.512, 0.491],
        [0.488, 1.000, 0.664, 0.655, 0.310, 0.608, 0.779],
        [0.478, 0.664, 1.000, 0.861, 0.355, 0.783, 0.668],
        [0.515, 0.655, 0.861, 1.000, 0.354, 0.777, 0.653],
        [0.439, 0.310, 0.355, 0.354, 1.000, 0.405, 0.306],
        [0.512, 0.608, 0.783, 0.777, 0.405, 1.000, 0.652],
        [0.491, 0.779, 0.668, 0.653, 0.306, 0.652, 1.000],
    ]
)
VOLATILITIES = np.array([16.0, 20.3, 24.8, 27.1, 21.0, 20.0, 18.7]) / 100
CAPITALISATION = np.array([1.6, 2.2, 5.2, 5.5, 11.6, 12.4, 61.5]) / 100
COVARIANCE = CORRELATIONS * np.outer(VOLATILITIES, VOLATILITIES)
"""Inputs of He and Litterman 1999, tables 1 and 2."""


def drawn_returns(symbols: int, bars: int, seed: int = 1) -> np.ndarray:
    """Return normal returns with a common part, ``[bar, symbol]``."""
    random = np.random.default_rng(seed)
    common = random.normal(0, 0.008, (bars, 1))
    return common + random.normal(0, 0.01, (bars, symbols)) * np.linspace(0.5, 2.0, symbols)


def inputs_of(
    returns: np.ndarray, views: ForecastViews | None = None, market: np.ndarray | None = None
) -> PortfolioInputs:
    """Return inputs of symbols S0, S1, ... with these returns."""
    count = returns.shape[1]
    with np.errstate(all="ignore"):
        index = np.nan_to_num(returns, posinf=0.0, neginf=0.0).mean(axis=1)
    return PortfolioInputs(
        close=datetime(2012, 12, 31, 21, tzinfo=UTC),
        symbols=tuple(f"S{place}" for place in range(count)),
        returns=returns,
        index_returns=index,
        market_weights=np.full(count, 1 / count) if market is None else market,
        market_weights_by="money traded",
        views=views,
    )


def bars_of(closes: np.ndarray, until: datetime, symbols: tuple[str, ...], known_after: float = 0.0) -> pl.DataFrame:
    """Return rows of `bars` with these closes, ``[bar, symbol]``; the last lies at an instant, NaN is no bar."""
    times = session_closes(datetime(2011, 1, 3, tzinfo=UTC), until, "XNYS")[-len(closes) :]
    rows = [
        {"symbol": symbol, "event_time": at, "known_time": at, "close": float(price), "volume": 1e6 * (1 + place)}
        for at, line in zip(times, closes, strict=True)
        for place, (symbol, price) in enumerate(zip(symbols, line, strict=True))
        if np.isfinite(price)
    ]
    rest = {"quality": "close_only", "source": "test", "batch_id": "test", "close_unadjusted": None}
    filled = [{name: (row | rest).get(name) for name in BARS.names} for row in rows]
    frame = pl.DataFrame(filled, schema=BARS.schema)
    return frame.with_columns(pl.col("known_time") + pl.duration(microseconds=int(known_after * 1e6)))


def small_market(folder: Path, until: datetime, bars: int = 90, symbols: int = 4, seed: int = 3) -> Lake:
    """Return a lake with some symbols and the market's index, and nothing else."""
    lake = Lake(folder / "tables")
    returns = drawn_returns(symbols, bars, seed)
    closes = 100 * np.cumprod(1 + np.column_stack([returns, returns.mean(axis=1)]), axis=0)
    names = (*(f"S{place}" for place in range(symbols)), "^GSPC")
    lake.merge(BARS, bars_of(closes, until, names))
    return lake


def universe_rows(lake: Lake, gone: str, at: datetime) -> tuple[TableSpec, pl.DataFrame]:
    """Return the table `universe` with every symbol from its first bar on, and one that left at an instant."""
    first = lake.read(BARS).group_by("symbol").agg(pl.col("event_time").min())
    rows = [
        {"symbol": symbol, "event_time": start, "known_time": start, "is_member": True, "reason": "first_bar"}
        for symbol, start in first.iter_rows()
    ]
    rows.append({"symbol": gone, "event_time": at, "known_time": at, "is_member": False, "reason": "coverage_ended"})
    origin = {"universe": lake.market.name, "basis": "coverage", "source": "test"}
    return UNIVERSE, pl.DataFrame([row | origin for row in rows], schema=UNIVERSE.schema)
