"""Metrics of what came of forecasts."""

from serving.monitoring.metrics.declaring import gauge

MATURED = gauge(
    "quantlake_matured_forecasts",
    "Forecasts of the last 60 sessions whose outcome is known, by model and horizon",
    "model",
    "horizon_sessions",
    mode="mostrecent",
)
FORECAST_ERROR = gauge(
    "quantlake_forecast_absolute_error_ratio",
    "Mean absolute error of their medians, as a share of the price, over the last 60 sessions",
    "model",
    "horizon_sessions",
    mode="mostrecent",
)
PINBALL = gauge(
    "quantlake_forecast_pinball_loss_ratio",
    "Mean pinball loss of their quantiles, as a share of the price, over the last 60 sessions",
    "model",
    "horizon_sessions",
    mode="mostrecent",
)
COVERAGE = gauge(
    "quantlake_band_coverage_ratio",
    "Share of outcomes within p10..p90 of what was answered, over the last 60 sessions; 0.8 is promised",
    "regime",
    "horizon_sessions",
    mode="mostrecent",
)
