"""For tests: homes beside a shared one, and the service on them as users start it, a process on a port."""

import shutil
import signal
import ssl
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import psutil

from feature_repo.online.redis_server import redis_url
from serving.supervision import serve_command, serve_environment
from support.ports import free_port

if TYPE_CHECKING:
    from lake.settings import Settings

NO_AUTHORITIES = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
"""For clients of plain HTTP: reading the authorities of the machine for each of them takes 50 ms."""
START_SECONDS, STOP_SECONDS = 300.0, 60.0
LOOK_SECONDS, ANSWER_SECONDS = 0.1, 10.0
LAST_LINES = 5
NOT_SHARED = shutil.ignore_patterns(
    "redis", "forecast_log*", "forecasts", "receipts", "bentoml", "logs", "run", "*.lock"
)


def copied_home(settings: "Settings", folder: Path, **changes: Any) -> "Settings":
    """Copy a home without what was said in it, for a service of its own; the Redis is the shared one.

    Two services must not share a home and a port.

    Parameters
    ----------
    folder
        Where the copy goes; it must not exist.
    changes
        Settings that differ, beside the home and the port.
    """
    shutil.copytree(settings.home, folder, ignore=NOT_SHARED)
    return settings.model_copy(
        update={"home": folder, "port": free_port(), "redis_url": redis_url(settings), **changes}
    )


@dataclass
class Service:
    """A process that was started, and what it said.

    Parameters
    ----------
    settings
        Its home and port.
    log
        File that it writes to.
    """

    settings: "Settings"
    log: Path
    process: "subprocess.Popen[bytes]"
    _seen: "set[psutil.Process]" = field(default_factory=set)

    @property
    def at(self) -> tuple[str, int]:
        """Host and port."""
        return self.settings.host, self.settings.port

    @property
    def address(self) -> str:
        """Where it is asked."""
        return f"http://{self.settings.host}:{self.settings.port}"

    def status(self, path: str = "/readyz") -> int:
        """Return the status of an answer; 0 where there is none."""
        try:
            answer = httpx.get(f"{self.address}{path}", timeout=ANSWER_SECONDS, verify=NO_AUTHORITIES)
        except httpx.HTTPError:
            return 0
        return answer.status_code

    def children(self) -> "list[psutil.Process]":
        """Every process that it has started and that runs."""
        with suppress(psutil.NoSuchProcess):
            found: list[psutil.Process] = psutil.Process(self.process.pid).children(recursive=True)
            self._seen.update(found)
            return found
        return []

    def workers(self) -> "list[psutil.Process]":
        """Those that answer."""
        return [child for child in self.children() if is_worker(child)]

    def left(self) -> "list[psutil.Process]":
        """Those that have outlived it."""
        return [child for child in self._seen if child.is_running() and child.status() != psutil.STATUS_ZOMBIE]

    def wait_until_ready(self) -> None:
        """Wait until it can forecast; what it said last is in the message if it ends or does not come up."""
        deadline = time.monotonic() + START_SECONDS
        while self.status() != httpx.codes.OK:
            said = self.log.read_text(encoding="utf-8", errors="replace").splitlines()[-LAST_LINES:]
            assert self.process.poll() is None, f"it ended with {self.process.returncode}: {said}"
            assert time.monotonic() < deadline, f"it was not ready in time: {said}"
            time.sleep(LOOK_SECONDS)
        self.children()

    def kill(self) -> None:
        """End it and everything it started at once; the supervisor is held first, so that it starts nobody anew."""
        self.process.send_signal(signal.SIGSTOP)
        children = self.children()
        self.process.kill()
        for child in children:
            with suppress(psutil.NoSuchProcess):
                child.kill()
        self.process.wait()

    def stop(self) -> None:
        """End it as Ctrl-C does, and whatever outlives that."""
        self.children()
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
            try:
                self.process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self.kill()
        for child in self.left():
            with suppress(psutil.NoSuchProcess):
                child.kill()


def is_worker(process: "psutil.Process") -> bool:
    """Whether a process answers requests, and is not the one that starts others."""
    try:
        return "serving.supervision.worker" in " ".join(process.cmdline())
    except psutil.Error:  # it has ended, and waits to be noticed
        return False


@contextmanager
def running_service(settings: "Settings", *, is_awaited: bool = True) -> Iterator[Service]:
    """Run the service while a block lasts, on a home that no other service has; end everything it started."""
    log = settings.home / "logs" / f"service-{settings.port}.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("wb") as output:
        process = subprocess.Popen(
            serve_command(settings), env=serve_environment(settings), stdout=output, stderr=output
        )
    service = Service(settings, log, process)
    try:
        if is_awaited:
            service.wait_until_ready()
        yield service
    finally:
        service.stop()
