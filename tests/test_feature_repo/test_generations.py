"""A materialisation is seen whole or not at all, and nothing newer is ever replaced by something older."""

import subprocess
import sys
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Self

import numpy as np
import polars as pl
import pytest
from redis import Redis
from redis.client import Pipeline

from feature_repo.online import generations
from feature_repo.online.generations import (
    Generation,
    Index,
    Rows,
    generation_key,
    read_generation,
    read_index,
    remove,
    row_key,
)
from feature_repo.online.packing import Layout
from feature_repo.online.redis_server import connect, running_redis
from feature_repo.online.seals import OnlineKey
from lake.errors import OnlineStoreError
from lake.settings import Settings
from support.online import external_redis

AT = datetime(2012, 12, 31, 21, tzinfo=UTC)
HOUR = timedelta(hours=1)
LAYOUT = Layout((("mark", "f8"), ("text", "str")))
MARK = LAYOUT.getter("mark")
WRITER = Path(__file__).parent / "killed_writer.py"
KEY = OnlineKey(bytes(range(32)))


def publish(client: Redis, rows: list[Rows], **said: Any) -> Generation:
    return generations.publish(client, rows, KEY, **said)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with external_redis(tmp_path_factory.mktemp("generations")) as url:
        yield url


@pytest.fixture
def client(server: str) -> Iterator[Redis]:
    with Redis.from_url(server) as opened:
        opened.flushall()
        yield opened


def rows(names: list[str], mark: float, at: datetime = AT, known: datetime = AT, view: str = "one") -> Rows:
    instant = pl.Datetime("us", "UTC")
    frame = pl.DataFrame(
        {"event_time": [at] * len(names), "known_time": [known] * len(names), "mark": [mark] * len(names)},
        schema={"event_time": instant, "known_time": instant, "mark": pl.Float64},
    )
    return Rows(view, LAYOUT, names, frame.with_columns(pl.lit("x" * 100).alias("text")))


def mark_of(client: Redis, name: str, view: str = "one") -> float | None:
    value: Any = client.get(row_key(view, name))
    return None if value is None else MARK(value)


@pytest.mark.parametrize(
    ("event", "known", "is_taken"),
    [
        (AT + HOUR, AT, True),
        (AT, AT + HOUR, True),
        (AT, AT, True),
        (AT, AT - HOUR, False),
        (AT - HOUR, AT + HOUR, False),
    ],
    ids=["newer event", "restated", "the same again", "known earlier", "older event known later"],
)
def test_a_row_replaces_what_is_not_newer(client: Redis, event: datetime, known: datetime, is_taken: bool) -> None:
    publish(client, [rows(["A", "B"], 1.0)])
    publish(client, [rows(["A"], 2.0, event, known)])
    assert mark_of(client, "A") == (2.0 if is_taken else 1.0)
    assert mark_of(client, "B") == 1.0


