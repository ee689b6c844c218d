"""Who may ask: keys and tokens, roles by route, limits by tier. `docs/access.md` is for the user."""

from serving.access.exposure import local_address, origins, require_safe_address, trusted_proxies, trusting
from serving.access.keys import Key, local_key
from serving.access.policy import WEBSOCKET, Policy, Rule
from serving.access.watched import KEY_REFRESH_SECONDS

__all__ = [
    "KEY_REFRESH_SECONDS",
    "WEBSOCKET",
    "Key",
    "Policy",
    "Rule",
    "checks",
    "limits",
    "local_address",
    "local_key",
    "origins",
    "require_safe_address",
    "signing",
    "trusted_proxies",
    "trusting",
]
