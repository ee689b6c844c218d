"""Feast's online store on Redis with one packed value per row, at the address of our settings.

`feast materialize` and `get_online_features` work as with any other store; `feature_repo.online` reads the same values
without Feast.
"""

import atexit
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Literal

import polars as pl
from feast import Entity, FeatureView
from feast.infra.key_encoding_utils import serialize_entity_key
from feast.infra.online_stores.online_store import OnlineStore
from feast.protos.feast.types.EntityKey_pb2 import EntityKey
from feast.protos.feast.types.Value_pb2 import Value
from feast.repo_config import FeastConfigBaseModel, RepoConfig
from feast.value_type import ValueType
from redis import Redis

from feature_repo.feast_store.delta_source import KNOWN_TIME_US
from feature_repo.feast_store.locations import home_of_store, store_settings
from feature_repo.online import (
    EVENT,
    HEADER,
    KNOWN,
    NARROW,
    WIDE,
    Layout,
    OnlineKey,
    Rows,
    oldest_current,
    publish,
    read_index,
    remove,
    row_key,
)
from feature_repo.online.redis_server import connect, running_redis
from lake.errors import SchemaError
from lake.market import market_of, open_clock

Row = tuple[EntityKey, dict[str, Value], datetime, datetime | None]
Read = tuple[datetime | None, dict[str, Value] | None]

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
KINDS: dict[ValueType, tuple[str, str]] = {
    ValueType.DOUBLE: ("f8", "double_val"),
    ValueType.FLOAT: ("f4", "float_val"),
    ValueType.INT64: ("i8", "int64_val"),
    ValueType.INT32: ("i4", "int32_val"),
    ValueType.BOOL: ("b1", "bool_val"),
    ValueType.UNIX_TIMESTAMP: ("us", "unix_timestamp_val"),
    ValueType.STRING: ("str", "string_val"),
    ValueType.BYTES: ("bytes", "bytes_val"),
    ValueType.FLOAT_LIST: ("[f4]", "float_list_val"),
    ValueType.DOUBLE_LIST: ("[f8]", "double_list_val"),
    ValueType.INT32_LIST: ("[i4]", "int32_list_val"),
    ValueType.INT64_LIST: ("[i8]", "int64_list_val"),
    ValueType.STRING_LIST: ("[str]", "string_list_val"),
}
"""Kind of a packed column, and where Feast's message keeps the value."""
SECONDS = "unix_timestamp_val"
"""Instants, of which Feast keeps the seconds only."""


class EmbeddedRedisOnlineStoreConfig(FeastConfigBaseModel):
    """Which server, how long to wait for it, and whose time it is."""

    type: Literal["feature_repo.feast_store.online_store.EmbeddedRedisOnlineStore"] = (
        "feature_repo.feast_store.online_store.EmbeddedRedisOnlineStore"
    )
    url: str | None = None
    """Address of a running server; when unset that of the settings, where the embedded one is started if need be."""
    timeout_ms: int = 10_000
    """Longest wait for a connection and for each answer."""
    key: str | None = None
    """File with the key of the seals, see `feature_repo.online.seals`; that of the settings when unset."""
    clock: str | None = None
    """File with the market's now, against which a view's ttl counts; that of the settings when unset."""


class EmbeddedRedisOnlineStore(OnlineStore):
    """Redis by our settings, holding per entity the newest event, and of its restatements the newest known.

    What one call writes becomes visible at once. A row that has outlived its view's ttl reads as not found.
    """

    _client: Redis | None = None

    def online_write_batch(
        self,
        config: RepoConfig,
        table: FeatureView,
        data: list[Row],
        progress: Callable[[int], Any] | None,
    ) -> None:
        """Write the rows that are not older than what is stored, by event time and then by known time.

        The known time is the feature `known_time_us`, or else Feast's created timestamp, or else the event time.
        """
        if data:
            layout = layout_of(table)
            newest = {entity_name(config, row[0]): row for row in sorted(data, key=_age)}
            frame = _frame(layout, list(newest.values()))
            rows = Rows(table.name, layout, list(newest), frame)
            publish(self._connected(config), [rows], _key(config), project=config.project)
        if progress:
            progress(len(data))

    def online_read(
        self,
        config: RepoConfig,
        table: FeatureView,
        entity_keys: list[EntityKey],
        requested_features: list[str] | None = None,
    ) -> list[Read]:
        """Read with one MGET; with its time alone where a row is expired.

        A row that was not sealed for its key, or was changed since, reads as one that is not there.
        """
        if not entity_keys:
            return []
        layout, names = layout_of(table), requested_features or [feature.name for feature in table.features]
        prefix = row_key(table.name, "", config.project)
        stored, key = [prefix + entity_name(config, entity) for entity in entity_keys], _key(config)
        found: Any = self._connected(config).mget(stored)
        whole = [value if key.accepts(name, value) else None for name, value in zip(stored, found, strict=True)]
        getters = {name: _message_getter(table, layout, name) for name in names}
        oldest = self._oldest(config, table.ttl) if table.ttl else datetime.min.replace(tzinfo=UTC)
        return [_read(layout, value, getters, oldest) for value in whole]

    def update(
        self,
        config: RepoConfig,
        tables_to_delete: Sequence[FeatureView],
        tables_to_keep: Sequence[FeatureView],  # noqa: ARG002 - Feast's signature
        entities_to_delete: Sequence[Entity],  # noqa: ARG002
        entities_to_keep: Sequence[Entity],  # noqa: ARG002
        partial: bool,  # noqa: ARG002
    ) -> None:
        """Remove the rows of views that are no longer declared."""
        if tables_to_delete:
            names = [table.name for table in tables_to_delete]
            remove(self._connected(config), _key(config), names, config.project)

    def teardown(self, config: RepoConfig, tables: Sequence[FeatureView], entities: Sequence[Entity]) -> None:  # noqa: ARG002 - Feast's signature
        """Remove the rows of these views."""
        remove(self._connected(config), _key(config), [table.name for table in tables], config.project)

    def entities(self, config: RepoConfig, table: FeatureView) -> list[str]:
        """Return the keys, as text, of all entities that have a row of this view."""
        return sorted(read_index(self._connected(config), _key(config), table.name, config.project).names)

    def _connected(self, config: RepoConfig) -> Redis:
        if self._client is None:
            options = config.online_store
            self._client = connect(options.url or _embedded(), options.timeout_ms / 1000)
        return self._client

    @staticmethod
    def _oldest(config: RepoConfig, ttl: timedelta) -> datetime:
        home = home_of_store(config)
        return oldest_current(ttl, open_clock(home).now(), market_of(home).calendar)


