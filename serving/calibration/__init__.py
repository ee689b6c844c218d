"""Corrections of forecasts, learned from outcomes."""
