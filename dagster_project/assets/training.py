"""Training assets: training frame to fitted and evaluated models."""

import dagster as dg

from dagster_project.reports import materialized
from dagster_project.resources import Platform

GROUP = "training"


@dg.asset(group_name=GROUP, deps=["features_technical", "labels"], kinds={"feast"})
def training_set(context: dg.AssetExecutionContext, platform: Platform) -> dg.MaterializeResult:
    """The frame that models learn from, through Feast's historical retrieval, with the table versions it read."""
    from training.stages import make_training_set

    return materialized(make_training_set(platform.lake, platform.settings, platform.experiment, context.log.info))


@dg.asset(group_name=GROUP, deps=[training_set], kinds={"optuna"})
def tuned_parameters(context: dg.AssetExecutionContext, platform: Platform) -> dg.MaterializeResult:
    """Hyper-parameters of the LSTM and the TFT, searched with pruning."""
    from training.stages import tune

    return materialized(tune(platform.lake, platform.settings, platform.experiment, context.log.info))


@dg.asset(group_name=GROUP, deps=[tuned_parameters], kinds={"pytorch", "lightgbm", "mlflow"})
def evaluations(context: dg.AssetExecutionContext, platform: Platform) -> dg.MaterializeResult:
    """The model table: purged walk-forward scores, always beside naive."""
    from training.stages import evaluate

    return materialized(evaluate(platform.lake, platform.settings, platform.experiment, context.log.info))


@dg.asset(group_name=GROUP, deps=[tuned_parameters], kinds={"pytorch", "lightgbm", "mlflow"})
def trained_models(context: dg.AssetExecutionContext, platform: Platform) -> dg.MaterializeResult:
    """One model of each kind, fitted on everything known before the sessions it will be judged on."""
    from training.stages import fit_champions

    return materialized(fit_champions(platform.lake, platform.settings, platform.experiment, context.log.info))
