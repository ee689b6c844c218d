"""A thread that restarts the embedded server when it dies while in use."""

import logging
import os
import select
import socket
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Self

logger = logging.getLogger("quantlake.online")

REST_SECONDS = 0.5
"""Between two attempts to start it."""


class RedisSupervisor:
    """Holds a connection to the server, whose end says at once that the server has died.

    A server that hangs is left alone: it may go on.

    Parameters
    ----------
    path
        Socket of the server.
    bring_back
        Starts it unless another user of the server has done so already.
    """

    def __init__(self, path: Path, bring_back: Callable[[], None]) -> None:
        self._path, self._bring_back = path, bring_back
        self._over = threading.Event()
        self._wake, self._woken = os.pipe()
        self._thread = threading.Thread(target=self._run, name="redis-keeper", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        os.write(self._woken, b"x")
        self._thread.join()
        os.close(self._wake)
        os.close(self._woken)

    def _run(self) -> None:
        last_message = ""
        while not self._over.is_set():
            self._wait_for_its_end()
            if self._over.is_set():
                return
            try:
                self._bring_back()
            except Exception as error:  # noqa: BLE001 - it is tried again for as long as the server is wanted
                if str(error) != last_message:
                    last_message = str(error)
                    logger.warning("the online store's server has ended and cannot be started again: %s", last_message)
            self._over.wait(REST_SECONDS)

    def _wait_for_its_end(self) -> None:
        """Return when the server closes the connection, when there is no server, or when all is over."""
        with socket.socket(socket.AF_UNIX) as held:
            try:
                held.connect(str(self._path))
            except OSError:
                return
            select.select([held.fileno(), self._wake], [], [])
