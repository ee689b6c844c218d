"""Rows of `blend_weights` for tests that are not about how weights are learned."""

from collections.abc import Mapping
from datetime import datetime

import polars as pl

from lake.tables import BLEND_WEIGHTS
from lake.universe import MARKET


def weights_row(at: datetime, weights: Mapping[int, Mapping[str, float]]) -> pl.DataFrame:
    """Return one row, in force from an instant on: the weight of each model by horizon."""
    entries = [(horizon, model, weight) for horizon, of in weights.items() for model, weight in of.items()]
    horizons, models, given = (list(part) for part in zip(*entries, strict=True))
    count = len(entries)
    row = (MARKET, at, at, horizons, models, given, [0.01] * count, [1.0] * count, ["a test says so"] * count)
    return pl.DataFrame([row], schema=BLEND_WEIGHTS.schema, orient="row")
