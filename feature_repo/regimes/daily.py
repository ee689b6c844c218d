"""Bars to the regime of the market at each close: by rule, and by hidden Markov models filtered forward."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from feature_repo.compute import regime
from feature_repo.regimes import hidden_markov
from lake.market import DEMO, Market
from lake.tables import REGIMES

REGIME_EXPRESSIONS: tuple[pl.Expr, ...] = (
    regime.volatility_state().alias("volatility_state"),
    regime.trend_state().alias("trend_state"),
    regime.volatility().alias("volatility"),
    regime.trend_gap().alias("trend_gap"),
)
"""Rule-based states of the index at each close; both together name the regime."""

TRAINING_SESSIONS = 1260
"""Each hidden Markov model is fitted on the first so many sessions of its series, five years, and on no later one."""
SHIFT_SESSIONS = 20
"""A shift of the correlation is a change of its state within so many sessions."""
HALF = 0.5


@dataclass(frozen=True)
class HiddenStateModel:
    """One hidden Markov model of the market.

    Parameters
    ----------
    column
        Column of the state's name.
    probability
        Column of the probability of the second state.
    states
        Names of the states, in the order of `order`.
    order
        What ascends from the first state to the second.
    seen
        Column of the series it sees.
    """

    column: str
    probability: str
    states: tuple[str, str]
    order: hidden_markov.Order
    seen: str


CORRELATION = HiddenStateModel(
    "hidden_correlation_state",
    "high_correlation_probability",
    ("low_correlation", "high_correlation"),
    "mean",
    "average_correlation",
)
HIDDEN: tuple[HiddenStateModel, ...] = (
    HiddenStateModel(
        "hidden_volatility_state",
        "high_volatility_probability",
        ("low_volatility", "high_volatility"),
        "variance",
        "daily_return",
    ),
    HiddenStateModel("hidden_trend_state", "uptrend_probability", ("downtrend", "uptrend"), "mean", "drift"),
    CORRELATION,
)
"""The models beside the rules. What they see is a value of `feature_repo.compute.regime`."""

RECIPE: tuple[str, ...] = (
    *map(str, REGIME_EXPRESSIONS),
    *map(repr, HIDDEN),
    f"{TRAINING_SESSIONS} {SHIFT_SESSIONS}",
    hidden_markov.RECIPE,
)
"""What the values follow from besides the bars; another recipe, other values."""


def compute_regimes(
    bars: pl.DataFrame,
    *,
    market: Market = DEMO,
    training_sessions: int = TRAINING_SESSIONS,
    cache_folder: Path | None = None,
) -> pl.DataFrame:
    """Compute the regime of the market at each close of the index, in the columns of `regimes`.

    The first rows lack the means they compare with and are left out: a session without a regime has no row. The hidden
    states and their probabilities are null until the close at which the training sessions of their model end; from
    there on each is what the model makes of the sessions up to its own, so no later bar changes it.

    Parameters
    ----------
    bars
        Clean bars as of one instant, one row per (symbol, event_time); symbols besides the index give the correlation.
    training_sessions
        Known values of each series that its model is fitted on.
    cache_folder
        Folder of fitted parameters, so that the next process fits nothing while the training sessions stay the same.

    Examples
    --------
    >>> from lake.sources import tiny_market
    >>> regimes = compute_regimes(tiny_market(["AAA", "^GSPC"], sessions=300, seed=1))
    >>> regimes["market"].unique().to_list(), regimes["hidden_trend_state"].null_count() == regimes.height
    (['^GSPC'], True)
    """
    is_index = pl.col("symbol") == market.index
    return regimes_of(
        bars.filter(is_index),
        session_totals(bars, market=market),
        training_sessions=training_sessions,
        cache_folder=cache_folder,
    )


def session_totals(bars: pl.DataFrame, *, market: Market = DEMO) -> pl.DataFrame:
    """Return what regimes need of the bars of all symbols, session by session.

    Parameters
    ----------
    bars
        As for `compute_regimes`. The totals of a session need the bars at it and, of each symbol, the
        `feature_repo.compute.regime.MEMBER_BARS` before.

    Returns
    -------
    pl.DataFrame
        ``event_time, known_time, total, own, n``: the latest `known_time` among the bars at each close, and the sums
        of `feature_repo.compute.regime.session_sums`; null where no member has enough bars.
    """
    latest = bars.group_by("event_time").agg(pl.col("known_time").max())
    sums = regime.session_sums(bars.filter(pl.col("symbol") != market.index))
    return latest.join(sums, on="event_time", how="left").sort("event_time")


def regimes_of(
    index: pl.DataFrame,
    totals: pl.DataFrame,
    *,
    training_sessions: int = TRAINING_SESSIONS,
    cache_folder: Path | None = None,
) -> pl.DataFrame:
    """Compute regimes from all bars of the index and the `session_totals` of every session; see `compute_regimes`."""
    index = index.sort("event_time")
    seen = (
        index.select("event_time", regime.daily_return().alias("daily_return"), regime.drift().alias("drift"))
        .join(regime.equicorrelation(totals), on="event_time", how="left")
        .sort("event_time")
    )
    states = index.select(pl.col("symbol").alias("market"), "event_time", *REGIME_EXPRESSIONS)
    known = totals.select("event_time", pl.col("known_time").cum_max())
    states = states.join(known, on="event_time", how="left", maintain_order="left")
    states = states.with_columns(
        (pl.col("volatility_state") + "_" + pl.col("trend_state")).alias("regime"), seen["average_correlation"]
    )
    for hidden in HIDDEN:
        states = states.with_columns(*_hidden_columns(hidden, seen[hidden.seen], training_sessions, cache_folder))
    states = states.with_columns(*_shift())
    return states.drop_nulls(["regime", "volatility", "trend_gap"]).select(REGIMES.names)


def _hidden_columns(
    hidden: HiddenStateModel, series: pl.Series, training: int, cache_folder: Path | None
) -> list[pl.Series]:
    """Name and probability at each session; null before the model is fitted and while nothing has been seen."""
    values = series.cast(pl.Float64).fill_null(float("nan")).to_numpy()
    known = np.flatnonzero(np.isfinite(values))
    second = np.full(values.size, np.nan)
    if known.size >= training and np.ptp(values[known[:training]]) > 0:
        end = int(known[training - 1])
        model = hidden_markov.fit(values[: end + 1], hidden.order, cache_folder=cache_folder)
        second[end:] = model.filtered(values)[end:, 1]
    probability = pl.Series(hidden.probability, second).fill_nan(None)
    names = pl.select(
        pl.when(probability > HALF)
        .then(pl.lit(hidden.states[1]))
        .when(probability <= HALF)
        .then(pl.lit(hidden.states[0]))
    ).to_series()
    return [names.alias(hidden.column), probability]


def _shift() -> list[pl.Expr]:
    """Whether the correlation is in another state than it was in 20 sessions ago, and how probable that is.

    The state then is the one that was the more probable then; it is not looked at again with what came since.
    """
    now = pl.col(CORRELATION.probability)
    then = now.shift(SHIFT_SESSIONS)
    probability = pl.when(then > HALF).then(1 - now).when(then <= HALF).then(now)
    return [
        probability.alias("correlation_shift_probability"),
        (probability > HALF).alias("correlation_shift"),
    ]
