"""Types of the administrator's routes: forecasts with what made them, API keys, limits and settings in force."""

from datetime import date, datetime
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator

from serving.api.base import (
    CURRENCY,
    HORIZON_MINUTES,
    HORIZON_SESSIONS,
    PRICE_BASIS,
    TARGET_SESSION,
    Finite,
    Part,
    PriceBasis,
    Request,
)
from serving.api.callers import Role, Tier

LOOKED_UP = 100
"""Most forecasts that one request looks up."""
NAME_LETTERS, ID_LETTERS, MOST_DAYS = 64, 64, 3_650


class EngineUse(Part):
    """One model's part in a forecast."""

    name: str
    version: str
    digest: str
    weight: Finite
    device: str | None = Field(description="where it was computed; null where no receipt of the forecast is left")
    provider: str | None = Field(description="what of ONNX Runtime computed it")
    threads: int | None


class OperatorForecast(Part):
    """A stored forecast of any kind with what an operator asks about it."""

    prediction_id: str
    kind: Literal["replay", "served", "scheduled", "shadow", "trial"] = Field(description="how it came about")
    symbol: str
    as_of: datetime
    known_time: datetime
    made_at: datetime
    horizon_sessions: int | None = HORIZON_SESSIONS
    horizon_minutes: int | None = HORIZON_MINUTES
    p10: Finite
    p50: Finite
    p90: Finite
    reference_price: Finite | None
    price_basis: PriceBasis | None = PRICE_BASIS
    currency: str | None = CURRENCY
    target_session: date | None = TARGET_SESSION
    model_name: str
    model_version: str
    latency_ms: Finite | None = Field(description="time to answer; null in a replay or trial")
    is_degraded: bool = Field(description="answered from a fallback")
    stored_in: Literal["log", "table"]
    correlation_id: str = Field(description="id of the request in the service's log; empty for an internal one")
    engines: list[EngineUse]
    receipt: str | None = Field(description="path of its receipt; null for a challenger's, which is never answered")


class LookUpRequest(Request):
    """Forecasts to look up."""

    prediction_ids: list[Annotated[str, Field(min_length=1, max_length=ID_LETTERS)]] = Field(
        min_length=1, max_length=LOOKED_UP, description="ids, as answers have them"
    )


class LookUpAnswer(Part):
    """The forecasts that there are, in the order in which they were asked for."""

    predictions: list[OperatorForecast]
    unknown: list[str] = Field(description="ids of which no forecast is stored")


class KeyStatus(Part):
    """An API key; its text is not stored."""

    key_id: str
    name: str
    role: Role
    tier: Tier
    who: str = Field(description="pseudonym in the audit trail")
    state: Literal["in force", "revoked", "ended"]
    created_at: datetime
    expires_at: datetime | None = Field(description="null for a key without an end")
    revoked_at: datetime | None
    last_used_at: datetime | None = Field(description="to about a minute; null for one that was not used")


class KeysAnswer(Part):
    """Every key, the oldest first."""

    keys: list[KeyStatus]


class CreateKeyRequest(Request):
    """A key to make."""

    name: str = Field(min_length=1, max_length=NAME_LETTERS, description="for lists", examples=["research desk"])
    role: Role
    tier: Tier = "standard"
    days: int | None = Field(default=None, ge=1, le=MOST_DAYS, description="days until it ends; null for never")

    @field_validator("name")
    @classmethod
    def _can_be_listed(cls, name: str) -> str:
        if not (name.strip() and name.isprintable()):
            raise ValueError("expected printable letters, as lists show the name")
        return name


class CreatedKey(Part):
    """A new key."""

    key: KeyStatus
    text: str = Field(description="what its holder sends; it is shown once and not stored")


class RevokeKeyRequest(Request):
    """A key to revoke, with every token made for it."""

    key_id: str = Field(min_length=1, max_length=ID_LETTERS, description="as in the list of keys")


class LimitInForce(Part):
    """Limit of one tier."""

    tier: Tier
    requests_an_hour: int | None = Field(description="per key, in any sixty minutes; null for no limit")


class LimitsAnswer(Part):
    """Limits in force."""

    tiers: list[LimitInForce]
    batch_symbols: int = Field(description="most symbols of one question")
    body_bytes: int = Field(description="largest body of a request")
    large_questions: int = Field(description="large questions computed at a time by one worker")


class SettingStatus(Part):
    """One setting of the service that answers."""

    variable: str
    value: Any = Field(description="in force, secrets masked; null where it is unset")
    origin: Literal["environment", "former name", "market", "machine", "default"]
    default: Any
    meaning: str


class SettingsAnswer(Part):
    """Every setting in force."""

    settings: list[SettingStatus]
