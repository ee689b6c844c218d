"""Clients that keep asking a service while something is broken, and the reply that each of them had."""

import http.client
import itertools
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, Self

from support.waiting import until

PREDICT = "/api/v1/public/predict"
CLIENT_SECONDS = 120.0
NUMBERS = ("p10", "p50", "p90", "target_price", "reference_price", "confidence")

Question = tuple[str, int]


class Told(NamedTuple):
    """What a client was told.

    Parameters
    ----------
    began, ended
        When it asked and when it had the answer in full: places in the order of all that happened, see `Clients.mark`.
    status
        Of the answer; 0 where the connection broke.
    said
        The answer.
    """

    began: int
    ended: int
    status: int
    said: Mapping[str, Any]

    @property
    def is_flagged(self) -> bool:
        """Whether the answer says that something stands in for the online store."""
        return bool(self.said["data"]["is_degraded"]) and bool(self.said["data"]["degraded_because"])


def numbers_of(answer: Mapping[str, Any]) -> tuple[object, ...]:
    """Part of an answer that must be the same whoever gave the values it was computed from."""
    prediction = answer["prediction"]
    return (*(prediction[name] for name in NUMBERS), answer["data"]["feature_hash"], answer["model"]["digest"])


@dataclass
class Clients:
    """Threads that ask one question after the other until the block ends, each over a connection of its own.

    Parameters
    ----------
    address
        Host and port of the service.
    headers
        Of each request.
    questions
        Asked in turn.
    count, pause_seconds
        How many ask, and how long each rests after an answer.
    expected
        The right numbers by question; without them any count as right.
    """

    address: tuple[str, int]
    headers: Mapping[str, str]
    questions: Sequence[Question]
    count: int = 4
    pause_seconds: float = 0.005
    expected: Mapping[Question, tuple[object, ...]] | None = None
    told: list[Told] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    over: threading.Event = field(default_factory=threading.Event)
    _order: "itertools.count[int]" = field(default_factory=lambda: itertools.count(1))

    def __enter__(self) -> Self:
        self._waiting = [False] * self.count
        self._threads = [threading.Thread(target=self._ask, args=(n,), daemon=True) for n in range(self.count)]
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.over.set()
        for thread in self._threads:
            thread.join()

    def mark(self) -> int:
        """Return the place of this moment in the order of all questions and answers; no clock is asked."""
        return next(self._order)

    def since(self, mark: int) -> list[Told]:
        """What was told to those who asked after a moment."""
        return [one for one in list(self.told) if one.began > mark]

    def under_way(self) -> int:
        """Return how many wait for an answer now."""
        return sum(self._waiting)

    def wait_for(self, more: int, since: int) -> list[Told]:
        """Wait until so many who asked after a moment have been told something, and return that."""
        until(lambda: len(self.since(since)) >= more or bool(self.wrong))
        return self.since(since)

    def _ask(self, number: int) -> None:
        at, connection = number, None
        while not self.over.is_set():
            question = self.questions[at % len(self.questions)]
            at += self.count
            began, self._waiting[number] = self.mark(), True
            try:
                connection = connection or _connected(self.address)
                status, said = ask(connection, question, self.headers)
            except (OSError, http.client.HTTPException, ValueError):
                if connection is not None:
                    connection.close()
                connection, status, said = None, 0, {}
            self._waiting[number] = False
            self.told.append(Told(began, self.mark(), status, said))
            if status == http.client.OK and self.expected is not None and numbers_of(said) != self.expected[question]:
                self.wrong.append(f"{question}: {numbers_of(said)}, not {self.expected[question]}")
            self.over.wait(self.pause_seconds if status else max(self.pause_seconds, 0.01))
        if connection is not None:
            connection.close()


class Lives:
    """A worker that can be ended and started again within a second or two, on a port that outlives it.

    Parameters
    ----------
    script
        Program that forks a worker for each line it reads.
    environment
        Of the worker, with its settings.
    prefix
        Command that the program is an argument of.
    """

    def __init__(self, script: Path, environment: Mapping[str, str], prefix: Sequence[str] = ()) -> None:
        self._door = socket.create_server(("127.0.0.1", 0))
        self.address: tuple[str, int] = self._door.getsockname()
        number = self._door.fileno()
        self._process = subprocess.Popen(
            [*prefix, sys.executable, str(script), str(number)],
            env=dict(environment),
            pass_fds=[number],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        self.pid = 0

    def __enter__(self) -> Self:
        self._line()
        return self

    def __exit__(self, *_: object) -> None:
        if self.pid:
            self.end(signal.SIGKILL)
        self._process.communicate()
        self._door.close()

    def start(self, how: str = "start") -> int:
        """Start a worker and return its process id."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{how}\n")
        self._process.stdin.flush()
        self.pid = int(self._line())
        return self.pid

    def end(self, how: signal.Signals) -> int:
        """Send the worker a signal, and return its exit code; minus the signal if that ended it."""
        os.kill(self.pid, how)
        return self.ended()

    def ended(self) -> int:
        """Wait for the worker's end and return its exit code."""
        self.pid = 0
        return int(self._line())

    def _line(self) -> str:
        assert self._process.stdout is not None
        while (line := self._process.stdout.readline()).startswith("{"):
            pass  # a line of the worker's log
        assert line.endswith("\n"), "the program ended"
        return line


def ask(
    connection: http.client.HTTPConnection, question: Question, headers: Mapping[str, str]
) -> tuple[int, dict[str, Any]]:
    """Ask one question and read the answer to its end."""
    body = json.dumps({"symbol": question[0], "horizon_sessions": question[1]})
    connection.request("POST", PREDICT, body, {"content-type": "application/json", **headers})
    answer = connection.getresponse()
    return answer.status, json.loads(answer.read())


def _connected(address: tuple[str, int]) -> http.client.HTTPConnection:
    connection = http.client.HTTPConnection(*address, timeout=CLIENT_SECONDS)
    connection.connect()
    connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection
