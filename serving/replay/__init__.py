"""Stored forecasts made again and compared."""
