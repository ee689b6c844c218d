"""The rows a view has in the lake at an instant: all of them, or only what is new since the last materialisation."""

from datetime import datetime
from typing import TYPE_CHECKING

import polars as pl

from feature_repo.online.packing import EVENT, KNOWN

if TYPE_CHECKING:
    from feature_repo.online.generations import Generation
    from feature_repo.online.views import OnlineView
    from lake.store import Lake


def newest_rows(lake: "Lake", view: "OnlineView", until: datetime, version: int | None) -> pl.DataFrame:
    """Newest row of each entity that had happened and was known at an instant, in the columns of the view.

    Of the restatements of one event the newest known counts.

    Parameters
    ----------
    version
        Delta version to read; None for a table that does not exist, which has no rows.
    """
    if version is None:
        return view.narrow(view.table.empty().lazy()).collect()
    rows = _as_known(view.narrow(lake.scan(view.table, version=version)), until)
    # The times alone say which few sessions are needed, so that no column of the others is read.
    latest = rows.group_by(view.entity).agg(pl.col(EVENT).max()).collect()
    sessions = latest[EVENT].unique()
    return _newest(rows.filter(pl.col(EVENT).is_in(sessions.implode())).collect(), view)


def rows_since(
    lake: "Lake", view: "OnlineView", until: datetime, version: int | None, last: "Generation | None"
) -> pl.DataFrame:
    """Rows that the online store may lack after a materialisation; all that `newest_rows` gives where that is unknown.

    They are the rows added to the table since, and those of before that were not yet known at its time.
    """
    held = None if last is None or last.versions is None else last.versions.get(view.table.name)
    if version is None or last is None or last.until is None or held is None or last.until > until:
        return newest_rows(lake, view, until, version)
    added = lake.changes(view.table, held, version)
    if added is None:
        return newest_rows(lake, view, until, version)
    frames = [view.narrow(added.lazy())]
    if last.until < until:
        is_later = (pl.col(EVENT) > last.until) | (pl.col(KNOWN) > last.until)
        frames.append(view.narrow(lake.scan(view.table, version=held)).filter(is_later))
    return _newest(_as_known(pl.concat(frames), until).collect(), view)


def _as_known(rows: pl.LazyFrame, until: datetime) -> pl.LazyFrame:
    return rows.filter(pl.col(EVENT) <= until, pl.col(KNOWN) <= until)


def _newest(rows: pl.DataFrame, view: "OnlineView") -> pl.DataFrame:
    ordered = rows.sort(EVENT, KNOWN, maintain_order=True)
    return ordered.unique(view.entity, keep="last", maintain_order=True).sort(view.entity)
