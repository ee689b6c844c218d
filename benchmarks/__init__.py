"""Figures beside their rivals: `make bench`."""
