"""Why a stored recommendation is what it is, with the desk's decisions about the same symbol and close."""

from typing import TYPE_CHECKING

from serving import api
from serving.advice import answer_in, why_recommended

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime
    from typing import Any

    from lake.store import LakeReader
    from serving.desk import DecisionRecord

ONLY_OPERATORS = "Only an operator's key is told what the desk decided, as on its pages."


def explained_recommendation(
    lake: "LakeReader", row: "Mapping[str, Any]", at: "datetime", caller: api.Caller
) -> api.ExplainRecommendationAnswer:
    """Return the explanation of a stored recommendation.

    Parameters
    ----------
    row
        Of the table `recommendations`.
    at
        Market time: decisions of the desk that became known later are not told.
    caller
        Who asks; the desk's decisions are told to operators.
    """
    answer = answer_in(dict(row))
    if not caller.may("operator"):
        return why_recommended(answer, [], ONLY_OPERATORS)
    found = desk_decisions(lake, at, answer.symbol, answer.as_of)
    because = f"The desk decided nothing about {answer.symbol} at the close of {answer.as_of:%Y-%m-%d %H:%M} UTC."
    return why_recommended(answer, found, "" if found else because)


def desk_decisions(lake: "LakeReader", at: "datetime", symbol: str, close: "datetime") -> list[api.DeskDecisionRead]:
    """Return what the desk's accounts decided about a symbol at a close, with every vote."""
    from serving.desk import decisions_about  # not needed by any other route, and it loads the engine of the desk

    return [_read(each) for each in decisions_about(lake, at, symbol, close)]


def _read(record: "DecisionRecord") -> api.DeskDecisionRead:
    same = ("decision_id", "account", "known_time", "action", "wanted", "target", "decided_by", "reason")
    named = ("source", "kind", "confidence", "weight", "overruled_by", "reason")
    return api.DeskDecisionRead(
        **{name: record.decision[name] for name in same},
        votes=[api.DeskVoteRead(target=vote["vote"], **{name: vote[name] for name in named}) for vote in record.votes],
    )
