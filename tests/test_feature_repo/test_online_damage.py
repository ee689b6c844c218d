"""Whatever is put into Redis: the answer is that of the tables, flagged and counted, and Redis is mended."""

import pickle
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from redis import Redis

from feature_repo.online import repair, verification
from feature_repo.online.degradation import DegradationKind
from feature_repo.online.generations import Generation, generation_key, index_key, publish, read_generation, row_key
from feature_repo.online.parity import compare_stores
from feature_repo.online.reader import OnlineReader
from feature_repo.online.redis_server import connect
from feature_repo.online.repair import is_whole, refill
from feature_repo.online.seals import SEAL_BYTES, OnlineKey
from feature_repo.online.snapshot import OnlineSnapshot, write_last_generation
from feature_repo.online.views import REGIME, STRATEGY, VIEWS, WINDOW
from feature_repo.retrieval import materialize
from lake.clock import FixedClock
from lake.settings import Settings
from lake.store import Lake
from support.online import AT, SYMBOLS, close_of, emptied, external_redis, kind_of, store_generation, what_is_wrong
from support.waiting import until

CLOCK = FixedClock(close_of(1))
ONE, OTHER = row_key(WINDOW.name, "S1"), row_key(WINDOW.name, "S2")
CHOSEN = row_key(STRATEGY.name, "S1")
OF_MARKET = row_key(REGIME.name, "^GSPC")
WINDOWS = [row_key(WINDOW.name, symbol) for symbol in SYMBOLS]


@dataclass
class Noticed:
    """Counts what it is told."""

    views: Counter[str] = field(default_factory=Counter)
    repairs: int = 0

    def unverified(self, view: str, count: int) -> None:
        self.views[view] += count

    def repaired(self) -> None:
        self.repairs += 1


@dataclass
class Store:
    """A Redis filled with two generations, what it held after the first, and a reader of it."""

    lake: Lake
    settings: Settings
    redis: Redis
    old: dict[str, bytes]
    reader: OnlineReader
    noticed: Noticed

    def flip(self, key: str, at: int, bit: int = 1) -> None:
        raw = bytearray(self.redis.get(key))
        raw[at] ^= bit
        self.redis.set(key, bytes(raw))

    def swap(self, one: str, other: str) -> None:
        first, second = self.redis.mget([one, other])
        self.redis.mset({one: second, other: first})

    def put(self, key: str, value: bytes) -> None:
        self.redis.set(key, value)

    def become(self, key: str, kind: str) -> None:
        self.redis.delete(key)
        {
            "hash": lambda: self.redis.hset(key, "field", "value"),
            "list": lambda: self.redis.rpush(key, "value"),
            "set": lambda: self.redis.sadd(key, "value"),
            "sorted set": lambda: self.redis.zadd(key, {"value": 1.0}),
            "stream": lambda: self.redis.xadd(key, {"field": "value"}),
        }[kind]()


def foreign(store: Store) -> bytes:
    """The right value, as a home with another key would seal it."""
    return OnlineKey(b"x" * 32).seal_row(ONE, store.redis.get(ONE))


