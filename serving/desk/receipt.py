"""The receipt of a decision: everything that it was made from and what came out, as one sealed JSON text."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, fields, is_dataclass
from datetime import UTC, datetime
from typing import Any

from lake.errors import SchemaError
from serving.desk.deciding import DeskDecision, DeskLimits, decide
from serving.desk.rules import DeskRules
from serving.desk.situation import DeskSituation
from serving.desk.votes import Vote
from serving.receipts import digest_of, is_intact, running_code

FORMAT = 1


@dataclass(frozen=True)
class DecisionInputs:
    """All arguments of `serving.desk.decide`, and what they were read from.

    Parameters
    ----------
    votes, book, rules, limits, weights
        As `decide` takes them.
    tables
        Delta versions of the tables that were read.
    """

    votes: tuple[Vote, ...]
    book: DeskSituation
    rules: DeskRules
    limits: DeskLimits
    weights: Mapping[str, float]
    tables: Mapping[str, int]

    def decide(self) -> DeskDecision:
        """Make the decision."""
        return decide(self.votes, self.book, self.rules, self.limits, self.weights)


@dataclass(frozen=True)
class DecisionReplay:
    """A decision that was made again.

    Parameters
    ----------
    decision_id
        Which one.
    verdict
        ``equal``: the same bits. ``altered``: the receipt is not what was sealed. ``different``: the inputs give
        another result now.
    is_same_code
        Whether the code is the one that decided then.
    stored, made
        The result as it was stored, and as it comes out now; the same text where they are equal.
    """

    decision_id: str
    verdict: str
    is_same_code: bool
    stored: str
    made: str


def receipt_of(inputs: DecisionInputs, decision: DeskDecision) -> tuple[str, str]:
    """Return the receipt of a decision as JSON, and its seal: the SHA-256 of that text."""
    content = _text(
        {
            "format": FORMAT,
            "decision_id": decision.decision_id,
            "inputs": _plain(inputs),
            "result": _result(decision),
            "code": running_code().model_dump(),
        }
    )
    return content, digest_of(content)


def inputs_in(content: str) -> DecisionInputs:
    """Return what a receipt was made from; every number has the bits that it had then.

    Raises
    ------
    SchemaError
        If it is no receipt of a decision.
    """
    try:
        read = json.loads(content)
        given = read["inputs"]
        book, rules = given["book"], given["rules"]
        return DecisionInputs(
            votes=tuple(Vote(**(each | {"expires_at": _instant(each["expires_at"])})) for each in given["votes"]),
            book=DeskSituation(**(book | {name: _instant(book[name]) for name in ("close", "decided_at")})),
            rules=DeskRules(**(rules | {"restricted": tuple(rules["restricted"])})),
            limits=DeskLimits(**given["limits"]),
            weights=given["weights"],
            tables=given["tables"],
        )
    except (ValueError, KeyError, TypeError) as error:
        raise SchemaError(
            f"A receipt of a decision cannot be read: {error!r}. It was altered, or written by another version of "
            "quantlake; `quantlake desk explain ID` still shows its votes."
        ) from error


def replay_receipt(decision_id: str, content: str, seal: str) -> DecisionReplay:
    """Make a decision again from its receipt, and compare the two bit by bit."""
    inputs = inputs_in(content)
    read = json.loads(content)
    stored, made = _text(read["result"]), _text(_result(inputs.decide()))
    is_whole = is_intact(content, seal) and read["decision_id"] == decision_id == inputs.book.decision_id
    verdict = "altered" if not is_whole else "equal" if stored == made else "different"
    is_same = read["code"]["sources"] == running_code().sources
    return DecisionReplay(decision_id, verdict, is_same, stored, made)


def _result(decision: DeskDecision) -> dict[str, Any]:
    """Return what was decided; of the votes, whose inputs stand above it, what became of them."""
    plain: dict[str, Any] = _plain(decision)
    votes = [
        {
            "source": each.vote.source,
            "target": each.vote.target,
            "reason": each.vote.reason if each.vote.kind == "rule" else "",
            "weight": each.weight,
            "overruled_by": each.overruled_by,
        }
        for each in decision.votes
    ]
    return plain | {"action": decision.action, "votes": votes}


def _plain(value: Any) -> Any:
    """Return values as JSON holds them; numbers keep every bit, instants are in UTC."""
    if isinstance(value, str | float | int | None):
        return value
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat()
    if is_dataclass(value):
        return {each.name: _plain(getattr(value, each.name)) for each in fields(value)}
    if isinstance(value, Mapping):
        return {str(key): _plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    return value


def _text(values: Any) -> str:
    return json.dumps(values, sort_keys=True, separators=(",", ":"), allow_nan=False)


def _instant(text: str) -> datetime:
    return datetime.fromisoformat(text)
