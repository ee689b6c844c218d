"""Votes: what each source would hold of a symbol, and what became of it."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

VoteKind = Literal["strategy", "advice", "rule"]


@dataclass(frozen=True)
class Vote:
    """What one source would hold of one symbol.

    Parameters
    ----------
    source
        Who votes: its kind and its name, ``strategy:ridge``.
    kind
        Kind of the source.
    target
        Share of the account's equity to hold, below zero to be short; None of a rule that has nothing to say.
    confidence
        That it is right, by its own word, 0 to 1. It is recorded, and does not count: only evidence does.
    expires_at
        Market time from which on it does not count.
    version
        Version of the model, or of the rule.
    reason
        Why, in a sentence.
    forecast_id
        Forecast that it rests on; empty for none.
    """

    source: str
    kind: VoteKind
    target: float | None
    confidence: float
    expires_at: datetime
    version: str
    reason: str
    forecast_id: str = ""


@dataclass(frozen=True)
class CountedVote:
    """A vote with what it counted, and who overruled it.

    Parameters
    ----------
    weight
        Evidence weight; the weights of all strategies sum to 1 at most.
    overruled_by
        Who had its way instead: a rule, a limit, other votes, its own expiry; empty where the decision followed it.
    """

    vote: Vote
    weight: float
    overruled_by: str = ""
