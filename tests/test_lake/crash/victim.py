"""A process that forks, once per line it is told, a child which writes to a lake and is killed on its way.

Told: a JSON object a line with ``operation``, ``root``, ``number``, ``way`` and ``mutant``. Says: a JSON object a line
with ``killed`` and, where the child came to its end, the number of ``steps`` it took.
"""

import ctypes
import itertools
import json
import os
import signal
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl

from lake.care import maintenance
from lake.spec import TableSpec
from lake.store import Lake, delta, files, snapshots
from support.facts import FACTS

TURN = datetime(2020, 12, 30, 21, tzinfo=UTC)  # so that two years, and so two files, are written


def facts(batch: int, days: int = 4) -> pl.DataFrame:
    rows = [
        (f"S{batch}", TURN + timedelta(days=day), TURN + timedelta(days=day), batch + day / 8) for day in range(days)
    ]
    return pl.DataFrame(rows, schema=FACTS.schema, orient="row")


FIRST = "first append"
"""The one operation that is told of an empty lake."""
OPERATIONS: dict[str, Callable[[Lake], Any]] = {
    FIRST: lambda lake: lake.append(FACTS, facts(9), batch_id="b9"),
    "append": lambda lake: lake.append(FACTS, facts(9), batch_id="b9"),
    "merge": lambda lake: lake.merge(FACTS, facts(9)),
    "compact": lambda lake: lake.compact(FACTS, at_least=2),
    "vacuum": lambda lake: maintenance.vacuum(lake, FACTS, keep=timedelta(0)),
    "clean_log": lambda lake: maintenance.clean_log(lake, FACTS, keep=timedelta(0)),
}


def die_at_step(number: int) -> Callable[[], int]:
    """Kill this process before the n-th step of the store's own sequence; return a count of the steps so far."""
    steps = itertools.count(1)
    taken = [0]

    def stepping(function: Callable[..., Any]) -> Callable[..., Any]:
        def step(*arguments: Any, **options: Any) -> Any:
            taken[0] = next(steps)
            if taken[0] == number:
                os.kill(os.getpid(), signal.SIGKILL)
            return function(*arguments, **options)

        return step

    raw = delta.DeltaTable

    class Stepping(raw):  # type: ignore[misc, valid-type]
        create = staticmethod(stepping(raw.create))
        create_write_transaction = stepping(raw.create_write_transaction)
        create_checkpoint = stepping(raw.create_checkpoint)

    delta.DeltaTable = snapshots.DeltaTable = Stepping  # type: ignore[misc]
    pl.DataFrame.write_parquet = stepping(pl.DataFrame.write_parquet)  # type: ignore[method-assign]
    Path.unlink = stepping(Path.unlink)  # type: ignore[method-assign]
    for module in (files, delta, maintenance):
        module.flush = stepping(module.flush)  # type: ignore[attr-defined]
    return lambda: taken[0]


def die_at_call(root: str, number: int, *, torn: bool) -> Callable[[], int]:
    """Kill this process before the n-th call that changes a file under the root."""
    library = ctypes.CDLL(os.environ["LD_PRELOAD"])
    library.kill_at(root.encode(), ctypes.c_long(number), int(torn))
    library.calls_seen.restype = ctypes.c_long
    return lambda: int(library.calls_seen())


def commit_file_by_file() -> None:
    """Break the store: a merge over two years becomes two commits."""
    whole = Lake._commit

    def one_by_one(lake: Lake, spec: TableSpec, handle: Any, written: list[Any], **options: Any) -> None:
        for file in written:
            whole(lake, spec, handle, [file], **options)

    Lake._commit = one_by_one  # type: ignore[method-assign, assignment]


def child(order: dict[str, Any], answer: int) -> None:
    way, root, number = order["way"], order["root"], order["number"]
    if order["mutant"]:
        commit_file_by_file()
    steps = die_at_step(number) if way == "step" else die_at_call(root, number, torn=way == "torn")
    OPERATIONS[order["operation"]](Lake(Path(root)))
    os.write(answer, str(steps()).encode())


def main() -> None:
    for line in sys.stdin:
        reading, answering = os.pipe()
        victim = os.fork()
        if victim == 0:
            status = 1
            try:
                child(json.loads(line), answering)
                status = 0
            finally:
                os._exit(status)
        os.close(answering)
        with os.fdopen(reading) as said:
            steps = said.read()
        _, status = os.waitpid(victim, 0)
        if status not in {0, signal.SIGKILL}:
            raise SystemExit(f"the child ended with status {status}")
        sys.stdout.write(json.dumps({"killed": status == signal.SIGKILL, "steps": int(steps or 0)}) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
