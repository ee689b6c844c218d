"""The log of deliveries: what each source was asked, what came of it, and what that says of a span."""

from collections.abc import Iterator, Mapping
from contextlib import suppress
from datetime import datetime
from typing import Any, Literal

import polars as pl

from lake.clock import SystemClock
from lake.errors import ConflictError, SourceError
from lake.sources import BarBatch, Heard, MacroBatch, OverheardSource
from lake.spec import INSTANT
from lake.store import Lake
from lake.tables import ANSWERS, DELIVERIES, QUARANTINE, RAW_BARS, RAW_MACRO

ALL = "*"
"""Subject of a delivery that was asked for everything that its source has."""
StoredBatches = dict[str, tuple[str, int]]
"""By the id of a delivery the id that its stored rows have, and how many they are."""
Coverage = Literal["rows", "silent", "not_asked"]


def log_deliveries(lake: Lake, heard: OverheardSource, stored: StoredBatches, now: datetime) -> None:
    """Append what a source was asked and answered to `deliveries`.

    Parameters
    ----------
    heard
        The source, with its questions and answers.
    stored
        What of its deliveries was stored.
    now
        The market's now.
    """
    rows = [row for each in heard.heard for row in _rows(heard, each, stored)]
    if not rows:
        return
    received = SystemClock().now()
    said = {"source": heard.name, "table": RAW_BARS.name, "received_at": received, "known_time": now}
    frame = pl.DataFrame([said | row for row in rows], schema=DELIVERIES.schema)
    _append(lake, frame.unique(DELIVERIES.key, keep="last", maintain_order=True))


def log_series(lake: Lake, source: str, answer: MacroBatch | SourceError, stored: int, now: datetime) -> None:
    """Append what a source of economic series was asked and answered to `deliveries`, a row per series.

    Parameters
    ----------
    answer
        What it delivered, or the error.
    stored
        Rows of the delivery that were stored, counted with the first series.
    now
        The market's now.
    """
    received = SystemClock().now()
    if isinstance(answer, MacroBatch) and answer.rows.height:
        received = answer.rows["received_at"][0]
    said = {"source": source, "table": RAW_MACRO.name, "received_at": received, "event_time": now, "known_time": now}
    rows: list[dict[str, Any]] = []
    if isinstance(answer, SourceError):
        failure = {"outcome": _kind(type(answer).__name__), "reason": str(answer)}
        rows = [failure | {"subject": ALL, "rows": 0, "stored": 0}]
    else:
        came = dict(answer.rows.group_by("series").len().iter_rows())
        rows = [
            {
                "subject": name,
                "outcome": "answered" if came.get(name) else "silent",
                "rows": came.get(name, 0),
                "stored": 0 if place else stored,
                "requests": answer.requests,
                "batch_id": answer.batch_id if stored else None,
            }
            for place, name in enumerate(dict.fromkeys(answer.series))
        ]
    _append(lake, pl.DataFrame([said | row for row in rows], schema=DELIVERIES.schema))


def last_asked(lake: Lake, table: str) -> pl.DataFrame:
    """Return ``source``, ``subject`` and ``asked_at``: when each was last asked for a table, and answered."""
    if not lake.exists(DELIVERIES):
        return pl.DataFrame(schema={"source": pl.String, "subject": pl.String, "asked_at": INSTANT})
    is_answer = (pl.col("table") == table) & pl.col("outcome").is_in(["answered", "silent"])
    newest = pl.col("received_at").max().alias("asked_at")
    return lake.scan(DELIVERIES).filter(is_answer).group_by("source", "subject").agg(newest).collect()


def last_deliveries(lake: Lake) -> list[dict[str, Any]]:
    """Return the newest delivery of each source, by name.

    Returns
    -------
    list[dict]
        ``source``, ``received_at``, ``since``, ``until``, ``subjects`` (how many were asked for), ``failed`` (how many
        of them were not answered), ``rows``, ``stored``, ``refused`` (of the stored rows, those in quarantine),
        ``requests``, ``outcome`` (the commonest one of the failures, or else of the answers) and ``reason``.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from lake.clock import FixedClock
    >>> from lake.ingest import ingest_bars
    >>> from lake.sources import GeneratedMarket
    >>> clock = FixedClock(datetime.fromisoformat("2012-12-31T21:00+00:00"))
    >>> lake = Lake(Path(tempfile.mkdtemp()))
    >>> _ = ingest_bars(lake, GeneratedMarket.ending(symbols=2, sessions=5, until=clock.now()), clock)
    >>> [(each["source"], each["outcome"], each["rows"]) for each in last_deliveries(lake)]
    [('generated', 'answered', 15)]
    """
    if not lake.exists(DELIVERIES):
        return []
    newest = pl.col("received_at") == pl.col("received_at").max().over("source")
    log = lake.scan(DELIVERIES).filter(newest).collect()
    refused = _refused(lake, log["batch_id"].drop_nulls().unique().to_list())
    return [
        _summary(source, asked, refused)
        for (source,), asked in log.sort("source").group_by("source", maintain_order=True)
    ]


