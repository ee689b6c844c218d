"""Back-tests: a million orders of target weights beside vectorbt, and the event engine on 13 years of 25 symbols."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt

from benchmarks.report import RATIO, Figure, Topic
from benchmarks.rivals.environments import Answer, Unavailable
from benchmarks.rivals.vectorbt_rival import VECTORBT, hold_targets
from benchmarks.timing import interleave, medians
from lake.execution import (
    NO_COSTS,
    Costs,
    TargetPath,
    TargetWeights,
    TradedPanel,
    simulate,
    simulate_targets,
    traded_panel,
)
from lake.settings import settings

SESSIONS, SYMBOLS = 1_001, 1_000
"""A million orders: one per symbol and session but the first."""
YEARS_SESSIONS, YEARS_SYMBOLS = 3_276, 25
CASH, FEE_BPS, INVESTED = 1e8, 1.0, 0.4
"""The weights leave more cash than a session buys for, so that vectorbt, which lends none, makes the same fills."""
SAME = 1e-9


def measure(
    sessions: int = SESSIONS,
    symbols: int = SYMBOLS,
    years_sessions: int = YEARS_SESSIONS,
    years_symbols: int = YEARS_SYMBOLS,
    repetitions: int = 5,
    environments: Path | None = None,
) -> Topic:
    """Hold random target weights in several ways, compare what came of them, then the times.

    Parameters
    ----------
    environments
        Folder of the rivals' environments; by default one in the home.
    """
    panel, weights = made_up_market(sessions, symbols)
    fees = replace(NO_COSTS, fee_bps=FEE_BPS)
    ours = simulate_targets(panel, weights, fees, cash=CASH)
    folder = environments or settings().home / "rivals"
    rival = hold_targets(panel, weights, fee=FEE_BPS / 1e4, cash=CASH, repetitions=repetitions, environments=folder)
    compare(ours, rival)
    bars, year_weights = made_up_market(years_sessions, years_symbols)
    run = partial(simulate_targets, panel, weights, cash=CASH)
    middle = medians(
        interleave(
            {
                "fees": partial(run, fees),
                "all costs": partial(run, Costs()),
                "numpy": partial(run, Costs(), arithmetic="numpy"),
                "events": partial(by_event, bars, year_weights),
            },
            repetitions,
        )
    )
    theirs = rival.seconds if isinstance(rival, Answer) else rival.reason
    orders, years = f"{ours.orders:,} orders", f"{years_symbols} symbols x {years_sessions:,} sessions"
    what = f"P19, beside {VECTORBT.name} ({VECTORBT.versions})"
    figures = (
        Figure(what, theirs, middle["fees"], 3, is_speed_up=True, unit="s"),
        Figure(f"{orders}, all costs, compiled, of 0.1 s", 0.1, middle["all costs"], 1, unit="s"),
        Figure(f"{orders}, all costs, numpy, of 2 s", 2.0, middle["numpy"], 1, unit="s"),
        Figure(f"{years} by event, of 2 s", 2.0, middle["events"], 1, unit="s"),
    )
    text = (
        f"Target weights of {symbols:,} symbols at each of {sessions:,} closes, reached at the next open; the middle "
        f"of {repetitions} repetitions, in turn. By event: an order, its states and a fill per symbol and session."
    )
    return Topic("Back-tests", text, RATIO, tuple(figure.to_row() for figure in figures), _notes(rival))


def _notes(rival: Answer | Unavailable) -> tuple[str, ...]:
    compared = (
        f"fills were compared first: equity and cash at each close and the number of orders agree with {VECTORBT.name} "
        f"to {SAME:g}, with a fee of {FEE_BPS:g} bp and no other cost"
        if isinstance(rival, Answer)
        else f"nothing was compared: {rival.reason}"
    )
    return (
        compared,
        f"of {VECTORBT.name} the quicker of its two sequences of orders counts, in its own process, compiled before",
        "all costs: fee, spread, slippage, square-root impact, a cap on volume, borrow fees and interest",
    )


def made_up_market(sessions: int, symbols: int) -> tuple[TradedPanel, npt.NDArray[np.float64]]:
    """Return bars without any event, and random weights that are never negative."""
    rng = np.random.default_rng(1)
    shape = (sessions, symbols)
    close = 50 * np.exp(np.cumsum(rng.normal(0, 0.01, shape), axis=0))
    opened = close * np.exp(rng.normal(0, 0.003, shape))
    panel = traded_panel(
        [datetime(2010, 1, 1, 21, tzinfo=UTC) + timedelta(days=day) for day in range(sessions)],
        [f"S{number:04d}" for number in range(symbols)],
        open=opened,
        high=np.maximum(opened, close) * 1.005,
        low=np.minimum(opened, close) * 0.995,
        close=close,
        volume=np.full(shape, 1e7),
        volatility=np.full(shape, 0.01),
    )
    return panel, INVESTED * rng.dirichlet(np.ones(symbols), sessions)


def by_event(panel: TradedPanel, weights: npt.NDArray[np.float64]) -> None:
    """Run the event engine with all costs."""
    rows = [TargetWeights(dict(zip(panel.symbols, row, strict=True))) for row in weights.tolist()]
    simulate(panel, lambda now: rows[now.session], Costs(), cash=CASH)


def compare(ours: TargetPath, rival: Answer | Unavailable) -> None:
    """Refuse to measure what does not compute the same.

    Raises
    ------
    AssertionError
        If equity, cash or the number of orders differ.
    """
    if isinstance(rival, Unavailable):
        return
    assert int(rival.values["orders"]) == ours.fills, f"{VECTORBT.name} made other orders"
    for name in ("equity", "cash"):
        gap = np.abs(rival.values[name] - getattr(ours, name)).max() / CASH
        assert gap <= SAME, f"{VECTORBT.name} computes the {name} differently by {gap:.1e} of the cash"
