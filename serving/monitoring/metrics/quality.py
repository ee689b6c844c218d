"""Metrics of what came of forecasts."""

from serving.monitoring.metrics.declaring import gauge

OF_MODEL = ("model", "horizon_sessions")
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
SKILL = gauge(
    "quantlake_skill_against_naive_ratio",
    "1 - pinball loss / that of the naive forecast of the same closes, over the last 60 sessions with an outcome; "
    "above 0 is better than naive",
    *OF_MODEL,
    mode="mostrecent",
)
SKILL_LIMIT = gauge(
    "quantlake_skill_against_naive_limit_ratio",
    "Ends of its 90 % interval: limit is low or high",
    *OF_MODEL,
    "limit",
    mode="mostrecent",
)
SKILL_SESSIONS = gauge(
    "quantlake_skill_against_naive_sessions",
    "Sessions of this model among those 60: the interval is of fewer where this is below 60",
    *OF_MODEL,
    mode="mostrecent",
)
FORECAST_COVERAGE = gauge(
    "quantlake_forecast_coverage_ratio",
    "Share of a model's outcomes within p10..p90, over the last 250 matured outcomes of each symbol; 0.8 is promised",
    *OF_MODEL,
    mode="mostrecent",
)
FORECAST_COVERAGE_LIMIT = gauge(
    "quantlake_forecast_coverage_limit_ratio",
    "Ends of its 90 % binomial interval, counted in sessions whose horizons do not overlap: limit is low or high",
    *OF_MODEL,
    "limit",
    mode="mostrecent",
)
FORECAST_COVERAGE_OUTCOMES = gauge(
    "quantlake_forecast_coverage_outcomes",
    "Outcomes of all symbols behind that share, its n",
    *OF_MODEL,
    mode="mostrecent",
)
