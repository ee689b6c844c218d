"""Administration through the endpoint: API keys, limits and settings; each request is in the audit trail."""

import math
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from fastapi import FastAPI, HTTPException, Request, Response

from lake.setting_list import settings_in_force
from serving import api
from serving.access import keys
from serving.web.http.middleware import BODY_BYTES
from serving.web.routes.forecasts import JSON

if TYPE_CHECKING:
    from lake.settings import Settings
    from serving.access import Key
    from serving.api import Caller

PREFIX = "/api/v1/internal/admin"
FORBIDDEN = 403


def add_routes(app: FastAPI) -> None:
    """Add them to an application."""
    _add_keys(app)

    @app.get(f"{PREFIX}/limits", tags=["administration"])
    def limits(request: Request) -> api.LimitsAnswer:
        """Return how many requests a key of each tier has an hour, and how large one may be."""
        tiers = [api.LimitInForce(tier=tier, requests_an_hour=most) for tier, most in api.REQUESTS_AN_HOUR.items()]
        return api.LimitsAnswer(
            tiers=tiers,
            batch_symbols=api.BATCH_SYMBOLS,
            body_bytes=BODY_BYTES,
            large_questions=int(request.app.state.large_questions.total_tokens),
        )

    @app.get(f"{PREFIX}/settings", tags=["administration"])
    def settings() -> api.SettingsAnswer:
        """Return every setting of the service with its origin, default and meaning; secrets are masked."""
        return api.SettingsAnswer(settings=[api.SettingStatus(**vars(each)) for each in settings_in_force()])


def _add_keys(app: FastAPI) -> None:
    @app.get(f"{PREFIX}/keys", tags=["administration"])
    def list_keys(request: Request) -> api.KeysAnswer:
        """List every API key, revoked ones too; their texts are not stored."""
        used, now = keys.last_used(_settings(request)), datetime.now(UTC)
        return api.KeysAnswer(keys=[_status(key, used, now) for key in keys.listing(_settings(request))])

    @app.post(f"{PREFIX}/keys", tags=["administration"], response_model=api.CreatedKey)
    def create_key(body: api.CreateKeyRequest, request: Request) -> Response:
        """Make an API key and show its text, once; it ends no later than the key that asks."""
        caller, now = _holder(request), datetime.now(UTC)
        ends = _end(caller, now, body.days)
        key, text = keys.create(_settings(request), body.name, body.role, body.tier, by=caller.who, expires_at=ends)
        made = api.CreatedKey(key=_status(key, {}, now), text=text)
        return Response(made.model_dump_json(), media_type=JSON, headers={"cache-control": "no-store"})

    @app.post(f"{PREFIX}/keys/revoke", tags=["administration"])
    def revoke_key(body: api.RevokeKeyRequest, request: Request) -> api.KeyStatus:
        """Revoke an API key and every token made for it; each worker applies it within half a second."""
        key = keys.revoke(_settings(request), body.key_id, by=_holder(request).who)
        return _status(key, keys.last_used(_settings(request)), datetime.now(UTC))


def _holder(request: Request) -> "Caller":
    """Who shows a key; a token, which ends within the hour, makes and ends no key that outlives it."""
    caller: Caller = request.state.caller
    if caller.via == "token":
        raise HTTPException(FORBIDDEN, "Keys are made and revoked with a key, and this request shows a token.")
    return caller


def _end(caller: "Caller", now: datetime, days: int | None) -> datetime | None:
    """When a key that a caller makes ends."""
    asked = math.inf if days is None else (now + timedelta(days=days)).timestamp()
    ends = min(asked, caller.expires_at)
    return None if math.isinf(ends) else datetime.fromtimestamp(ends, UTC)


def _status(key: "Key", used: dict[str, datetime], now: datetime) -> api.KeyStatus:
    return api.KeyStatus(
        key_id=key.id,
        name=key.name,
        role=key.role,
        tier=key.tier,
        who=key.who,
        state="in force" if key.is_in_force(now) else "revoked" if key.revoked_at else "ended",
        created_at=key.created_at,
        expires_at=key.expires_at,
        revoked_at=key.revoked_at,
        last_used_at=used.get(key.id),
    )


def _settings(request: Request) -> "Settings":
    configured: Settings = request.app.state.predictor.logged.configured
    return configured
