"""Forecasts on disk: the log that each answer is in before it is sent, its readers, and its way to the lake."""
