"""Reliability of the stated confidence: hit rate of the direction against its stated probability."""

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import polars as pl

from lake.errors import NotReadyError
from serving.forecasts import confidence
from training.judge import t_value

if TYPE_CHECKING:
    import numpy.typing as npt

    from serving.calibration.simulation import WalkForwardSimulation

    Numbers = npt.NDArray[np.float64]

BINS = 10
TOO_FAR = 3.0
"""A t-value beyond which a confidence does not mean what it says."""


class Reliability(NamedTuple):
    """Stated probability against observed frequency.

    Parameters
    ----------
    table
        ``confidence`` (mean), ``hit_rate``, ``forecasts``, ``standard_error`` (of the hit rate, by sessions) per bin of
        equally many forecasts, in the order of confidence.
    expected_calibration_error
        Mean distance of confidence and hit rate over the bins, weighted by forecasts (Naeini, Cooper and Hauskrecht
        2015). Chance alone makes it positive.
    brier, base_rate_brier
        Mean squared difference of hit and confidence (Brier 1950), and of hit and the overall hit rate, which nobody
        knew beforehand.
    excess_t
        t-value over sessions of confidence minus hit: far above 0 is overconfident, far below too modest.
    """

    table: pl.DataFrame
    expected_calibration_error: float
    brier: float
    base_rate_brier: float
    excess_t: float | None

    @property
    def is_believable(self) -> bool:
        """Whether the outcomes do not contradict the confidence as a whole."""
        return self.excess_t is not None and abs(self.excess_t) < TOO_FAR


def reliability(stated: "Numbers", hits: "Numbers", sessions: "npt.NDArray[np.int64]", horizon: int) -> Reliability:
    """Compare stated probabilities with outcomes.

    Parameters
    ----------
    stated
        Probability stated for each forecast ``[row]``.
    hits
        1 where it came true, 0 where not ``[row]``.
    sessions
        Session of each, ascending: those of one session move together and count once.
    horizon
        Sessions ahead; outcomes overlap by one less, which the t-value allows for (Newey and West 1987).
    """
    order = np.argsort(stated, kind="stable")
    rows = [
        {
            "confidence": float(stated[part].mean()),
            "hit_rate": float(hits[part].mean()),
            "forecasts": len(part),
            "standard_error": _error_by_sessions(hits[part], sessions[part]),
        }
        for part in np.array_split(order, BINS)
        if len(part)
    ]
    table = pl.DataFrame(rows)
    gap = (pl.col("confidence") - pl.col("hit_rate")).abs()
    weighted: float = table.select((gap * pl.col("forecasts")).sum() / pl.col("forecasts").sum()).item()
    counts = np.bincount(sessions)
    excess = np.bincount(sessions, stated - hits)[counts > 0] / counts[counts > 0]
    return Reliability(
        table,
        weighted,
        float(((stated - hits) ** 2).mean()),
        float(((hits.mean() - hits) ** 2).mean()),
        t_value(excess, horizon - 1),
    )


def confidence_reliability(lived: "WalkForwardSimulation", *, first_session: int = 0) -> Reliability:
    """Compare the confidence that would have been answered with whether the direction came true.

    Parameters
    ----------
    first_session
        Sessions before this place are left out. So are forecasts of exactly zero, which have no direction.

    Raises
    ------
    NotReadyError
        If no forecast with a direction has an outcome yet.
    """
    panel = lived.panel
    judged = ~np.isnan(panel.realised) & (panel.session >= first_session) & (panel.quantiles[:, 1] != 0)
    if not judged.any():
        raise NotReadyError("No forecast with a direction has an outcome yet. Let the market advance by a session.")
    trust = lived.tracked.trust[panel.session]
    stated = np.array(
        [
            confidence(*quantiles, trust=share)
            for quantiles, share in zip(lived.calibrated()[judged].tolist(), trust[judged].tolist(), strict=True)
        ]
    )
    hits = (np.sign(panel.realised) == np.sign(panel.quantiles[:, 1]))[judged].astype(np.float64)
    return reliability(stated, hits, panel.session[judged], panel.overlapping)


def _error_by_sessions(hits: "Numbers", sessions: "npt.NDArray[np.int64]") -> float:
    """Standard error of a mean whose rows are alike within a session."""
    apart = np.bincount(sessions, hits - hits.mean())
    return float(np.sqrt((apart**2).sum()) / len(hits))
