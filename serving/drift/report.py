"""Evidently's drift report, with the verdicts of our test in place of its own."""

import math
import os
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from serving.drift.measure import ALPHA

if TYPE_CHECKING:
    import pandas as pd

STATTEST = "quantlake_block_means"
CURVES = "#0b62a8"
"""Colour of all curves: Evidently draws them in the red of an alarm, and takes no other colour from a caller."""


def write_report(reference: "pd.DataFrame", current: "pd.DataFrame", verdicts: Mapping[str, float], path: Path) -> Path:
    """Write Evidently's drift report as one self-contained HTML file.

    Evidently's own tests take rows for independent and would contradict ours, so ours is registered with it: the score
    it shows for a column is that column's corrected p-value.

    Parameters
    ----------
    reference, current
        One row per session, one column per subject.
    verdicts
        Corrected p-value of each column.
    path
        File to write; its folder is made.
    """
    # Evidently asks before it is imported, and any value counts as a refusal.
    os.environ.setdefault("DO_NOT_TRACK", "1")
    with warnings.catch_warnings():
        # Evidently 0.7.23 imports its web interface, which uses what NumPy and Litestar have deprecated.
        warnings.simplefilter("ignore")
        from evidently import DataDefinition, Dataset, Report
        from evidently.legacy.calculations.stattests import StatTest, register_stattest
        from evidently.legacy.core import ColumnType
        from evidently.legacy.options.color_scheme import RED
        from evidently.presets import DataDriftPreset

    def verdict(before: "pd.Series", _now: "pd.Series", _kind: Any, threshold: float) -> tuple[float, bool]:
        p_value = verdicts[str(before.name)]
        return p_value, p_value < threshold

    shown = "block means against the training period, p-value after Holm"
    register_stattest(StatTest(STATTEST, shown, [ColumnType.Numerical], ALPHA), verdict)
    columns = DataDefinition(numerical_columns=list(verdicts))
    with warnings.catch_warnings():
        # Columns that are known in some sessions only, or in none, make NumPy warn about what it leaves out.
        warnings.simplefilter("ignore", RuntimeWarning)
        frames = [Dataset.from_pandas(frame[list(verdicts)], columns) for frame in (current, reference)]
        # The correction already allows for the number of columns: one that drifted is drift.
        preset = DataDriftPreset(method=STATTEST, threshold=ALPHA, drift_share=_least_share(len(verdicts)))
        snapshot = Report([preset]).run(*frames)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(snapshot.get_html_str(as_iframe=False).replace(RED, CURVES), encoding="utf-8")
    return path


def _least_share(subjects: int) -> float:
    """The share that one of the subjects is, rounded down to one digit, as the page prints it.

    Examples
    --------
    >>> _least_share(35), _least_share(1)
    (0.02, 1.0)
    """
    scale = 10.0 ** math.ceil(math.log10(subjects))
    return math.floor(scale / subjects) / scale
