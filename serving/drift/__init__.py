"""Drift of model inputs and outputs against training."""
