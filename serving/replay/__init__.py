"""Stored forecasts made again and compared."""

from serving.replay.findings import Replayed, counts
from serving.replay.nightly import judge_sample
from serving.replay.receipt_view import receipt_of
from serving.replay.verify import replay, replay_sample

__all__ = [
    "Replayed",
    "counts",
    "judge_sample",
    "receipt_of",
    "replay",
    "replay_sample",
]
