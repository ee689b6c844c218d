"""Authentication and authorisation: keys and tokens, roles by route, limits by tier; the guide is `docs/access.md`.

- `keys`, `exposure`, `policy`: API keys, addresses that need them, and the role that each route needs
- `checks`: finds the caller behind a key or a token (needs PyJWT and Redis)
- `limits`: counts requests against the limit of a key (needs Redis)
- `watch_lists`: the symbols that the holder of a key follows
- `signing`: keys that tokens are signed with (needs PyJWT)
- `browsers`: cookies, and which page made a request, for whatever a browser logs in to
"""

from serving.access.exposure import local_address, origins, require_safe_address, trusted_proxies, trusting
from serving.access.keys import Key, local_key, local_path
from serving.access.policy import RULES, WEBSOCKET, Policy, Rule
from serving.access.watched import KEY_REFRESH_SECONDS

__all__ = [
    "KEY_REFRESH_SECONDS",
    "RULES",
    "WEBSOCKET",
    "Key",
    "Policy",
    "Rule",
    "browsers",
    "checks",
    "exposure",
    "keys",
    "limits",
    "local_address",
    "local_key",
    "local_path",
    "origins",
    "require_safe_address",
    "signing",
    "trusted_proxies",
    "trusting",
    "watch_lists",
]
