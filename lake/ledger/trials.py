"""One scored configuration as a value, and the identity by which it is counted once."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import polars as pl

GAIN_COLUMNS = ("event_time", "gain")
"""Columns of the gains of a trial, one row per session."""


@dataclass(frozen=True, eq=False)
class ScoredTrial:
    """One configuration and what came of it.

    Parameters
    ----------
    family
        Question that it answers: of all answers to one question the best is chosen.
    kind
        One of `lake.tables.TRIAL_KINDS`.
    subject
        Model, or strategy by its declared name.
    parameters
        Everything that was chosen, as JSON can hold it.
    seed
        What random numbers were drawn from; None where none are.
    score
        Score of its own kind; None without one.
    gains
        ``event_time``, ``gain``: per session, without nulls; None where the trial never got that far.
    horizon_sessions
        Sessions that each gain extends over.
    is_failed
        Pruned, refused or ended by an error.
    seconds
        How long it took.
    """

    family: str
    kind: str
    subject: str
    parameters: Mapping[str, Any]
    seed: int | None = None
    score: float | None = None
    gains: pl.DataFrame | None = None
    horizon_sessions: int = 1
    is_failed: bool = False
    seconds: float = 0.0

    @property
    def parameters_text(self) -> str:
        """The parameters as JSON, the same text for the same parameters."""
        return json.dumps(self.parameters, sort_keys=True, separators=(",", ":"), default=str)

    def identity(self, data: str, code: str) -> str:
        """Return the SHA-256 in hex of the configuration, of what it was scored on and of the code that scored it.

        Neither its outcome nor the time it took is a part, so a configuration that is scored again is the same trial.

        Parameters
        ----------
        data
            Digest of the rows that were known. Table versions grow with every session and would count a repeated trial
            as a new one.
        code
            Digest of the code that decides the score.

        Examples
        --------
        >>> one = ScoredTrial("lstm, forecast_v2, 1 session", "search", "lstm", {"hidden": 8, "dropout": 0.1}, seed=7)
        >>> again = ScoredTrial(one.family, one.kind, one.subject, {"dropout": 0.1, "hidden": 8}, seed=7, score=0.2)
        >>> one.identity("rows", "code") == again.identity("rows", "code")
        True
        """
        parts = [self.family, self.kind, self.subject, self.parameters_text, self.seed, data, code]
        return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def family_of(subject: str, inputs: str, horizon: str) -> str:
    """Return the name of the family of a model's trials: the question is how well it forecasts from these inputs.

    Examples
    --------
    >>> family_of("lstm", "forecast_v2", "5 sessions")
    'lstm, forecast_v2, 5 sessions'
    """
    return f"{subject}, {inputs}, {horizon}"
