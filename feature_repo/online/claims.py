"""Whose an external Redis is: the names in it are the same for every market, so it holds one market only."""

from typing import Any

from redis import Redis

from feature_repo.online.generations import PROJECT
from lake.errors import OnlineStoreError
from lake.settings import Settings

CLAIM = f"{{{PROJECT}}}#market"
"""Key that holds the name of the market whose values a server holds."""


def require_own_server(settings: Settings, client: Redis) -> None:
    """Claim the server of `REDIS_URL` for this market, or refuse the one that another market writes to.

    The embedded server belongs to its home, and is not asked.

    Raises
    ------
    OnlineStoreError
        Naming the other market, and how to give each its own.
    """
    if settings.redis_url is None:
        return
    name = settings.declared_market.name
    held: Any = client.get(CLAIM)
    if held is None:
        client.set(CLAIM, name, nx=True)
        held = client.get(CLAIM)
    if held is not None and held.decode() != name:
        raise OnlineStoreError(
            f"The Redis of REDIS_URL holds the values of the market '{held.decode()}', and this home is of '{name}': "
            "each would overwrite the other's. Nothing was written. Give each market a server or a database of its own "
            f"(REDIS_URL=redis://.../1), or delete the key '{CLAIM}' if the other market is gone."
        )
