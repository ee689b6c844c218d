"""Strategies on paper, and ways to use the pool, as trials of the ledger: all of them answer one question."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import datetime

import polars as pl

from lake.ledger import ScoredTrial
from lake.tables import TRIAL_GAINS
from serving.evidence import FloatArray
from serving.strategies.pool import COST_BPS, FORECAST_HORIZON, STRATEGIES
from serving.strategies.selection import SelectionRule

FAMILY = "strategies on paper"
"""The question: which strategy, or mix of them, earns most for its risk."""


def strategy_trials(earned: pl.DataFrame) -> list[ScoredTrial]:
    """Return a trial for each declared strategy that has earned something on paper.

    Gains are net returns per session. A strategy is what it is declared to be: one more session is the same trial, and
    so is one more version of the model that it reads.

    Parameters
    ----------
    earned
        Rows of `strategy_returns`.
    """
    trials = []
    for strategy in STRATEGIES:
        own = earned.filter(pl.col("strategy") == strategy.name).sort("event_time")
        if own.height:
            parameters = {"model": strategy.model, **asdict(strategy.sizing), "cost_bps": COST_BPS}
            gains = own.select("event_time", pl.col("net_return").alias("gain"))
            trials.append(
                ScoredTrial(
                    FAMILY,
                    "strategy",
                    strategy.name,
                    parameters,
                    gains=gains,
                    score=float(gains["gain"].to_numpy().sum()),
                    horizon_sessions=FORECAST_HORIZON,
                )
            )
    return trials


def selection_trials(
    sessions: Sequence[datetime], curves: Mapping[str, FloatArray], rule: SelectionRule
) -> list[ScoredTrial]:
    """Return a trial for each way to use the pool, with its net returns per session at equal volatility.

    Parameters
    ----------
    curves
        Name to net returns ``[session]``.
    rule
        That weights are learnt by.
    """
    times = pl.Series("event_time", sessions, dtype=TRIAL_GAINS.schema["event_time"])
    return [
        ScoredTrial(
            FAMILY,
            "selection",
            name,
            asdict(rule),
            seed=rule.seed,
            gains=pl.DataFrame([times, pl.Series("gain", net, dtype=pl.Float64)]),
            score=float(net.sum()),
            horizon_sessions=FORECAST_HORIZON,
        )
        for name, net in curves.items()
    ]
