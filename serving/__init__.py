"""The life of a model after training: engine, endpoint, forecasts, outcomes, selection."""
