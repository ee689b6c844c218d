"""Reads from and writes to the online store beside raw Redis and beside Feast's own Redis store (P7, P8)."""

import logging
import tempfile
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from datetime import UTC, datetime, timedelta
from functools import partial
from io import StringIO
from pathlib import Path
from typing import Any
from urllib.parse import urlparse

import numpy as np
import polars as pl
from redis import Redis

from benchmarks.report import RATIO, Figure, Topic
from benchmarks.timing import interleave, milliseconds
from feature_repo.online import (
    FEATURES,
    WINDOW,
    OnlineKey,
    OnlineReader,
    OnlineView,
    Rows,
    newest_rows,
    publish,
    row_key,
)
from feature_repo.online.redis_server import connect
from feature_repo.targets import FORECAST_V2
from lake.clock import FixedClock
from lake.settings import Settings
from lake.store import Lake
from support.online import external_redis

AT = datetime(2026, 1, 30, 21, tzinfo=UTC)
VIEW = FEATURES[0]
COLUMNS = [name for name, _ in VIEW.layout.columns]
HEADER_BYTES = 40


def measure(symbols: int = 5_000, repetitions: int = 7, calls: int = 100) -> Topic:
    """Fill a Redis of its own with each store's rows, and read and write them in turn.

    Parameters
    ----------
    symbols
        Rows of the view, each of 20 features.
    repetitions
        Turns of the writes; a turn is one write of each rival.
    calls
        Reads of one symbol for each of these turns, each rival after the other; fewer of many symbols.
    """
    with tempfile.TemporaryDirectory() as name, external_redis(Path(name)) as url, connect(url, 60) as client:
        # Feast's store speaks TCP alone, and a rival is met on the same server.
        folder = Path(name)
        settings = Settings(home=folder, redis_url=url, online_timeout_ms=60_000)
        frame, lake = market(symbols), Lake.open(settings)
        lake.merge(VIEW.table, frame)
        stock = StockFeast(folder, url, frame)
        figures, cold = writes(client, stock, lake, OnlineKey.of(settings), frame, repetitions)
        figures += reads(settings, client, stock, frame, repetitions, calls)
    text = (
        f"{symbols:,} symbols x {len(COLUMNS)} features in one local Redis; medians of at least {repetitions} turns, "
        "one call of each rival after the other, answers compared first. Raw Redis is redis-py with the same packed "
        "values."
    )
    notes = (
        f"cold: the first `feast materialize` of the process took {cold:.1f} s",
        "ours, where `feast materialize` is the rival, includes reading the rows from Delta",
        "a read of forecast_v2 is the window of 30 sessions, the strategy and the regime; raw is one MGET of the keys",
    )
    return Topic("Online store", text, RATIO, tuple(figure.to_row() for figure in figures), notes)


def market(symbols: int) -> pl.DataFrame:
    """One row of every feature for each symbol."""
    random = np.random.default_rng(7)
    names = [f"S{n:05d}" for n in range(symbols)]
    instant = pl.Datetime("us", "UTC")
    times = {name: pl.Series(name, [AT] * symbols, dtype=instant) for name in ("event_time", "known_time")}
    return pl.DataFrame({"symbol": names, **times, **{name: random.normal(size=symbols) for name in COLUMNS}})


