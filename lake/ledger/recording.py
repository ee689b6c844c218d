"""Recorder of the trial ledger: a trial is written down before its score is seen by anyone."""

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import polars as pl

from lake.disk import file_lock
from lake.ledger.deflated import sharpe_statistics
from lake.ledger.trials import ScoredTrial
from lake.store import Lake
from lake.tables import HOLDOUT_OPENINGS, TRIAL_GAINS, TRIAL_LEDGER

UNSCORED: Mapping[str, Any] = {
    "sharpe": None, "skewness": None, "kurtosis": None, "sessions": 0, "effective_sessions": None
}  # fmt: skip
"""Statistics of a trial without gains."""


@dataclass(frozen=True)
class TrialLedger:
    """Writes scored trials, and looks at last test intervals, into the tables of a lake.

    Several processes may write at once. A function that scores takes a ledger and records before it returns.

    Parameters
    ----------
    lake
        Where the tables lie.
    now
        Market time.
    data
        Digest of the rows that trials are scored on; empty where gains are only ever added to.
    code
        Digest of the code that scores them; likewise.
    table_versions
        Versions of the tables that were read, by name.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> ledger = TrialLedger(Lake(Path(tempfile.mkdtemp())), datetime(2012, 12, 31, 21, tzinfo=UTC))
    >>> pruned = ScoredTrial("lstm, forecast_v2, 1 session", "search", "lstm", {"hidden": 8}, seed=7, is_failed=True)
    >>> ledger.record([pruned]), ledger.record([pruned])
    (1, 0)
    """

    lake: Lake
    now: datetime
    data: str = ""
    code: str = ""
    table_versions: Mapping[str, int] = field(default_factory=dict)

    def record(self, trials: Sequence[ScoredTrial]) -> int:
        """Write trials and their gains, and return how many rows of `trial_ledger` are new.

        A trial that is stored with the same newest session adds nothing, and neither does one without gains that is
        stored in any form. One that gained further sessions adds those, and a row with the figures of all.
        """
        if not trials:
            return 0
        keyed = {trial.identity(self.data, self.code): trial for trial in trials}
        with file_lock(self.lake.root / ".trial_ledger.recording.lock", "The trial ledger"):
            fresh = self._fresh(keyed)
            if not fresh:
                return 0
            # Gains first: a row of the ledger then always has its gains, however the process ends.
            self._add_gains(fresh)
            rows = [self._row(name, trial) for name, trial in fresh.items()]
            return self.lake.merge(TRIAL_LEDGER, pl.DataFrame(rows, schema=TRIAL_LEDGER.schema)).added

    def open_holdout(self, families: Iterable[str], first: datetime, last: datetime, *, who: str, reason: str) -> None:
        """Write down that the last test interval of some families is looked at, before it is.

        Parameters
        ----------
        first, last
            First and last session of the interval.
        who, reason
            Part of the platform that looks, and what for.
        """
        row = {
            "event_time": datetime.now(UTC),
            "known_time": self.now,
            "first_session": first,
            "last_session": last,
            "who": who,
            "table_versions": json.dumps(dict(self.table_versions)),
            "reason": reason,
        }
        rows = pl.DataFrame([{"family": name} | row for name in families], schema=HOLDOUT_OPENINGS.schema)
        self.lake.merge(HOLDOUT_OPENINGS, rows)

    def _fresh(self, trials: Mapping[str, ScoredTrial]) -> dict[str, ScoredTrial]:
        """Return the trials that say something which is not stored."""
        if not self.lake.exists(TRIAL_LEDGER):
            return dict(trials)
        stored = self.lake.read(TRIAL_LEDGER, where=pl.col("trial_id").is_in(list(trials)))
        states = set(stored.select("trial_id", "event_time").iter_rows())
        known = set(stored["trial_id"])
        return {
            name: trial
            for name, trial in trials.items()
            if name not in known or (trial.gains is not None and (name, self._last(trial)) not in states)
        }

    def _add_gains(self, trials: Mapping[str, ScoredTrial]) -> None:
        frames = [
            trial.gains.select(pl.lit(name).alias("trial_id"), "event_time", "gain")
            for name, trial in trials.items()
            if trial.gains is not None
        ]
        if not frames:
            return
        rows = pl.concat(frames).with_columns(pl.lit(self.now, TRIAL_GAINS.schema["known_time"]).alias("known_time"))
        stored = self._stored_gains(trials)
        fresh = rows.join(stored, on=TRIAL_GAINS.key, how="anti").select(TRIAL_GAINS.names)
        if fresh.height:
            self.lake.merge(TRIAL_GAINS, fresh)

    def _stored_gains(self, names: Collection[str]) -> pl.DataFrame:
        if not self.lake.exists(TRIAL_GAINS):
            return TRIAL_GAINS.empty()
        return self.lake.read(TRIAL_GAINS, where=pl.col("trial_id").is_in(list(names)))

    def _last(self, trial: ScoredTrial) -> datetime:
        if trial.gains is None or trial.gains.is_empty():
            return self.now
        last: datetime = trial.gains["event_time"].max()  # type: ignore[assignment] # instants
        return last

    def _row(self, name: str, trial: ScoredTrial) -> dict[str, Any]:
        return {
            "trial_id": name,
            "event_time": self._last(trial),
            "known_time": self.now,
            "family": trial.family,
            "kind": trial.kind,
            "subject": trial.subject,
            "parameters": trial.parameters_text,
            "seed": trial.seed,
            "score": trial.score,
            **_statistics(trial),
            "is_failed": trial.is_failed,
            "table_versions": json.dumps(dict(self.table_versions)),
            "code_version": self.code,
            "seconds": trial.seconds,
        }


def _statistics(trial: ScoredTrial) -> Mapping[str, Any]:
    if trial.gains is None:
        return UNSCORED
    gains = trial.gains.sort("event_time")["gain"].to_numpy()
    found = sharpe_statistics(gains, trial.horizon_sessions)
    if found is None:
        return {**UNSCORED, "sessions": len(gains)}
    return {
        "sharpe": found.ratio,
        "skewness": found.skewness,
        "kurtosis": found.kurtosis,
        "sessions": found.sessions,
        "effective_sessions": found.effective_sessions,
    }
