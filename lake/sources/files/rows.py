"""A file's cells as raw rows of bars: canonical symbols, closes of sessions, plain numbers, everything still text."""

from datetime import datetime, timedelta

import polars as pl

from lake.calendars import is_close, is_daily, session_closes
from lake.errors import UnknownNameError
from lake.horizons import MINUTES, interval_of
from lake.names import canonical_symbol
from lake.refine import parse, rules
from lake.sources.files.dates import read_dates
from lake.sources.files.mapping import NUMBERS, FileMapping
from lake.sources.files.numbers import plain_number
from lake.sources.files.sessions import NO_SESSION, closes_of
from lake.sources.files.tables import is_unnamed
from lake.spec import INSTANT

UNREADABLE = pl.concat_str(pl.lit("unreadable:"), "time", pl.lit("Z"))
"""Marked, so that no text which happens to be an ISO time passes for one that the mapping reads."""


def require_named(frame: pl.DataFrame, mapping: FileMapping) -> None:
    """Refuse a mapping that names a column which the file does not have.

    Raises
    ------
    UnknownNameError
        With the nearest names.
    """
    for column in [mapping.time, *([mapping.symbol] if mapping.symbol else []), *mapping.columns.values()]:
        if column not in frame.columns:
            raise UnknownNameError("column", column, frame.columns)


def raw_rows(cells: pl.DataFrame, mapping: FileMapping) -> pl.DataFrame:
    """Return one row per bar of a file, in the file's order.

    Parameters
    ----------
    cells
        As `lake.sources.files.tables.read_table` gives them.

    Returns
    -------
    pl.DataFrame
        ``symbol`` (canonical, null where refused), ``written`` (symbol as in the file), ``day`` (null where
        unreadable), ``stamp``, ``open``, ``high``, ``low``, ``close``, ``adj_close``, ``volume``, ``price_basis`` and
        ``event_time``: the close of the day's session, or of the bar of minutes; the last second of a day that has no
        session; where the time cannot be read, the time of the row before it.
    """
    require_named(cells, mapping)
    rows = _wide(cells, mapping) if mapping.layout == "wide" else _long(cells, mapping)
    numbers = [plain_number(pl.col(name), mapping.decimal_mark, mapping.thousands_mark).alias(name) for name in NUMBERS]
    stamped = _stamped if is_daily(mapping.grid) else _stamped_bars
    return _based(stamped(_named(rows), mapping).with_columns(numbers), mapping)


def _long(cells: pl.DataFrame, mapping: FileMapping) -> pl.DataFrame:
    symbol = pl.col(mapping.symbol) if mapping.symbol else pl.lit(mapping.only_symbol, dtype=pl.String)
    missing = pl.lit(None, dtype=pl.String)
    return cells.select(
        symbol.alias("written"),
        pl.col(mapping.time).alias("time"),
        *((pl.col(mapping.columns[n]) if n in mapping.columns else missing).alias(n) for n in NUMBERS),
    )


def _wide(cells: pl.DataFrame, mapping: FileMapping) -> pl.DataFrame:
    """One row per price: an empty cell of a wide file is no row, and a column without a name is no symbol."""
    rows = cells.drop([name for name in cells.columns if is_unnamed(name) and name != mapping.time]).unpivot(
        index=mapping.time, variable_name="written", value_name="close"
    )
    missing = [pl.lit(None, dtype=pl.String).alias(name) for name in NUMBERS if name != "close"]
    is_price = plain_number(pl.col("close"), mapping.decimal_mark, mapping.thousands_mark).is_not_null()
    return rows.filter(is_price).select("written", pl.col(mapping.time).alias("time"), "close", *missing)


def _named(rows: pl.DataFrame) -> pl.DataFrame:
    written = rows["written"].unique().drop_nulls().to_list()
    canonical = {text: canonical_symbol(text) for text in written}
    symbol = pl.col("written").replace_strict(canonical, default=None, return_dtype=pl.String)
    return rows.with_columns(symbol.alias("symbol"))


def read_days(texts: pl.Series, mapping: FileMapping) -> pl.DataFrame:
    """Return ``time`` (the distinct texts) and ``day``, the date each one speaks of; null where unreadable."""
    times = texts.unique().drop_nulls()
    read = read_dates(times, mapping.time_format)
    day = pl.col("at")
    if mapping.zone is not None:
        instant = (pl.col("at") - pl.duration(minutes=pl.col("offset"))).dt.replace_time_zone("UTC")
        local = instant.dt.convert_time_zone(mapping.zone).dt.replace_time_zone(None)
        day = pl.when(pl.col("offset").is_not_null()).then(local).otherwise("at")
    return read.select(day.dt.date().alias("day"), times.alias("time"))


def _stamped(rows: pl.DataFrame, mapping: FileMapping) -> pl.DataFrame:
    days = read_days(rows["time"], mapping).join(
        closes_of(mapping.calendar), left_on="day", right_on="session", how="left"
    )
    days = days.with_columns(
        pl.coalesce(
            pl.col("event_time").dt.to_string("iso:strict"), pl.col("day").dt.to_string("iso") + NO_SESSION, UNREADABLE
        ).alias("stamp"),
        pl.coalesce(
            "event_time", (pl.col("day").dt.to_string("iso") + NO_SESSION).str.to_datetime("%+", time_zone="UTC")
        )
        .cast(INSTANT)
        .alias("event_time"),
    )
    joined = rows.join(days, on="time", how="left", maintain_order="left")
    return joined.with_columns(pl.col("event_time").forward_fill().backward_fill()).drop("time")


