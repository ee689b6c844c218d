"""For tests: a market whose served values say which materialisation they are of, and a proxy that hinders a server."""

import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Self, cast

import numpy as np
import polars as pl
from redis import Redis
from redis.exceptions import RedisError

from feature_repo.online import DegradationKind, OnlineBatch, OnlineReader
from feature_repo.online.redis_server import ServerPaths, connect
from feature_repo.online.redis_server.binary import server_binary
from feature_repo.targets import HORIZONS
from feature_repo.targets.windows import FORECAST_V2, window_hash
from lake.disk import write_durably
from lake.settings import Settings
from lake.store import Lake
from lake.tables import BLEND_WEIGHTS, MODEL_WINDOWS, REGIMES, STRATEGY_ASSIGNMENTS
from lake.universe import MARKET
from support.blend import weights_row
from support.ports import free_port
from support.waiting import until

AT = datetime(2012, 12, 31, 21, tzinfo=UTC)
DAY = timedelta(days=1)
SYMBOLS = tuple(f"S{n}" for n in range(12))
TRENDS = ("downtrend", "uptrend")


def close_of(generation: int) -> datetime:
    """Event time of the rows of a generation."""
    return AT + generation * DAY


def store_generation(lake: Lake, generation: int, symbols: tuple[str, ...] = SYMBOLS) -> datetime:
    """Put the rows of one generation into the lake and return the instant they are known at."""
    at = close_of(generation)
    said = ("{}", "as_traded", "USD")
    windows = [
        (symbol, at, at, FORECAST_V2.name, window.tolist(), float(generation + 1), window_hash(window), *said)
        for n, symbol in enumerate(symbols)
        for window in [window_of(generation, n)]
    ]
    lake.merge(MODEL_WINDOWS, pl.DataFrame(windows, schema=MODEL_WINDOWS.schema, orient="row"))
    trend = TRENDS[generation % 2]
    regime: dict[str, object] = {column.name: 0.5 if column.dtype.is_float() else None for column in REGIMES.columns}
    regime |= {"market": MARKET, "event_time": at, "known_time": at, "regime": f"low_volatility_{trend}"}
    regime |= {"volatility_state": "low_volatility", "trend_state": trend}
    lake.merge(REGIMES, pl.DataFrame([regime], schema=REGIMES.schema))
    assigned = [
        (symbol, at, at, regime["regime"], f"strategy {generation}", ["naive"], [1.0], 0.5) for symbol in symbols
    ]
    lake.merge(STRATEGY_ASSIGNMENTS, pl.DataFrame(assigned, schema=STRATEGY_ASSIGNMENTS.schema, orient="row"))
    lake.merge(BLEND_WEIGHTS, weights_row(at, {horizon: {"naive": 1.0} for horizon in HORIZONS}))
    return at


def window_of(generation: int, n: int) -> np.ndarray:
    """Window of the n-th symbol: its first value is the generation, its second the symbol, its third unknown."""
    window = np.full(FORECAST_V2.shape[0] * FORECAST_V2.shape[1], 0.5, dtype=np.float32)
    window[:3] = generation, n, np.nan
    return window


def kind_of(batch: OnlineBatch) -> DegradationKind | None:
    """Kind of degradation of an answer; None where Redis gave it."""
    return None if batch.served.degradation is None else batch.served.degradation.kind


def what_is_wrong(batch: OnlineBatch, asked: list[str], generations: set[int]) -> str:
    """Why an answer is wrong; empty for one whose every value is of one generation and the symbol asked."""
    if batch.symbols != asked or batch.missing:
        return f"asked for {asked}, got {batch.symbols}, missing {batch.missing}"
    found = {int(mark) for mark in batch.window[:, 0, 0]}
    if len(found) != 1 or not found <= generations:
        return f"windows of generations {found}, expected one of {generations}"
    (generation,) = found
    for n, symbol in enumerate(asked):
        expected = window_of(generation, SYMBOLS.index(symbol)).tobytes()
        if batch.window[n].tobytes() != expected or batch.as_of[n] != close_of(generation):
            return f"{symbol} has another's window or time"
    regime = f"low_volatility_{TRENDS[generation % 2]}"
    if set(batch.selected_strategy) != {f"strategy {generation}"} or batch.regime != regime:
        return f"windows of generation {generation} with {batch.selected_strategy} and {batch.regime}"
    if (batch.source == "redis") == batch.served.is_degraded:
        return f"answered by {batch.source} because '{batch.served.reason}'"
    return ""


