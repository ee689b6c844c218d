"""Partitions: by year, for the tables that are long in time. Never by symbol. Which years, the market says."""

import warnings
from typing import TYPE_CHECKING

import dagster as dg

from lake.settings import settings

if TYPE_CHECKING:
    from datetime import datetime

    from lake.market import Market


def years_of_market(market: "Market") -> dg.TimeWindowPartitionsDefinition:
    """Calendar years of a market: up to its last day, or to the present year where it goes on.

    Examples
    --------
    >>> from lake.market import DEMO
    >>> years_of_market(DEMO).get_partition_keys()[-1]
    '2013'
    """
    start = f"{market.first_year}"
    if market.last_day is None:
        return dg.TimeWindowPartitionsDefinition(cron_schedule="0 0 1 1 *", start=start, end_offset=1, fmt="%Y")
    end = f"{market.last_day.year + 1}"
    return dg.TimeWindowPartitionsDefinition(cron_schedule="0 0 1 1 *", start=start, end=end, fmt="%Y")


YEARS = years_of_market(settings().declared_market)
"""Calendar years of the market of this process's home."""

# The policy is the documented way to say "one run for all years"; that it may still change is pinned, not news.
warnings.filterwarnings("ignore", message="Parameter `backfill_policy`", category=dg.BetaWarning)

ONE_RUN = dg.BackfillPolicy.single_run()
"""A backfill of several years is one run: the functions below take all of them in one pass."""

CHANGED = "quantlake/changed_years"
COMPUTED = "quantlake/computed_years"
"""Tag of a run that computes more years than Dagster records: first and last, e.g. ``2000-2012``."""
SOURCE = "quantlake/source"
"""Tag of a run that asks one source of the market only."""
RANGE_START, RANGE_END = "dagster/asset_partition_range_start", "dagster/asset_partition_range_end"


def years_until(now: "datetime", *, first: int) -> dict[str, str]:
    """Run tags that name the years from `first` to the market's now."""
    return {RANGE_START: str(first), RANGE_END: str(now.year)}


def recent_years(now: "datetime", *, first: int) -> dict[str, str]:
    """Run tags of a daily run: this year, and the one before, whose last labels mature in this one.

    Parameters
    ----------
    first
        First year of the market; none before it is named.
    """
    return years_until(now, first=max(first, now.year - 1))


def recorded_recently(now: "datetime", *, first: int) -> dict[str, str]:
    """Run tags of a run for all years in which most likely nothing changed; Dagster records it for the recent ones.

    Dagster stores four events for each year of each table, which takes longer than finding that nothing is new.
    """
    return recent_years(now, first=first) | {COMPUTED: f"{first}-{now.year}"}


def changed_years(now: "datetime", *, first: int) -> dict[str, str]:
    """Run tags of a run for whatever changed, in any year; Dagster records it for the recent years."""
    return recent_years(now, first=first) | {CHANGED: "true"}


def years_of(context: dg.AssetExecutionContext) -> tuple[int, ...]:
    """Return the years that a run was asked for, or none where it was asked for whatever changed.

    A run for years computes the rows that became known in them. A run for whatever changed follows the watermarks of
    the tables: it touches the years in which something is new, and repairs those in which rows were lost.
    """
    tags = context.run.tags
    if COMPUTED in tags:
        first, _, last = tags[COMPUTED].partition("-")
        return tuple(range(int(first), int(last) + 1))
    return () if CHANGED in tags else tuple(int(key) for key in context.partition_keys)
