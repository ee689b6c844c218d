"""Storage of the runs of commands: Dagster's SQLite files, each over one connection that stays open.

Dagster opens a connection for every statement of the event log, compiles the statement anew and waits for the disk
twice, when the transaction ends and when the connection closes: half of the time of a run that has nothing to do.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from threading import Lock
from typing import Any

from dagster._core.storage.event_log import SqliteEventLogStorage
from dagster._core.storage.sqlite import SQLITE_BUSY_TIMEOUT_SECONDS
from dagster._core.storage.sqlite_storage import DagsterSqliteStorage
from sqlalchemy import Connection, Engine, create_engine, event

INDEX = "index"
"""Name of the file of what is asked across runs."""


class KeptEventLog(SqliteEventLogStorage):
    """Event log in the files of Dagster's own, which other processes read and write meanwhile.

    Each event is in a transaction of its own, as before: a process that is killed loses none. The disk is waited for
    at checkpoints only (``synchronous=NORMAL`` of a file with a write-ahead log), so a power cut may lose the newest
    events and never damages a file.
    """

    def __init__(self, base_dir: str, inst_data: Any = None) -> None:
        self._engines: dict[str, Engine] = {}
        self._one_at_a_time = Lock()
        super().__init__(base_dir, inst_data)

    def run_connection(self, run_id: str | None = None) -> Any:
        """Give a transaction over the file of a run."""
        assert run_id is not None
        return self._transaction(run_id)

    def index_connection(self) -> Any:
        """Give a transaction over the file of what is asked across runs."""
        return self._transaction(INDEX)

    @cached_property
    def supports_asset_checks(self) -> bool:
        """Whether the file has the table of checks, looked up once."""
        return bool(super().supports_asset_checks)

    def dispose(self) -> None:
        """Close the files."""
        for engine in self._engines.values():
            engine.dispose()
        self._engines.clear()
        super().dispose()

    @contextmanager
    def _transaction(self, shard: str) -> Iterator[Connection]:
        with self._one_at_a_time:
            engine = self._engines.get(shard) or self._opened(shard)
            with engine.begin() as connection:
                yield connection

    def _opened(self, shard: str) -> Engine:
        """Return the engine of a file, in which Dagster made its tables first."""
        with self._connect(shard):
            pass
        engine = create_engine(
            self.conn_string_for_shard(shard), connect_args={"timeout": SQLITE_BUSY_TIMEOUT_SECONDS}, pool_size=1
        )
        event.listen(engine, "connect", _wait_at_checkpoints)
        self._engines[shard] = engine
        return engine


class KeptStorage(DagsterSqliteStorage):
    """Runs, events and schedules where Dagster's own storage has them, the events over kept connections."""

    def __init__(self, base_dir: str, inst_data: Any = None) -> None:
        super().__init__(base_dir, inst_data)
        self._event_log_storage = KeptEventLog(str(Path(self._event_log_storage.path_for_shard(INDEX)).parent))

    @classmethod
    def from_config_value(cls, inst_data: Any, config_value: Any) -> "KeptStorage":
        """Return the storage that a configuration names; Dagster's own class would return one of its own."""
        return cls(inst_data=inst_data, **config_value)


def _wait_at_checkpoints(connection: Any, _record: Any) -> None:
    connection.execute("PRAGMA synchronous=NORMAL")
