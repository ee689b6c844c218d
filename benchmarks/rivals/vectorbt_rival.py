"""vectorbt as a rival: its environment and what it is asked.

Its licence has the Commons Clause, so it is never a dependency of ours. The file is not called ``vectorbt.py``,
because the script beside it imports the real one.
"""

from pathlib import Path

import numpy.typing as npt

from benchmarks.rivals.environments import Answer, Rival, Unavailable, ask
from lake.execution import TradedPanel

VECTORBT = Rival("vectorbt", ("vectorbt==1.2.0", "numba==0.68.1", "numpy==2.4.6", "pandas==3.1.1"))
SCRIPT = Path(__file__).with_name("vectorbt_targets.py")


def hold_targets(
    panel: TradedPanel, weights: npt.ArrayLike, *, fee: float, cash: float, repetitions: int, environments: Path
) -> Answer | Unavailable:
    """Let vectorbt hold target weights, decided at a close and reached at the next open.

    Parameters
    ----------
    fee
        Part of the value traded.

    Returns
    -------
    Answer | Unavailable
        With `equity` and `cash` per session, the number of `orders`, and the middle of the `repetitions`.
    """
    asked = {"open": panel.open, "close": panel.close, "weights": weights, "fee": fee, "cash": cash}
    return ask(VECTORBT, SCRIPT, {**asked, "repetitions": repetitions}, environments)
