"""Rows of the table `explanations`, from explanations in words."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, TypeAdapter

from lake.errors import ConflictError

if TYPE_CHECKING:
    from serving.explain.narrative.records import JobRecord

PARTS = TypeAdapter(list[Any])
NO_NUMBERS = dict.fromkeys(("grain", "base_value", "additivity_error", "background_hash", "engine_digest"))


def narrative_row(record: "JobRecord", forecast: Mapping[str, Any], now: datetime) -> dict[str, Any]:
    """Return the row of a job's text, as `lake.tables.EXPLANATIONS` declares it.

    Parameters
    ----------
    forecast
        Row of `forecasts` that it is about.
    now
        Market time at which it was written.

    Raises
    ------
    ConflictError
        If the job has no text yet.
    """
    said = record.explanation
    if said is None:
        raise ConflictError(f"The job {record.job_id} has no text. Expected one; log it after a writer has written.")
    return {
        "explanation_id": record.job_id,
        "forecast_id": record.question.prediction_id,
        "event_time": forecast["event_time"],
        "known_time": max(now, forecast["known_time"]),
        "made_at": said.generated_at,
        "method": "narrative",
        "depth": record.question.depth,
        "values": _json(said.facts),
        "text": said.text,
        "sentences": _json(said.sentences),
        "sources": _json(said.sources),
        "writer": said.writer,
        "dropped": len(said.dropped),
        "seconds": record.seconds,
    } | NO_NUMBERS


def _json(parts: "Sequence[BaseModel]") -> str:
    return PARTS.dump_json([part.model_dump(mode="json") for part in parts]).decode()
