"""What the online store keeps, as plain values: which columns of which table, by which key, good for how long.

The read path rests on this file instead of on the feature views, because importing Feast takes longer than starting the
whole endpoint; a test holds the two to the same declaration.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property

import polars as pl

from feature_repo.catalog import GROUPS
from feature_repo.online.packing import EVENT, KNOWN, Layout, kind_of
from feature_repo.targets import FORECAST_V2, WindowSpec
from lake.calendars import session_closes
from lake.errors import UnknownNameError
from lake.spec import TableSpec
from lake.tables import BLEND_WEIGHTS, CALIBRATIONS, MODEL_WINDOWS, REGIMES, STRATEGY_ASSIGNMENTS

A_WEEK = timedelta(days=7)
"""How old a value may be: an instrument that has not traded for a week has no current features."""
LEAST_SESSIONS = 5
"""Sessions of the market that have to close before a value is too old, however long its holidays are."""
LONGEST_PAUSE = timedelta(days=60)
"""Within which any calendar has `LEAST_SESSIONS` sessions, unless it was closed for longer."""
A_QUARTER = timedelta(days=92)
"""How old a strategy assignment, weights or a calibration may be: what was learned stands until more is."""


@dataclass(frozen=True)
class OnlineView:
    """One row per entity, the newest that was known when it was written.

    Parameters
    ----------
    name
        Also that of the Feast view.
    table
        Where the rows come from.
    entity
        Column that names whose row it is.
    ttl
        How old an event may be; an older one is served as expired once `LEAST_SESSIONS` sessions have closed since.
    signature
        Value that the rows hold in the column of that name, which then is no feature.
    """

    name: str
    table: TableSpec
    entity: str
    ttl: timedelta
    signature: str | None = None

    @cached_property
    def layout(self) -> Layout:
        """Every column that is neither key nor time."""
        left_out = {*self.table.key, EVENT, KNOWN}
        columns = [column for column in self.table.columns if column.name not in left_out]
        return Layout(tuple((column.name, kind_of(column.dtype)) for column in columns))

    @property
    def columns(self) -> list[str]:
        """Entity, times and features: what a frame of rows needs."""
        return [self.entity, EVENT, KNOWN, *(name for name, _ in self.layout.columns)]

    def is_current(self, event_time: datetime, now: datetime) -> bool:
        """Whether an event is not older than the view allows."""
        return event_time >= now - self.ttl

    def narrow(self, rows: pl.LazyFrame) -> pl.LazyFrame:
        """Keep the rows and columns that belong to the view."""
        if self.signature is not None:
            rows = rows.filter(pl.col("signature") == self.signature)
        return rows.select(self.columns)


def oldest_current(ttl: timedelta, now: datetime, calendar: str) -> datetime:
    """Event time before which a value has outlived what its view allows.

    Parameters
    ----------
    ttl
        How old an event may be. It may be older while fewer than `LEAST_SESSIONS` sessions have closed since.
    calendar
        Whose sessions are counted.

    Examples
    --------
    The week around Christmas 2012 had three sessions only: a value of the Monday before it was good for longer.

    >>> from datetime import UTC
    >>> oldest_current(A_WEEK, datetime(2012, 12, 26, 14, tzinfo=UTC), "XNYS").isoformat()
    '2012-12-18T21:00:00+00:00'
    """
    recent = session_closes(now - LONGEST_PAUSE, now, calendar)
    return min(now - ttl, recent[-LEAST_SESSIONS]) if len(recent) >= LEAST_SESSIONS else now - ttl


def window_view(spec: WindowSpec) -> OnlineView:
    """View of the windows of one model signature."""
    return OnlineView(f"window_{spec.name}", MODEL_WINDOWS, "symbol", A_WEEK, signature=spec.name)


FEATURES = tuple(OnlineView(group.name, group.table, "symbol", A_WEEK) for group in GROUPS if group.is_online)
REGIME = OnlineView("regime", REGIMES, "market", A_WEEK)
WINDOW = window_view(FORECAST_V2)
STRATEGY = OnlineView("strategy", STRATEGY_ASSIGNMENTS, "symbol", A_QUARTER)
BLEND = OnlineView("blend_weights", BLEND_WEIGHTS, "market", A_QUARTER)
CALIBRATION = OnlineView("calibration", CALIBRATIONS, "market", A_QUARTER)

VIEWS: tuple[OnlineView, ...] = (*FEATURES, REGIME, WINDOW, STRATEGY, BLEND, CALIBRATION)


def view_named(name: str) -> OnlineView:
    """Return the view of that name; an unknown one raises `UnknownNameError` with the nearest names.

    Examples
    --------
    >>> view_named("regime").entity
    'market'
    """
    for view in VIEWS:
        if view.name == name:
            return view
    raise UnknownNameError("online view", name, [view.name for view in VIEWS])
