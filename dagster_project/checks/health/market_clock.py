"""Check of the market clock against the calendar and the tables."""

import json
import shlex
from datetime import datetime
from pathlib import Path

from dagster_project.checks.health.finding import HealthFinding
from lake.settings import Settings


def market_clock(configured: Settings) -> list[HealthFinding]:
    """Look at the clock: it can be read, stands where a session is decided, and where the tables say the market is.

    That of a declared market stands there or later: a run takes in what came late a minute after the one before.
    """
    from lake.calendars import count_closes
    from lake.clock import SystemClock
    from lake.errors import ConfigError
    from lake.market import CLOCK_FILE, PACKAGED

    market, path, last = configured.declared_market, configured.home / CLOCK_FILE, _newest(configured, "bars")
    delay = market.decided_after
    last = None if last is None else last + delay
    right = last or market.starts_at or SystemClock().now()
    try:
        clock = configured.clock
        if isinstance(clock, SystemClock):
            return []
        now = clock.now()
    except (ConfigError, UnicodeDecodeError, OSError) as error:
        meaning = f"{str(error).split('. Write')[0].rstrip('.')}. No command knows what the market's time is"
        return [HealthFinding("damaged market clock", path, meaning, _set(path, right))]
    is_later = last is not None and market.name not in PACKAGED and now > last
    if last is None or now == last or (is_later and not count_closes(last - delay, now - delay, market.calendar)):
        return []
    if now < last:
        meaning = f"it stands at {now:%Y-%m-%d %H:%M} UTC, and the bars reach {last:%Y-%m-%d %H:%M}: those are hidden"
        return [HealthFinding("market clock behind the tables", path, meaning, _set(path, last))]
    if market.name in PACKAGED and not _is_close(now - delay, market.grid):
        meaning = f"it stands at {now:%Y-%m-%d %H:%M} UTC, which is not the close of a session"
        return [HealthFinding("market clock off the calendar", path, meaning, _set(path, last))]
    meaning = f"it stands at {now:%Y-%m-%d}, and the bars end on {last:%Y-%m-%d}"
    if (forecast := _newest(configured, "forecasts")) is not None and forecast >= now:
        what, remedy = "bars that were there are gone", "quantlake update"
    else:
        what, remedy = "the last run did not finish", market.next_run
    return [HealthFinding("market clock ahead of the tables", path, f"{meaning}: {what}", remedy, is_damage=False)]


def _newest(configured: Settings, table: str) -> datetime | None:
    """Newest event time of a table; None where it has no rows, or is damaged, which the check of the tables names."""
    from feature_repo.catalog import spec_of
    from lake.errors import QuantlakeError
    from lake.store import Lake

    lake, spec = Lake.open(configured), spec_of(table)
    try:
        return lake.last_event(spec)
    except QuantlakeError:
        return None


def _is_close(at: datetime, calendar: str) -> bool:
    from lake import calendars

    return calendars.last_close(at, calendar) == at


def _set(path: Path, at: datetime) -> str:
    return f"echo {shlex.quote(json.dumps({'now': at.isoformat()}))} > {shlex.quote(str(path))}"