def test_without_the_comparison_an_older_row_would_win(client: Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    """The mutant."""
    publish(client, [rows(["A"], 1.0)])
    monkeypatch.setattr(generations, "_is_not_older", lambda event, *_: np.ones(len(event), dtype=bool))
    publish(client, [rows(["A"], 2.0, AT - HOUR)])
    assert mark_of(client, "A") == 2.0


def test_without_the_known_time_a_restatement_would_be_dropped(client: Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    """The mutant, which is what Feast's own Redis store does."""
    publish(client, [rows(["A"], 1.0)])
    monkeypatch.setattr(generations, "_is_not_older", lambda event, _, held, __: event > held)
    publish(client, [rows(["A"], 2.0, AT, AT + HOUR)])
    assert mark_of(client, "A") == 1.0


def overtaken(client: Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a writer with a newer row commit after a writer with an older one has looked, and before it commits."""
    others = [rows(["A"], 2.0, AT + HOUR)]
    merged = Index.merged

    def overtake(index: Index, batch: Rows) -> tuple[Index, list[int]]:
        if others:
            publish(client, [others.pop()])
        return merged(index, batch)

    monkeypatch.setattr(Index, "merged", overtake)
    publish(client, [rows(["A", "B"], 1.0)])


def test_a_writer_that_is_overtaken_looks_again(client: Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    overtaken(client, monkeypatch)
    assert (mark_of(client, "A"), mark_of(client, "B")) == (2.0, 1.0)
    assert read_index(client, KEY, "one").names == ["A", "B"]


def test_without_the_servers_watch_the_older_row_would_win(client: Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    """The mutant."""
    watch = Pipeline.watch

    def forgetful(pipe: Any, *names: str) -> Any:
        watch(pipe, *names)
        pipe.immediate_execute_command("UNWATCH")
        pipe.watching = True

    monkeypatch.setattr(Pipeline, "watch", forgetful)
    overtaken(client, monkeypatch)
    assert mark_of(client, "A") == 1.0


def test_writers_that_leave_no_gap_are_said(client: Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    merged = Index.merged

    def always_overtaken(index: Index, batch: Rows) -> tuple[Index, list[int]]:
        client.set(generation_key(), KEY.seal(generation_key(), Generation(1).to_bytes()))
        return merged(index, batch)

    monkeypatch.setattr(Index, "merged", always_overtaken)
    with pytest.raises(OnlineStoreError, match=r"each overtaken by another writer.*one process"):
        publish(client, [rows(["A"], 1.0)])
    assert mark_of(client, "A") is None


def test_generations_only_grow_and_say_what_they_were_made_from(client: Redis) -> None:
    ahead = Generation(2**60)
    client.set(generation_key(), KEY.seal(generation_key(), ahead.to_bytes()))
    said = publish(client, [rows(["A"], 1.0)], until=AT, versions={"bars": 3})
    assert said.number == ahead.number + 1
    assert read_generation(client, KEY) == said
    assert (said.until, said.versions, said.layouts) == (AT, {"bars": 3}, {"one": LAYOUT.fingerprint.hex()})


def test_an_entity_named_twice_is_refused(client: Redis) -> None:
    with pytest.raises(OnlineStoreError, match="name an entity twice"):
        publish(client, [rows(["A", "A"], 1.0)])


def test_a_view_is_removed_with_all_its_rows_and_no_other(client: Redis) -> None:
    publish(client, [rows(["A", "B*"], 1.0), rows(["A"], 2.0, view="other")])
    remove(client, KEY, ["one"])
    assert (mark_of(client, "A"), mark_of(client, "B*"), mark_of(client, "A", "other")) == (None, None, 2.0)
    assert read_index(client, KEY, "one").names == []


def test_a_full_server_keeps_what_it_has_and_says_so(client: Redis) -> None:
    publish(client, [rows(["A", "B"], 1.0)])
    client.config_set("maxmemory", 1)
    with pytest.raises(OnlineStoreError, match=r"Redis is full.*no row .* was written.*maxmemory"):
        publish(client, [rows(["A", "B"], 2.0, AT + HOUR)])
    client.config_set("maxmemory", 0)
    assert (mark_of(client, "A"), mark_of(client, "B")) == (1.0, 1.0)


def test_a_server_that_goes_away_is_said(settings: Settings) -> None:
    with running_redis(settings) as url:
        away = connect(url, 1.0)
    with pytest.raises(OnlineStoreError, match=r"was not written.*Run it again"):
        publish(away, [rows(["A"], 1.0)])


class Watcher:
    """Reads both views of all symbols at once, again and again, and counts answers of more than one generation."""

    def __init__(self, url: str) -> None:
        self._client = Redis.from_url(url)
        self._keys = [row_key(view, f"S{n}") for view in ("one", "two") for n in range(50)]
        self.mixed, self.seen, self._over = 0, set(), threading.Event()
        self._thread = threading.Thread(target=self._watch)

    def look(self) -> None:
        found: Any = self._client.mget(self._keys)
        marks = {None if value is None else MARK(value) for value in found}
        self.seen |= marks
        self.mixed += len(marks) > 1

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()
        self._client.close()

    def _watch(self) -> None:
        while not self._over.is_set():
            self.look()


def killed_at_every_step(url: str, how: str) -> Watcher:
    """Kill a writer before, within and after each of its writes to the socket, with a reader beside it."""
    command = [sys.executable, str(WRITER), url, how]
    with (
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as writer,
        Watcher(url) as watcher,
    ):
        for step in range(100):
            print(step, file=writer.stdin, flush=True)
            said = writer.stdout.readline().strip()
            watcher.look()
            if said == "finished":
                break
        writer.stdin.close()
    assert said == "finished"
    assert step >= 12, "the writer was hardly ever killed"
    return watcher


def test_a_writer_killed_at_any_step_leaves_no_mixture(client: Redis, server: str) -> None:
    watcher = killed_at_every_step(server, "whole")
    assert watcher.mixed == 0
    assert len(watcher.seen - {None}) >= 2, "no generation was ever replaced"


@pytest.mark.slow
def test_a_writer_of_one_view_after_the_other_would_leave_a_mixture(client: Redis, server: str) -> None:
    """The mutant."""
    assert killed_at_every_step(server, "by_view").mixed > 0