def layout_of(table: FeatureView) -> Layout:
    """Columns of a view's packed rows; when a row was known stands in its header instead."""
    columns = []
    for feature in table.features:
        if feature.name == KNOWN_TIME_US:
            continue
        value_type = feature.dtype.to_value_type()
        if value_type not in KINDS:
            raise SchemaError(
                f"Feature '{feature.name}' of view '{table.name}' is a {value_type.name}, which the online store "
                f"cannot pack. Use one of {', '.join(known.name for known in KINDS)}."
            )
        columns.append((feature.name, KINDS[value_type][0]))
    return Layout(tuple(columns))


def entity_name(config: RepoConfig, key: EntityKey) -> str:
    """What a row's key ends with: the entity's name if that is all there is, else Feast's encoding of it, in hex."""
    if len(key.entity_values) == 1 and key.entity_values[0].WhichOneof("val") == "string_val":
        return str(key.entity_values[0].string_val)
    return f"={serialize_entity_key(key, config.entity_key_serialization_version).hex()}"


def entity_keys(join_key: str, values: Sequence[str]) -> list[EntityKey]:
    """Feast's keys of entities named by text."""
    return [EntityKey(join_keys=[join_key], entity_values=[Value(string_val=value)]) for value in values]


def _age(row: Row) -> tuple[int, int]:
    """Event time and known time in microseconds; a time without a zone is UTC, as Feast says."""
    _, values, event, created = row
    at = _microseconds(event)
    if KNOWN_TIME_US in values:
        return at, values[KNOWN_TIME_US].int64_val
    return at, at if created is None else _microseconds(created)


def _microseconds(at: datetime) -> int:
    aware = at.replace(tzinfo=UTC) if at.tzinfo is None else at
    return (aware - EPOCH) // timedelta(microseconds=1)


def _frame(layout: Layout, rows: Sequence[Row]) -> pl.DataFrame:
    """Feast's messages as a frame of packable columns."""
    ages = [_age(row) for row in rows]
    times = {EVENT: [event for event, _ in ages], KNOWN: [known for _, known in ages]}
    columns = [pl.Series(name, values).cast(NARROW["us"]) for name, values in times.items()]
    for name, kind in layout.columns:
        values = [_plain(row[1].get(name)) for row in rows]
        columns.append(pl.Series(name, values, dtype=(NARROW | WIDE)[kind]))
    return pl.DataFrame(columns)


def _plain(message: Value | None) -> Any:
    held = message.WhichOneof("val") if message is not None else None
    if message is None or held is None:
        return None
    value = getattr(message, held)
    if held == SECONDS:
        return value * 1_000_000
    return list(value.val) if held.endswith("_list_val") else value


def _message_getter(table: FeatureView, layout: Layout, name: str) -> Callable[[bytes], Value]:
    """Return a reader of one feature from a packed row into Feast's message; an empty message for a null."""
    if name == KNOWN_TIME_US:
        return lambda packed: Value(int64_val=HEADER.unpack_from(packed)[4])
    value_type = next(feature.dtype.to_value_type() for feature in table.features if feature.name == name)
    field, get = KINDS[value_type][1], layout.getter(name)

    def read(packed: bytes) -> Value:
        message, value = Value(), get(packed)
        if value is None:
            return message
        if field.endswith("_list_val"):
            holder = getattr(message, field)
            holder.SetInParent()
            holder.val.extend(value.tolist() if hasattr(value, "tolist") else value)
        else:
            setattr(message, field, value // 1_000_000 if field == SECONDS else value)
        return message

    return read


def _read(layout: Layout, packed: bytes | None, getters: dict[str, Callable[[bytes], Value]], oldest: datetime) -> Read:
    if packed is None or not layout.accepts(packed):
        return None, None
    event = EPOCH + timedelta(microseconds=HEADER.unpack_from(packed)[3])
    if event < oldest:
        return event, None
    return event, {name: get(packed) for name, get in getters.items()}


def _key(config: RepoConfig) -> OnlineKey:
    configured = config.online_store.key
    return OnlineKey.read(Path(configured)) if configured else OnlineKey.of(store_settings())


_process_end = ExitStack()
atexit.register(_process_end.close)
_addresses: list[str] = []


def _embedded() -> str:
    """Address of the settings' server, started for the rest of this process where none runs."""
    if not _addresses:
        _addresses.append(_process_end.enter_context(running_redis(store_settings())))
    return _addresses[0]
