"""Gauge sampler: a thread that measures ages, backlog and Redis every few seconds, and prunes the log.

Every worker has one, which also flushes its metrics; one of the running workers measures for all of them.
"""

import logging
import threading
import time
from typing import TYPE_CHECKING, Self

from filelock import FileLock, Timeout

from feature_repo.online.redis_server import restarts
from lake.calendars import count_closes
from lake.clock import SystemClock
from lake.disk import FileIdentity, identity_of
from lake.errors import QuantlakeError
from lake.store import Lake
from serving.forecast_log import look_at_log, prune
from serving.monitoring import metrics
from serving.monitoring.backup_state import show_backup_state
from serving.monitoring.run_gauges import RunGauges
from serving.outcomes import Figures, figures_path, read_figures, show_figures
from serving.risk import show_risk

if TYPE_CHECKING:
    from lake.settings import Settings
    from serving.predict import Predictor

logger = logging.getLogger("quantlake.serving")

LOCK = "watcher.lock"
"""Held by the worker that looks, as long as it runs; tried by the others all the time."""
LOOK_SECONDS = 15.0
FLUSH_SECONDS = 0.1
"""How long what was measured waits to be written."""
SYMBOLS_LOOKED_AT = 50
FIRST_PRUNE_SECONDS, PRUNE_SECONDS = 300.0, 3_600.0
"""When the log is pruned for the first time after the start, and how long after that again."""


class GaugeSampler:
    """Keeps the gauges up to date that no request moves.

    Parameters
    ----------
    predictor
        What is watched.
    configured
        Say where the log and the figures are.
    """

    def __init__(self, predictor: "Predictor", configured: "Settings") -> None:
        self._predictor, self._configured = predictor, configured
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="watcher", daemon=True)
        self._lock = FileLock(configured.home / LOCK, thread_local=False)
        self._look_at = self._complain_at = 0.0
        self._prune_at = time.monotonic() + FIRST_PRUNE_SECONDS
        self._pruning: threading.Thread | None = None
        self._shown: tuple[FileIdentity, Figures] | None = None
        self._runs = RunGauges(configured)
        self._is_ready: bool | None = None

    def start(self) -> Self:
        """Count this worker, and begin to look."""
        metrics.WORKERS.set(1)
        self._thread.start()
        return self

    def close(self) -> None:
        """End the thread."""
        self._ended.set()
        if self._thread.is_alive():
            self._thread.join()
        metrics.flush()
        metrics.WORKERS.set(0)

    def look(self) -> None:
        """Measure everything once."""
        parts = (self._look_at_features, self._look_at_log, self._look_at_redis, self._look_at_figures)
        for part in (*parts, self._look_at_backups, self._look_at_runs, self._look_at_risk):
            try:
                part()
            except Exception:
                logger.exception("what an operator is shown could not be looked at; it is tried again")

    def _run(self) -> None:
        while not self._ended.wait(FLUSH_SECONDS):
            for part in (metrics.flush, self._look_when_due, self._prune_when_due):
                try:
                    part()
                except Exception:
                    if self._may_complain():
                        logger.exception("what was measured could not be written down; it is tried again")
        self._lock.release(force=True)

    def _look_when_due(self) -> None:
        if time.monotonic() >= self._look_at and _holds(self._lock):
            self._look_at = time.monotonic() + LOOK_SECONDS
            self.look()

    def _may_complain(self) -> bool:
        """Whether it is time to say what failed: it is tried many times a second."""
        is_time = time.monotonic() >= self._complain_at
        if is_time:
            self._complain_at = time.monotonic() + LOOK_SECONDS
        return is_time

    def _look_at_features(self) -> None:
        try:
            self._predictor.require_ready()
            batch = self._predictor.online.read(self._predictor.online.symbols()[:SYMBOLS_LOOKED_AT])
        except QuantlakeError as error:
            if self._is_ready is not False:
                logger.warning("no forecast can be made", extra={"reason": str(error)})
            self._is_ready = False
            metrics.READY.set(0)
            return
        self._is_ready = True
        metrics.READY.set(1)
        newest, now = max(batch.as_of), self._predictor.clock.now()
        metrics.FEATURES_AGE_SECONDS.set((now - newest).total_seconds())
        metrics.FEATURES_AGE_SESSIONS.set(count_closes(newest, now, batch.served.calendar))

    def _look_at_log(self) -> None:
        found = look_at_log(self._configured)
        metrics.LOG_WAITING.set(found.waiting)
        metrics.LOG_OLDEST_SECONDS.set(found.oldest_seconds)
        metrics.LOG_BYTES.set(found.bytes)
        metrics.LOG_QUARANTINED.set(found.quarantined)
        metrics.LOG_DAMAGED.set(found.damaged)

    def _prune_when_due(self) -> None:
        """Keep the log small, in a thread that nothing waits for, also where the daily job does not run."""
        is_busy = self._pruning is not None and self._pruning.is_alive()
        if self._lock.is_locked and not is_busy and time.monotonic() >= self._prune_at:
            self._prune_at = time.monotonic() + PRUNE_SECONDS
            self._pruning = threading.Thread(target=self._prune, name="prune", daemon=True)
            self._pruning.start()

    def _prune(self) -> None:
        try:
            prune(Lake.open(self._configured), self._configured)
        except Exception:
            logger.exception("the forecast log could not be pruned; it is tried again")

    def _look_at_redis(self) -> None:
        metrics.REDIS_RESTARTS.set(restarts(self._configured))

    def _look_at_figures(self) -> None:
        identity = identity_of(figures_path(self._configured))
        seen, before = self._shown or (None, None)
        if identity is not None and identity != seen:
            figures = read_figures(self._configured) or Figures()
            show_figures(figures, before)
            self._shown = identity, figures

    def _look_at_backups(self) -> None:
        show_backup_state(self._configured)

    def _look_at_risk(self) -> None:
        show_risk(self._configured)

    def _look_at_runs(self) -> None:
        # Runs have the time of the wall, also where the clock of a replayed market stands elsewhere.
        self._runs.look(SystemClock().now())


def _holds(lock: FileLock) -> bool:
    """Whether this worker holds the sampling lock; the first worker to try holds it until it ends."""
    try:
        if not lock.is_locked:
            lock.acquire(blocking=False)
    except Timeout:
        return False
    return True
