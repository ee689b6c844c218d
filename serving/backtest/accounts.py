"""Accounts of a back-test: targets run through the execution engine, with costs, and what came of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
import polars as pl

from lake.calendars import VENUE, bars_per_year
from lake.execution import Costs
from serving.backtest.prices import BarPanel, FloatArray
from serving.strategies import drawdown_of, sharpe_of

COST_KINDS = ("fee", "spread", "slippage", "impact", "borrow", "interest")
"""Kinds of cost, in the order of the waterfall. Interest is what was paid less what was received."""


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


def figures_of(path: AccountPath, cash: AccountPath, places: Sequence[int] | None = None, grid: str = VENUE) -> AccountFigures:
    """Return the figures of an account over some sessions.

    Parameters
    ----------
    cash
        The account that forecasts zero: what it earns is interest, above which the Sharpe ratio counts.
    places
        Sessions that count, by default all after the first; costs by kind are those of all sessions.
    """
    from serving.strategies.ratios import volatility_of

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
    name: str, panel: BarPanel, targets: FloatArray, costs: Costs, capital: float, *, trade_at: str, declared_daily_value: float | None = None
) -> AccountPath:
    """Trade targets decided at each close from the next session on."""
    # TEMPORARY reference loop until lake.execution has its engine.
    T, N = targets.shape
    price_at = panel.open if trade_at == "open" else panel.close
    volume = panel.volume.copy()
    if declared_daily_value is not None:
        fill = declared_daily_value / panel.close
        volume = np.where(np.isfinite(volume) & (volume > 0), volume, fill)
    cash, q = capital, np.zeros(N)
    mark = np.zeros(N)
    equity, gross, traded, exposure = (np.zeros(T) for _ in range(4))
    tot = dict.fromkeys(COST_KINDS, 0.0)
    rows = []
    equity[0] = gross[0] = capital
    mark = np.where(np.isfinite(panel.close[0]), panel.close[0], 0.0)
    for t in range(1, T):
        eq = equity[t - 1]
        q = q * panel.split_ratio[t]
        mark = mark / panel.split_ratio[t]
        cash += float((q * panel.dividend[t]).sum())
        w = targets[t - 1]
        value = 0.0
        for n in range(N):
            if not np.isfinite(w[n]) or not np.isfinite(price_at[t, n]) or not np.isfinite(panel.close[t - 1, n]):
                continue
            want = w[n] * eq / (panel.close[t - 1, n] / panel.split_ratio[t, n])
            d = want - q[n]
            if costs.most_of_volume is not None and np.isfinite(volume[t, n]):
                cap = costs.most_of_volume * volume[t, n]
                d = float(np.clip(d, -cap, cap))
            if costs.needs_volume and not np.isfinite(volume[t, n]):
                continue
            if abs(d) < 1e-12:
                continue
            p = price_at[t, n]
            v = abs(d) * p
            c = {"fee": max(costs.fee_bps / 1e4 * v + costs.fee_per_share * abs(d), costs.fee_minimum),
                 "spread": costs.half_spread_bps / 1e4 * v, "slippage": costs.slippage_bps / 1e4 * v,
                 "impact": v * costs.impact_coefficient * panel.volatility[t, n] * np.sqrt(abs(d) / volume[t, n]) if costs.impact_coefficient else 0.0}
            for k, x in c.items():
                tot[k] += x
            cash -= d * p + sum(c.values())
            q[n] += d
            value += v
            rows.append((f"{t}:{n}", panel.sessions[t], panel.symbols[n], panel.sessions[t - 1], d, p, c["fee"], c["spread"], c["slippage"], c["impact"]))
        days = (panel.sessions[t] - panel.sessions[t - 1]).days
        mark = np.where(np.isfinite(panel.close[t]), panel.close[t], mark)
        short = float((np.minimum(q, 0) * mark).sum())
        borrow = -short * costs.borrow_bps_a_year / 1e4 * days / costs.days_a_year
        interest = (max(cash + short, 0) * costs.cash_bps_a_year - max(-cash, 0) * costs.margin_bps_a_year) / 1e4 * days / costs.days_a_year
        cash += interest - borrow
        tot["borrow"] += borrow
        tot["interest"] -= interest
        equity[t] = cash + float((q * mark).sum())
        gross[t] = equity[t] + sum(tot.values())
        traded[t] = value / eq
        exposure[t] = float(np.abs(q * mark).sum()) / equity[t]
    fills = pl.DataFrame(rows, orient="row", schema={"fill_id": pl.String, "event_time": pl.Datetime("us", "UTC"), "symbol": pl.String, "decided_at": pl.Datetime("us", "UTC"), **dict.fromkeys(("quantity", "price", "fee", "spread", "slippage", "impact"), pl.Float64)})
    return AccountPath(name, panel.sessions, equity, gross, traded, exposure, tot, fills, {})
