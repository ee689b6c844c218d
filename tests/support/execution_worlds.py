"""Random markets in which everything happens that can happen to an order, and random costs."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np
import numpy.typing as npt

from lake.execution import Costs, FillAt, TargetWeights, TimeInForce, TradedPanel, traded_panel


@dataclass(frozen=True)
class TargetWorld:
    """A market, target weights per session and symbol, and the rules by which they are held."""

    panel: TradedPanel
    weights: npt.NDArray[np.float64]
    costs: Costs
    cash: float
    fill_at: FillAt
    time_in_force: TimeInForce
    lot_shares: float

    def targets_at(self, session: int) -> TargetWeights:
        """Return the weights of a session as the event engine takes them."""
        weights = dict(zip(self.panel.symbols, self.weights[session].tolist(), strict=True))
        return TargetWeights(weights, self.fill_at, self.time_in_force, self.lot_shares)


def sessions_of(count: int) -> list[datetime]:
    """Return closes on weekdays, with weekends between them."""
    days = [datetime(2024, 1, 1, 21, tzinfo=UTC) + timedelta(days=day) for day in range(2 * count + 7)]
    return [day for day in days if day.weekday() < 5][:count]


def random_panel(rng: np.random.Generator, sessions: int, symbols: int, *, has_events: bool = True) -> TradedPanel:
    """Return bars with splits, dividends, halts, gaps, late listings, endings, lost volumes and few shares to lend."""
    shape = (sessions, symbols)

    def seldom(share: float) -> npt.NDArray[np.bool_]:
        return rng.random(shape) < (share if has_events else 0.0)

    split = np.where(seldom(0.02), rng.choice([0.5, 2.0, 3.0], shape), 1.0)
    dividend = np.where(seldom(0.03), rng.uniform(0.05, 1.0, shape), 0.0)
    close = rng.uniform(10, 200, symbols) * np.exp(np.cumsum(rng.normal(0, 0.03, shape), axis=0)) / np.cumprod(split, 0)
    opened = close * np.exp(rng.normal(0, 0.02, shape))
    high = np.maximum(opened, close) * np.exp(np.abs(rng.normal(0, 0.01, shape)))
    low = np.minimum(opened, close) * np.exp(-np.abs(rng.normal(0, 0.01, shape)))
    volume = np.exp(rng.normal(8, 1.5, shape))
    volume[seldom(0.02)] = np.nan
    volume[seldom(0.02)] = 0.0
    volatility = np.where(seldom(0.02), np.nan, rng.uniform(0.005, 0.05, shape))
    ending = np.zeros(shape)
    if has_events:
        _list_and_end(rng, close, ending)
    close[seldom(0.03) & (ending == 0)] = np.nan
    has_bar = ~np.isnan(close)
    return traded_panel(
        sessions_of(sessions),
        [f"S{number}" for number in range(symbols)],
        **{name: np.where(has_bar, grid, np.nan) for name, grid in (("open", opened), ("high", high), ("low", low))},
        close=close,
        volume=volume,
        volatility=volatility,
        split=np.where(has_bar, split, 1.0),
        dividend=np.where(has_bar, dividend, 0.0),
        halted=seldom(0.05).astype(float),
        borrowable=np.where(seldom(0.2), rng.choice([0.0, 50.0, 500.0], shape), np.nan),
        ending=ending,
    )


def _list_and_end(rng: np.random.Generator, close: npt.NDArray[np.float64], ending: npt.NDArray[np.float64]) -> None:
    for symbol in range(close.shape[1]):
        if rng.random() < 0.3:
            close[: rng.integers(0, len(close) // 2), symbol] = np.nan
        if rng.random() < 0.4:
            last = int(rng.integers(len(close) // 2, len(close)))
            ending[last, symbol] = rng.integers(1, 3)
            close[last + 1 :, symbol] = np.nan


def random_costs(rng: np.random.Generator) -> Costs:
    """Return costs in which any knob may be zero, and the volume cap and the declared volume missing."""

    def maybe(most: float) -> float:
        return float(rng.choice([0.0, rng.uniform(0, most)]))

    return Costs(
        fee_bps=maybe(20),
        fee_per_share=maybe(0.02),
        fee_minimum=maybe(5),
        half_spread_bps=maybe(20),
        slippage_bps=maybe(20),
        impact_coefficient=maybe(2),
        most_of_volume=None if rng.random() < 0.3 else float(rng.uniform(0.01, 0.3)),
        declared_volume_shares=None if rng.random() < 0.5 else 5_000.0,
        borrow_bps_a_year=maybe(2_000),
        margin_bps_a_year=maybe(1_500),
        cash_bps_a_year=maybe(500),
        delisting_haircut=maybe(1),
    )


def random_target_world(seed: int) -> TargetWorld:
    """Return a market and targets, long and short, of which some leave symbols or whole sessions alone."""
    rng = np.random.default_rng(seed)
    sessions, symbols = int(rng.integers(10, 50)), int(rng.integers(1, 7))
    weights = rng.normal(0.1, 0.4, (sessions, symbols))
    weights[rng.random(weights.shape) < 0.1] = 0.0
    weights[rng.random(weights.shape) < 0.1] = np.nan
    weights[rng.random(sessions) < 0.3] = np.nan
    fill_at: FillAt = "close" if rng.random() < 0.3 else "open"
    return TargetWorld(
        random_panel(rng, sessions, symbols),
        weights,
        random_costs(rng),
        float(rng.choice([1e4, 1e5, 1e6])),
        fill_at,
        "gtc" if fill_at == "open" and rng.random() < 0.5 else "day",
        float(rng.choice([0.0, 1.0, 100.0])),
    )
