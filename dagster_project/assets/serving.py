"""Serving assets: fitted models into service, and their forecasts."""

import dagster as dg

from dagster_project.reports import materialized
from dagster_project.resources import Platform

GROUP = "serving"


@dg.asset(group_name=GROUP, deps=["trained_models", "evaluations"], kinds={"onnx", "mlflow"})
def served_models(context: dg.AssetExecutionContext, platform: Platform) -> dg.MaterializeResult:
    """Each model as one ONNX file with its parity proof, promoted to champion."""
    from serving.stages import promote_champions

    report = promote_champions(platform.lake, platform.settings, platform.clock, platform.experiment, context.log.info)
    return materialized(report)


class WalkForward(dg.Config):
    """How far back a model is taken that never forecast."""

    sessions: int = 250


@dg.asset(
    group_name=GROUP,
    deps=[served_models, "features_technical", "regimes", "model_windows"],
    kinds={"onnx", "delta"},
)
def forecasts(context: dg.AssetExecutionContext, config: WalkForward, platform: Platform) -> dg.MaterializeResult:
    """Forecasts of every model and every version on trial at each close, and the answers that the service gave."""
    from serving.stages import update_forecasts

    return materialized(
        update_forecasts(
            platform.lake,
            platform.settings,
            platform.clock,
            context.log.info,
            models=platform.models,
            sessions=config.sessions,
        )
    )


@dg.asset(group_name=GROUP, deps=["feature_parity"], kinds={"onnx", "redis", "delta"})
def scheduled_forecasts(context: dg.AssetExecutionContext, platform: Platform) -> dg.MaterializeResult:
    """The forecast of every symbol and horizon after this session, as if someone had asked for it."""
    from serving.predict import store_scheduled

    return materialized(store_scheduled(platform.lake, platform.settings, context.log.info))


@dg.asset(group_name=GROUP, deps=[scheduled_forecasts], kinds={"sqlite"})
def forecast_log(platform: Platform) -> dg.MaterializeResult:
    """The log that answers are written to, without what is in the lake for longer than the retention."""
    from serving.forecast_log import prune

    return materialized(prune(platform.lake, platform.settings))
