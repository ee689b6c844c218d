"""Warm-up of an engine: its first forecasts, made and checked before it answers."""

from typing import TYPE_CHECKING

from serving.engines.base import CHUNK_WINDOWS
from serving.engines.batch_granularity import probe_windows

if TYPE_CHECKING:
    from serving.engines.base import Engine

BATCHES = (1, 1, 7, CHUNK_WINDOWS, CHUNK_WINDOWS)


def warm(engine: "Engine") -> None:
    """Run an engine once per usual batch size, so that no request pays for its first call.

    Raises
    ------
    EngineError
        If it fails, or answers with another shape, something not finite, or quantiles out of order.
    """
    made_up = probe_windows(engine.signature, CHUNK_WINDOWS)
    for batch in BATCHES:
        engine.predict(made_up[:batch])
