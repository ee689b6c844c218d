"""Forecasts of past sessions, made with what was known at each close."""
