"""A writer that a test kills: for each step that it reads from its input, a child writes and dies at that step.

A step is before, within or after one write to the socket. The parent answers `killed`, or `finished` for the first step
that comes after the whole materialisation.
"""

import os
import signal
import socket
import sys
from datetime import UTC, datetime

import polars as pl
from redis import Redis

from feature_repo.online.generations import Rows, publish
from feature_repo.online.packing import Layout
from feature_repo.online.seals import OnlineKey

KEY = OnlineKey(bytes(range(32)))
LAYOUT = Layout((("mark", "f8"), ("text", "str")))


class DyingSocket(socket.socket):
    """Ends its process at a given step."""

    step = -1

    def sendall(self, content: bytes, *_: int) -> None:
        """Send all of it, unless the time has come."""
        for part in (content[: len(content) // 2], content[len(content) // 2 :]):
            self._count()
            super().sendall(part)
        self._count()

    @classmethod
    def _count(cls) -> None:
        if cls.step == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        cls.step -= 1


def batch(view: str, mark: int) -> Rows:
    """Fifty rows of a view that all hold one mark."""
    names = [f"S{n}" for n in range(50)]
    at = pl.Series([datetime(2012, 12, 31, 21, tzinfo=UTC)] * 50, dtype=pl.Datetime("us", "UTC"))
    columns = {"event_time": at, "known_time": at, "mark": [float(mark)] * 50, "text": ["x" * 200] * 50}
    return Rows(view, LAYOUT, names, pl.DataFrame(columns))


def write(url: str, how: str, step: int) -> None:
    """Materialise both views, to be killed at a step."""
    socket.socket = DyingSocket  # type: ignore[misc]
    client, batches = Redis.from_url(url), [batch("one", step), batch("two", step)]
    client.ping()
    DyingSocket.step = step
    for part in [batches] if how == "whole" else [[each] for each in batches]:
        publish(client, part, KEY)


def main() -> None:
    """Fork a child for each step."""
    url, how = sys.argv[1:]
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            write(url, how, int(line))
            os._exit(0)
        _, status = os.waitpid(child, 0)
        sys.stdout.write("killed\n" if os.WIFSIGNALED(status) else "finished\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
