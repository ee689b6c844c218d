"""Qlib as a rival: its environment, what it is asked, and its figure beside ours.

The file is not called ``qlib.py``, because the script beside it imports the real one.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl

from benchmarks.report import Figure
from benchmarks.rivals.environments import Answer, Rival, Unavailable, ask

QLIB = Rival("qlib", ("pyqlib==0.9.7", "numpy==2.4.6", "pandas==3.1.1"))
SCRIPT = Path(__file__).with_name("qlib_expressions.py")
FIELDS = ("open", "high", "low", "close", "volume", "vwap")
PROCESSES = 2


def evaluate(bars: pl.DataFrame, expressions: str | Sequence[str], environments: Path) -> Answer | Unavailable:
    """Let Qlib evaluate expressions; its values are [expression, symbol, session].

    Parameters
    ----------
    bars
        With the columns `FIELDS`, by symbol and session; every symbol has the same sessions.
    expressions
        Texts, or "Alpha158" for Qlib's own.
    """
    symbols = bars["symbol"].unique(maintain_order=True).to_list()
    shape = (len(symbols), bars.height // len(symbols))
    asked: dict[str, npt.ArrayLike] = {
        **{name: bars[name].to_numpy().reshape(shape) for name in FIELDS},
        "symbols": symbols,
        "sessions": bars["event_time"].unique().sort().dt.date().cast(pl.String).to_list(),
        "expressions": np.array(expressions),
        "processes": PROCESSES,
    }
    return ask(QLIB, SCRIPT, asked, environments)


def beside_qlib(goal: str, answers: Sequence[Answer | Unavailable], ours: float, must: float, aim: float) -> Figure:
    """How many times as fast ours is, by the middle of Qlib's answers; without one, why there is none."""
    seconds = [answer.seconds for answer in answers if isinstance(answer, Answer)]
    reasons = [answer.reason for answer in answers if isinstance(answer, Unavailable)]
    what = f"{goal}, beside {QLIB.name}" + (f" ({QLIB.versions})" if seconds else "")
    rival = float(np.median(seconds)) if seconds else reasons[0]
    return Figure(what, rival, ours, must, aim, is_speed_up=True, unit="s")
