"""The embedded Redis: which server, where it listens, who may use it, how it is started, kept alive and stopped.

See `docs/adr/0011-embedded-online-server.md`.
"""

from feature_repo.online.redis_server.clients import connect, credentials_of
from feature_repo.online.redis_server.examination import examine
from feature_repo.online.redis_server.paths import ServerPaths, embedded_url, redis_url
from feature_repo.online.redis_server.running import restarts, running_redis

__all__ = [
    "ServerPaths",
    "connect",
    "credentials_of",
    "embedded_url",
    "examine",
    "redis_url",
    "restarts",
    "running_redis",
]
