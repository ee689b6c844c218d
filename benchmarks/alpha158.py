"""Alpha158: compiled kernels beside Qlib itself, which runs in an environment of its own."""

import tempfile
import time
from functools import partial
from pathlib import Path

import numpy as np
import polars as pl

from benchmarks.report import RATIO, Topic
from benchmarks.rivals.environments import Answer, Unavailable
from benchmarks.rivals.qlib_rival import PROCESSES, beside_qlib, evaluate
from benchmarks.timing import interleave, medians
from feature_repo.catalog import ALPHA158
from feature_repo.engines import compute_group
from lake.settings import settings
from lake.sources import tiny_market

SYMBOLS, SESSIONS = 100, 1_000
MUST, AIM = 6, 30
TOLERANCE, RESIDUE = 2e-4, 1e-8
"""Qlib combines prices in float32, and its running sums leave a residue where a value should be zero."""
FIELDS = ("open", "high", "low", "close", "volume")


def measure(
    symbols: int = SYMBOLS, sessions: int = SESSIONS, repetitions: int = 5, environments: Path | None = None
) -> Topic:
    """Compute Alpha158 of a made-up market with Qlib and with ours, in turn; compare the values before the times.

    Parameters
    ----------
    environments
        Folder of the rivals' environments; by default one in the home.
    """
    bars = _market(symbols, sessions)
    qlib = partial(ask_qlib, bars, environments or settings().home / "rivals")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "bars.parquet")
        bars.write_parquet(path)
        started = time.perf_counter()
        values = compute_group(pl.read_parquet(path), ALPHA158)
        cold = time.perf_counter() - started
        worst = compare(values, qlib())
        answers: list[Answer | Unavailable] = []
        rivals = {
            "qlib": lambda: answers.append(qlib()),
            "ours": lambda: compute_group(pl.read_parquet(path), ALPHA158),
        }
        ours = medians(interleave(rivals, repetitions))["ours"]
    figure = beside_qlib("P4", answers, ours, MUST, AIM)
    text = (
        f"The {len(ALPHA158.features)} features, {symbols:,} symbols of {sessions:,} sessions, from bars in a file to "
        f"values in memory; the middle of {repetitions} repetitions, in turn."
    )
    notes = (
        worst,
        f"Qlib's own clock, on {PROCESSES} processes; the start of the interpreter and its imports are not counted",
        f"ours: {symbols / ours:,.0f} symbols a second; {cold:.1f} s the first time in this process",
    )
    return Topic("Alpha158", text, RATIO, (figure.to_row(),), notes)


def ask_qlib(bars: pl.DataFrame, environments: Path) -> Answer | Unavailable:
    """Let Qlib compute Alpha158; its values are [feature, symbol, session], in the order of the group."""
    typical = pl.mean_horizontal("high", "low", "close")
    return evaluate(bars.with_columns(vwap=typical), "Alpha158", environments)


def compare(ours: pl.DataFrame, answer: Answer | Unavailable) -> str:
    """Refuse to measure what does not compute the same; return how far apart the values are, in words.

    Raises
    ------
    AssertionError
        Naming the first feature whose nulls or values differ.
    """
    if isinstance(answer, Unavailable):
        return "values were not compared"
    worst, of = 0.0, ""
    for name, computed in zip(answer.values["names"].astype(str), answer.values["values"], strict=True):
        theirs = computed.ravel().astype(np.float64)
        theirs[~np.isfinite(theirs)] = np.nan
        values = ours[name.lower()].fill_null(np.nan).to_numpy()
        assert (np.isnan(values) == np.isnan(theirs)).all(), f"Qlib knows {name} at other bars"
        known = ~np.isnan(theirs)
        off = np.maximum(np.abs(values - theirs)[known] - RESIDUE, 0) / np.maximum(np.abs(theirs[known]), RESIDUE)
        usual = float(np.quantile(off, 0.99)) if off.size else 0.0
        assert usual <= TOLERANCE, f"Qlib computes {name} differently: 99 of 100 values within {usual:.1e} only"
        worst, of = max((worst, of), (usual, name))
    return (
        "values were compared first: the same nulls in every feature, and 99 of 100 values within a relative "
        f"{worst:.1e} in the worst of them ({of}), as Qlib keeps float32"
    )


def _market(symbols: int, sessions: int) -> pl.DataFrame:
    """Bars whose numbers are float32 already, so that both sides compute from the same."""
    bars = tiny_market(symbols, sessions, seed=158)
    rounded = [pl.col(name).cast(pl.Float32).cast(pl.Float64) for name in FIELDS]
    return bars.select("symbol", "event_time", "known_time", *rounded)
