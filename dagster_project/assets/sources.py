"""Source assets: market data to raw tables."""

import dagster as dg

from dagster_project.partitions import ONE_RUN, SOURCE, YEARS, years_of
from dagster_project.reports import materialized, materialized_by_year
from dagster_project.resources import Platform

GROUP = "sources"


@dg.asset(group_name=GROUP, partitions_def=YEARS, backfill_policy=ONE_RUN, kinds={"delta"})
def raw_bars(context: dg.AssetExecutionContext, platform: Platform) -> dg.MaterializeResult:
    """Daily bars as the sources send them, up to the market's now; actions that they state go to `raw_actions`."""
    from lake.ingest import ingest_sources, require_history

    lake, sources, years = platform.lake, platform.sources(context.run.tags.get(SOURCE)), years_of(context)
    if years:
        require_history(lake, sources[0], years)
    return materialized_by_year(context, lake, ingest_sources(lake, sources, platform.clock, years))


@dg.asset(group_name=GROUP, kinds={"delta"})
def raw_macro(platform: Platform) -> dg.MaterializeResult:
    """Economic series as the market's source of them sends them, up to the market's now."""
    from lake.ingest import ingest_macro
    from lake.sources import open_macro_source

    lake = platform.lake
    return materialized(ingest_macro(lake, open_macro_source(lake.market), platform.clock))
