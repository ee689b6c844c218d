"""Load on an endpoint of this machine: clients that ask one after the other, or connections that ask at a given rate.

A client of a few lines, because a library's costs several times what it is to measure.
"""

import asyncio
import json
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

import numpy as np

HEAD_END = b"\r\n\r\n"


@dataclass(frozen=True)
class Result:
    """What came of a load.

    Parameters
    ----------
    milliseconds
        From each request to the end of its answer, of those answered with 200.
    statuses
        How many answers there were of each status; 0 counts connections that broke.
    seconds
        How long it took.
    """

    milliseconds: np.ndarray
    statuses: Counter[int]
    seconds: float

    @property
    def rate(self) -> float:
        """Answers with 200 per second."""
        return len(self.milliseconds) / self.seconds

    @property
    def failed(self) -> int:
        """Answers with another status, and broken connections."""
        return sum(count for status, count in self.statuses.items() if status != 200)

    def percentile(self, q: float) -> float:
        """Percentile of the time of a good answer, in milliseconds; NaN if there is none."""
        return float(np.percentile(self.milliseconds, q)) if len(self.milliseconds) else float("nan")


def post(path: str, body: object, headers: Mapping[str, str] | None = None) -> bytes:
    """One request, as it goes over the wire."""
    content = json.dumps(body).encode()
    lines = [f"POST {path} HTTP/1.1", "host: 127.0.0.1", "content-type: application/json"]
    lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
    return "\r\n".join([*lines, f"content-length: {len(content)}"]).encode() + HEAD_END + content


def in_turn(address: str, requests: Sequence[bytes], *, clients: int, seconds: float) -> Result:
    """Let clients ask one request after the other, each as soon as it has its answer."""

    async def one(load: _Load, number: int) -> None:
        end, asked = time.perf_counter() + seconds, number
        async with asyncio.timeout(seconds + 30):
            while time.perf_counter() < end and await load.ask(number, requests[asked % len(requests)]):
                asked += clients

    return _run(address, clients, one)


def at_rate(address: str, requests: Sequence[bytes], *, connections: int, per_second: float, seconds: float) -> Result:
    """Ask at a rate, in turn over many open connections; a late answer does not make the next request later.

    The time of an answer counts from when it was due to be asked.
    """

    async def one(load: _Load, number: int) -> None:
        step = connections / per_second
        due = load.started + 0.2 + step * number / connections
        async with asyncio.timeout(seconds + 30):
            while due < load.started + seconds:
                await asyncio.sleep(due - time.perf_counter())
                if not await load.ask(number, requests[number % len(requests)], due):
                    return
                due += step

    return _run(address, connections, one)


class _Load:
    """Connections, and what was answered on them."""

    def __init__(self) -> None:
        self.milliseconds: list[float] = []
        self.statuses: Counter[int] = Counter()
        self.streams: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []
        self.started = 0.0

    async def ask(self, number: int, request: bytes, since: float | None = None) -> bool:
        """Send one request and read its answer; False when the connection broke."""
        reader, writer = self.streams[number]
        asked_at = since or time.perf_counter()
        try:
            writer.write(request)
            head = await reader.readuntil(HEAD_END)
            await reader.readexactly(_length(head))
        except (OSError, asyncio.IncompleteReadError):
            self.statuses[0] += 1
            return False
        status = int(head[9:12])
        self.statuses[status] += 1
        if status == 200:
            self.milliseconds.append((time.perf_counter() - asked_at) * 1e3)
        return True


def _length(head: bytes) -> int:
    begin = head.lower().index(b"content-length:") + len("content-length:")
    return int(head[begin : head.index(b"\r\n", begin)])


def _run(address: str, connections: int, one: Callable[[_Load, int], object]) -> Result:
    import uvloop

    async def run() -> Result:
        load, at = _Load(), urlsplit(address)
        load.streams = [await asyncio.open_connection(at.hostname, at.port) for _ in range(connections)]
        load.started = time.perf_counter()
        await asyncio.gather(*(one(load, number) for number in range(connections)))
        took = time.perf_counter() - load.started
        for _, writer in load.streams:
            writer.close()
        return Result(np.array(load.milliseconds), load.statuses, took)

    return uvloop.run(run())
