"""Backtest of the selection against equal weights, the best strategy in hindsight, and null twins."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import numpy as np

from lake.calendars import VENUE
from lake.ledger import TrialLedger
from serving.evidence import FloatArray
from serving.strategies.paper import PaperReturns
from serving.strategies.ratios import drawdown_of, sharpe_of, volatility_of
from serving.strategies.scored import selection_trials
from serving.strategies.selection import SelectionRule, select

SELECTION, UNGATED, EQUAL = "selection", "selection without proof", "equal weights"
"""Ways to use the pool: by weights in force, by learnt weights before any proof, and all alike."""
TWINS = 19
"""Null twins: with 19 of them, beating all has a chance of 1 in 20 when there is nothing to find."""


@dataclass(frozen=True)
class Comparison:
    """Net returns per session of each way to use the pool.

    Parameters
    ----------
    sessions
        Closes at which positions were taken.
    curves
        Name to net returns ``[session]``, in the order in which they are shown.
    twins
        Gains of each null twin over equal weights ``[twin]``, summed over the sessions.
    figures
        One plain dict per curve: name, net return, volatility per year, Sharpe ratio, drawdown, gain over equal
        weights, final e-value.
    """

    sessions: tuple[datetime, ...]
    curves: dict[str, FloatArray]
    twins: FloatArray
    figures: list[dict[str, str | float | None]]


def compare(
    returns: PaperReturns,
    now: datetime,
    rule: SelectionRule,
    regimes: Sequence[str],
    grid: str = VENUE,
    *,
    ledger: TrialLedger,
) -> Comparison:
    """Run the selection, its rivals, and its twins in worlds where there is nothing to select.

    A null twin sees the same sessions with the strategies shuffled anew in each of them: the pool's mean and every
    session's spread are the same, but no strategy is better than another. What the selection gains there is luck.

    Parameters
    ----------
    returns
        At equal volatility, so that no strategy, twin or best in hindsight is ahead by its exposure alone.
    grid
        Of the market's bars, by which volatility and Sharpe ratio are per year.
    ledger
        Where each way to use the pool is recorded before its figures are returned: the selection with and without the
        proof, and equal weights. The best in hindsight is a strategy, and a twin is no candidate.
    """
    found = select(returns, now, rule, regimes)
    ways = {SELECTION: found.selected, UNGATED: found.ungated, EQUAL: found.equal}
    ledger.record(selection_trials(returns.sessions, ways, rule))
    totals = returns.net.sum(axis=0)
    best = int(totals.argmax())
    twins = [select(shuffled(returns, seed), now, rule, regimes) for seed in range(TWINS)]
    curves = {
        **ways,
        f"best in hindsight ({returns.strategies[best]})": returns.net[:, best],
        "null twin without proof": twins[0].ungated,
    }
    e_values = {UNGATED: found.e_values[-1], "null twin without proof": twins[0].e_values[-1]}
    figures: list[dict[str, str | float | None]] = [
        {
            "name": name,
            "net_return": float(net.sum()),
            "volatility": volatility_of(net, grid),
            "sharpe": sharpe_of(net, grid),
            "drawdown": drawdown_of(net),
            "gain_over_equal": float((net - found.equal).sum()),
            "e_value": float(e_values[name]) if name in e_values else None,
        }
        for name, net in curves.items()
    ]
    gains = np.array([(twin.ungated - twin.equal).sum() for twin in twins])
    return Comparison(returns.sessions, curves, gains, figures)


def shuffled(returns: PaperReturns, seed: int) -> PaperReturns:
    """Return the same sessions with the strategies exchanged at random within each of them."""
    order = np.random.default_rng([seed, returns.net.size]).random(returns.net.shape).argsort(axis=1)
    return returns._replace(
        net=np.take_along_axis(returns.net, order, axis=1), exposure=np.take_along_axis(returns.exposure, order, axis=1)
    )


def draw(comparison: Comparison, path: Path, caveats: Sequence[str] = ()) -> Path:
    """Draw the summed net returns of every curve as a PNG, and return its path.

    Parameters
    ----------
    caveats
        What belongs beside the returns (`lake.sources.caveats_of`); it stands below the picture.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    sessions = np.array([at.replace(tzinfo=None) for at in comparison.sessions], dtype="datetime64[us]")
    figure = Figure(figsize=(10, 5), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    for (name, net), style in zip(comparison.curves.items(), ("-", "--", "-", ":", "-."), strict=True):
        # Drawn broad and pale: until it has its proof, it lies exactly under the curve of equal weights.
        width, opacity = (6.0, 0.35) if name == SELECTION else (1.5, 1.0)
        label = f"{name}: {100 * net.sum():+.1f} %"
        axes.plot(sessions, 100 * np.cumsum(net), style, label=label, linewidth=width, alpha=opacity)
    axes.axhline(0, color="grey", linewidth=0.5)
    axes.set_ylabel("summed net return at equal volatility, %")
    axes.set_title(f"Selection from the pool, {comparison.sessions[0]:%Y-%m-%d} to {comparison.sessions[-1]:%Y-%m-%d}")
    low, high = 100 * comparison.twins.min(), 100 * comparison.twins.max()
    twins = f"{len(comparison.twins)} null twins gained {low:+.1f} to {high:+.1f} % over equal weights"
    axes.set_xlabel("\n".join((twins, *caveats)))
    low, high = axes.get_ylim()
    axes.set_ylim(low, high + 0.25 * (high - low))  # room for the legend above every curve
    axes.legend(loc="upper left", fontsize="small", ncols=2)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)
    return path
