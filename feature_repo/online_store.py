"""Feast's Redis online store at the address of our settings, where a later-known row replaces an earlier one."""

import atexit
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from datetime import datetime
from typing import Any, Literal

from feast import FeatureView
from feast.infra.key_encoding_utils import deserialize_entity_key, serialize_entity_key_prefix
from feast.infra.online_stores.redis import RedisOnlineStore, RedisOnlineStoreConfig
from feast.protos.feast.types.EntityKey_pb2 import EntityKey
from feast.protos.feast.types.Value_pb2 import Value
from feast.repo_config import RepoConfig
from redis import Redis

from feature_repo.delta_source import KNOWN_TIME_US
from feature_repo.locations import store_settings
from feature_repo.redis_server import connect, running_redis

Row = tuple[EntityKey, dict[str, Value], datetime, datetime | None]


class EmbeddedRedisOnlineStoreConfig(RedisOnlineStoreConfig):
    """Which server, and how long to wait for it."""

    type: Literal["feature_repo.online_store.EmbeddedRedisOnlineStore"] = (
        "feature_repo.online_store.EmbeddedRedisOnlineStore"
    )
    url: str | None = None
    """Address of a running server; when unset that of the settings, where the embedded one is started if need be."""
    timeout_ms: int = 10_000
    """Longest wait for a connection and for each answer."""
    skip_dedup: bool = True
    """Feast's own check compares event times only and drops restatements; ours, below, takes its place."""


class EmbeddedRedisOnlineStore(RedisOnlineStore):
    """Redis by our settings, holding per entity the newest event, and of its restatements the newest known."""

    def online_write_batch(
        self,
        config: RepoConfig,
        table: FeatureView,
        data: list[Row],
        progress: Callable[[int], Any] | None,
    ) -> None:
        """Write the rows that are not older than what is stored, by event time and then by known time.

        Feast's store skips a row whose event time is already stored, so a restated value would never arrive; and
        without that check a late writer could put an old value over a new one.
        """
        known = [feature.name for feature in table.features if feature.name == KNOWN_TIME_US]
        stored = self.online_read(config, table, [row[0] for row in data], known or None)
        fresh = [row for row, old in zip(data, stored, strict=True) if _age(row[2], row[1]) >= _age(*old)]
        if fresh:
            super().online_write_batch(config, table, fresh, progress)

    def entities(self, config: RepoConfig, table: FeatureView) -> list[str]:
        """Return the keys, as text, of all entities that have a row of this view."""
        client = self._get_client(config.online_store)
        prefix = serialize_entity_key_prefix(table.join_keys, config.entity_key_serialization_version)
        suffix = config.project.encode()
        keys = [key for key in client.scan_iter(match=_literal(prefix) + b"*", count=1000) if key.endswith(suffix)]
        names = [
            deserialize_entity_key(key[: -len(suffix)], config.entity_key_serialization_version)
            .entity_values[0]
            .string_val
            for key in keys
        ]
        rows = self.online_read(config, table, entity_keys(table.join_keys[0], names), [KNOWN_TIME_US]) if names else []
        return sorted(name for name, row in zip(names, rows, strict=True) if _age(*row) > (0.0, 0))

    _client: Redis | None = None

    def _get_client(self, online_store_config: EmbeddedRedisOnlineStoreConfig) -> Redis:
        """Connect without retries; the one method of Feast's that is replaced rather than extended.

        Feast builds its client from a string that cannot say "do not retry", and a dead server then costs seconds.
        """
        if self._client is None:
            url = online_store_config.url or _embedded()
            self._client = connect(url, online_store_config.timeout_ms / 1000)
        return self._client


def _age(event_time: datetime | None, values: dict[str, Value] | None) -> tuple[float, int]:
    """Order of two rows of one entity: by event, then by when it was known; nothing stored comes first."""
    if event_time is None or not event_time.timestamp():
        return (0.0, 0)
    return (event_time.timestamp(), values[KNOWN_TIME_US].int64_val if values and KNOWN_TIME_US in values else 0)


_process_end = ExitStack()
atexit.register(_process_end.close)
_addresses: list[str] = []


def _embedded() -> str:
    """Address of the settings' server, started for the rest of this process where none runs."""
    if not _addresses:
        _addresses.append(_process_end.enter_context(running_redis(store_settings())))
    return _addresses[0]


def entity_keys(join_key: str, values: Sequence[str]) -> list[EntityKey]:
    """Feast's keys of entities named by text."""
    return [EntityKey(join_keys=[join_key], entity_values=[Value(string_val=value)]) for value in values]


def _literal(text: bytes) -> bytes:
    """Escape what has a meaning in a Redis pattern."""
    return b"".join(b"\\" + bytes([byte]) if byte in b"*?[]\\^" else bytes([byte]) for byte in text)
