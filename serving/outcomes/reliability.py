"""Whether what was promised came true: confidence against hits, and bands against outcomes, once both are known."""

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import polars as pl

from lake.errors import NotReadyError
from lake.tables import FORECASTS, OUTCOMES
from serving.calibration.corrections import COVERAGE_TARGET, confidence
from training.metrics import t_value

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from lake.clock import Clock
    from lake.store import Lake
    from serving.calibration.learning import WalkForwardSimulation

    Numbers = npt.NDArray[np.float64]

MATURED_KINDS = ("served", "scheduled")
BINS = 10
TOO_FAR = 3.0
"""A t-value beyond which a confidence does not mean what it says."""


class Reliability(NamedTuple):
    """How a stated probability compares with how often it came true.

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


def reliability(said: "Numbers", hits: "Numbers", sessions: "npt.NDArray[np.int64]", horizon: int) -> Reliability:
    """Compare stated probabilities with what came.

    Parameters
    ----------
    said
        Probability stated for each forecast ``[row]``.
    hits
        1 where it came true, 0 where not ``[row]``.
    sessions
        Session of each, ascending: those of one session move together and count once.
    horizon
        Sessions ahead; outcomes overlap by one less, which the t-value allows for (Newey and West 1987).
    """
    order = np.argsort(said, kind="stable")
    rows = [
        {
            "confidence": float(said[part].mean()),
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
    excess = np.bincount(sessions, said - hits)[counts > 0] / counts[counts > 0]
    return Reliability(
        table,
        weighted,
        float(((said - hits) ** 2).mean()),
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
    said = np.array(
        [
            confidence(*quantiles, trust=share)
            for quantiles, share in zip(lived.calibrated()[judged].tolist(), trust[judged].tolist(), strict=True)
        ]
    )
    hits = (np.sign(panel.realised) == np.sign(panel.quantiles[:, 1]))[judged].astype(np.float64)
    return reliability(said, hits, panel.session[judged], panel.horizon)


def coverage_by_regime(
    lake: "Lake", clock: "Clock", *, sessions: int = 60, kinds: "Sequence[str]" = MATURED_KINDS
) -> pl.DataFrame:
    """Share of outcomes within the band that was answered, over the last sessions with an outcome.

    Parameters
    ----------
    sessions
        How many of the newest sessions with a matured forecast count, per horizon.
    kinds
        Kinds of `forecasts`.

    Returns
    -------
    pl.DataFrame
        ``horizon_sessions``, ``regime``, ``sessions``, ``forecasts``, ``coverage``, ``excess`` (coverage minus its
        target); empty while nothing has matured.
    """
    schema = {
        "horizon_sessions": pl.Int32(),
        "regime": pl.String(),
        "sessions": pl.UInt32(),
        "forecasts": pl.UInt32(),
        "coverage": pl.Float64(),
        "excess": pl.Float64(),
    }
    if not lake.exists(FORECASTS) or not lake.exists(OUTCOMES):
        return pl.DataFrame(schema=schema)
    known = lake.scan(OUTCOMES).filter(pl.col("known_time") <= clock.now()).select("forecast_id", "is_covered")
    said = lake.scan(FORECASTS).filter(pl.col("kind").is_in(kinds))
    matured = said.select("forecast_id", "event_time", "horizon_sessions", "regime").join(known, on="forecast_id")
    age = pl.col("event_time").rank("dense", descending=True).over("horizon_sessions")
    by_regime = matured.filter(age <= sessions).group_by("horizon_sessions", "regime")
    figures = by_regime.agg(
        pl.col("event_time").n_unique().alias("sessions"),
        pl.len().alias("forecasts"),
        pl.col("is_covered").mean().alias("coverage"),
        (pl.col("is_covered").mean() - COVERAGE_TARGET).alias("excess"),
    )
    return figures.sort("horizon_sessions", "regime").select(pl.col(n).cast(t) for n, t in schema.items()).collect()


def _error_by_sessions(hits: "Numbers", sessions: "npt.NDArray[np.int64]") -> float:
    """Standard error of a mean whose rows are alike within a session."""
    apart = np.bincount(sessions, hits - hits.mean())
    return float(np.sqrt((apart**2).sum()) / len(hits))