ROWS: dict[str, Callable[[Store], Any]] = {
    "two windows exchanged": lambda s: s.swap(ONE, OTHER),
    "two strategies exchanged": lambda s: s.swap(CHOSEN, row_key(STRATEGY.name, "S2")),
    "the window of another": lambda s: s.put(ONE, s.redis.get(OTHER)),
    "a value of another view": lambda s: s.put(ONE, s.redis.get(CHOSEN)),
    "magic": lambda s: s.flip(ONE, 0),
    "length": lambda s: s.flip(ONE, 4),
    "fingerprint": lambda s: s.flip(ONE, 8),
    "event time": lambda s: s.flip(ONE, 17),
    "known time": lambda s: s.flip(ONE, 25),
    "generation": lambda s: s.flip(ONE, 33),
    "reference price": lambda s: s.flip(ONE, 44),
    "null bits": lambda s: s.flip(ONE, 48),
    "length of a list": lambda s: s.flip(ONE, 57),
    "a number of the window": lambda s: s.flip(ONE, 200, 128),
    "regime": lambda s: s.flip(OF_MARKET, 60),
    "a weight of a strategy": lambda s: s.flip(CHOSEN, -30),
    "seal": lambda s: s.flip(ONE, -1),
    "the value of yesterday": lambda s: s.put(ONE, s.old[ONE]),
    "all windows of yesterday": lambda s: s.redis.mset({key: s.old[key] for key in WINDOWS}),
    "cut in half": lambda s: s.put(ONE, s.redis.get(ONE)[: len(s.old[ONE]) // 2]),
    "ten bytes": lambda s: s.put(ONE, s.redis.get(ONE)[:10]),
    "no bytes": lambda s: s.put(ONE, b""),
    "one byte more": lambda s: s.put(ONE, s.redis.get(ONE) + b"\0"),
    "garbage": lambda s: s.put(ONE, b"\xa5" * len(s.old[ONE])),
    "pickle": lambda s: s.put(ONE, pickle.dumps({"window": [1.0]})),
    "JSON": lambda s: s.put(ONE, b'{"window": [1.0, NaN]}'),
    "another home's": lambda s: s.put(ONE, foreign(s)),
}
"""Damages of rows that are seen as values that do not verify."""
LOSSES: dict[str, Callable[[Store], Any]] = {
    "row deleted": lambda s: s.redis.delete(ONE),
    "row expired": lambda s: s.redis.pexpire(ONE, 1) and until(lambda: not s.redis.exists(ONE)),
    **{
        f"row a {kind}": lambda s, kind=kind: s.become(ONE, kind)
        for kind in ("hash", "list", "set", "sorted set", "stream")
    },
    "generation deleted": lambda s: s.redis.delete(generation_key()),
    "generation a hash": lambda s: s.become(generation_key(), "hash"),
    "everything deleted": lambda s: emptied(s.redis),
    "generation of yesterday": lambda s: s.put(generation_key(), s.old[generation_key()]),
    "everything of yesterday": lambda s: s.redis.mset(s.old),
    "generation garbage": lambda s: s.put(generation_key(), b"\xff" * 40),
    "generation without its seal": lambda s: s.put(generation_key(), Generation(2**62).to_bytes()),
    "generation a bit later": lambda s: s.flip(generation_key(), 6),
}
"""Damages that are seen as something that is not there, or as a server that is not current."""
INDEXES: dict[str, Callable[[Store], Any]] = {
    "index garbage": lambda s: s.put(index_key(WINDOW.name), b"QLI1" + b"\xff" * 60),
    "index of another view": lambda s: s.put(index_key(WINDOW.name), s.redis.get(index_key(REGIME.name))),
    "index bit": lambda s: s.flip(index_key(WINDOW.name), -20),
    "index deleted": lambda s: s.redis.delete(index_key(WINDOW.name)),
    "index a list": lambda s: s.become(index_key(WINDOW.name), "list"),
}


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with external_redis(tmp_path_factory.mktemp("server")) as address:
        yield address


@pytest.fixture(scope="module")
def filled(
    url: str, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Lake, Settings, dict[str, bytes], dict[str, bytes]]:
    """A lake whose two generations were materialised, and what Redis held after each."""
    settings = Settings(home=tmp_path_factory.mktemp("damaged"), redis_url=url, online_timeout_ms=20_000)
    settings.feast.mkdir(parents=True)
    (settings.feast / "registry.db").touch()
    lake, held = Lake.open(settings), []
    with connect(url, 20.0) as redis:
        for number in (0, 1):
            materialize(lake, settings, store_generation(lake, number))
            held.append({key.decode(): redis.get(key) for key in redis.scan_iter()})
    return lake, settings, *held


@pytest.fixture
def store(filled: Any, url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    lake, settings, old, now = filled
    write_last_generation(settings, Generation.from_bytes(now[generation_key()][:-SEAL_BYTES]))
    monkeypatch.setattr(repair, "REST_SECONDS", 0.01)
    with connect(url, 20.0) as redis:
        emptied(redis)
        redis.mset(now)
        snapshot, noticed = OnlineSnapshot(settings, VIEWS, CLOCK), Noticed()
        snapshot.refresh()
        reader = OnlineReader(settings, snapshot=snapshot.start(), clock=CLOCK, notice=noticed)
        made = Store(lake, settings, redis, old, reader, noticed)
        assert fault(made) == ""
        assert reader.read(SYMBOLS).source == "redis"
        try:
            yield made
        finally:
            reader.close()


def fault(store: Store) -> str:
    return what_is_wrong(store.reader.read(SYMBOLS), list(SYMBOLS), {1})


def require_mended(store: Store) -> None:
    until(lambda: store.reader.read(SYMBOLS).source == "redis")
    assert fault(store) == ""
    until(lambda: store.noticed.repairs >= 1)  # counted just after the values are there
    held = read_generation(store.redis, OnlineKey.of(store.settings))
    assert is_whole(store.redis, OnlineKey.of(store.settings), held.number)
    assert compare_stores(store.lake, store.settings).is_equal


@pytest.mark.parametrize("how", ROWS)
def test_a_value_that_is_not_what_was_stored_is_noticed_flagged_counted_and_mended(store: Store, how: str) -> None:
    ROWS[how](store)
    batch = store.reader.read(SYMBOLS)
    assert what_is_wrong(batch, list(SYMBOLS), {1}) == ""
    assert batch.source == "snapshot"
    assert kind_of(batch) is DegradationKind.UNVERIFIED
    assert set(store.noticed.views) <= {WINDOW.name, STRATEGY.name, REGIME.name}
    assert store.noticed.views.total() >= 1
    require_mended(store)


@pytest.mark.parametrize("how", LOSSES)
def test_what_is_lost_or_brought_back_is_noticed_flagged_and_mended(store: Store, how: str) -> None:
    LOSSES[how](store)
    batch = store.reader.read(SYMBOLS)
    assert what_is_wrong(batch, list(SYMBOLS), {1}) == ""
    assert batch.source == "snapshot"
    assert kind_of(batch) in {DegradationKind.EMPTY, DegradationKind.UNVERIFIED, DegradationKind.UNUSABLE}
    require_mended(store)


@pytest.mark.parametrize("how", INDEXES)
def test_a_damaged_index_names_nobody_else_and_is_mended(store: Store, how: str) -> None:
    INDEXES[how](store)
    assert store.reader.symbols() == sorted(SYMBOLS)
    until(lambda: store.noticed.repairs >= 1)
    require_mended(store)


def test_a_value_for_somebody_whom_the_tables_do_not_know_is_removed(store: Store) -> None:
    ghost = row_key(WINDOW.name, "GHOST")
    store.put(ghost, OnlineKey.of(store.settings).seal_row(ghost, store.redis.get(ONE)))
    batch = store.reader.read(["S1", "GHOST"])
    assert (batch.symbols, batch.missing, batch.source) == (["S1"], ["GHOST"], "snapshot")
    until(lambda: store.reader.read(["S1", "GHOST"]).source == "redis")
    assert store.reader.read(["S1", "GHOST"]).missing == ["GHOST"]
    assert not store.redis.exists(ghost)


def test_without_the_check_of_the_seals_wrong_values_are_served(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """The mutant, kind by kind: each damage must show in an answer, or as an error, once nobody looks."""
    monkeypatch.setattr(verification, "_is_current", lambda *_: True)
    unseen = []
    for how in ("two windows exchanged", "the window of another", "a number of the window", "the value of yesterday"):
        before = store.redis.mget(WINDOWS)
        ROWS[how](store)
        if fault(store) == "":
            unseen.append(how)
        store.redis.mset(dict(zip(WINDOWS, before, strict=True)))
    assert unseen == []


def test_without_the_tables_an_old_value_would_be_served(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """The mutant of the comparison: an old value has a good seal."""
    monkeypatch.setattr(verification, "_is_of", lambda *_: False)
    ROWS["the value of yesterday"](store)
    assert "windows of generations" in fault(store)


def test_a_materialisation_mends_what_no_reader_has_seen(store: Store) -> None:
    for how in ("a number of the window", "the value of yesterday"):
        ROWS[how](store)
        assert not materialize(store.lake, store.settings, close_of(1)).skipped
        assert compare_stores(store.lake, store.settings).is_equal
    assert materialize(store.lake, store.settings, close_of(1)).skipped


def test_a_repair_never_takes_the_place_of_a_later_materialisation(store: Store, monkeypatch: Any) -> None:
    key, loaded = OnlineKey.of(store.settings), store.reader._source._snapshot.loaded
    later = publish(store.redis, [], key, until=AT)
    assert not refill(store.redis, key, loaded)
    assert read_generation(store.redis, key) == later
    store.redis.delete(generation_key())
    accepts = OnlineKey.content

    def overtaken(self: OnlineKey, name: str, value: Any) -> bytes | None:
        if publish_once:
            publish(store.redis, [], publish_once.pop(), until=AT)
        return accepts(self, name, value)

    publish_once = [key]
    monkeypatch.setattr(repair.OnlineKey, "content", overtaken)
    assert not refill(store.redis, key, loaded), "a commit came between its look and its write"


def test_a_replaced_key_is_taken_up_by_everybody(store: Store, filled: Any, tmp_path: Path) -> None:
    path = store.settings.home / "online.key"
    saved = path.read_bytes()
    try:
        path.unlink()
        assert not materialize(store.lake, store.settings, close_of(1)).skipped
        until(lambda: store.reader.read(SYMBOLS).source == "redis")
        assert fault(store) == ""
    finally:
        path.write_bytes(saved)
        store.reader._source._snapshot.refresh()
