"""What the ledger says of each family: how many trials there were, and what the best of them is worth given that."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

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
        How the best trial came to its score, whose it is, and what was chosen; None where no trial has a ratio.
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


def families_of(lake: LakeReader, at: datetime, families: Iterable[str] | None = None) -> list[FamilyRecord]:
    """Return what is known of each family at an instant, by name.

    Parameters
    ----------
    families
        Those that are asked for; all by default. One without a trial is left out.

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
    best = trials.sort("sharpe", descending=True, nulls_last=True).group_by("family").agg(
        pl.len().alias("trials"),
        pl.col("is_failed").sum().alias("failed"),
        pl.col("sharpe").var().alias("variance"),
        pl.exclude("family", "is_failed").first(),
    ).sort("family")  # fmt: skip
    tables, opened = _gains_by_family(lake, at, trials), _openings(lake, at)
    return [_record(row, tables.get(row["family"]), opened) for row in best.iter_rows(named=True)]


def _newest_states(lake: LakeReader, at: datetime) -> pl.DataFrame:
    if not lake.exists(TRIAL_LEDGER):
        return TRIAL_LEDGER.empty()
    rows = lake.read_as_of(TRIAL_LEDGER, at)
    return rows.sort("event_time", "trial_id").unique("trial_id", keep="last", maintain_order=True)


def _record(row: dict[str, Any], gains: pl.DataFrame | None, opened: dict[str, tuple[int, datetime]]) -> FamilyRecord:
    openings, last = opened.get(row["family"], (0, None))
    is_scored = row["sharpe"] is not None
    return FamilyRecord(
        family=row["family"],
        trials=row["trials"],
        failed=row["failed"],
        kind=row["kind"] if is_scored else None,
        subject=row["subject"] if is_scored else None,
        parameters=json.loads(row["parameters"]) if is_scored else None,
        sharpe=row["sharpe"],
        sessions=row["sessions"] if is_scored else None,
        effective_sessions=row["effective_sessions"],
        deflated_sharpe=_deflated(row) if is_scored else None,
        overfitting=None if gains is None else overfitting(gains.drop("event_time").to_numpy()),
        openings=openings,
        last_opened=last,
    )


def _deflated(row: dict[str, Any]) -> float:
    """Deflated Sharpe ratio of the best trial of a family.

    Where fewer than two trials have a ratio, how much ratios vary over trials is not known: the sampling variance of
    the only one stands for it, for that much they vary when no trial has any skill.
    """
    statistics = SharpeStatistics(
        row["sharpe"], row["skewness"], row["kurtosis"], row["sessions"], row["effective_sessions"]
    )
    variance = ratio_variance(statistics) if row["variance"] is None else row["variance"]
    return deflated_sharpe(statistics, row["trials"], variance)


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