def _stamped_bars(rows: pl.DataFrame, mapping: FileMapping) -> pl.DataFrame:
    """The same for bars of minutes: the time is an instant, and where it is that of the open the bar ends later."""
    times = rows["time"].unique().drop_nulls()
    read = read_dates(times, mapping.time_format).with_columns(times.alias("time"))
    written = (pl.col("at") - pl.duration(minutes=pl.col("offset"))).dt.replace_time_zone("UTC")
    local = pl.col("at").dt.replace_time_zone(mapping.zone or "UTC", ambiguous="null", non_existent="null")
    is_written = pl.col("offset").is_not_null()
    instant = pl.when(is_written).then(written).otherwise(local.dt.convert_time_zone("UTC")).cast(INSTANT)
    read = read.with_columns(instant.alias("event_time"))
    if mapping.stamp == "open":
        read = read.with_columns(bar_ends(read["event_time"], mapping.grid))
    read = read.select(
        "time",
        "event_time",
        pl.coalesce(pl.col("event_time").dt.to_string("iso:strict"), UNREADABLE).alias("stamp"),
        (pl.col("event_time") - pl.duration(microseconds=1)).dt.date().alias("day"),
    )
    joined = rows.join(read, on="time", how="left", maintain_order="left")
    return joined.with_columns(pl.col("event_time").forward_fill().backward_fill()).drop("time")


def bar_ends(opens: pl.Series, grid: str) -> pl.Series:
    """Return when the bars end that open at some instants: an interval later, or with the session or its break.

    Examples
    --------
    >>> from datetime import UTC, datetime
    >>> opens = pl.Series([datetime(2021, 1, 4, hour, 30, tzinfo=UTC) for hour in (14, 20)])
    >>> [f"{end:%H:%M}" for end in bar_ends(opens, "XNYS@60m")]  # New York closes at 21:00 UTC
    ['15:30', '21:00']
    """
    length = timedelta(minutes=MINUTES[interval_of(grid)])
    first, last = opens.min(), opens.max()
    if not isinstance(first, datetime) or not isinstance(last, datetime):
        return opens
    closes = pl.DataFrame({"end": session_closes(first - length, last + length, grid)}, schema={"end": INSTANT})
    asked = pl.DataFrame({"open": opens, "place": pl.int_range(len(opens), eager=True)}).sort("open")
    found = asked.join_asof(closes, left_on="open", right_on="end", strategy="forward", allow_exact_matches=False)
    # A bar that is cut short opens where another ends; any other time is off the grid, and is refused for that.
    is_short = is_close(found["open"], grid) & ~is_close(found["open"] + length, grid)
    end = pl.when(is_short & (pl.col("end") - pl.col("open") < length)).then("end").otherwise(pl.col("open") + length)
    return found.with_columns(end.alias(opens.name)).sort("place")[opens.name]


def _based(rows: pl.DataFrame, mapping: FileMapping) -> pl.DataFrame:
    """Say the basis in the words of `raw_bars`, and give each row the adjusted close that the rules ask for.

    Bars that are ``fully_adjusted`` are on one basis already, with a factor of one, where all of open, high, low, close
    and volume are there; with fewer they are ``adjusted_close_only``.
    """
    is_full = all(name in mapping.columns for name in ("open", "high", "low", "close", "volume"))
    close, adjusted = pl.col("close"), pl.col("adj_close")
    if mapping.price_basis == "fully_adjusted" and "adj_close" in mapping.columns and "close" in mapping.columns:
        adjusted = close  # the close is the adjusted one already; what else is in the file is another's adjustment
    elif "adj_close" not in mapping.columns:
        adjusted = close
    if mapping.price_basis == "fully_adjusted" and not {"open", "high", "low"} & set(mapping.columns):
        close = pl.lit(None, dtype=pl.String)  # no close before adjustment is known
    return rows.with_columns(
        close.alias("close"),
        adjusted.alias("adj_close"),
        pl.lit(mapping.price_basis if is_full else "adjusted_close_only").alias("price_basis"),
    )


def with_reasons(rows: pl.DataFrame, grid: str) -> pl.DataFrame:
    """Add ``reason``, the first rule that a row will be refused by, or null: the rules are those of `lake.refine`.

    Parameters
    ----------
    rows
        As `raw_rows` gives them.
    """
    asked = rules(grid).items()
    first_broken = pl.coalesce(
        [pl.when(is_broken.fill_null(value=False)).then(pl.lit(reason)) for reason, is_broken in asked]
    )
    is_refused_name = pl.col("symbol").is_null() & (pl.col("written").fill_null("").str.strip_chars() != "")
    judged = parse(rows.with_columns(pl.col("event_time").alias("known_time"))).with_columns(
        pl.when(is_refused_name).then(pl.lit("symbol_not_accepted")).otherwise(first_broken).alias("reason")
    )
    is_good = pl.col("reason").is_null()
    is_copy = is_good & ~pl.struct("symbol", "at", is_good.alias("is_good")).is_last_distinct()
    return judged.with_columns(pl.when(is_copy).then(pl.lit("duplicate")).otherwise("reason").alias("reason"))
