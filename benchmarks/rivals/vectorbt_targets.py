"""Hold target weights with vectorbt itself: a script for an environment that has it, where quantlake is not needed.

``python vectorbt_targets.py in.npz out.npz``. The input holds ``open``, ``close`` and ``weights`` as
``[session, symbol]``, the ``fee`` as a part of the value traded, the ``cash`` at the beginning and the number of
``repetitions``. The output holds ``equity`` and ``cash`` per session, the number of ``orders``, and ``seconds``: the
middle of the repetitions of the quicker of its two ways, sales first or in the order of the symbols, after one run in
which it compiles.
"""

import statistics
import sys
import time
from typing import Any

import numpy as np
import vectorbt as vbt


def simulate(given: dict[str, Any], call_seq: str) -> Any:
    """Shares are counted at the close of the decision and paid at the next open, as ours are."""
    close = given["close"]
    decided = np.vstack([close[:1], close[:-1]])
    size = np.vstack([np.full((1, close.shape[1]), np.nan), given["weights"][:-1]])
    return vbt.Portfolio.from_orders(
        close,
        size=size,
        size_type="targetpercent",
        price=given["open"],
        val_price=decided,
        fees=float(given["fee"]),
        init_cash=float(given["cash"]),
        group_by=np.zeros(close.shape[1], dtype=int),
        cash_sharing=True,
        call_seq=call_seq,
        freq="1D",
    )


def main(source: str, target: str) -> None:
    """Run all repetitions of both ways in turn."""
    given = dict(np.load(source))
    ways = ("auto", "default")
    seconds: dict[str, list[float]] = {way: [] for way in ways}
    for way in ways:
        simulate(given, way)
    for _ in range(int(given["repetitions"])):
        for way in ways:
            started = time.perf_counter()
            portfolio = simulate(given, way)
            seconds[way].append(time.perf_counter() - started)
    np.savez(
        target,
        seconds=min(statistics.median(each) for each in seconds.values()),
        equity=portfolio.value().to_numpy().ravel(),
        cash=portfolio.cash().to_numpy().ravel(),
        orders=len(portfolio.order_records),
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
