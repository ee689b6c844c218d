"""Kinds of stored forecasts: which are answered, which may be looked up, and which the walk-forward makes."""

REPLAY = "replay"
"""A champion on its own, at the close of every session: what strategies, weights and corrections are learned from."""
TRIAL = "trial"
"""A version on trial on its own, at the same closes: what its verdict rests on, and nothing else."""
WALKED = (REPLAY, TRIAL)
"""Made by the walk-forward: one model, uncalibrated, under one receipt for all that it computed at one moment."""
ANSWERED = ("served", "scheduled")
"""Forecasts of the blend, which is what is answered."""
VISIBLE = (*ANSWERED, REPLAY)
"""Kinds that may be looked up; those of a challenger are never answered."""