class Proxy:
    """A socket before that of an embedded server, whose answers can be late, or come one byte at a time.

    Parameters
    ----------
    settings
        Of the server behind it, which may be started later, and again.
    """

    def __init__(self, settings: Settings) -> None:
        places = ServerPaths.of(settings)
        self._behind, self._over = str(places.socket), threading.Event()
        self._folder = Path(tempfile.mkdtemp())
        (self._folder / places.password.name).symlink_to(places.password)
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(self._folder / places.socket.name))
        self._listener.listen(128)
        self.url = f"unix://{self._folder / places.socket.name}?db=0"
        self.late_seconds, self.byte_seconds = 0.0, 0.0

    def __enter__(self) -> Self:
        threading.Thread(target=self._listen, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._listener.close()
        shutil.rmtree(self._folder)

    def _listen(self) -> None:
        while not self._over.is_set():
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            server = socket.socket(socket.AF_UNIX)
            try:
                server.connect(self._behind)
            except OSError:
                client.close()
                server.close()
                continue
            threading.Thread(target=self._pass, args=(client, server, False), daemon=True).start()
            threading.Thread(target=self._pass, args=(server, client, True), daemon=True).start()

    def _pass(self, source: socket.socket, target: socket.socket, is_answer: bool) -> None:
        with source, target:
            try:
                while content := source.recv(65_536):
                    if is_answer and self.late_seconds:
                        self._over.wait(self.late_seconds)
                    if is_answer and self.byte_seconds:
                        for n in range(len(content)):
                            self._over.wait(self.byte_seconds)
                            target.sendall(content[n : n + 1])
                    else:
                        target.sendall(content)
            except OSError:
                pass


@contextmanager
def external_redis(folder: Path) -> Iterator[str]:
    """Yield the address of a server of a test's or benchmark's own, that takes every command, while a block lasts.

    Parameters
    ----------
    folder
        Of its configuration; it keeps nothing else.
    """
    password, port = secrets.token_hex(16), free_port()
    config, url = folder / "external.conf", f"redis://:{password}@127.0.0.1:{port}/0"
    options = (
        f"bind 127.0.0.1\nport {port}\nrequirepass {password}\nsave ''\ndir '{folder}'\nenable-debug-command local\n"
    )
    write_durably(config, options, mode=0o600)
    process = subprocess.Popen([server_binary(), config], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        until(lambda: _answers(url))
        yield url
    finally:
        process.send_signal(signal.SIGCONT)
        process.kill()
        process.wait()


def _answers(url: str) -> bool:
    with connect(url, 1.0) as client:
        try:
            return bool(client.ping())
        except RedisError:
            return False


def emptied(client: Redis) -> None:
    """Take everything out of a server at once, with commands that any user of it has."""
    keys = cast("list[bytes]", [*client.scan_iter(count=1_000)])
    if keys:
        client.delete(*keys)


@dataclass
class Load:
    """Threads that read without a pause, and what they were told.

    Parameters
    ----------
    reader
        Asked by all of them.
    generations
        Those that an answer may be of.
    """

    reader: OnlineReader
    generations: set[int]
    wrong: list[str] = field(default_factory=list)
    answers: dict[str, int] = field(default_factory=lambda: {"redis": 0, "snapshot": 0})
    kinds: set[DegradationKind] = field(default_factory=set)
    over: threading.Event = field(default_factory=threading.Event)

    def __enter__(self) -> Self:
        self.threads = [threading.Thread(target=self._read, args=(seed,)) for seed in range(3)]
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.over.set()
        for thread in self.threads:
            thread.join()

    def until_answered_by(self, source: str) -> None:
        """Wait until another five answers came from there."""
        enough = self.answers[source] + 5
        until(lambda: self.answers[source] >= enough or bool(self.wrong))

    def _read(self, seed: int) -> None:
        random = np.random.default_rng(seed)
        while not self.over.wait(0.002):  # the server's proxy lives in the same process and needs its turn
            asked = random.choice(SYMBOLS, size=random.integers(1, len(SYMBOLS)), replace=False).tolist()
            allowed = set(self.generations)
            try:
                batch = self.reader.read(asked)
                wrong = what_is_wrong(batch, asked, allowed | self.generations)
            except Exception as error:  # noqa: BLE001 - every one is a failure of the reader
                self.wrong.append(repr(error))
                return
            self.answers[batch.source] += 1
            if (kind := kind_of(batch)) is not None:
                self.kinds.add(kind)
            if wrong:
                self.wrong.append(wrong)
