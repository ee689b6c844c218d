"""Findings and scores of what is new in the lake since they were made last."""

from datetime import datetime, timedelta
from pathlib import Path

import polars as pl

from lake import calendars
from lake.assessment.anomalies import LOOK_BACK, find_anomalies
from lake.assessment.scores import PATIENCE, score_sessions
from lake.clock import Clock
from lake.disk import digest_of_sources
from lake.refine import told_from_now
from lake.report import Report
from lake.spec import TableSpec
from lake.store import Lake, Watermark, new_rows, read_look_back, read_watermarks, write_watermarks
from lake.tables import ACTIONS, AGREEMENT, BARS, FINDINGS, QUALITY_SCORES, QUARANTINE, RAW_BARS

STEP = "assess"
MADE = (FINDINGS, QUALITY_SCORES)
BACK = timedelta(days=2 * PATIENCE + 14)
"""Reaches over the sessions for which a silent symbol is expected, whatever the calendar."""


def assess(lake: Lake, clock: Clock) -> tuple[Report, Report]:
    """Bring `findings` and `quality_scores` up to what `bars` and `raw_bars` hold at the market's now.

    Only what is new since the last run is looked at, with the bars before it. Nothing that was ingested is changed.

    Raises
    ------
    TableNotFoundError
        If nothing was ingested and refined yet.

    Examples
    --------
    >>> import tempfile
    >>> from lake.clock import FixedClock
    >>> from lake.ingest import ingest_bars, refine_to_lake
    >>> from lake.sources import GeneratedMarket
    >>> clock = FixedClock(datetime.fromisoformat("2012-12-31T21:00+00:00"))
    >>> lake = Lake(Path(tempfile.mkdtemp()))
    >>> _ = ingest_bars(lake, GeneratedMarket.ending(symbols=2, sessions=5, until=clock.now()), clock)
    >>> _ = refine_to_lake(lake, clock)
    >>> findings, scores = assess(lake, clock)
    >>> (findings.added, scores.added), [report.added for report in assess(lake, clock)]
    ((0, 5), [0, 0])
    """
    now = clock.now()
    read = {spec.name: Watermark(lake.version(spec), now) for spec in (RAW_BARS, BARS)}
    watermarks = read_watermarks(lake, STEP, _recipe(lake), MADE)
    since = watermarks.since(()) or {}
    findings = _find(lake, since.get(BARS.name), read[BARS.name])
    scores = _score(lake, since.get(RAW_BARS.name), read[RAW_BARS.name])
    write_watermarks(lake, STEP, watermarks.after((), read, lake.versions(MADE)))
    return findings, scores


def _recipe(lake: Lake) -> str:
    declared = repr(sorted(lake.market.timely_within.items())) if lake.market.timely_within else ""
    return digest_of_sources(Path(__file__).parent.glob("*s.py"), lake.market.grid, declared)


def _find(lake: Lake, since: Watermark | None, read: Watermark) -> Report:
    fresh = None if since is None else new_rows(lake, BARS, since, read.now, until=read.version)
    if fresh is None:
        bars, first = lake.read_as_of(BARS, read.now, version=read.version), None
    elif fresh.is_empty():
        return _unchanged(lake, FINDINGS)
    else:
        first = fresh.group_by("symbol").agg(pl.col("event_time").min().alias("first"))
        bars = read_look_back(lake, BARS, first, LOOK_BACK, now=read.now, version=read.version)
    if bars.is_empty():
        return _unchanged(lake, FINDINGS)
    found = find_anomalies(bars, _known(lake, ACTIONS, read.now), _known(lake, AGREEMENT, read.now))
    if first is not None:
        found = found.join(first, on="symbol").filter(pl.col("event_time") >= pl.col("first")).select(FINDINGS.names)
    return _tell(lake, FINDINGS, found, read.now)


def _score(lake: Lake, since: Watermark | None, read: Watermark) -> Report:
    columns = ["source", "symbol", "event_time", "known_time"]
    start = None
    if since is not None:
        fresh = new_rows(lake, RAW_BARS, since, read.now, until=read.version)
        if fresh is not None:
            unscored = calendars.session_closes(since.now, read.now, lake.market.grid)
            touched = [fresh["event_time"].min(), *unscored[:1], *_pending(since.now, lake)]
            start = min((each for each in touched if isinstance(each, datetime)), default=None)
            if start is None:
                return _unchanged(lake, QUALITY_SCORES)
    rows = lake.scan(RAW_BARS, version=read.version).filter(pl.col("known_time") <= read.now)
    raw = (rows if start is None else rows.filter(pl.col("event_time") >= start - BACK)).select(columns).collect()
    if raw.is_empty():
        return _unchanged(lake, QUALITY_SCORES)
    first: datetime = raw["event_time"].min()  # type: ignore[assignment] # the column is one of instants without nulls
    sessions = calendars.session_closes(first - timedelta(seconds=1), read.now, lake.market.grid)
    agreement = _known(lake, AGREEMENT, read.now)
    limits = {source: timedelta(minutes=minutes) for source, minutes in lake.market.timely_within.items()}
    found = score_sessions(raw, _refused(lake, read.now), agreement, sessions, read.now, limits)
    return _tell(
        lake, QUALITY_SCORES, found if start is None else found.filter(pl.col("event_time") >= start), read.now
    )


def _pending(then: datetime, lake: Lake) -> list[datetime]:
    """Newest session of the last run: rows of it may not have been due then."""
    last = calendars.last_close(then, lake.market.grid)
    return [] if last is None else [last]


def _refused(lake: Lake, now: datetime) -> pl.DataFrame:
    """Source and close of each refused row."""
    source = pl.col("content").str.json_path_match("$.source").alias("source")
    rows = lake.scan(QUARANTINE) if lake.exists(QUARANTINE) else QUARANTINE.empty().lazy()
    return rows.filter(pl.col("known_time") <= now).select(source, "event_time").collect()


def _known(lake: Lake, spec: TableSpec, now: datetime) -> pl.DataFrame:
    return lake.read_as_of(spec, now) if lake.exists(spec) else spec.empty()


def _tell(lake: Lake, spec: TableSpec, found: pl.DataFrame, now: datetime) -> Report:
    stored = lake.read(spec) if lake.exists(spec) else spec.empty()
    return lake.merge(spec, told_from_now(spec, stored, found, now))


def _unchanged(lake: Lake, spec: TableSpec) -> Report:
    return lake.report(spec).with_details(reason="nothing is new")