def writes(
    client: Redis, stock: "StockFeast", lake: Lake, key: OnlineKey, frame: pl.DataFrame, repetitions: int
) -> tuple[list[Figure], float]:
    """P8: a frame of rows beside a pipeline of packed SETs, and from the table beside `feast materialize`."""
    version = lake.version(VIEW.table)

    def pipeline() -> None:
        pipe = client.pipeline(transaction=False)
        for name, value in zip(names, packed, strict=True):
            pipe.set(f"raw:{name}", value)
        pipe.execute()

    def ours() -> None:
        publish(client, [Rows.of(VIEW, frame)], key)

    def ours_from_table() -> None:
        publish(client, [Rows.of(VIEW, newest_rows(lake, VIEW, AT, version))], key)

    names, packed = frame["symbol"].to_list(), VIEW.layout.pack(frame, 1)
    cold = interleave({"cold": stock.materialize}, 1)["cold"][0]
    for warm in (pipeline, ours, ours_from_table):
        warm()
    bare = milliseconds(interleave({"raw": pipeline, "ours": ours, "table": ours_from_table}, repetitions))
    feast = milliseconds(interleave({"feast": stock.materialize, "table": ours_from_table}, max(5, repetitions // 2)))
    size = f"write {len(names):,} x {len(COLUMNS)}"
    return [
        Figure(f"P8 {size}: packed pipeline of SETs", bare["raw"], bare["ours"], 5, 2),
        Figure(
            f"P8 {size}: `feast materialize` of Feast's store", feast["feast"], feast["table"], 20, is_speed_up=True
        ),
    ], cold


def reads(
    settings: Settings, client: Redis, stock: "StockFeast", frame: pl.DataFrame, repetitions: int, calls: int
) -> list[Figure]:
    """P7: one symbol, 128 and all of them."""
    reader = OnlineReader(settings, clock=FixedClock(AT))
    figures = []
    for count in (1, 128, frame.height):
        asked = frame["symbol"][:count].to_list()
        keys = [row_key(VIEW.name, name) for name in asked]
        rivals: dict[str, Callable[[], Any]] = {
            "raw": partial(raw_read, client, keys),
            "ours": partial(reader.rows, VIEW.name, asked),
            "feast": partial(stock.read, asked),
        }
        require_same(frame[:count], rivals)
        turns = max(repetitions, calls * repetitions // max(1, count // 8))
        fast = {name: rivals[name] for name in ("raw", "ours")}
        near = milliseconds(interleave(fast, turns))
        far = milliseconds(interleave({"feast": rivals["feast"], "ours": rivals["ours"]}, max(5, turns // 20)))
        what = f"read {count:,} x {len(COLUMNS)}"
        figures.append(Figure(f"P7 {what}: raw MGET", near["raw"], near["ours"], 2, 1.5))
        at_least = 5 if count >= 128 else 1  # the goal is for 128
        figures.append(Figure(f"P7 {what}: Feast's store", far["feast"], far["ours"], at_least, is_speed_up=True))
    publish(client, [Rows.of(WINDOW, windows(WINDOW, frame["symbol"].to_list()))], OnlineKey.of(settings))
    return figures + forecasts(client, reader, frame["symbol"].to_list(), repetitions, calls)


def forecasts(client: Redis, reader: OnlineReader, names: list[str], repetitions: int, calls: int) -> list[Figure]:
    """What one forecast request reads: window, strategy and regime with one MGET."""
    figures = []
    for count in (1, 128, len(names)):
        asked, turns = names[:count], max(repetitions, calls * repetitions // max(1, count // 4))
        keys = [row_key(view, name) for view in (WINDOW.name, "strategy") for name in asked]
        rivals: dict[str, Callable[[], Any]] = {"raw": partial(client.mget, keys), "ours": partial(reader.read, asked)}
        for warm in rivals.values():
            warm()
        found = milliseconds(interleave(rivals, turns))
        what = f"P7 read forecast_v2 of {count:,}: raw MGET, not decoded"
        figures.append(Figure(what, found["raw"], found["ours"], 2, 1.5))
    return figures


def windows(view: OnlineView, names: list[str]) -> pl.DataFrame:
    """A window for each symbol."""
    values = np.random.default_rng(8).normal(size=(len(names), FORECAST_V2.shape[0] * FORECAST_V2.shape[1]))
    constants = {"reference_price": 1.0, "feature_hash": "0" * 64, "table_versions": '{"bars": 0}'}
    constants |= {"price_basis": "as_traded", "currency": "USD"}
    frame = market(len(names)).select(
        "symbol",
        "event_time",
        "known_time",
        pl.Series("window", values.astype(np.float32)).arr.to_list(),
        *(pl.lit(value).alias(name) for name, value in constants.items()),
    )
    return frame.select(view.columns)


def raw_read(client: Redis, keys: list[str]) -> Any:
    """Ask for packed values and see them as numbers, header and all."""
    found: Any = client.mget(keys)
    return np.frombuffer(b"".join(found), "<f8")


def require_same(frame: pl.DataFrame, rivals: dict[str, Callable[[], Any]]) -> None:
    """Refuse to time answers that differ."""
    expected = frame.select(COLUMNS).to_numpy()
    raw = rivals["raw"]().reshape(frame.height, -1)[:, HEADER_BYTES // 8 :][:, : len(COLUMNS)]
    feast = rivals["feast"]()
    for found in (raw, rivals["ours"]().values, np.column_stack([feast[name] for name in COLUMNS])):
        np.testing.assert_array_equal(found, expected)


class StockFeast:
    """Feast as it comes: a parquet file, a file registry, its Redis store.

    Parameters
    ----------
    folder
        For the file and the registry.
    url
        Of the Redis.
    """

    def __init__(self, folder: Path, url: str, frame: pl.DataFrame) -> None:
        from feast import Entity, FeatureStore, FeatureView, Field, FileSource, RepoConfig, ValueType
        from feast.types import Float64

        at = urlparse(url)
        logging.getLogger("feast").setLevel(logging.ERROR)
        frame.write_parquet(folder / "rows.parquet")
        source = FileSource(
            path=str(folder / "rows.parquet"), timestamp_field="event_time", created_timestamp_column="known_time"
        )
        symbol = Entity(name="symbol", value_type=ValueType.STRING)
        schema = [Field(name=name, dtype=Float64) for name in COLUMNS]
        view = FeatureView(name="stock", entities=[symbol], schema=schema, source=source, ttl=timedelta(days=7))
        self._refs = [f"stock:{name}" for name in COLUMNS]
        self._store = FeatureStore(
            config=RepoConfig(
                project="stock",
                provider="local",
                registry=str(folder / "stock.db"),
                offline_store={"type": "dask"},
                online_store={"type": "redis", "connection_string": f"127.0.0.1:{at.port},password={at.password}"},
                entity_key_serialization_version=3,
            )
        )
        self._store.apply([symbol, view])

    def materialize(self) -> None:
        """Run what `feast materialize` runs."""
        with redirect_stdout(StringIO()), redirect_stderr(StringIO()):
            self._store.materialize(AT - timedelta(days=1), AT + timedelta(days=1))

    def read(self, symbols: list[str]) -> Any:
        """Values by feature, from the store's own online read."""
        return self._store.get_online_features(self._refs, [{"symbol": symbol} for symbol in symbols]).to_dict()
