"""Risk of the book that is in force: exposures, limits used, value at risk, and whether that held.

Until a desk holds positions the book is the paper portfolio of the strategies in force, one unit of equity: positions
are shares of it. Past sessions are those of today's book, held as it is now, beside equal weights (1/N).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from lake.errors import NotReadyError
from lake.spec import INSTANT
from lake.tables import BARS, FORECASTS, LABELS, STRATEGY_ASSIGNMENTS
from serving.forecasts import REPLAY
from serving.risk.limits import LIMIT_NAMES, Limits
from serving.risk.tail import LEVELS, Reals, expected_volatility, filtered_scenarios, tail_forecasts, tail_of
from serving.risk.tail_tests import acerbi_szekely, christoffersen, exceeded, kupiec
from serving.strategies import STRATEGIES, positions

if TYPE_CHECKING:
    from lake.store import LakeReader

PAPER = "paper portfolio"
EQUAL = "equal weights (1/N)"
LEAST_HELD = 1e-9
"""Share of equity below which a symbol counts as not held."""


@dataclass(frozen=True)
class LimitUse:
    """One limit and how much of it is used.

    Parameters
    ----------
    used
        In the limit's unit; None where the book has no such figure, e.g. orders a second of a portfolio on paper.
    """

    name: str
    used: float | None
    soft: float
    hard: float

    @property
    def ratio(self) -> float | None:
        """Used over hard; None without a figure or where the limit is off."""
        return None if self.used is None or self.hard in {0.0, float("inf")} else self.used / self.hard


@dataclass(frozen=True)
class TailLine:
    """Value at risk and expected shortfall of one book at one level, and how they held on past sessions.

    Parameters
    ----------
    book, level
        Whose, and .95 or .99.
    value_at_risk, expected_shortfall
        For the next session, as shares of equity.
    sessions, exceedances, expected
        Past sessions with a figure of their own, losses beyond it, and how many there should be; None where too few
        sessions are known.
    kupiec_p, christoffersen_p, acerbi_szekely_p
        Of the tests of coverage, of coverage and clustering, and of the shortfall; None as above.
    """

    book: str
    level: float
    value_at_risk: float
    expected_shortfall: float
    sessions: int
    exceedances: int | None
    expected: float | None
    kupiec_p: float | None
    christoffersen_p: float | None
    acerbi_szekely_p: float | None


@dataclass(frozen=True)
class RiskReport:
    """Risk of one book at one instant.

    Parameters
    ----------
    book, at
        What it is of, and the close at which its positions were taken.
    weights
        Position by symbol, as a share of equity, the largest first.
    sectors
        Exposure by declared sector; symbols without one are under ``not declared``.
    limits, tails
        Limits in their declared order, and value at risk by level, each beside that of equal weights.
    """

    book: str
    at: datetime
    weights: Mapping[str, float]
    sectors: Mapping[str, float]
    limits: tuple[LimitUse, ...]
    tails: tuple[TailLine, ...]


def risk_report(reader: "LakeReader", at: datetime, limits: Limits) -> RiskReport:
    """Return the risk of the paper portfolio as it was known at an instant.

    Raises
    ------
    NotReadyError
        If no strategy is in force, or there is no session of returns.
    """
    session, weights = paper_weights(reader, at)
    returns = _returns(reader, at)
    if not weights or returns.is_empty():
        raise NotReadyError("No strategy in force holds a position, so there is no risk to show. Run the daily update.")
    equal = dict.fromkeys(weights, 1 / len(weights))
    books = ((PAPER, weights), (EQUAL, equal))
    tails = tuple(line for level in LEVELS for name, book in books for line in _tail(name, book, returns, level))
    held = {symbol: weight for symbol, weight in weights.items() if abs(weight) > LEAST_HELD}
    ordered = dict(sorted(held.items(), key=lambda each: -abs(each[1])))
    sectors: dict[str, float] = {}
    for symbol, weight in held.items():
        sector = limits.sectors.get(symbol, "not declared")
        sectors[sector] = sectors.get(sector, 0.0) + abs(weight)
    used = _used(held, sectors, [line for line in tails if line.book == PAPER], _equity(weights, returns))
    lines = tuple(LimitUse(n, used.get(n), limits.bound(n).soft, limits.bound(n).hard) for n in LIMIT_NAMES)
    return RiskReport(PAPER, session, ordered, dict(sorted(sectors.items())), lines, tails)


def paper_weights(reader: "LakeReader", at: datetime) -> tuple[datetime, dict[str, float]]:
    """Return the newest session and the position of each symbol in it, over the strategies in force by their weights.

    Raises
    ------
    NotReadyError
        If no strategy is in force, or none of them has a forecast.
    """
    assigned = reader.read_as_of(STRATEGY_ASSIGNMENTS, at)
    if assigned.is_empty():
        raise NotReadyError("No strategy is in force yet, so there is no paper portfolio. Run the daily update.")
    newest = assigned.sort("event_time").tail(1)
    shares = dict(zip(newest["strategies"].item(), newest["weights"].item(), strict=True))
    replayed = reader.read_as_of(FORECASTS, at, where=pl.col("kind") == REPLAY)
    first = pl.lit(replayed["event_time"].min(), dtype=INSTANT)
    quoted = reader.read_as_of(BARS, at, where=pl.col("event_time") >= first).select("symbol", "event_time")
    total: dict[str, float] = {}
    session: datetime | None = None
    for strategy in STRATEGIES:
        if not shares.get(strategy.name):
            continue
        held = positions(strategy, replayed, quoted, reader.market.delisted_after_bars)
        if held.is_empty():
            continue
        last = held.filter(pl.col("event_time") == held["event_time"].max())
        session = max(session or last["event_time"][0], last["event_time"][0])
        for symbol, position in last.select("symbol", "position").iter_rows():
            total[symbol] = total.get(symbol, 0.0) + shares[strategy.name] * position
    if session is None:
        raise NotReadyError("No strategy in force has a forecast to trade on. Run the daily update.")
    return session, total


def _returns(reader: "LakeReader", at: datetime) -> pl.DataFrame:
    """Return one-session returns, a row per session and a column per symbol; those of unknown sessions are null."""
    labels = reader.read_as_of(LABELS, at, where=pl.col("horizon_sessions") == 1)
    return labels.pivot(on="symbol", index="event_time", values="forward_return").sort("event_time")


def _book_returns(weights: Mapping[str, float], returns: pl.DataFrame) -> Reals:
    """Return what a book earned per session; a symbol without a return that day earned nothing."""
    known = [symbol for symbol in weights if symbol in returns.columns]
    table = returns.select(pl.col(known).fill_null(0.0)).to_numpy()
    return np.asarray(table @ np.array([weights[symbol] for symbol in known]))


def _tail(name: str, weights: Mapping[str, float], returns: pl.DataFrame, level: float) -> list[TailLine]:
    earned = _book_returns(weights, returns)
    try:
        now = tail_of(filtered_scenarios(earned, expected_volatility(earned)), level)
    except NotReadyError:
        return []
    try:
        past = tail_forecasts(earned, level)
    except NotReadyError:
        return [TailLine(name, level, now.value_at_risk, now.expected_shortfall, 0, *([None] * 5))]
    hits = exceeded(past)
    return [
        TailLine(
            name,
            level,
            now.value_at_risk,
            now.expected_shortfall,
            hits.size,
            int(hits.sum()),
            hits.size * (1 - level),
            kupiec(hits, level).p_value,
            christoffersen(hits, level).p_value,
            acerbi_szekely(past, level, draws=200).p_value,
        )
    ]


def _equity(weights: Mapping[str, float], returns: pl.DataFrame) -> Reals:
    """Return the equity of today's book over the last 250 sessions, 1 before the first of them."""
    return np.concatenate([[1.0], np.cumprod(1 + _book_returns(weights, returns)[-250:])])


def _used(
    held: Mapping[str, float], sectors: Mapping[str, float], tails: list[TailLine], equity: Reals
) -> dict[str, float]:
    """Return the figures of the limits that a portfolio on paper has."""
    gross = sum(map(abs, held.values()))
    used = {
        "position_of_equity": max(map(abs, held.values()), default=0.0),
        "gross_of_equity": gross,
        "leverage": gross,
        "net_of_equity": abs(sum(held.values())),
        "daily_loss_of_equity": max(1 - float(equity[-1] / equity[-2]), 0.0),
        "drawdown_of_peak": float(1 - equity[-1] / equity.max()),
    }
    if declared := [share for name, share in sectors.items() if name != "not declared"]:
        used["sector_of_equity"] = max(declared)
    for line in tails:
        used[f"var_{line.level * 100:.0f}_of_equity"] = line.value_at_risk
        used[f"es_{line.level * 100:.0f}_of_equity"] = line.expected_shortfall
    return used
