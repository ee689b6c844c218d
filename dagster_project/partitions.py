"""Partitions: by year, for the tables that are long in time. Never by symbol."""

import warnings
from typing import TYPE_CHECKING

import dagster as dg

if TYPE_CHECKING:
    from datetime import datetime

YEARS = dg.TimeWindowPartitionsDefinition(cron_schedule="0 0 1 1 *", start="2000", end="2014", fmt="%Y")
"""Calendar years of the packaged market."""

# The policy is the documented way to say "one run for all years"; that it may still change is pinned, not news.
warnings.filterwarnings("ignore", message="Parameter `backfill_policy`", category=dg.BetaWarning)

ONE_RUN = dg.BackfillPolicy.single_run()
"""A backfill of several years is one run: the functions below take all of them in one pass."""

CHANGED = "quantlake/changed_years"
RANGE_START, RANGE_END = "dagster/asset_partition_range_start", "dagster/asset_partition_range_end"


def years_until(now: "datetime", *, first: int = 2000) -> dict[str, str]:
    """Run tags that name the years from `first` to the market's now."""
    return {RANGE_START: str(first), RANGE_END: str(now.year)}


def recent_years(now: "datetime") -> dict[str, str]:
    """Run tags of a daily run: this year, and the one before, whose last labels mature in this one."""
    return years_until(now, first=now.year - 1)


def changed_years(now: "datetime") -> dict[str, str]:
    """Run tags of a run for whatever changed, in any year; Dagster records it for the recent years."""
    return recent_years(now) | {CHANGED: "true"}


def years_of(context: dg.AssetExecutionContext) -> tuple[int, ...]:
    """Return the years that a run was asked for, or none where it was asked for whatever changed.

    A run for years computes the rows that became known in them. A run for whatever changed follows the watermarks of
    the tables: it touches the years in which something is new, and repairs those in which rows were lost.
    """
    return () if CHANGED in context.run.tags else tuple(int(key) for key in context.partition_keys)
