"""Types of access: tokens, and the public keys that verify them."""

from typing import Literal

from pydantic import BaseModel, Field

from serving.api.base import Answer
from serving.api.callers import Role, Tier


class TokenAnswer(Answer):
    """A token in the place of an API key."""

    access_token: str = Field(description="to be sent as 'Authorization: Bearer TOKEN'")
    token_type: Literal["Bearer"] = "Bearer"  # noqa: S105 - the name of the scheme
    expires_in: int = Field(gt=0, description="seconds until it ends")
    role: Role
    tier: Tier


class PublicKey(BaseModel):
    """Public half of a signing key (RFC 7517)."""

    kty: Literal["RSA"]
    use: Literal["sig"]
    alg: Literal["RS256"]
    kid: str
    n: str
    e: str


class KeySet(BaseModel):
    """Public halves of the keys whose tokens may still be in force."""

    keys: list[PublicKey]
