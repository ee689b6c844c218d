"""What the ledger says of each family: how many trials there were, and what the best of them is worth given that."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
import polars as pl

from lake.errors import NotReadyError
from lake.ledger.deflated import SharpeStatistics, deflated_sharpe, ratio_variance
from lake.ledger.overfitting import OverfittingEstimate, overfitting
from lake.store import LakeReader
from lake.tables import HOLDOUT_OPENINGS, TRIAL_GAINS, TRIAL_LEDGER


@dataclass(frozen=True)
class FamilyRecord:
    """One family of trials.

    Parameters
    ----------
    family
        The question.
    trials, failed
        Distinct trials, and how many of them were pruned, refused or ended by an error.
    kind, subject, parameters
        How the best trial, by its deflated Sharpe ratio, came to its score, whose it is, and what was chosen; None
        where no trial has a ratio.
    sharpe
        Sharpe ratio per session of the best trial.
    sessions, effective_sessions
        Sessions that it was scored on, and how many independent ones they are worth.
    deflated_sharpe
        Probability that its true ratio exceeds what the best of `trials` has by chance.
    overfitting
        Of the largest set of trials that were scored on the same sessions; None where there are fewer than two.
    openings, last_opened
        How often the last test interval was looked at, and when last (wall clock).
    """

    family: str
    trials: int
    failed: int
    kind: str | None
    subject: str | None
    parameters: dict[str, Any] | None
    sharpe: float | None
    sessions: int | None
    effective_sessions: float | None
    deflated_sharpe: float | None
    overfitting: OverfittingEstimate | None
    openings: int
    last_opened: datetime | None

    def __str__(self) -> str:
        """Return the sentence for a reader."""
        count = f"{self.trials} trial{'s' * (self.trials != 1)}, {self.failed} of them failed"
        times = {0: "never", 1: "once", 2: "twice"}.get(self.openings, f"{self.openings} times")
        if self.sharpe is None:
            figures = "none has a Sharpe ratio"
        else:
            figures = (
                f"the best has a Sharpe ratio of {self.sharpe:+.3f} per session, deflated {self.deflated_sharpe:.3f}"
            )
        if self.overfitting is not None:
            found = self.overfitting
            figures += f", overfitting {found.probability:.2f} (on noise {found.low:.2f} to {found.high:.2f})"
        return f"{self.family}: {count}; {figures}; last test interval opened {times}"


def families_of(
    lake: LakeReader, at: datetime, families: Iterable[str] | None = None, *, with_overfitting: bool = True
) -> list[FamilyRecord]:
    """Return what is known of each family at an instant, by name.

    Parameters
    ----------
    families
        Those that are asked for; all by default. One without a trial is left out.
    with_overfitting
        Whether `overfitting` is estimated, which takes most of the time: about a fifth of a second for 40 trials.

    Raises
    ------
    NotReadyError
        If nothing was scored by then.
    """
    trials = _newest_states(lake, at)
    if trials.is_empty():
        raise NotReadyError(
            f"No trial was scored up to {at:%Y-%m-%d %H:%M} UTC: the trial ledger is empty. Training and the daily "
            f"update write it; run `{lake.market.next_run}`."
        )
    if families is not None:
        trials = trials.filter(pl.col("family").is_in(list(families)))
    tables = _gains_by_family(lake, at, trials) if with_overfitting else {}
    opened = _openings(lake, at)
    return [
        _record(name, rows, tables.get(name), opened.get(name, (0, None)))
        for (name,), rows in trials.sort("family", "trial_id").group_by("family", maintain_order=True)
    ]


def deflated_among(lake: LakeReader, at: datetime, family: str, statistics: SharpeStatistics) -> float:
    """Return the deflated Sharpe ratio of one trial, whether or not it is the best, given its whole family.

    Parameters
    ----------
    statistics
        Of the gains of the trial.
    """
    rows = _newest_states(lake, at).filter(pl.col("family") == family)
    ratios = rows["sharpe"].drop_nulls().to_numpy()
    # As in `_best`: of a single trial the spread over trials cannot be seen.
    variance = float(np.var(ratios, ddof=1)) if len(ratios) > 1 else ratio_variance(statistics)
    return deflated_sharpe(statistics, max(rows.height, 1), variance)


def _newest_states(lake: LakeReader, at: datetime) -> pl.DataFrame:
    if not lake.exists(TRIAL_LEDGER):
        return TRIAL_LEDGER.empty()
    rows = lake.read_as_of(TRIAL_LEDGER, at)
    # One that failed, and was scored when it was repeated, has a score; of several states the longest counts.
    ordered = rows.sort("is_failed", "sessions", "event_time", descending=[True, False, False])
    return ordered.unique("trial_id", keep="last", maintain_order=True)


def _record(
    family: object, trials: pl.DataFrame, gains: pl.DataFrame | None, opened: tuple[int, datetime | None]
) -> FamilyRecord:
    best, deflated = _best(trials)
    return FamilyRecord(
        family=str(family),
        trials=trials.height,
        failed=int(trials["is_failed"].sum()),
        kind=best.get("kind"),
        subject=best.get("subject"),
        parameters=json.loads(best["parameters"]) if best else None,
        sharpe=best.get("sharpe"),
        sessions=best.get("sessions"),
        effective_sessions=best.get("effective_sessions"),
        deflated_sharpe=deflated,
        overfitting=None if gains is None else overfitting(gains.drop("event_time").to_numpy()),
        openings=opened[0],
        last_opened=opened[1],
    )


def _best(trials: pl.DataFrame) -> tuple[dict[str, Any], float | None]:
    """Return the trial of a family with the highest deflated Sharpe ratio, and that; nothing where none has a ratio.

    Of trials on the same sessions it is the one with the highest ratio. Of others it is not: few sessions have high
    ratios by chance.
    """
    rows = trials.filter(pl.col("sharpe").is_not_null())
    ratios = [
        SharpeStatistics(*row)
        for row in rows.select("sharpe", "skewness", "kurtosis", "sessions", "effective_sessions").iter_rows()
    ]
    if not ratios:
        return {}, None
    # How much ratios vary over trials cannot be seen in one: without any skill, by their sampling variance.
    variance = float(np.var([each.ratio for each in ratios], ddof=1)) if len(ratios) > 1 else ratio_variance(ratios[0])
    values = [deflated_sharpe(each, trials.height, variance) for each in ratios]
    place = max(range(len(values)), key=lambda number: (values[number], ratios[number].ratio))
    return rows.row(place, named=True), values[place]


def _gains_by_family(lake: LakeReader, at: datetime, trials: pl.DataFrame) -> dict[str, pl.DataFrame]:
    """Gains of the largest set of trials of each family on the same sessions: ``event_time``, a column for each."""
    if not lake.exists(TRIAL_GAINS):
        return {}
    gains = (
        lake.scan(TRIAL_GAINS)
        .filter(pl.col("known_time") <= at)
        .join(trials.lazy().select("trial_id", "family", "kind"), on="trial_id")
        .select("trial_id", "family", "kind", "event_time", "gain")
        .collect()
    )
    same = ["family", "kind", "first", "last", "sessions"]
    spans = gains.group_by("trial_id", "family", "kind").agg(
        pl.col("event_time").min().alias("first"), pl.col("event_time").max().alias("last"), pl.len().alias("sessions")
    )
    largest = spans.group_by(same).agg("trial_id").sort(pl.col("trial_id").list.len(), "last").group_by("family").last()
    chosen = {family: sorted(names) for family, names in largest.select("family", "trial_id").iter_rows()}
    return {
        family: gains.filter(pl.col("trial_id").is_in(names))
        .pivot("trial_id", index="event_time", values="gain")
        .drop_nulls()
        .sort("event_time")
        .select("event_time", *names)
        for family, names in chosen.items()
    }


def _openings(lake: LakeReader, at: datetime) -> dict[str, tuple[int, datetime]]:
    if not lake.exists(HOLDOUT_OPENINGS):
        return {}
    counted = lake.read_as_of(HOLDOUT_OPENINGS, at).group_by("family").agg(pl.len(), pl.col("event_time").max())
    return {family: (count, last) for family, count, last in counted.iter_rows()}
