"""The service without its supervisor, quickly started again: imported once, and forked for each life.

For each line it reads, ``start``, it forks a worker and writes its process id, and its exit code when it has ended.
``start early`` forks one whose forecast log says that something is written before it is.
"""

import importlib
import os
import socket
import sys
import threading

NEEDED = (
    "serving.service", "lake.store", "pandas", "exchange_calendars", "onnxruntime", "onnx.external_data_helper",
    "uvicorn.protocols.websockets.auto", "uvicorn.loops.uvloop", "uvicorn.lifespan.on",
)  # fmt: skip
"""Imported before the first life, so that none has to wait for it."""


def work(door: socket.socket, *, is_early: bool) -> None:
    """One life of a worker, on a port that outlives it."""
    import uvicorn

    from serving import service
    from serving.forecast_log import writing

    if is_early:
        write = writing.ForecastLog.write

        def early(self: writing.ForecastLog, entries: list) -> None:
            threading.Timer(0.3, write, (self, entries)).start()

        writing.ForecastLog.write = early
    inner = service.ForecastService.inner()
    server = uvicorn.Server(uvicorn.Config(service.app, log_level="critical", timeout_graceful_shutdown=10))
    server.run(sockets=[door])
    inner.close()


def say(what: object) -> None:
    """One line for whoever started this."""
    sys.stdout.write(f"{what}\n")
    sys.stdout.flush()


def main() -> None:
    """Fork a worker for each line that asks for one, and say when it has ended."""
    door = socket.socket(fileno=int(sys.argv[1]))
    for name in NEEDED:
        importlib.import_module(name)
    from lake import calendars

    calendars._calendar(calendars.VENUE)  # and no more: what begins threads, as polars does, must not be forked
    say("")
    for line in sys.stdin:
        pid = os.fork()
        if pid == 0:
            work(door, is_early="early" in line)
            os._exit(0)
        say(pid)
        _, status = os.waitpid(pid, 0)
        say(os.waitstatus_to_exitcode(status))


if __name__ == "__main__":
    main()
