"""Calls: probabilities that were stated for a direction, beside whether it came, as known at an instant."""

from datetime import UTC, datetime
from typing import Literal, NamedTuple

import polars as pl

from lake.tables import FORECAST_DECISIONS, FORECASTS, LABELS, OUTCOMES, RECOMMENDATIONS
from serving.forecasts import REPLAY, confidence
from serving.history.known import KnownTables, was_known
from serving.history.records import LEAST_OUTCOMES
from serving.history.replayed_bands import MADE_OF, REALISED, replayed_of

MOST_REPLAYED = 100
"""Symbols whose replays are counted: enough for a record, and read in about a second. Of more they are spread evenly
over the names in order."""
EVER = datetime(9_999, 1, 1, tzinfo=UTC)
CALLS = pl.Schema({"event_time": pl.Datetime("us", "UTC"), "stated": pl.Float64(), "is_hit": pl.Boolean()})


class Calls(NamedTuple):
    """Calls with an outcome.

    Parameters
    ----------
    source
        ``advice``: recommendations; ``in_replay``: what the blend would have said; ``none``: there is none of either.
    rows
        ``event_time``, ``stated`` (0.5 to 1), ``is_hit``, one row per symbol and close.
    """

    source: Literal["advice", "in_replay", "none"]
    rows: pl.DataFrame


def calls_of(tables: KnownTables, horizon: int, at: datetime) -> Calls:
    """Return the calls over one horizon, of all symbols together, whose outcome was known at an instant.

    Recommendations are told once 30 of them have an outcome; the blend's replays until then, never both together.

    Parameters
    ----------
    horizon
        As the tables count it.
    at
        No outcome that became known later is counted.
    """
    advised = _advised(tables, horizon, at)
    if advised.height >= LEAST_OUTCOMES:
        return Calls("advice", advised)
    replayed = _replayed(tables, horizon, at)
    return Calls("in_replay" if replayed.height else "none", replayed)


def _advised(tables: KnownTables, horizon: int, at: datetime) -> pl.DataFrame:
    """Recommendations with a direction, the first of each symbol and close: asked a thousand times it is one call."""
    if not tables.reader.exists(RECOMMENDATIONS) or not tables.reader.exists(OUTCOMES):
        return pl.DataFrame(schema=CALLS)
    name, made_of = ("advised calls", horizon), (RECOMMENDATIONS, OUTCOMES, FORECAST_DECISIONS)
    advised = tables.kept(name, made_of, lambda: _directed(tables, horizon)).lazy().filter(was_known(at))
    first = advised.sort("made_at").unique(["symbol", "event_time"], keep="first")
    return first.filter(pl.col("matured") <= at).select(CALLS.names()).sort("event_time", "stated").collect()


def _directed(tables: KnownTables, horizon: int) -> pl.DataFrame:
    """Recommendations with a direction, whenever they were known, and when their outcome was (``matured``)."""
    is_asked = (pl.col("horizon_sessions") == horizon) & (pl.col("direction") != "flat")
    came = tables.reader.scan(OUTCOMES).select("forecast_id", "realised_return", pl.col("known_time").alias("matured"))
    joined = tables.reader.scan(RECOMMENDATIONS).filter(is_asked).join(came, on="forecast_id", how="left")
    is_hit = pl.col("realised_return").sign() == pl.when(pl.col("direction") == "up").then(1.0).otherwise(-1.0)
    stated, times = pl.col("confidence").alias("stated"), ("known_time", "made_at", "matured")
    return joined.select("symbol", "event_time", stated, is_hit.alias("is_hit"), *times).collect()


def _replayed(tables: KnownTables, horizon: int, at: datetime) -> pl.DataFrame:
    """What the blend would have stated at the closes of the walk-forward, for some of the symbols."""
    symbols = tuple(_spread(tables, horizon))
    if not symbols:
        return pl.DataFrame(schema=CALLS)
    made = tables.kept(("replayed calls", horizon, symbols), MADE_OF, lambda: _stated(tables, horizon, symbols))
    return made.filter(was_known(at)).drop("known_time")


def _stated(tables: KnownTables, horizon: int, symbols: tuple[str, ...]) -> pl.DataFrame:
    """Return `CALLS` of every close, whenever its outcome was known, which ``known_time`` says."""
    bands = replayed_of(tables, symbols, horizon, EVER).filter(pl.col("p50") != 0)
    said = bands.select("p10", "p50", "p90", "trust").iter_rows()
    stated = [confidence(p10, p50, p90, trust=trust) for p10, p50, p90, trust in said]
    return bands.select(
        "event_time",
        pl.Series("stated", stated, dtype=pl.Float64()),
        (pl.col(REALISED).sign() == pl.col("p50").sign()).alias("is_hit"),
        "known_time",
    )


def _spread(tables: KnownTables, horizon: int) -> list[str]:
    """Symbols with replays over a horizon; of many, as many as `MOST_REPLAYED`, spread evenly."""
    if not tables.reader.exists(FORECASTS) or not tables.reader.exists(LABELS):
        return []
    of_horizon = (pl.col("kind") == REPLAY) & (pl.col("horizon_sessions") == horizon)

    def read() -> pl.DataFrame:
        return tables.reader.scan(FORECASTS).filter(of_horizon).select(pl.col("symbol").unique()).collect()

    found = tables.kept(("replayed symbols", horizon), MADE_OF, read)["symbol"].sort().to_list()
    step = max(len(found) / MOST_REPLAYED, 1.0)
    return [found[int(place * step)] for place in range(min(len(found), MOST_REPLAYED))]
