"""A strategy file with all that it is run on: forecasts, bars, folds and targets."""

import hashlib
import json
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path

import numpy as np

from lake.clock import Clock
from lake.errors import ConfigError
from lake.execution import TradedPanel
from lake.store import Lake
from serving.backtest import targets
from serving.backtest.accounts import AccountPath, net_returns_of, run_account, traded_market
from serving.backtest.folds import Fold, first_session, folds_of, learnt_until, newest_labels
from serving.backtest.prices import BarPanel, FloatArray, read_bars
from serving.backtest.report import EQUAL_WEIGHT, NAIVE, STRATEGY
from serving.backtest.strategy_file import StrategyFile
from serving.strategies import sharpe_of

ROOT = Path(__file__).parents[2]
DECIDES = ("serving/backtest", "serving/strategies", "lake/execution")
"""Folders whose code decides the result of a back-test."""


@dataclass(frozen=True)
class Backtest:
    """A strategy file with all that it is run on.

    Parameters
    ----------
    file
        What is run.
    inputs, panel
        Forecasts and bars.
    folds
        Of the sessions of `panel`.
    grid
        Of the market's bars.
    delisted_after
        Sessions without a bar after which a symbol counts as delisted.
    """

    file: StrategyFile
    inputs: targets.TargetInputs
    panel: BarPanel
    folds: tuple[Fold, ...]
    grid: str
    delisted_after: int

    @cached_property
    def targets(self) -> dict[str, FloatArray]:
        """Target weights of each account ``[session, symbol]``."""
        return {
            STRATEGY: targets.strategy_targets(self.file, self.inputs, self.panel, self.delisted_after),
            EQUAL_WEIGHT: targets.equal_weight_targets(self.file, self.panel),
            NAIVE: targets.naive_targets(self.panel),
        }

    @cached_property
    def places(self) -> list[int]:
        """Sessions that are scored."""
        return [place for fold in self.folds for place in fold.scored]

    @cached_property
    def backtest_id(self) -> str:
        """Identifier: the same file on the same bars and targets by the same code is the same back-test."""
        digest = hashlib.sha256(json.dumps([self.file.text, code_digest(), list(self.panel.symbols)]).encode())
        for session in self.panel.sessions:
            digest.update(session.isoformat().encode())
        for name in ("open", "high", "low", "close", "volume", "volatility", "split_ratio", "dividend", "delisted"):
            digest.update(np.ascontiguousarray(getattr(self.panel, name)).tobytes())
        digest.update(np.ascontiguousarray(self.targets[STRATEGY]).tobytes())
        return digest.hexdigest()[:16]

    @cached_property
    def market(self) -> TradedPanel:
        """The bars as the engine takes them."""
        return traded_market(self.panel, self.file.declared_daily_value)

    def run(self, name: str, wanted: FloatArray | None = None, capital: float | None = None) -> AccountPath:
        """Trade an account, by default on its own targets and with the capital of the file."""
        return run_account(
            name,
            self.market,
            self.targets[name] if wanted is None else wanted,
            self.file.costs,
            capital or self.file.capital,
            self.file.rebalancing.trade_at,
        )

    def sharpe(self, name: str, wanted: FloatArray | None = None, capital: float | None = None) -> float | None:
        """Sharpe ratio per year above cash over the scored sessions, from the compiled twin of the engine.

        Parameters
        ----------
        name, wanted, capital
            As for `run`.
        """
        net = self.net_returns(self.targets[name] if wanted is None else wanted, capital)
        return sharpe_of(net - self.net_returns(self.targets[NAIVE], capital), self.grid)

    def net_returns(self, wanted: FloatArray, capital: float | None = None) -> FloatArray:
        """Net return of each scored session under some targets, from the compiled twin of the engine."""
        net = net_returns_of(
            self.market, wanted, self.file.costs, capital or self.file.capital, self.file.rebalancing.trade_at
        )
        return net[np.array(self.places, dtype=np.int64) - 1]


def prepare(lake: Lake, models: Path, clock: Clock, file: StrategyFile) -> Backtest:
    """Return a strategy file with the forecasts, bars and folds that it is run on.

    Raises
    ------
    NotReadyError
        If there are no forecasts, or no sessions beyond the embargo.
    LookAheadError
        If a forecast is not out of sample.
    ConfigError
        If it is to trade at the open of bars that have none, or names a horizon that the market does not forecast.
    """
    inputs = targets.read_inputs(lake, clock, file)
    market, plan = lake.market, file.folds
    newest = newest_labels(inputs.origins, learnt_until(models, inputs.origins))
    universe = targets.universe_of(file, inputs)
    first = first_session(inputs.forecasts["event_time"].unique().sort().to_list(), newest, plan, market.grid)
    panel = read_bars(lake, universe, first, clock.now())
    if file.rebalancing.trade_at == "open":
        lacking = [s for n, s in enumerate(panel.symbols) if np.isnan(panel.open[panel.has_bar[:, n], n]).any()]
        if lacking:
            raise ConfigError(
                f"Back-test '{file.name}' trades at the open, and {len(lacking)} of {len(panel.symbols)} symbols have "
                f"bars without one: {', '.join(lacking[:5])}. Declare `rebalancing: {{trade_at: close}}` or a universe."
            )
    folds = tuple(folds_of(panel.sessions, newest, plan, market.grid))
    return Backtest(file, inputs, panel, folds, market.grid, market.delisted_after_bars)


@lru_cache(maxsize=1)
def code_digest() -> str:
    """Return the SHA-256 of the code that decides the result of a back-test."""
    digest = hashlib.sha256()
    for folder in DECIDES:
        for path in sorted((ROOT / folder).rglob("*.py")):
            digest.update(path.relative_to(ROOT).as_posix().encode())
            digest.update(path.read_bytes())
    return digest.hexdigest()
