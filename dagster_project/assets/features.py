"""Feature assets: bars to feature tables, and their materialisation into the online store."""

from typing import TYPE_CHECKING

import dagster as dg

from dagster_project.partitions import ONE_RUN, YEARS, years_of
from dagster_project.reports import materialized, materialized_by_year
from dagster_project.resources import Platform
from feature_repo.catalog import GROUPS, TECHNICAL

if TYPE_CHECKING:
    from feature_repo.spec import FeatureGroup

GROUP = "features"
AFTER_SERVING = {"dagster/priority": "-1"}
"""Tags of what no model in service reads: where both could run, what is served runs first."""


def _feature_table(group: "FeatureGroup") -> dg.AssetsDefinition:
    """One asset per feature group: its table, computed where the settings say."""

    @dg.asset(
        name=group.table.name,
        description=group.meaning,
        group_name=GROUP,
        partitions_def=YEARS,
        backfill_policy=ONE_RUN,
        deps=["bars"],
        kinds={"numba", "delta"},
        op_tags=None if group is TECHNICAL else AFTER_SERVING,
    )
    def features(context: dg.AssetExecutionContext, platform: Platform) -> dg.MaterializeResult:
        from feature_repo.materialize import update_group_as_configured

        years = years_of(context)
        report = update_group_as_configured(platform.settings, platform.lake, platform.clock, group, years)
        return materialized_by_year(context, platform.lake, report)

    return features


feature_tables = [_feature_table(group) for group in GROUPS]


@dg.asset(
    group_name=GROUP,
    partitions_def=YEARS,
    backfill_policy=ONE_RUN,
    deps=["bars"],
    kinds={"polars", "delta"},
    op_tags=AFTER_SERVING,
)
def labels(context: dg.AssetExecutionContext, platform: Platform) -> dg.MaterializeResult:
    """What came after each session, known once its horizon has passed."""
    from feature_repo.materialize import update_labels

    report = update_labels(platform.lake, platform.clock, years=years_of(context))
    return materialized_by_year(context, platform.lake, report)


@dg.asset(group_name=GROUP, deps=["bars"], kinds={"polars", "delta"})
def regimes(platform: Platform) -> dg.MaterializeResult:
    """Regime of the market per session."""
    from feature_repo.materialize import update_regimes

    return materialized(update_regimes(platform.lake, platform.clock))


@dg.asset(group_name=GROUP, deps=["features_technical"], kinds={"polars", "delta"})
def model_windows(platform: Platform) -> dg.MaterializeResult:
    """Input of the models in service, for the newest session."""
    from feature_repo.materialize import update_windows

    return materialized(update_windows(platform.lake, platform.clock))


@dg.asset(
    group_name=GROUP,
    deps=[model_windows, regimes, "strategy_assignments", "blend_weights", "calibrations"],
    kinds={"feast", "redis"},
)
def online_store(platform: Platform) -> dg.MaterializeResult:
    """Features, windows, regime, strategy, weights of models and calibration in Redis: what one request reads."""
    from feature_repo.retrieval import materialize

    return materialized(materialize(platform.lake, platform.settings, platform.clock.now()))
