"""The test for drift on simulated series: how often it calls still ones drifted, and how often it finds a shift."""

from datetime import UTC, datetime, timedelta

import numpy as np
import numpy.typing as npt
import polars as pl
from scipy import stats
from scipy.signal import lfilter

from benchmarks.report import Topic
from serving.drift import BLOCK_SESSIONS, CURRENT_SESSIONS, DriftSubject, adjust, compare_with_blocks, judge

Values = npt.NDArray[np.float64]
REFERENCE, SYMBOLS, FAMILY, SHIFT, ALPHA = 2_800, 25, 20, 0.5, 0.05
MEMORIES = (0.0, 0.5, 0.9, 0.97)
DAYS = [datetime(2000, 1, 1, 21, tzinfo=UTC) + timedelta(days=day) for day in range(REFERENCE + CURRENT_SESSIONS)]
HEADER = (
    "autocorrelation", "false alarms, alone", f"in families of {FAMILY}", "Kolmogorov-Smirnov on sessions",
    f"half a deviation found: {SYMBOLS} separate symbols, one of {FAMILY} tests",
    "the same quantity for all symbols, alone",
)  # fmt: skip


def measure(count: int = 3_000, panels: int = 100) -> Topic:
    """Simulate so many series, and so many panels of symbols, per autocorrelation."""
    text = (
        f"{count:,} simulated series of {REFERENCE:,} + {CURRENT_SESSIONS} sessions, and {panels} panels of "
        f"{SYMBOLS} symbols, per first-order autocorrelation."
    )
    rows = tuple(_row(memory, count, panels) for memory in MEMORIES)
    return Topic("Drift of simulated series", text, HEADER, rows)


def _row(memory: float, count: int, panels: int) -> tuple[str, ...]:
    still = _series(np.random.default_rng(1), memory, count)
    alone = _p_values(still)
    families = alone[: count // FAMILY * FAMILY].reshape(-1, FAMILY)
    sessions = np.asarray(stats.ks_2samp(still[:REFERENCE], still[REFERENCE:]).pvalue)
    moved = still.copy()
    moved[REFERENCE:] += SHIFT
    shares = (
        alone < ALPHA,
        [min(adjust(list(family))) < ALPHA for family in families],
        sessions < ALPHA,
        [_is_found(memory, seed) for seed in range(panels)],
        _p_values(moved) < ALPHA,
    )
    return f"{memory:g}", *(f"{np.mean(share):.1%}" for share in shares)


def _series(rng: np.random.Generator, memory: float, count: int) -> Values:
    """Autoregressions of unit variance ``[session, series]``."""
    shocks = rng.standard_normal((len(DAYS) + 400, count)) * np.sqrt(1 - memory**2)
    values: Values = lfilter([1], [1, -memory], shocks, axis=0)[400:]
    return values


def _p_values(values: Values) -> Values:
    shifts = [compare_with_blocks(one[:REFERENCE], one[REFERENCE:], BLOCK_SESSIONS) for one in values.T]
    return np.array([shift.p_value for shift in shifts if shift is not None])


def _is_found(memory: float, seed: int) -> bool:
    """Whether a shift of symbols that move on their own is found among tests of quantities that stayed."""
    rng = np.random.default_rng([seed, 2])
    values = _series(rng, memory, SYMBOLS)
    values[REFERENCE:] += SHIFT
    symbols = np.tile([f"S{number:02d}" for number in range(SYMBOLS)], len(DAYS))
    stamps = pl.Series("event_time", DAYS).gather(np.repeat(np.arange(len(DAYS)), SYMBOLS))
    frame = pl.DataFrame({"symbol": symbols, "value": values.ravel()}).with_columns(stamps)
    both = {found.aspect: found.shift.p_value for found in judge(DriftSubject("moved", frame), DAYS[REFERENCE - 1])}
    others = rng.uniform(size=FAMILY - len(both)).tolist()
    return bool(adjust([both["level"], both["spread"], *others])[0] < ALPHA)
