"""What a model reads: materialisation into the online store, reads from it, and training frames."""

import time
from collections.abc import Sequence
from datetime import datetime
from functools import cache

import polars as pl
from redis import Redis

from feature_repo.feast_store import TrainingFrame, apply, feature_store, training_frame
from feature_repo.online import (
    ATTEMPTS,
    VIEWS,
    WINDOW,
    Generation,
    OnlineBatch,
    OnlineKey,
    OnlineReader,
    OvertakenError,
    Rows,
    instant,
    is_whole,
    publish,
    read_generation,
    read_index,
    require_own_server,
    write_last_generation,
)
from feature_repo.online.redis_server import connect, running_redis
from feature_repo.targets.windows import FORECAST_V2, WindowSpec
from lake.care import set_pins
from lake.clock import require_utc
from lake.report import Report
from lake.settings import Settings
from lake.settings import settings as read_settings
from lake.store import Lake
from lake.tables import MODEL_WINDOWS

__all__ = [
    "OnlineBatch",
    "OnlineReader",
    "TrainingFrame",
    "apply",
    "feature_store",
    "materialize",
    "newest_online",
    "online",
    "symbols_with_input",
    "training_frame",
]

WRITE_SECONDS = 10.0
HOLDER = "online"
"""Keeps the table versions behind this generation and the one before readable; see `lake.care.pins`."""


def symbols_with_input(lake: Lake, now: datetime) -> list[str]:
    """Return the symbols with a model input at the newest session known at an instant, sorted."""
    if not lake.exists(MODEL_WINDOWS):
        return []
    known = lake.scan(MODEL_WINDOWS).filter(pl.col("known_time") <= now).select("symbol", "event_time")
    newest = known.filter(pl.col("event_time") == pl.col("event_time").max())
    return newest.select(pl.col("symbol").unique().sort()).collect()["symbol"].to_list()


def online(symbols: Sequence[str], service: WindowSpec = FORECAST_V2, settings: Settings | None = None) -> OnlineBatch:
    """Read the current values of one or thousands of symbols; see `OnlineReader.read`.

    The first call makes the reader and its snapshot, which later calls share.

    Examples
    --------
    `settings` name a home whose online store runs; `lake` holds its tables and `now` is the market's time.

    >>> _ = materialize(lake, settings, until=now)
    >>> batch = online(["S0", "NOPE"], settings=settings)
    >>> batch.symbols, batch.missing, batch.window.shape == (1, *FORECAST_V2.shape), batch.source
    (['S0'], ['NOPE'], True, 'redis')
    """
    return _reader(settings or read_settings(), service).read(symbols)


@cache
def _reader(settings: Settings, service: WindowSpec) -> OnlineReader:
    return OnlineReader.open(settings, service)


def materialize(lake: Lake, settings: Settings, until: datetime) -> Report:
    """Write the newest values known at an instant to the online store; start the embedded Redis if none runs.

    One transaction makes all rows visible: a reader sees all of them, or those of the materialisation before. Only
    rows that the server may lack are read from the lake. A server that lost rows, or holds any that do not verify, is
    filled from the beginning.

    Parameters
    ----------
    until
        Market time; rows that happened or became known later are left out. The server never goes back: where it
        already stands later, that time counts.

    Returns
    -------
    Report
        `rows` counts the symbols that can be served; skipped when the server already holds these table versions.

    Raises
    ------
    OnlineStoreError
        If Redis does not take the rows; it then holds what it held before.

    Examples
    --------
    >>> materialize(lake, settings, until=now).rows > 0
    True
    >>> materialize(lake, settings, until=now).skipped  # the server already holds these table versions
    True
    """
    started, until = time.perf_counter(), require_utc(until)
    key = OnlineKey.of(settings)
    with running_redis(settings) as url, connect(url, WRITE_SECONDS) as server:
        require_own_server(settings, server)
        held, is_done = _filled(lake, settings, server, key, until)
        write_last_generation(settings, held)
        symbols = len(read_index(server, key, WINDOW.name).names)
    report = Report("online_store", rows=symbols, added=0 if is_done else symbols, last=held.until, skipped=is_done)
    report = report.with_details(seconds=time.perf_counter() - started, table_versions=held.versions)
    return report.with_details(reason="the server already holds these table versions") if is_done else report


def newest_online(settings: Settings) -> datetime | None:
    """Return the event time of the newest model input in the online store; None where it holds none.

    Raises
    ------
    OnlineStoreError
        If Redis does not answer.

    Examples
    --------
    >>> newest_online(settings) <= now
    True
    """
    key = OnlineKey.of(settings)
    with running_redis(settings) as url, connect(url, WRITE_SECONDS) as server:
        events = read_index(server, key, WINDOW.name).event
    return instant(int(events.max())) if len(events) else None


def _filled(lake: Lake, settings: Settings, server: Redis, key: OnlineKey, until: datetime) -> tuple[Generation, bool]:
    """Fill the server, and begin anew with what it holds by then if it lost or got rows meanwhile."""
    for attempt in range(1, ATTEMPTS + 1):
        try:
            return _fill(lake, settings, server, key, until)
        except OvertakenError:
            if attempt == ATTEMPTS:
                raise
    raise AssertionError("the last attempt returns or raises")


def _fill(lake: Lake, settings: Settings, server: Redis, key: OnlineKey, until: datetime) -> tuple[Generation, bool]:
    """Write what the server lacks; return what it holds then, and whether it held that already."""
    from feature_repo.online import rows_since

    tables = {view.table.name: view.table for view in VIEWS}
    versions = lake.versions([table for table in tables.values() if lake.exists(table)])
    layouts = {view.name: view.layout.fingerprint.hex() for view in VIEWS}
    held = read_generation(server, key)
    if held is not None and held.until is not None:
        until = max(until, held.until)
    is_same = held is not None and (held.until, held.versions, held.layouts) == (until, versions, layouts)
    if held is not None and is_same and is_whole(server, key, held.number):
        return held, True
    if not (settings.feast / "registry.db").exists():
        apply(settings)

    def since(last: Generation | None) -> list[Rows]:
        known = [last if last is not None and last.layouts.get(v.name) == layouts[v.name] else None for v in VIEWS]
        return [
            Rows.of(view, rows_since(lake, view, until, versions.get(view.table.name), last))
            for view, last in zip(VIEWS, known, strict=True)
        ]

    rows = since(held)
    if held is not None and not is_whole(server, key, held.number, rows):
        rows = since(None)
    # Before anyone can be answered from them: a forecast may wait in the log for longer than a vacuum spares them.
    set_pins(lake, HOLDER, [versions, *((held.versions,) if held is not None and held.versions else ())])
    # Rows that go on from a generation are too few for a server that has lost it.
    expected = 0 if held is None else held.number
    return publish(server, rows, key, until=until, versions=versions, expected=expected), False
