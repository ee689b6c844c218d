"""Questions of advice for tests, and worlds whose forecasts say much, too much or nothing of what comes."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from serving.advice import (
    AdviceCosts,
    AdviceQuestion,
    AdvisedForecast,
    BookContext,
    CallBucket,
    CallRecord,
    bucket_of,
    buckets_of,
    limits_of,
)
from serving.calibration import ForecastPanel, track
from serving.forecasts import confidence, widened
from serving.history import wilson

AS_OF = datetime(2012, 12, 31, 21, tzinfo=UTC)
PROVEN = CallRecord("in_replay", CallBucket(0.60, 0.65, 5_900, 834, 0.624, 0.608), (0.561, 0.653))
FORECAST = AdvisedForecast("f" * 32, "AAPL", AS_OF, 5, -0.058, 0.021, 0.10, 0.63, 532.17, is_calibrated=True, atr=0.025)
WARM_UP = 40
"""Sessions of a world that a calibration begins with, whose calls are not counted."""


def question(**changes: Any) -> AdviceQuestion:
    """Return a question that is answered with a purchase, with other values of some fields of its parts."""
    fields = FORECAST.__dataclass_fields__
    forecast = replace(FORECAST, **{name: value for name, value in changes.items() if name in fields})
    book = {name: value for name, value in changes.items() if name in BookContext.__dataclass_fields__}
    others = {name: value for name, value in changes.items() if name not in fields and name not in book}
    made = BookContext(**({"equity": 100_000.0} | book))
    parts: dict[str, Any] = {
        "record": PROVEN,
        "costs": AdviceCosts(),
        "limits": limits_of(made.risk_tolerance),
    } | others
    return AdviceQuestion(forecast, made, **parts)


class World(NamedTuple):
    """Calls of a world: what was stated with the calibration in force, what came, and the questions at its end."""

    stated: npt.NDArray[np.float64]
    hits: npt.NDArray[np.bool_]
    sessions: npt.NDArray[np.int64]
    last: list[AdviceQuestion]


def world(seed: int, *, skill: float, overstated: float = 1.0, sessions: int = 200, symbols: int = 20) -> World:
    """Return a world of one-session forecasts, calibrated as the platform calibrates.

    Parameters
    ----------
    skill
        Share of the signal that comes true: 1 all of it, 0 outcomes that have nothing to do with the forecasts.
    overstated
        By how much the median is too large.
    """
    drawn, count = np.random.default_rng(seed), sessions * symbols
    session = np.repeat(np.arange(sessions), symbols)
    signal, market = drawn.normal(0, 0.012, count), np.repeat(drawn.normal(0, 0.006, sessions), symbols)
    realised = skill * signal + market + drawn.normal(0, 0.02, count)
    median, half = overstated * signal, 1.2816 * 0.021
    quantiles = np.stack([median - half, median, median + half], axis=1)
    closes = [AS_OF + timedelta(days=day - sessions) for day in range(sessions)]
    known = np.minimum(session + 1, sessions)
    seen = np.where(known < sessions, realised, np.nan)
    panel = ForecastPanel(1, closes, np.zeros(sessions, np.int64), session, quantiles, seen, known)
    tracked = track(panel, 1)
    trust, bands = tracked.trust[session], widened(quantiles, tracked.factors[session, 0])
    said = zip(bands.tolist(), trust.tolist(), strict=True)
    stated = np.array([confidence(*band, trust=share) for band, share in said])
    hits, past = np.sign(realised) == np.sign(median), (session >= WARM_UP) & (session < sessions - 1)
    buckets = buckets_of(stated[past], hits[past], session[past])
    last = [
        question(
            p10=band[0],
            p50=band[1],
            p90=band[2],
            confidence=sure,
            horizon_bars=1,
            position=50.0,
            record=_record(buckets, sure),
        )
        for band, sure in zip(bands[-symbols:].tolist(), stated[-symbols:].tolist(), strict=True)
    ]
    return World(stated[past], hits[past], session[past], last)


def _record(buckets: list[CallBucket], stated: float) -> CallRecord:
    bucket = buckets[bucket_of(stated)]
    interval = None if bucket.came_true is None else wilson(bucket.came_true, bucket.sessions)
    return CallRecord("in_replay", bucket, interval)
