"""An example of the body of each route that takes one, for the refusal of a body that it cannot read."""

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from starlette.types import Scope

PUBLIC, MODELS = "/api/v1/public", "/api/v1/internal/models"
ADMIN, PREDICTIONS = "/api/v1/internal/admin", "/api/v1/internal/predictions"
ID = "0" * 32
"""Stands for the id of a stored forecast."""
TRIAL = {"model": "lstm", "version": "4", "share": 0.2}
HOOK = {
    "version": "4",
    "alerts": [
        {
            "status": "firing",
            "labels": {"alertname": "QuantlakeSlow", "severity": "ticket"},
            "annotations": {"summary": "One forecast in a hundred takes longer than 120ms."},
            "startsAt": "2024-01-02T15:00:00Z",
            "endsAt": "0001-01-01T00:00:00Z",
        }
    ],
}
BODIES: dict[str, dict[str, Any]] = {
    f"{PUBLIC}/predict": {"symbol": "AAPL", "horizon_sessions": 1},
    f"{PUBLIC}/predict/batch": {"symbols": ["AAPL", "IBM"], "horizon_sessions": 1},
    f"{PUBLIC}/recommend": {
        "symbol": "AAPL",
        "portfolio_context": {"current_position": 100, "equity": 100_000, "risk_tolerance": "moderate"},
    },
    f"{PUBLIC}/watchlist": {"symbols": ["AAPL", "IBM"]},
    f"{PUBLIC}/watchlist/changes": {"add": ["KO"], "remove": ["IBM"]},
    f"{PUBLIC}/explain/prediction": {"prediction_id": ID, "quantile": "width"},
    f"{PUBLIC}/explain/counterfactual": {"prediction_id": ID, "changes": {"volatility_garch": {"by": 0.05}}},
    f"{PUBLIC}/explain/recommendation": {"recommendation_id": ID},
    f"{PUBLIC}/explanations/{{symbol}}": {"depth": "fast", "horizon_sessions": 1},
    f"{MODELS}/benchmark": {"seconds": 0.1, "windows": 1},
    f"{MODELS}/shadow": TRIAL,
    f"{MODELS}/canary": TRIAL,
    f"{MODELS}/rollback": {"model": "lstm"},
    f"{PREDICTIONS}/batch": {"prediction_ids": [ID]},
    "/api/v1/internal/alerts": HOOK,
    f"{ADMIN}/keys": {"name": "research desk", "role": "read", "days": 30},
    f"{ADMIN}/keys/revoke": {"key_id": "0" * 16},
}
"""By the path of the route, as the application declares it."""


def example_body(scope: "Scope") -> str:
    """Return a body, as JSON, that the route of a request can read.

    Examples
    --------
    >>> from types import SimpleNamespace
    >>> example_body({"route": SimpleNamespace(path="/api/v1/public/watchlist")})
    '{"symbols": ["AAPL", "IBM"]}'
    """
    return json.dumps(BODIES[scope["route"].path])
