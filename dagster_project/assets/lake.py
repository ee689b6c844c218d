"""Lake assets: raw tables to clean tables."""

from collections.abc import Iterator

import dagster as dg

from dagster_project.assets.sources import raw_bars, raw_macro
from dagster_project.partitions import ONE_RUN, YEARS, years_of
from dagster_project.reports import materialized, materialized_by_year
from dagster_project.resources import Platform

GROUP = "lake"


REFINED = {
    "bars": "Adjusted daily bars.",
    "actions": "Splits and dividends.",
    "quarantine": "Refused rows, with the reason.",
    "symbols": "Names of each instrument over time.",
    "universe": "Who belongs to the market when.",
}
"""Tables that follow from raw bars, and what each holds."""


@dg.multi_asset(
    specs=[
        dg.AssetSpec(table, deps=[raw_bars], description=meaning, group_name=GROUP, kinds={"delta"})
        for table, meaning in REFINED.items()
    ],
    partitions_def=YEARS,
    backfill_policy=ONE_RUN,
)
def refined_bars(context: dg.AssetExecutionContext, platform: Platform) -> Iterator[dg.MaterializeResult]:
    """Every raw row, either clean or quarantined with its reason; and who belongs to the market, by which names."""
    from lake.ingest import refine_to_lake
    from lake.membership import update_membership

    refined = refine_to_lake(platform.lake, platform.clock, years=years_of(context))
    for report in (*refined, *update_membership(platform.lake, platform.clock)):
        yield materialized_by_year(context, platform.lake, report)


@dg.asset(group_name=GROUP, deps=[raw_macro], kinds={"delta"})
def macro(platform: Platform) -> dg.MaterializeResult:
    """Economic series with every vintage, each known from its own release."""
    from lake.ingest import refine_macro_to_lake

    return materialized(refine_macro_to_lake(platform.lake, platform.clock))
