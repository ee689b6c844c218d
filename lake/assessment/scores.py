"""How good what a source delivered for each session is. Pure functions."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

import polars as pl

from lake.spec import INSTANT
from lake.tables import QUALITY_SCORES, RAW_BARS

PATIENCE = 20
"""Sessions for which a symbol that falls silent is still expected; delisted names end so."""
LIMIT = timedelta(days=1)
"""A row is in time when it was known this long after its close, where its market says nothing else of its source."""


def score_sessions(
    raw: pl.DataFrame,
    refused: pl.DataFrame,
    agreement: pl.DataFrame,
    sessions: Sequence[datetime],
    now: datetime,
    limits: Mapping[str, timedelta] | None = None,
) -> pl.DataFrame:
    """Return a score for each source and session, as rows of `quality_scores`.

    Parameters
    ----------
    raw
        ``source, symbol, event_time, known_time`` of the raw rows of these sessions and of the 20 before them.
    refused
        ``source, event_time`` of each refused row.
    agreement
        Rows of `agreement`.
    sessions
        Closes of all sessions from the first row of `raw` on, in order. Sessions before a source's first row, and
        those whose rows may still come and have not, get no score.
    now
        The market's now.
    limits
        How long after a close rows of a source are in time, by its name; `LIMIT` for any other.

    Examples
    --------
    >>> from lake.sources import as_received, tiny_market
    >>> from lake.tables import AGREEMENT
    >>> raw = as_received(tiny_market(["AAA", "BBB"], sessions=5, seed=1)).head(9)
    >>> sessions = raw["event_time"].unique().sort().to_list()
    >>> nothing = pl.DataFrame(schema={"source": pl.String(), "event_time": INSTANT})
    >>> score_sessions(raw, nothing, AGREEMENT.empty(), sessions, sessions[-1] + 2 * LIMIT)["score"].to_list()
    [1.0, 1.0, 1.0, 1.0, 0.5]
    """
    calendar = pl.DataFrame({"event_time": sessions}, schema={"event_time": INSTANT}).with_row_index("place")
    rows = raw.drop_nulls("symbol").join(calendar, on="event_time")
    first_known = rows.group_by("source", "symbol", "event_time", "place").agg(pl.col("known_time").min())
    expected = _expected(first_known, len(sessions))
    limit = pl.col("source").replace_strict(limits or {}, default=LIMIT, return_dtype=pl.Duration("us"))
    is_in_time = pl.col("known_time") <= pl.col("event_time") + limit
    came = first_known.group_by("source", "place").agg(
        pl.len().cast(pl.Int64).alias("came"), is_in_time.mean().alias("timeliness"), pl.col("known_time").max()
    )
    counted = rows.group_by("source", "place").agg(pl.len().cast(pl.Int64).alias("rows"))
    turned_away = refused.join(calendar, on="event_time").group_by("source", "place")
    is_agreed = (pl.col("agreeing") == pl.col("sources")).mean().alias("agreement")
    agreed = agreement.filter(pl.col("field") == "close").group_by("event_time").agg(is_agreed)
    table = (
        expected.join(came, on=["source", "place"], how="left")
        .join(counted, on=["source", "place"], how="left")
        .join(turned_away.agg(pl.len().cast(pl.Int64).alias("refused")), on=["source", "place"], how="left")
        .join(calendar, on="place")
        .join(agreed, on="event_time", how="left")
        .with_columns(pl.col("came", "refused").fill_null(0), pl.col("timeliness").fill_null(0.0))
        .filter((pl.col("came") > 0) | (pl.col("event_time") + LIMIT <= pl.lit(now, INSTANT)))
    )
    late = pl.lit(now, INSTANT)
    parts = table.with_columns(
        pl.lit(RAW_BARS.name).alias("table"),
        pl.coalesce("known_time", pl.min_horizontal(pl.col("event_time") + LIMIT, late)).alias("known_time"),
        (pl.col("came") / pl.col("expected")).clip(0, 1).alias("completeness"),
        (1 - pl.col("refused") / pl.col("rows").fill_null(1)).clip(0, 1).alias("validity"),
    ).with_columns(pl.max_horizontal("known_time", "event_time").alias("known_time"))
    score = pl.col("completeness") * pl.col("validity") * pl.col("timeliness") * pl.col("agreement").fill_null(1.0)
    return parts.with_columns(score.alias("score")).select(QUALITY_SCORES.names).sort(QUALITY_SCORES.key)


def _expected(rows: pl.DataFrame, sessions: int) -> pl.DataFrame:
    """Count of each source and session the symbols of this and the `PATIENCE` sessions before; none before its first.

    A row of a symbol makes the symbol expected from its session until its next row, and for `PATIENCE` sessions more
    at most: one step up and one down, summed over the sessions.
    """
    following = pl.col("place").shift(-1).over("source", "symbol").cast(pl.Int64)
    spans = rows.sort("source", "symbol", "place").select(
        "source",
        pl.col("place").cast(pl.Int64).alias("start"),
        pl.min_horizontal(following, pl.col("place").cast(pl.Int64) + PATIENCE + 1).alias("end"),
    )
    steps = pl.concat(
        [
            spans.select("source", pl.col("start").alias("place"), pl.lit(1).alias("step")),
            spans.select("source", pl.col("end").alias("place"), pl.lit(-1).alias("step")),
        ]
    )
    begins = spans.group_by("source").agg(pl.col("start").min())
    grid = begins.join(pl.DataFrame({"place": range(sessions)}, schema={"place": pl.Int64}), how="cross")
    summed = grid.filter(pl.col("place") >= pl.col("start")).join(
        steps.group_by("source", "place").agg(pl.col("step").sum()), on=["source", "place"], how="left"
    )
    counted = summed.sort("source", "place").with_columns(
        pl.col("step").fill_null(0).cum_sum().over("source").cast(pl.Int64).alias("expected")
    )
    return counted.filter(pl.col("expected") > 0).select("source", pl.col("place").cast(pl.UInt32), "expected")
