"""Refused versions with the reason, in a file beside ``serving.json``."""

import json
from datetime import datetime
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict, ValidationError

from lake.disk import write_durably

if TYPE_CHECKING:
    from pathlib import Path

    from lake.settings import Settings

REFUSALS_FILE = "refusals.json"


class ModelRefusal(BaseModel):
    """One version that was not put in service.

    Parameters
    ----------
    model, version
        What was asked for.
    reason
        Why it was refused, and what to do.
    since
        Wall-clock time at which it was first refused for that reason.
    refused_by
        ``service``, by a worker that was told to load it; ``registry``, by the process that follows the alias.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    model: str
    version: str
    reason: str
    since: datetime
    refused_by: str


def refusals_file(configured: "Settings") -> "Path":
    """File of the refusals of the process that follows the registry."""
    return configured.models / REFUSALS_FILE


def read_refusals(configured: "Settings") -> list[ModelRefusal]:
    """Refusals that stand; a file that cannot be read holds none, it decides nothing."""
    try:
        rows = json.loads(refusals_file(configured).read_text(encoding="utf-8"))
        return [ModelRefusal.model_validate_json(json.dumps(row)) for row in rows]
    except (OSError, ValueError, TypeError, ValidationError):
        return []


def keep_refusal(configured: "Settings", refusal: ModelRefusal) -> bool:
    """Note a refusal in place of any other of the same model; False when it stood there already, word for word."""
    before = read_refusals(configured)
    noted = (refusal.model, refusal.version, refusal.reason)
    if noted in [(known.model, known.version, known.reason) for known in before]:
        return False
    _write(configured, [*(known for known in before if known.model != refusal.model), refusal])
    return True


def lift_refusal(configured: "Settings", model: str) -> None:
    """Remove the refusal of a model: another version of it is in service since."""
    before = read_refusals(configured)
    left = [known for known in before if known.model != model]
    if left != before:
        _write(configured, left)


def _write(configured: "Settings", refusals: list[ModelRefusal]) -> None:
    rows = [refusal.model_dump(mode="json") for refusal in refusals]
    write_durably(refusals_file(configured), json.dumps(rows, indent=2) + "\n")
