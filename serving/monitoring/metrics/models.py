"""Metrics of the models in service."""

from serving.monitoring.metrics.declaring import counter, gauge

MODEL_INFO = gauge(
    "quantlake_model_info",
    "1 for each model version in service or on trial, with the first letters of its digest; 0 once it is gone",
    "model",
    "version",
    "digest",
    "role",
    mode="livemax",
)
MODEL_EXCHANGES = counter("quantlake_model_exchanges", "Times a worker took up another set of models")
MODEL_REFUSALS = counter("quantlake_model_refusals", "Versions that a worker refused to put in service", "model")
