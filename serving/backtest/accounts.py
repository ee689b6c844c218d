"""Accounts of a back-test: targets run through the execution engine, with costs, and what came of them."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise

import numpy as np
import polars as pl

from lake.calendars import VENUE, bars_per_year
from lake.execution import (
    ENDINGS,
    AtClose,
    Costs,
    FillAt,
    SimulatedPath,
    TargetWeights,
    TradedPanel,
    simulate,
    simulate_targets,
    traded_panel,
)
from lake.tables import BACKTEST_FILLS
from serving.backtest.prices import BarPanel, FloatArray
from serving.strategies import drawdown_of, sharpe_of, volatility_of

COST_KINDS = ("fee", "spread", "slippage", "impact", "borrow", "interest", "haircut")
"""Kinds of cost, in the order of the waterfall. Interest is what was paid less what was received; the haircut is what
delistings took."""
TRADING_COSTS = COST_KINDS[:4]
FILL_COLUMNS = (
    "fill_id", "event_time", "symbol", "decided_at", "quantity", "price", "fee", "spread", "slippage", "impact",
)  # fmt: skip


@dataclass(frozen=True)
class AccountPath:
    """One account through the sessions of a back-test.

    Parameters
    ----------
    name
        One of `lake.tables.BACKTEST_ACCOUNTS`.
    sessions
        Closes; at the first one nothing was traded yet.
    equity, gross_equity
        ``[session]``: after all costs, and with the costs paid so far added back.
    traded
        ``[session]``: value traded, as a part of the equity at the close before.
    exposure
        ``[session]``: sum of absolute positions, as a part of equity.
    costs
        Money by kind of `COST_KINDS`, over all sessions.
    fills
        ``fill_id``, ``event_time``, ``symbol``, ``decided_at``, ``quantity``, ``price``, ``fee``, ``spread``,
        ``slippage``, ``impact``.
    refused
        Orders that could not be filled, by reason.
    """

    name: str
    sessions: tuple[datetime, ...]
    equity: FloatArray
    gross_equity: FloatArray
    traded: FloatArray
    exposure: FloatArray
    costs: Mapping[str, float]
    fills: pl.DataFrame
    refused: Mapping[str, int]

    @property
    def net(self) -> FloatArray:
        """Net return of each session after the first ``[session - 1]``."""
        return self.equity[1:] / self.equity[:-1] - 1


@dataclass(frozen=True)
class AccountFigures:
    """What one account earned and paid; costs are parts of the capital.

    Parameters
    ----------
    net_return, gross_return
        Over all sessions, after costs and with the costs added back.
    costs
        Part of the capital by kind.
    sharpe, volatility
        Per year, of net returns above those of cash; None without a spread.
    drawdown
        Deepest fall of net equity from its highest value so far.
    turnover
        Value traded over equity, per year.
    exposure
        Mean of the sum of absolute positions over equity.
    """

    net_return: float
    gross_return: float
    costs: Mapping[str, float]
    sharpe: float | None
    volatility: float | None
    drawdown: float
    turnover: float
    exposure: float


def figures_of(
    path: AccountPath, cash: AccountPath, places: Sequence[int] | None = None, grid: str = VENUE
) -> AccountFigures:
    """Return the figures of an account over some sessions.

    Parameters
    ----------
    cash
        The account that forecasts zero: what it earns is interest, above which the Sharpe ratio counts.
    places
        Sessions that count, by default all after the first; costs by kind are those of all sessions.
    """
    chosen = np.arange(len(path.net)) if places is None else np.asarray(places, dtype=np.int64) - 1
    net = path.net[chosen]
    excess = net - cash.net[chosen]
    total = float(np.prod(1 + net) - 1)
    gross = path.gross_equity[1:] - path.gross_equity[:-1]
    capital = float(path.equity[0])
    return AccountFigures(
        net_return=total,
        gross_return=total + float((gross[chosen] - np.diff(path.equity)[chosen]).sum()) / capital,
        costs={kind: path.costs.get(kind, 0.0) / capital for kind in COST_KINDS},
        sharpe=sharpe_of(excess, grid),
        volatility=volatility_of(excess, grid),
        drawdown=drawdown_of(net),
        turnover=float(path.traded[1:][chosen].mean()) * bars_per_year(grid) if len(chosen) else 0.0,
        exposure=float(path.exposure[1:][chosen].mean()) if len(chosen) else 0.0,
    )


def run_account(
    name: str, market: TradedPanel, targets: FloatArray, costs: Costs, capital: float, trade_at: FillAt
) -> AccountPath:
    """Trade targets with the event-driven engine, and keep every fill.

    Parameters
    ----------
    market
        As `traded_market` returns it.
    targets
        ``[session, symbol]``: shares of equity decided at the close of each session and traded in the next; NaN leaves
        a position as it is.
    trade_at
        Whether targets are traded at the open or at the close of the next session.
    """
    wanted = [_weights(row, market.symbols) for row in targets]

    def decide(now: AtClose) -> TargetWeights | None:
        weights = wanted[now.session]
        return TargetWeights(weights, trade_at) if weights else None

    path = simulate(market, decide, costs, cash=capital)
    paid = _paid_by_session(path, len(targets), costs)
    return AccountPath(
        name=name,
        sessions=market.times,
        equity=path.equity,
        gross_equity=path.equity + np.cumsum(paid),
        traded=_traded(path),
        exposure=path.gross / path.equity,
        costs={
            "fee": path.book.fees,
            "spread": path.book.spread,
            "slippage": path.book.slippage,
            "impact": path.book.impact,
            "borrow": path.book.borrow,
            "interest": -path.book.interest or 0.0,
            "haircut": path.book.haircuts,
        },
        fills=_fills(path),
        refused=_refused(path),
    )


def net_returns_of(
    market: TradedPanel, targets: FloatArray, costs: Costs, capital: float, trade_at: FillAt
) -> FloatArray:
    """Return the net returns that `run_account` has, from the compiled twin of its engine and without fills."""
    equity = simulate_targets(market, targets, costs, cash=capital, fill_at=trade_at).equity
    return equity[1:] / equity[:-1] - 1


def traded_market(panel: BarPanel, declared_daily_value: float | None = None) -> TradedPanel:
    """Return the bars of a back-test as the engine takes them.

    Open, high and low of a bar that has a close only are its close: nothing is traded at them, since a back-test at the
    open refuses such bars.

    Parameters
    ----------
    declared_daily_value
        Money traded a day in a symbol whose bar has no volume; None leaves it unknown, and its orders are refused.
    """
    volume = panel.volume
    if declared_daily_value is not None:
        volume = np.where(np.isfinite(volume) & (volume > 0), volume, declared_daily_value / panel.close)
    ending = np.zeros(panel.close.shape)
    for symbol, last in enumerate(panel.delisted):
        if last >= 0:
            ending[last, symbol] = ENDINGS.index("delisted")
    prices = {
        name: np.where(np.isfinite(values), values, panel.close)
        for name, values in (("open", panel.open), ("high", panel.high), ("low", panel.low))
    }
    return traded_panel(
        panel.sessions,
        panel.symbols,
        **prices,
        close=panel.close,
        volume=volume,
        volatility=panel.volatility,
        split=panel.split_ratio,
        dividend=panel.dividend,
        ending=ending,
    )


def _weights(row: FloatArray, symbols: Sequence[str]) -> dict[str, float]:
    return {symbol: float(weight) for symbol, weight in zip(symbols, row, strict=True) if np.isfinite(weight)}


def _paid_by_session(path: SimulatedPath, sessions: int, costs: Costs) -> FloatArray:
    """Costs of each session in money, interest that was received deducted ``[session]``."""
    place = _places(path)
    paid, haircuts, last = np.zeros(sessions), 0.0, sessions - 1
    for fill in path.fills:
        paid[place[fill.bar_time]] += fill.cost
    kept = 1.0 - costs.delisting_haircut
    for change in path.changes:
        if change.kind in {"interest", "borrow"}:
            paid[place[change.time]] -= change.amount
        elif change.kind == "delisted":
            last = place[change.time]
            if change.amount > 0 and kept > 0:
                lost = change.amount * costs.delisting_haircut / kept
                paid[last] += lost
                haircuts += lost
    paid[last] += path.book.haircuts - haircuts  # all of it where a holder gets nothing
    return paid


def _places(path: SimulatedPath) -> dict[datetime | None, int]:
    """Place of each session by its close."""
    return {at: number for number, at in enumerate(path.times)}


def _traded(path: SimulatedPath) -> FloatArray:
    """Value traded in each session over the equity at the close before ``[session]``."""
    place = _places(path)
    value = np.zeros(len(path.times))
    for fill in path.fills:
        value[place[fill.bar_time]] += abs(fill.quantity) * fill.price
    before = np.concatenate([path.equity[:1], path.equity[:-1]])
    traded: FloatArray = value / before
    return traded


def _fills(path: SimulatedPath) -> pl.DataFrame:
    before: dict[datetime | None, datetime] = {at: earlier for earlier, at in pairwise(path.times)}
    rows = [
        (
            fill.fill_id, fill.bar_time, fill.symbol, before.get(fill.bar_time), fill.quantity, fill.price,
            fill.fee, fill.spread, fill.slippage, fill.impact,
        )
        for fill in path.fills
    ]  # fmt: skip
    return pl.DataFrame(rows, schema={name: BACKTEST_FILLS.schema[name] for name in FILL_COLUMNS}, orient="row")


def _refused(path: SimulatedPath) -> dict[str, int]:
    """Count orders that were not filled in full, by reason."""
    reasons: Counter[str] = Counter()
    for state in path.states:
        if state.status == "refused":
            reasons[state.reason] += 1
        elif state.status == "expired":
            reasons[state.reason or "a rest was beyond the cap on the volume of the bar"] += 1
    return dict(reasons)
