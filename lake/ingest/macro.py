"""Economic series to `raw_macro` and `macro`: what is new is appended as received, then refined."""

import time
from collections.abc import Callable
from datetime import datetime

import polars as pl

from lake.clock import Clock
from lake.errors import MissingPackageError, SourceError
from lake.ingest.deliveries import last_asked, log_series
from lake.refine import refine_macro
from lake.report import Report
from lake.sources import MacroBatch, MacroSource
from lake.store import Lake, Watermark, new_rows, read_watermarks, write_watermarks
from lake.tables import MACRO, QUARANTINE, RAW_MACRO

STEP = "refine_macro"
RECIPE = "1"
"""Rises with the rules of `lake.refine.refine_macro`, so that every row is judged again."""
SAID = ("series", "period", "value", "vintage")
"""What a row says; the same said again, by the same source, adds nothing."""


def ingest_macro(lake: Lake, source: MacroSource | None, clock: Clock) -> Report:
    """Append the economic values that a source published since its last delivery and up to the market's now.

    Parameters
    ----------
    source
        None where the market names none.

    Returns
    -------
    Report
        Of `raw_macro`. Where the package that carries the series is not installed, nothing is added, and a warning
        says which command installs it: no model is fed by them.
    """
    started = time.perf_counter()
    if source is None:
        return _nothing(lake, started).with_details(reason="the market names no source of economic series")
    try:
        batch = source.read(_newest(lake, source.name), clock.now())
    except MissingPackageError as error:
        return _nothing(lake, started).with_details(reason=str(error), warnings=(str(error),))
    return store_macro(lake, batch)


def store_macro(lake: Lake, batch: MacroBatch) -> Report:
    """Append the rows of a delivery that say something which is not stored; an unchanged delivery writes nothing.

    Another value under a vintage that is stored is a correction: it is known from its receipt, observed. So is a value
    that was released before the series was asked for last, and had not come then.

    Examples
    --------
    >>> import tempfile
    >>> from datetime import UTC, datetime
    >>> from pathlib import Path
    >>> from lake.sources.packaged import PackagedMacro
    >>> lake, batch = Lake(Path(tempfile.mkdtemp())), PackagedMacro().read(None, datetime(1990, 1, 3, tzinfo=UTC))
    >>> store_macro(lake, batch).added, store_macro(lake, batch).added
    (10, 0)
    """
    started, rows = time.perf_counter(), batch.rows
    if lake.exists(RAW_MACRO):
        stored = lake.read(RAW_MACRO, where=pl.col("source").is_in(rows["source"].unique().implode()))
        rows = rows.join(stored, on=[*SAID, "source"], how="anti", nulls_equal=True)
        rows = _not_in_hindsight(rows, stored, last_asked(lake, RAW_MACRO.name))
    if rows.is_empty() and lake.exists(RAW_MACRO):
        return lake.report(RAW_MACRO, started=started).with_details(reason="every value is stored already")
    return lake.append(RAW_MACRO, rows, batch_id=batch.batch_id)


def _not_in_hindsight(rows: pl.DataFrame, stored: pl.DataFrame, asked: pl.DataFrame) -> pl.DataFrame:
    """Make the newest value of a period known from receipt, where it corrects a stored one or had not come when due.

    A correction or a late value under a vintage that another one supersedes, stored or in this delivery, is left out:
    known from its receipt it would pass for the newest, and known from its release it would change what was known then.
    """
    period = ["source", "series", "period"]
    told = stored.select(*period, "vintage").unique().with_columns(pl.lit(value=True).alias("is_told"))
    newest = stored.group_by(period).agg(pl.col("vintage").max().alias("newest"))
    both = (
        rows.join(told, on=[*period, "vintage"], how="left", nulls_equal=True, maintain_order="left")
        .join(newest, on=period, how="left", maintain_order="left")
        .join(asked, left_on=period[:2], right_on=["source", "subject"], how="left", maintain_order="left")
    )
    is_told = pl.col("is_told").fill_null(value=False)
    delivered = pl.col("vintage").max().over(period)
    is_newest = (pl.col("vintage") >= pl.max_horizontal("newest", delivered)).fill_null(value=True)
    is_late = is_told | (pl.col("known_time") <= pl.col("asked_at")).fill_null(value=False)
    from_now = pl.max_horizontal("known_time", "received_at")
    return (
        both.filter(is_newest | ~is_late)
        .with_columns(
            pl.when(is_late).then(from_now).otherwise("known_time").alias("known_time"),
            pl.when(is_late).then(pl.lit("observed")).otherwise("known_basis").alias("known_basis"),
        )
        .select(rows.columns)
    )


def pull_macro(lake: Lake, source: str, ask: Callable[[], MacroBatch], clock: Clock) -> tuple[MacroBatch, Report]:
    """Ask a vendor of economic series, store what is new, and log the question and its answer in `deliveries`.

    Parameters
    ----------
    source
        Name of the vendor.
    ask
        Asks it; what fails is logged as well.

    Returns
    -------
    tuple[MacroBatch, Report]
        The delivery, and the report of `raw_macro`.

    Raises
    ------
    SourceError
        If the vendor fails: nothing is stored in part.
    """
    try:
        batch = ask()
    except SourceError as error:
        log_series(lake, source, error, 0, clock.now())
        raise
    report = store_macro(lake, batch)
    log_series(lake, source, batch, report.added, clock.now())
    return batch, report.with_details(warnings=batch.notes)


def refine_macro_to_lake(lake: Lake, clock: Clock) -> Report:
    """Bring `macro` up to what `raw_macro` holds at the market's now; refused rows go to `quarantine`.

    Only rows that no earlier run has judged are read.
    """
    started = time.perf_counter()
    if not lake.exists(RAW_MACRO):
        return lake.merge(MACRO, MACRO.empty())
    read = Watermark(lake.version(RAW_MACRO), clock.now())
    watermarks = read_watermarks(lake, STEP, RECIPE, (MACRO,))
    since = watermarks.since(())
    fresh = None if since is None else new_rows(lake, RAW_MACRO, since[RAW_MACRO.name], read.now, until=read.version)
    if fresh is None:
        fresh = lake.read(RAW_MACRO, where=pl.col("known_time") <= read.now, version=read.version)
    refined = refine_macro(fresh)
    if refined.quarantine.height:
        lake.merge(QUARANTINE, refined.quarantine)
    if refined.macro.height or not lake.exists(MACRO):
        report = lake.merge(MACRO, refined.macro)
    else:
        report = lake.report(MACRO, started=started).with_details(reason="every value has been judged already")
    write_watermarks(lake, STEP, watermarks.after((), {RAW_MACRO.name: read}, lake.versions((MACRO,))))
    return report.with_details(raw_rows=fresh.height, refused=refined.quarantine.height)


def _nothing(lake: Lake, started: float) -> Report:
    if not lake.exists(RAW_MACRO):
        lake.append(RAW_MACRO, RAW_MACRO.empty(), batch_id="none")
    return lake.report(RAW_MACRO, started=started)


def _newest(lake: Lake, source: str) -> datetime | None:
    """Newest stored `known_time` of a source."""
    if not lake.exists(RAW_MACRO):
        return None
    own = lake.scan(RAW_MACRO).filter(pl.col("source") == source)
    newest: datetime | None = own.select(pl.col("known_time").max()).collect().item()
    return newest
