"""Types of a caller: the role decides which routes, the tier how many requests."""

import math
from dataclasses import dataclass
from typing import Literal, get_args

KEY_PREFIX = "ql"
"""First part of every API key; a token has none."""

Role = Literal["read", "predict", "operator"]
Tier = Literal["free", "standard", "unlimited"]
ROLES: tuple[Role, ...] = get_args(Role)
"""Each may do what those before it may."""
TIERS: tuple[Tier, ...] = get_args(Tier)
REQUESTS_AN_HOUR: dict[Tier, int | None] = {"free": 100, "standard": 1_000, "unlimited": None}


@dataclass(frozen=True, slots=True)
class Caller:
    """Who a request comes from.

    Parameters
    ----------
    key_id
        Id of the API key. It goes into the forecast log, where it can be deleted, and nowhere else.
    role, tier
        What the key may do, and how often.
    who
        Pseudonym of the key for the audit trail; nobody can lead it back to the key once that is deleted.
    via
        Whether the key itself was shown, or a token that was made for it.
    expires_at
        Seconds since 1970 at which key or token ends.
    """

    key_id: str
    role: Role
    tier: Tier
    who: str
    via: Literal["key", "token"] = "key"
    expires_at: float = math.inf

    def may(self, needed: Role) -> bool:
        """Whether the role reaches that far."""
        return ROLES.index(self.role) >= ROLES.index(needed)
