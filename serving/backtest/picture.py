"""Picture of a back-test: equity of the strategy, net and gross, beside 1/N and naive; and where the gross went."""

from pathlib import Path

import numpy as np
import polars as pl

from serving.backtest.accounts import COST_KINDS
from serving.backtest.reading import BacktestRecord
from serving.backtest.report import EQUAL_WEIGHT, NAIVE, STRATEGY

LINES = (
    (STRATEGY, "equity", "strategy, net", "-", 2.0),
    (STRATEGY, "gross_equity", "strategy, gross", ":", 1.2),
    (EQUAL_WEIGHT, "equity", "1/N, net", "--", 1.5),
    (NAIVE, "equity", "naive (cash), net", "-.", 1.2),
)
"""Account, column, label, style and width of each line."""


def draw_backtest(record: BacktestRecord, curves: pl.DataFrame, path: Path) -> Path:
    """Draw a back-test as a PNG, and return its path.

    Parameters
    ----------
    curves
        Its rows of `backtest_sessions`.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    row, report = record.row, record.report
    figure = Figure(figsize=(11, 5), layout="constrained")
    FigureCanvasAgg(figure)
    left, right = figure.subplots(1, 2, width_ratios=(2.4, 1))
    for account, column, label, style, width in LINES:
        own = curves.filter(pl.col("account") == account).sort("event_time")
        times = own["event_time"].dt.replace_time_zone(None).to_numpy()
        gain = 100 * (own[column].to_numpy() / own[column][0] - 1)
        left.plot(times, gain, style, label=f"{label}: {gain[-1]:+.1f} %", linewidth=width)
    left.axhline(0, color="grey", linewidth=0.5)
    left.set_ylabel("return since the start, %")
    left.set_title(f"{row['strategy']}: {row['first_session']:%Y-%m-%d} to {row['event_time']:%Y-%m-%d}")
    left.legend(loc="upper left", fontsize="small")
    dsr = "none" if row["dsr"] is None else f"{row['dsr']:.2f}"
    left.set_xlabel(
        f"deflated Sharpe ratio {dsr} given {row['trials']} trials; sessions looked at {row['holdout_openings']} times"
        f"\n{report['shuffles']['remark']}"
    )
    places = np.arange(len(COST_KINDS))
    for offset, name, label in ((-0.2, STRATEGY, "strategy"), (0.2, EQUAL_WEIGHT, "1/N")):
        costs = report["accounts"][name]["costs"]
        right.barh(places + offset, [1e4 * costs[kind] for kind in COST_KINDS], height=0.38, label=label)
    right.set_yticks(places, COST_KINDS)
    right.invert_yaxis()
    right.set_xlabel("costs, bp of the capital")
    right.set_title("What trading cost")
    right.legend(fontsize="small")
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)
    return path
