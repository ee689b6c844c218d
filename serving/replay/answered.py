"""Replay of answers: derived again from row and receipt, and compared field by field with the answer sent.

The digest of an answer in its receipt proves only that both were written together. Everything in an answer follows from
row and receipt, but for the text that says why it is degraded, so an answer that says something else is found even
where its digest and the seal were made anew; also after the log is pruned, since the derived text has the digest.
"""

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from serving.forecasts import Calibration
from serving.predict import AnswerTerms, compose
from serving.receipts import ReplayFinding, digest_of

if TYPE_CHECKING:
    from serving import api
    from serving.replay.recompute import ReplayJob

COMPARED = "answer"


def compare_answer(job: "ReplayJob", *, is_same_code: bool) -> None:
    """Add a finding for every field of the answer that does not follow from row and receipt.

    Parameters
    ----------
    job
        A forecast that the service made. One whose log is gone is compared by the digest of the whole answer, where
        the answer has no text of its own.
    is_same_code
        Whether the code that made it is the code that derives it: another version may write an answer with other
        fields, so that its digest says nothing.
    """
    case, receipt = job.case, job.receipt
    if not receipt.answer or receipt.strategy is None:
        return
    if case.answer is None:
        if case.row["degraded"] or not is_same_code:
            return
        job.result.compared.append(COMPARED)
        if digest_of(derive(job).model_dump_json()) != receipt.answer:
            problem = "the answer that follows from row and receipt has another digest than the one that was sent"
            job.result.add(ReplayFinding("answer", case.forecast_id, problem))
        return
    try:
        sent = json.loads(case.answer)
    except ValueError:
        return  # its digest is wrong already, or it never was an answer
    job.result.compared.append(COMPARED)
    derived = derive(job, _because(sent, is_degraded=case.row["degraded"]))
    for name, was, should in _differences(derived.model_dump(mode="json"), sent, is_same_code=is_same_code):
        problem = f"{name} in it is {was!r}, and from row and receipt it follows to be {should!r}"
        job.result.add(ReplayFinding("answer", case.forecast_id, problem))


def derive(job: "ReplayJob", because: str = "") -> "api.PredictAnswer":
    """Return the answer as it follows from the row and the receipt of a forecast.

    Parameters
    ----------
    because
        Why it is degraded, where it is.
    """
    receipt = job.receipt
    strategy = receipt.strategy
    assert strategy is not None
    terms = AnswerTerms(
        members=job.members,
        selected_strategy=strategy.selected,
        strategies=strategy.strategies,
        weights=strategy.weights,
        confidence=strategy.confidence,
        calibration=None if receipt.calibration is None else Calibration.from_dict(receipt.calibration),
        table_versions=job.case.tables,
        degraded_because=because,
        calendar=job.calendar,
    )
    return compose(job.case.row, terms)


def _because(sent: Any, *, is_degraded: bool) -> str:
    """Return why an answer is degraded, by its own text, which is stored nowhere else."""
    data = sent.get("data") if isinstance(sent, dict) else None
    text = data.get("degraded_because") if isinstance(data, dict) else None
    return (text if isinstance(text, str) and text else "Redis did not answer") if is_degraded else ""


def _differences(
    derived: Any, sent: Any, *, is_same_code: bool, at: tuple[str, ...] = ()
) -> Iterator[tuple[str, Any, Any]]:
    """Walk along both: name of the field, what was sent, what follows.

    Fields that only one version of the code knows are passed over where another version made the answer.
    """
    if not (isinstance(derived, dict) and isinstance(sent, dict)):
        if derived != sent:
            yield ".".join(at) or "the answer", sent, derived
        return
    for name in {**derived, **sent}:
        if name in derived and name in sent:
            yield from _differences(derived[name], sent[name], is_same_code=is_same_code, at=(*at, name))
        elif is_same_code:
            yield ".".join((*at, name)), sent.get(name), derived.get(name)
