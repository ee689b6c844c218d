"""The answer, derived again from a forecast's row and receipt, and compared field by field with what was sent.

The digest of an answer in its receipt says only that both were written together. Everything in an answer follows from
row and receipt, but for the words that say why it is degraded, so an answer that says something else is found even
where its digest and the seal were made anew; also after the log is pruned, since the derived text has the digest.
"""

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from serving.forecasts import Calibration, Member, Row
from serving.predict import compose
from serving.receipts import Finding, digest_of
from serving.replay.recompute import QUANTILES

if TYPE_CHECKING:
    from serving import api
    from serving.replay.recompute import Work

COMPARED = "answer"


def compare_answer(work: "Work", *, is_same_code: bool) -> None:
    """Note every field of the answer that does not follow from row and receipt.

    Parameters
    ----------
    work
        A forecast that the service made. One whose log is gone is compared by the digest of the whole answer, where
        the answer has no words of its own.
    is_same_code
        Whether the code that made it is the code that derives it: another version may write an answer with other
        fields, so that its digest says nothing.
    """
    case, receipt = work.case, work.receipt
    if not receipt.answer or receipt.strategy is None:
        return
    if case.answer is None:
        if case.row["degraded"] or not is_same_code:
            return
        work.said.compared.append(COMPARED)
        if digest_of(derive(work).model_dump_json()) != receipt.answer:
            said = "the answer that follows from row and receipt has another digest than the one that was sent"
            work.said.add(Finding("answer", case.forecast_id, said))
        return
    try:
        sent = json.loads(case.answer)
    except ValueError:
        return  # its digest is wrong already, or it never was an answer
    work.said.compared.append(COMPARED)
    derived = derive(work, _because(sent, is_degraded=case.row["degraded"]))
    for name, was, should in _differences(derived.model_dump(mode="json"), sent, is_same_code=is_same_code):
        said = f"{name} in it is {was!r}, and from row and receipt it follows to be {should!r}"
        work.said.add(Finding("answer", case.forecast_id, said))


def derive(work: "Work", because: str = "") -> "api.PredictAnswer":
    """Return the answer as it follows from the row and the receipt of a forecast.

    Parameters
    ----------
    because
        Why it is degraded, where it is.
    """
    row, receipt = work.case.row, work.receipt
    strategy = receipt.strategy
    assert strategy is not None
    made_from = Row(
        symbol=row["symbol"],
        as_of=row["event_time"],
        window=np.empty(0, np.float32),
        reference_price=row["reference_price"],
        feature_hash=row["feature_hash"],
        table_versions=work.case.tables,
        regime=row["regime"],
        selected_strategy=strategy.selected,
        strategies=list(strategy.strategies),
        weights=list(strategy.weights),
        confidence=strategy.confidence,
        known_time=row["known_time"],
        served=None,  # type: ignore[arg-type]  # no answer says when the online store was read
        degraded=because,
        calibration=None if receipt.calibration is None else Calibration.from_dict(receipt.calibration),
    )
    return compose(
        made_from,
        np.array([row[name] for name in QUANTILES]),
        [Member(use.name, use.version, use.digest, use.weight) for use in receipt.models],
        prediction_id=row["forecast_id"],
        horizon=row["horizon_sessions"],
        made_at=row["made_at"],
        now=row["known_time"],
    )


def _because(sent: Any, *, is_degraded: bool) -> str:
    """Why an answer is degraded, in its own words, which are written down nowhere else."""
    data = sent.get("data") if isinstance(sent, dict) else None
    said = data.get("degraded_because") if isinstance(data, dict) else None
    return (said if isinstance(said, str) and said else "Redis did not answer") if is_degraded else ""


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