def coverage_of(lake: Lake, source: str, symbol: str, at: datetime) -> Coverage:
    """Return whether a source has a row of a symbol for a close, was asked and had none, or was not asked.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> coverage_of(Lake(Path(tempfile.mkdtemp())), "yahoo", "AAA", datetime.fromisoformat("2012-12-31T21:00+00:00"))
    'not_asked'
    """
    is_row = (pl.col("source") == source) & (pl.col("symbol") == symbol) & (pl.col("event_time") == at)
    if lake.exists(RAW_BARS) and lake.scan(RAW_BARS).filter(is_row).head(1).collect().height:
        return "rows"
    if not lake.exists(DELIVERIES):
        return "not_asked"
    is_answer = (pl.col("source") == source) & pl.col("subject").is_in([symbol, ALL])
    is_answer &= pl.col("outcome").is_in(["answered", "silent"]) & (pl.col("event_time") >= at)
    is_answer &= pl.col("since").is_null() | (pl.col("since") < at)
    return "silent" if lake.scan(DELIVERIES).filter(is_answer).head(1).collect().height else "not_asked"


def _append(lake: Lake, frame: pl.DataFrame) -> None:
    with suppress(ConflictError):  # of two questions at one microsecond the first stays: the log may lack a row
        lake.merge(DELIVERIES, frame)


def _rows(heard: OverheardSource, asked: Heard, stored: StoredBatches) -> Iterator[dict[str, Any]]:
    span = {"since": asked.after, "event_time": asked.until}
    if isinstance(asked.answer, SourceError):
        failure = {"outcome": _kind(type(asked.answer).__name__), "reason": str(asked.answer)}
        yield span | failure | {"subject": ALL, "rows": 0, "stored": 0}
        return
    batch = asked.answer
    batch_id, kept = stored.get(batch.batch_id, (None, 0))
    if batch.requests is None:
        outcome = "answered" if batch.rows.height else "silent"
        yield span | {
            "subject": ALL,
            "outcome": outcome,
            "rows": batch.rows.height,
            "stored": kept,
            "batch_id": batch_id,
        }
    elif batch.requests or batch.failures:
        yield from (span | row | {"batch_id": batch_id} for row in _of_each_symbol(heard, batch, kept))


def _of_each_symbol(heard: OverheardSource, batch: BarBatch, kept: int) -> Iterator[dict[str, Any]]:
    """One row per symbol; what was stored is counted with the first, since a delivery is stored as a whole."""
    came = dict(batch.rows.group_by("symbol").len().iter_rows())
    failed = {each.symbol: each for each in batch.failures}
    for place, symbol in enumerate(heard.symbols):
        rows, failure = came.get(symbol, 0), failed.get(symbol)
        yield {
            "subject": symbol,
            "outcome": _kind(failure.kind) if failure else "answered" if rows else "silent",
            "reason": failure.reason if failure else None,
            "rows": rows,
            "stored": kept if place == 0 else 0,
            "requests": batch.requests,
        }


def _kind(error: str) -> str:
    """Outcome of an error by the name of its class: ``UnknownSymbolError`` is ``unknown_symbol``."""
    name = "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in error.removesuffix("Error"))
    return name.strip("_") if name.strip("_") in ANSWERS else "failed"


def _refused(lake: Lake, batches: list[str]) -> dict[str, int]:
    if not lake.exists(QUARANTINE):
        return {}
    counted = lake.scan(QUARANTINE).filter(pl.col("batch_id").is_in(batches)).group_by("batch_id").len()
    return dict(counted.collect().iter_rows())


def _summary(source: object, asked: pl.DataFrame, refused: Mapping[str, int]) -> dict[str, Any]:
    failures = asked.filter(~pl.col("outcome").is_in(["answered", "silent"]))
    shown = failures if failures.height else asked.filter(pl.col("outcome") == "answered")
    shown = shown if shown.height else asked
    return {
        "source": source,
        "received_at": asked["received_at"].max(),
        "since": None if asked["since"].null_count() else asked["since"].min(),
        "until": asked["event_time"].max(),
        "subjects": asked["subject"].n_unique(),
        "failed": failures["subject"].n_unique(),
        "rows": asked["rows"].sum(),
        "stored": asked["stored"].sum(),
        "refused": sum(refused.get(batch, 0) for batch in asked["batch_id"].drop_nulls().unique()),
        "requests": asked["requests"].max(),
        "outcome": shown["outcome"].mode().sort()[0],
        "reason": next(iter(failures["reason"].drop_nulls()), None),
    }
