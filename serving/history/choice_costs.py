"""What it costs to be wrong about a strategy: its paper returns beside those of the runner-up, in the same sessions."""

import math
from collections.abc import Sequence
from datetime import datetime

import polars as pl

from lake.tables import STRATEGY_RETURNS
from serving import api
from serving.history.known import KnownTables
from serving.history.records import LEAST_OUTCOMES, Z90, variance_of_sum

BPS = 1e4


def choice_costs_of(
    tables: KnownTables, selections: Sequence[api.HistorySelection], at: datetime
) -> list[api.HistoryChoiceCost]:
    """Return by how much the runner-up of each decision out-earned the weights in force, per session of its regime.

    Parameters
    ----------
    selections
        Decisions, one for each regime; one without a runner-up is left out.

    Returns
    -------
    list of HistoryChoiceCost
        From the paper returns, net of cost, that were known at the instant. A positive number is what the decision has
        cost so far, a negative one what it saved.
    """
    known = tables.known(STRATEGY_RETURNS, at)
    return [_cost(known, chosen, chosen.runner_up) for chosen in selections if chosen.runner_up is not None]


def _cost(known: pl.DataFrame, chosen: api.HistorySelection, runner_up: str) -> api.HistoryChoiceCost:
    of_regime = known.filter(pl.col("regime") == chosen.regime)
    weights = pl.DataFrame({"strategy": list(chosen.weights), "weight": list(chosen.weights.values())})
    of_pool = of_regime.join(weights, on="strategy")
    earned = of_pool.group_by("event_time").agg(
        (pl.col("weight") * pl.col("net_return")).sum().alias("in_force"),
        pl.len().alias("strategies"),
    )
    whole = earned.filter(pl.col("strategies") == weights.height)
    other = of_pool.filter(pl.col("strategy") == runner_up).select("event_time", other="net_return")
    paired = whole.join(other, on="event_time").sort("event_time")
    differences = BPS * (paired["other"] - paired["in_force"]).to_numpy()
    count = len(differences)
    if count < LEAST_OUTCOMES:
        return api.HistoryChoiceCost(regime=chosen.regime, sessions=count, cost_bps=None, low=None, high=None)
    mean = float(differences.mean())
    reach = Z90 * math.sqrt(variance_of_sum(differences - mean, 0)) / count
    return api.HistoryChoiceCost(
        regime=chosen.regime, sessions=count, cost_bps=mean, low=mean - reach, high=mean + reach
    )
