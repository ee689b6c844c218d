"""Stage timings of a run, from its events: one for each step that made something."""

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import dagster as dg

LOGGER = logging.getLogger("quantlake.stages")
LOGGER.propagate = False
LOGGER.setLevel(logging.DEBUG)


@dataclass(frozen=True)
class Stage:
    """A step of a run: what it made, and how long it took on the wall.

    Parameters
    ----------
    name
        Its asset, or the first of them where a step makes several.
    added
        New rows.
    seconds
        From the start of the step to its end.
    ended
        Seconds from the start of the run to the end of the step.
    reason
        Why there was nothing to do; empty where the step made something.
    """

    name: str
    added: int
    seconds: float
    ended: float
    reason: str = ""

    @property
    def is_skipped(self) -> bool:
        """Whether there was nothing to do."""
        return bool(self.reason)


class _StageListener(logging.Handler):
    """Turns the events of one run into stages."""

    def __init__(self, on_stage: Callable[[Stage], object]) -> None:
        super().__init__()
        self._on_stage = on_stage
        self._began = self._step_began = time.perf_counter()
        self._made: dict[str, dict[str, Any]] = {}

    def emit(self, record: logging.LogRecord) -> None:
        event = (getattr(record, "dagster_meta", None) or {}).get("dagster_event")
        handle = None if event is None else getattr(self, f"_{event.event_type_value.lower()}", None)
        if handle is not None:
            handle(event)

    def _step_start(self, _event: Any) -> None:
        self._step_began, self._made = time.perf_counter(), {}

    def _asset_materialization(self, event: Any) -> None:
        made = event.event_specific_data.materialization
        values = {name: value.value for name, value in made.metadata.items()}
        self._made.setdefault(made.asset_key.to_user_string(), values)

    def _step_success(self, _event: Any) -> None:
        if not self._made:
            return
        now, (name, values) = time.perf_counter(), next(iter(self._made.items()))
        reason = values.get("reason", "nothing new") if values.get("skipped") else ""
        added = values.get("rows_added", 0)
        self._on_stage(Stage(name, added, now - self._step_began, now - self._began, reason))


@contextmanager
def listening(on_stage: Callable[[Stage], object]) -> Iterator[None]:
    """Call `on_stage` with each stage of a run of this process as soon as it is done; the clock starts now.

    The run must be configured with the logger ``stages``.
    """
    listener = _StageListener(on_stage)
    LOGGER.addHandler(listener)
    try:
        yield
    finally:
        LOGGER.removeHandler(listener)


@dg.logger(config_schema={})
def stage_logger(_context: dg.InitLoggerContext) -> logging.Logger:
    """Logger that passes the events of a run to the functions registered by `listening`."""
    return LOGGER
