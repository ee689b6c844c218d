"""The vectorised twin of the event engine: target weights and market orders only, and as many as one likes."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt

from lake.errors import ConfigError, UnknownNameError
from lake.execution.bars import Grid, TradedPanel
from lake.execution.costs import Costs
from lake.execution.orders import TimeInForce
from lake.execution.simulation import FillAt, check_targets
from lake.execution.target_arrays import KINDS, Row, empty_account, empty_paths, knobs_of, market_of
from lake.execution.target_loop import compiled_run
from lake.execution.target_rows import run_rows

if TYPE_CHECKING:
    from collections.abc import Callable

Arithmetic = Literal["compiled", "numpy"]


@dataclass(frozen=True, eq=False)
class TargetPath:
    """What came of target weights.

    Parameters
    ----------
    equity, cash, gross
        Money at each close, ``[session]``: cash plus positions, cash, and the sum of absolute positions.
    costs
        Money up to each close, ``[session]``, by kind: `fee`, `spread`, `slippage`, `impact`, `borrow`, `interest`
        (received less paid), `dividends` (received less paid), `haircuts`.
    traded
        Shares filled in each session, signed, ``[session, symbol]``.
    positions
        Shares held at each close, ``[session, symbol]``.
    orders, fills
        How many there were.
    """

    equity: Row
    cash: Row
    gross: Row
    costs: dict[str, Row]
    traded: Grid
    positions: Grid
    orders: int
    fills: int


def simulate_targets(
    panel: TradedPanel,
    weights: npt.ArrayLike,
    costs: Costs,
    *,
    cash: float,
    fill_at: FillAt = "open",
    time_in_force: TimeInForce = "day",
    lot_shares: float = 0.0,
    arithmetic: Arithmetic = "compiled",
) -> TargetPath:
    """Hold target weights over the bars of a market; the same as `simulate` with `TargetWeights` at each close.

    Parameters
    ----------
    panel
        Bars as traded.
    weights
        ``[session, symbol]``: parts of the equity, decided at the close of the session and reached in the next.
        NaN leaves a symbol alone, and so does a symbol without a price.
    costs
        What orders and positions cost.
    cash
        Money at the beginning.
    fill_at, time_in_force, lot_shares
        As in `TargetWeights`.
    arithmetic
        `compiled`: a loop by numba, compiled once for all processes. `numpy`: rows, the slower second opinion.

    Raises
    ------
    ConfigError
        If the weights have another shape than the panel, or one of them is infinite.

    Examples
    --------
    >>> from datetime import UTC, datetime
    >>> from lake.execution import NO_COSTS, traded_panel
    >>> days = [datetime(2024, 1, day, 21, tzinfo=UTC) for day in (2, 3, 4)]
    >>> prices = {"open": [[9], [10], [11]], "high": [[12]] * 3, "low": [[8]] * 3, "close": [[10], [10], [12]]}
    >>> once = [[1.0], [float("nan")], [float("nan")]]
    >>> simulate_targets(traded_panel(days, ["AAA"], **prices), once, NO_COSTS, cash=100.0).equity.tolist()
    [100.0, 100.0, 120.0]
    """
    check_targets(fill_at, time_in_force, lot_shares)
    given = np.require(weights, np.float64, ["C", "W"])
    if given.shape != panel.close.shape:
        raise ConfigError(f"The weights have the shape {given.shape}, the bars {panel.close.shape}; give one per bar.")
    if np.isinf(given).any():
        raise ConfigError("A weight is infinite; give parts of the equity, or NaN to leave a symbol alone.")
    runs: dict[str, Callable[[], Any]] = {"compiled": compiled_run, "numpy": lambda: run_rows}
    if arithmetic not in runs:
        raise UnknownNameError("arithmetic", arithmetic, runs)
    paths = empty_paths(*given.shape)
    knobs = knobs_of(costs, lot_shares=lot_shares, is_gtc=time_in_force == "gtc")
    market, account = market_of(panel, is_at_close=fill_at == "close"), empty_account(given.shape[1])
    runs[arithmetic]()(market, given, panel.calendar_days, knobs, float(cash), account, paths)
    by_kind = {kind: paths.totals[:, column] for column, kind in enumerate(KINDS)}
    orders, fills = (int(count) for count in paths.counts)
    return TargetPath(paths.equity, paths.cash, paths.gross, by_kind, paths.traded, paths.positions, orders, fills)
