"""What there is to say about the data of a market, as values: for a page, a terminal, a notebook."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

import polars as pl

from lake import calendars
from lake.assessment.agreement import Disagreement, disagreement
from lake.errors import NotReadyError
from lake.knowledge import KnownBases, known_bases
from lake.market import Market
from lake.store import Lake
from lake.tables import BARS, DELIVERIES, FINDINGS, QUALITY_SCORES, QUARANTINE, RAW_BARS

RECENT = 20
"""Sessions that "of late" means."""
FINDINGS_SHOWN, DELIVERIES_SHOWN, SYMBOLS_SHOWN = 15, 12, 48
MOST_POINTS, MOST_BUCKETS = 240, 72
UNEXPLAINED = "unexplained_jump"


@dataclass(frozen=True)
class Coverage:
    """Share of sessions with a bar of one symbol, by bucket of time; None before its first, and where nobody asked."""

    symbol: str
    bars: int
    sessions: int
    shares: tuple[float | None, ...]


@dataclass(frozen=True)
class QualitySummary:
    """The state of a market's data at one instant.

    Parameters
    ----------
    market, now
        Name of the market, and its now.
    bars, raw_rows, refused
        Rows of `bars` (versions counted once), `raw_bars` and `quarantine`.
    scores
        By source the points of its score over time: first day of a bucket, mean score, lowest score.
    recent
        By source its mean score and parts over the newest sessions.
    starts
        First day of each bucket of `coverage`.
    coverage
        Symbols, those with the largest gaps first; `symbols` says how many there are in all.
    reasons, findings, deliveries
        Rows to show: refused rows by reason with an example, newest findings, newest deliveries.
    rules
        Findings by rule, all of them.
    disagreement
        How often the sources disagree of late.
    knowledge
        How it is known when the bars were known.
    """

    market: str
    calendar: str
    now: datetime
    bars: int
    raw_rows: int
    refused: int
    symbols: int
    scores: dict[str, list[tuple[date, float, float]]]
    recent: dict[str, dict[str, float | None]]
    starts: tuple[date, ...]
    coverage: tuple[Coverage, ...]
    reasons: tuple[dict[str, Any], ...]
    findings: tuple[dict[str, Any], ...]
    rules: dict[str, int]
    deliveries: tuple[dict[str, Any], ...]
    disagreement: Disagreement
    knowledge: KnownBases


def summarise(lake: Lake, now: datetime) -> QualitySummary:
    """Return the state of the data of a lake as known now.

    Raises
    ------
    NotReadyError
        If no bar was refined yet.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from lake.assessment import assess
    >>> from lake.clock import FixedClock
    >>> from lake.ingest import ingest_bars, refine_to_lake
    >>> from lake.sources import GeneratedMarket
    >>> clock = FixedClock(datetime.fromisoformat("2012-12-31T21:00+00:00"))
    >>> lake = Lake(Path(tempfile.mkdtemp()))
    >>> _ = ingest_bars(lake, GeneratedMarket.ending(symbols=2, sessions=5, until=clock.now()), clock)
    >>> _ = refine_to_lake(lake, clock), assess(lake, clock)
    >>> found = summarise(lake, clock.now())
    >>> found.bars, found.refused, found.recent["generated"]["score"]
    (15, 0, 1.0)
    """
    bars = lake.scan(BARS).select("symbol", "event_time", "known_time") if lake.exists(BARS) else None
    keys = (
        bars.filter(pl.col("known_time") <= now).select("symbol", "event_time").unique().collect()
        if bars is not None
        else None
    )
    if keys is None or keys.is_empty():
        raise NotReadyError(f"There is no bar in {lake.root} yet. Run `{lake.market.first_run}` first.")
    scores = _known(lake, QUALITY_SCORES, now)
    findings = _known(lake, FINDINGS, now).sort("event_time", descending=True)
    refused = _known(lake, QUARANTINE, now)
    starts, coverage = _coverage(lake, keys, now)
    deliveries = _known(lake, DELIVERIES, now)
    return QualitySummary(
        market=lake.market.name,
        calendar=lake.market.grid,
        now=now,
        bars=keys.height,
        raw_rows=lake.report(RAW_BARS).rows,
        refused=refused.height,
        symbols=keys["symbol"].n_unique(),
        scores={str(source): _points(rows) for (source,), rows in scores.group_by("source")},
        recent={str(source): _recent(rows) for (source,), rows in scores.group_by("source")},
        starts=starts,
        coverage=coverage,
        reasons=_reasons(refused, lake.market),
        findings=tuple(findings.head(FINDINGS_SHOWN).to_dicts()),
        rules=dict(findings.group_by("rule").len().sort("rule").iter_rows()),
        deliveries=_deliveries(deliveries),
        disagreement=disagreement(lake, now),
        knowledge=known_bases(lake, now),
    )


def _known(lake: Lake, spec: Any, now: datetime) -> pl.DataFrame:
    return lake.read_as_of(spec, now) if lake.exists(spec) else spec.empty()


def _points(scores: pl.DataFrame) -> list[tuple[date, float, float]]:
    """Mean and lowest score of so many sessions in a row that there are `MOST_POINTS` at most."""
    size = -(-scores.height // MOST_POINTS)
    bucket = pl.int_range(pl.len()) // size
    points = (
        scores.sort("event_time")
        .group_by(bucket.alias("bucket"), maintain_order=True)
        .agg(
            pl.col("event_time").first().dt.date(),
            pl.col("score").mean().alias("mean"),
            pl.col("score").min().alias("low"),
        )
    )
    return points.drop("bucket").rows()


def _recent(scores: pl.DataFrame) -> dict[str, float | None]:
    parts = ("completeness", "validity", "timeliness", "agreement", "score")
    newest = scores.sort("event_time").tail(RECENT)
    return {name: newest.select(pl.col(name).mean()).item() for name in parts}


def _coverage(lake: Lake, keys: pl.DataFrame, now: datetime) -> tuple[tuple[date, ...], tuple[Coverage, ...]]:
    first: datetime = keys.select(pl.col("event_time").min()).item()
    sessions = calendars.session_closes(first - timedelta(seconds=1), now, lake.market.grid)
    size = -(-len(sessions) // MOST_BUCKETS)
    grid = pl.DataFrame({"event_time": sessions}, schema={"event_time": keys.schema["event_time"]}).with_columns(
        (pl.int_range(pl.len()) // size).alias("bucket")
    )
    sizes = grid.group_by("bucket").len().sort("bucket")["len"].to_list()
    placed = keys.join(grid.with_row_index("session"), on="event_time")
    begins = dict(placed.group_by("symbol").agg(pl.col("session").min()).iter_rows())
    by_symbol: dict[str, dict[int, int]] = {}
    for symbol, bucket, bars in placed.group_by("symbol", "bucket").len().iter_rows():
        by_symbol.setdefault(symbol, {})[bucket] = bars
    asked = _asked(lake, now)
    rows = []
    for symbol, bars in by_symbol.items():
        first_session = begins[symbol]
        shares: list[float | None] = []
        for place, length in enumerate(sizes):
            due = min(length, place * size + length - first_session)
            is_asked = place in bars or (due > 0 and _was_asked(asked, symbol, sessions[place * size]))
            shares.append(bars.get(place, 0) / due if is_asked else None)
        rows.append(Coverage(symbol, sum(bars.values()), len(sessions) - first_session, tuple(shares)))
    rows.sort(key=lambda each: (each.bars / max(each.sessions, 1), each.symbol))
    starts = grid.group_by("bucket").agg(pl.col("event_time").min().dt.date()).sort("bucket")["event_time"]
    return tuple(starts), tuple(rows[:SYMBOLS_SHOWN])


def _asked(lake: Lake, now: datetime) -> list[tuple[str, datetime | None, datetime]]:
    """Subject and span of each question that was answered."""
    log = _known(lake, DELIVERIES, now).filter(pl.col("outcome").is_in(["answered", "silent"]))
    return log.select("subject", "since", "event_time").unique().rows()


def _was_asked(asked: Sequence[tuple[str, datetime | None, datetime]], symbol: str, at: datetime) -> bool:
    return any(
        subject in {symbol, "*"} and (since is None or since < at) and at <= until for subject, since, until in asked
    )


def _reasons(refused: pl.DataFrame, market: Market) -> tuple[dict[str, Any], ...]:
    named = refused.with_columns(
        pl.col("content").str.json_path_match("$.symbol").alias("symbol"),
        pl.col("content").str.json_path_match("$.source").alias("source"),
    ).sort("event_time", "row", descending=[True, False])
    counted = named.group_by("reason").agg(
        pl.len().alias("rows"),
        pl.col("symbol").n_unique().alias("symbols"),
        pl.all().exclude("reason").first().name.prefix("last_"),
    )
    shown = counted.sort("rows", descending=True).select(
        "reason",
        "rows",
        "symbols",
        pl.col("last_symbol", "last_source", "last_event_time", "last_content").name.map(
            lambda name: name.removeprefix("last_")
        ),
    )
    return tuple(row | {"next": market.command(_next(row))} for row in shown.to_dicts())


def _next(row: dict[str, Any]) -> str:
    """Verb of `quantlake` that follows from a reason."""
    if row["reason"] == UNEXPLAINED and row["symbol"]:
        return f"market release {row['symbol']} {row['event_time']:%Y-%m-%d}"
    return f"sql \"from quarantine where reason = '{row['reason']}'\""


def _deliveries(log: pl.DataFrame) -> tuple[dict[str, Any], ...]:
    """Newest deliveries, all subjects of one together."""
    is_failed = ~pl.col("outcome").is_in(["answered", "silent"])
    counted = log.group_by("source", "received_at", "event_time").agg(
        pl.col("since").min(),
        pl.len().alias("subjects"),
        is_failed.sum().alias("failed"),
        pl.col("rows", "stored").sum(),
        pl.col("requests").max(),
        pl.col("outcome").filter(is_failed).first().alias("failure"),
        pl.col("outcome").filter(~is_failed).sort().first().alias("answer"),
        pl.col("reason").drop_nulls().first(),
    )
    shown = counted.sort("received_at", "event_time", descending=True).head(DELIVERIES_SHOWN)
    return tuple(
        shown.with_columns(pl.coalesce("failure", "answer").alias("outcome")).drop("failure", "answer").to_dicts()
    )
