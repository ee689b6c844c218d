"""Feedback assets: outcomes, performance, drift, calibration and the selected strategy."""

import dagster as dg

from dagster_project.reports import materialized
from dagster_project.resources import Platform

GROUP = "feedback"


@dg.asset(group_name=GROUP, deps=["forecasts", "labels"], kinds={"polars", "delta"})
def outcomes(platform: Platform) -> dg.MaterializeResult:
    """Exactly one outcome for each forecast whose horizon has passed."""
    from serving.outcomes import mature

    return materialized(mature(platform.lake, platform.clock))


@dg.asset(group_name=GROUP, deps=[outcomes], kinds={"polars"})
def live_figures(platform: Platform) -> dg.MaterializeResult:
    """How good the forecasts of late were, for the dashboard of whoever operates the service."""
    from serving.outcomes import update_figures

    return materialized(update_figures(platform.lake, platform.settings, platform.clock))


@dg.asset(group_name=GROUP, deps=["forecasts", "labels", "regimes"], kinds={"polars", "delta"})
def strategy_returns(platform: Platform) -> dg.MaterializeResult:
    """What each strategy of the pool earned on paper, net of cost."""
    from serving.outcomes import update_strategy_returns

    return materialized(update_strategy_returns(platform.lake, platform.clock))


@dg.asset(group_name=GROUP, deps=[outcomes, strategy_returns], kinds={"polars", "delta"})
def performance(platform: Platform) -> dg.MaterializeResult:
    """How each strategy did, by regime and window."""
    from serving.outcomes import update_performance

    return materialized(update_performance(platform.lake, platform.clock))


@dg.asset(group_name=GROUP, deps=["features_technical", "forecasts"], kinds={"evidently"})
def drift(platform: Platform) -> dg.MaterializeResult:
    """Drift of features and forecasts against the training reference."""
    from serving.drift import update_drift

    return materialized(update_drift(platform.lake, platform.settings, platform.clock))


@dg.asset(group_name=GROUP, deps=[strategy_returns, "regimes", "replayed_forecasts"], kinds={"polars", "delta"})
def selections(platform: Platform) -> dg.MaterializeResult:
    """The strategy weights in force per regime, and the evidence for them."""
    from serving.strategies import update_selections

    return materialized(update_selections(platform.lake, platform.settings, platform.clock))


@dg.asset(group_name=GROUP, deps=["forecasts", "labels", "replayed_forecasts"], kinds={"numpy", "delta"})
def blend_weights(platform: Platform) -> dg.MaterializeResult:
    """How much each model counts in a forecast, by its loss on what has matured."""
    from serving.blend_weights import update_blend_weights

    return materialized(update_blend_weights(platform.lake, platform.clock))


@dg.asset(group_name=GROUP, deps=["forecasts", "labels", blend_weights], kinds={"numpy", "delta"})
def calibrations(platform: Platform) -> dg.MaterializeResult:
    """By how much forecast bands are corrected, so that they cover what they promise."""
    from serving.calibration import update_calibrations

    return materialized(
        update_calibrations(platform.lake, platform.clock, picture=platform.settings.reports / "calibration.png")
    )


@dg.asset(group_name=GROUP, deps=["forecasts", blend_weights, calibrations], kinds={"numpy", "delta"})
def portfolio_weights(platform: Platform) -> dg.MaterializeResult:
    """What each declared portfolio holds, beside 1/N, and why it traded or did not."""
    from serving.portfolio import update_portfolio_weights

    return materialized(update_portfolio_weights(platform.lake, platform.clock))


@dg.asset(group_name=GROUP, deps=[selections], kinds={"polars", "delta"})
def strategy_assignments(platform: Platform) -> dg.MaterializeResult:
    """The strategy in force for each symbol now."""
    from serving.strategies import update_assignments

    return materialized(update_assignments(platform.lake, platform.clock))


@dg.asset(group_name=GROUP, deps=[strategy_assignments], kinds={"numpy"})
def risk_figures(platform: Platform) -> dg.MaterializeResult:
    """How much of each risk limit the paper portfolio uses, for the dashboard and the metrics."""
    from serving.risk import update_risk_figures

    return materialized(update_risk_figures(platform.lake, platform.settings, platform.clock))


@dg.asset(group_name=GROUP, deps=["forecasts", "bars", selections, "replayed_forecasts"], kinds={"numpy", "delta"})
def backtests(platform: Platform) -> dg.MaterializeResult:
    """What following the selection would have earned with costs, beside 1/N and naive."""
    from serving.backtest import update_backtests

    return materialized(update_backtests(platform.lake, platform.settings, platform.clock))


@dg.asset(group_name=GROUP, deps=["features_technical", "labels", "evaluations"], kinds={"polars", "delta"})
def documents(platform: Platform) -> dg.MaterializeResult:
    """Notes that written explanations may quote: features, models, and what followed large moves of each symbol."""
    from serving.embedding import open_embedder
    from serving.explain.narrative import update_notes

    return materialized(update_notes(platform.lake, platform.clock, open_embedder(platform.settings)))


@dg.asset(group_name=GROUP, deps=["forecasts", "labels", blend_weights, calibrations], kinds={"numpy", "delta"})
def feature_importance(platform: Platform) -> dg.MaterializeResult:
    """How much worse each model forecasts when a feature is exchanged among the symbols of a session."""
    from serving.importance.measuring import measure_in_service

    return materialized(measure_in_service(platform.lake, platform.settings, platform.clock))
