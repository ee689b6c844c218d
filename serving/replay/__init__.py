"""Replay: stored forecasts computed again from their receipts and compared.

- `verify`, `nightly`: replays some forecasts, or a sample of a night
- `cases`, `as_of_tables`, `engine_cache`, `recompute`, `backfills`, `answered`: what a replay reads and computes
- `findings`: what came of it
- `inputs`, `bars`: what one stored forecast was computed from, read again
- `receipt_view`: a receipt with everything it names, for a reader
"""

from serving.replay.bars import bars_of
from serving.replay.cases import Case, cases
from serving.replay.findings import Replayed, counts
from serving.replay.inputs import ForecastInputs, inputs_of
from serving.replay.nightly import judge_sample
from serving.replay.receipt_view import receipt_of
from serving.replay.verify import replay, replay_sample

__all__ = [
    "Case",
    "ForecastInputs",
    "Replayed",
    "bars_of",
    "cases",
    "counts",
    "inputs_of",
    "judge_sample",
    "receipt_of",
    "replay",
    "replay_sample",
]
