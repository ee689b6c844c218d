"""Scored trials for tests of what shows them."""

from datetime import datetime, timedelta

import numpy as np
import polars as pl

from lake.ledger import ScoredTrial
from lake.tables import TRIAL_GAINS


def scored_trials(family: str, count: int, at: datetime, sessions: int = 300) -> list[ScoredTrial]:
    """Return trials of a family that gained noise up to an instant, the last one a little more, and one that failed."""
    kind = TRIAL_GAINS.schema["event_time"]
    times = pl.Series("event_time", [at - timedelta(days=sessions - n) for n in range(sessions)], dtype=kind)
    noise = np.random.default_rng(1).normal(0, 0.01, (sessions, count))
    noise[:, -1] += 0.003
    subject = family.partition(",")[0]
    complete = [
        ScoredTrial(
            family,
            "search",
            subject,
            {"penalty": n},
            seed=7,
            gains=pl.DataFrame([times, pl.Series("gain", noise[:, n])]),
        )
        for n in range(count)
    ]
    return [*complete, ScoredTrial(family, "search", subject, {"penalty": count}, seed=7, is_failed=True)]
