"""Rows of the table `explanations`, from explanations in numbers."""

import json
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from serving.explain.result import QUANTITIES

if TYPE_CHECKING:
    from serving.api.explanations import Quantity
    from serving.explain.result import Explanation

NO_TEXT = dict.fromkeys(("text", "sentences", "sources", "writer", "dropped"))


def explanation_row(explanation: "Explanation", now: datetime) -> dict[str, Any]:
    """Return the row of an explanation, as `lake.tables.EXPLANATIONS` declares it.

    Parameters
    ----------
    now
        Market time at which it was computed.
    """
    return {
        "explanation_id": explanation.explanation_id,
        "forecast_id": explanation.prediction_id,
        "event_time": explanation.as_of,
        "known_time": max(now, explanation.as_of),
        "made_at": datetime.now(UTC),
        "method": explanation.method,
        "depth": explanation.depth,
        "grain": explanation.grain,
        "values": json.dumps({quantity: _values(explanation, quantity) for quantity in QUANTITIES}, allow_nan=False),
        "base_value": explanation.base_values["p50"],
        "additivity_error": explanation.additivity_error,
        "background_hash": _joined(each.hash for each in explanation.backgrounds),
        "engine_digest": _joined(each.digest for each in explanation.members),
        "seconds": explanation.seconds,
    } | NO_TEXT


def _values(explanation: "Explanation", quantity: "Quantity") -> dict[str, Any]:
    parts = explanation.contributions[quantity]
    return {
        "base_value": explanation.base_values[quantity],
        "value": explanation.values[quantity],
        "contributions": {each.player: each.contribution for each in parts},
    }


def _joined(digests: Iterable[str]) -> str:
    return ",".join(sorted(set(digests)))
