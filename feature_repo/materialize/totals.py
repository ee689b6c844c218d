"""Totals of every session over all symbols, in memory between two updates: a new session adds one row.

An entry belongs to one commit of `bars` and one instant, as those of `recent_rows` do. Bars that are new, late or
restated since then make the totals anew from the earliest of their sessions on; where the log of the table does not
tell which bars these are, all of them.
"""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import polars as pl

from feature_repo.compute.regime import MEMBER_BARS, session_sums
from feature_repo.engines import known_bars
from feature_repo.materialize.recent_rows import ReadPoint, recent_rows_of
from feature_repo.regimes import session_totals
from lake.store import ROW_KEY, Lake, Watermark, new_rows, newest_known
from lake.tables import BARS


@dataclass(frozen=True)
class _Totals:
    place: ReadPoint
    rows: pl.DataFrame


_kept_totals: dict[Path, _Totals] = {}
"""The entry of at most one lake."""


def session_totals_of(lake: Lake, read: Watermark) -> pl.DataFrame:
    """Return `feature_repo.regimes.session_totals` of the bars known at an instant."""
    place = ReadPoint.of(lake, read)
    kept = _kept_totals.get(lake.root)
    _kept_totals.clear()
    changed = None if kept is None or kept.place.commit is None else _changed_since(kept.place, place)
    if kept is None or changed is None:
        rows = session_totals(
            newest_known(known_bars(lake, read).select(*ROW_KEY, "close").collect()), market=lake.market
        )
    elif changed.is_empty():
        rows = kept.rows
    else:
        since: datetime = changed.select(pl.col("event_time").min()).item()
        rows = pl.concat([kept.rows.filter(pl.col("event_time") < since), _from(place, since)])
    _kept_totals[lake.root] = _Totals(place, rows)
    return rows


def _changed_since(then: ReadPoint, now: ReadPoint) -> pl.DataFrame | None:
    """Bars that became known between two reads; None where the log does not prove which."""
    if now.commit is None or ReadPoint.of(then.lake, then.read).commit != then.commit:
        return None
    return new_rows(now.lake, BARS, then.read, now.read.now, until=now.read.version)


def _from(place: ReadPoint, since: datetime) -> pl.DataFrame:
    """Totals of the sessions from an instant on."""
    lake, market = place.lake, place.lake.market
    rows = known_bars(lake, place.read).filter(pl.col("event_time") >= since).select(ROW_KEY).collect()
    symbols = rows.filter(pl.col("symbol") != market.index).select(pl.col("symbol").unique().sort())
    first = symbols.with_columns(pl.lit(since).alias("first").cast(rows.schema["event_time"]))
    own = BARS.empty()
    if first.height:
        own = recent_rows_of(place, first, MEMBER_BARS).around(first, MEMBER_BARS, [*ROW_KEY, "close"])
    latest = rows.group_by("event_time").agg(pl.col("known_time").max())
    return latest.join(session_sums(own), on="event_time", how="left").sort("event_time")
