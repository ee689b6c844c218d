"""Targets of a strategy and of its nulls: shares of equity by session and symbol, of what was known at each close."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

import numpy as np
import polars as pl

from lake.clock import Clock
from lake.errors import ConfigError, NotReadyError, UnknownNameError
from lake.horizons import Horizon
from lake.market import Market
from lake.store import Lake, LakeReader
from lake.tables import FORECASTS, REGIMES, SELECTIONS, STRATEGY_RETURNS
from serving.backtest.prices import BarPanel, FloatArray, matrices
from serving.backtest.strategy_file import SELECTED, StrategyFile
from serving.forecasts import QUANTILES
from serving.outcomes import first_replays
from serving.strategies import (
    FORECAST_HORIZON,
    STRATEGIES,
    Sizing,
    StrategySpec,
    at_equal_volatility,
    paper_returns_of,
    positions,
    strategy_named,
)

KEY = ("symbol", "event_time")
LEAST_SHIFT = 21
"""Sessions by which shuffled forecasts are moved at least."""


@dataclass(frozen=True)
class TargetInputs:
    """What targets are made from, all of it out of sample: forecasts that were replayed with what each close knew.

    Parameters
    ----------
    forecasts
        Replayed rows of `forecasts` of the models and the horizon that are read, one per model, symbol and session.
    pool
        Strategies that turn them into positions.
    origins
        ``event_time``, ``model_name``, ``model_version``, ``model_digest``: who forecast from each close.
    weights
        ``event_time``, ``strategy``, ``weight``: how much each strategy of `pool` counts at each close.
    """

    forecasts: pl.DataFrame
    pool: tuple[StrategySpec, ...]
    origins: pl.DataFrame
    weights: pl.DataFrame | None = None


def read_inputs(lake: Lake, clock: Clock, file: StrategyFile) -> TargetInputs:
    """Return what the targets of a strategy are made from.

    A forecast counts if it was known when its session was decided: one that was made later, with what is known now, is
    no forecast.

    Raises
    ------
    NotReadyError
        If there is no replayed forecast, or none of a model that is read.
    ConfigError
        If the market does not forecast the horizon.
    """
    market = lake.market
    replays = first_replays(lake, clock)
    replays = replays.filter(pl.col("known_time") <= pl.col("event_time") + market.decided_after)
    if replays.is_empty():
        raise NotReadyError(
            f"There are no replayed forecasts to back-test on yet. The first run makes them: `{market.first_run}`."
        )
    if file.members:
        return _of_members(replays, file, market)
    pool = _pool_of(file)
    models = {strategy.model for strategy in pool} if pool else set(replays["model_name"].unique())
    of_horizon = replays.filter(pl.col("horizon_sessions") == FORECAST_HORIZON, pl.col("model_name").is_in(models))
    have = set(of_horizon["model_name"].unique())
    if file.pool == SELECTED:
        pool = tuple(strategy for strategy in pool if strategy.model in have)
        return TargetInputs(
            of_horizon, pool, origins_of(of_horizon), weights_in_force(lake, clock, of_horizon["event_time"].unique())
        )
    _require_models([strategy.model for strategy in pool], have, FORECAST_HORIZON, market)
    return TargetInputs(of_horizon, pool, origins_of(of_horizon))


def _pool_of(file: StrategyFile) -> tuple[StrategySpec, ...]:
    if file.pool == SELECTED:
        return STRATEGIES
    return (strategy_named(file.pool),) if file.pool else ()


def _of_members(replays: pl.DataFrame, file: StrategyFile, market: Market) -> TargetInputs:
    assert file.members is not None
    bars = horizon_bars(file.horizon, market)
    read = replays.filter(pl.col("horizon_sessions") == bars)
    members = {model: weight for model, weight in file.members.items() if weight > 0}
    _require_models(list(members), set(read["model_name"].unique()), bars, market)
    strategy = StrategySpec(
        "members", "members", Sizing("band", file.sizing.scale, file.sizing.half_life_sessions), file.described
    )
    used = read.filter(pl.col("model_name").is_in(list(members)))
    return TargetInputs(blended(read, members), (strategy,), origins_of(used))


def origins_of(forecasts: pl.DataFrame) -> pl.DataFrame:
    """Return which model versions forecast from each close."""
    return forecasts.select("event_time", "model_name", "model_version", "model_digest").unique().sort(pl.all())


def _require_models(wanted: Sequence[str], have: set[str], bars: int, market: Market) -> None:
    if lacking := sorted(set(wanted) - have):
        raise NotReadyError(
            f"There are no replayed forecasts of {', '.join(lacking)} over {market.horizon_of(bars)}; there are those "
            f"of {', '.join(sorted(have)) or 'no model'}. Name one of these, or put the model in service first."
        )


def horizon_bars(horizon: str, market: Market) -> int:
    """Return the bars of a horizon of the market by its words.

    Raises
    ------
    ConfigError
        Listing the horizons that the market forecasts.
    """
    for words, bars in zip(market.horizons, market.horizon_bars, strict=True):
        if words == horizon or Horizon.parse(words) == Horizon.parse(horizon):
            return bars
    raise ConfigError(
        f"The market '{market.name}' does not forecast '{horizon}'. It forecasts {', '.join(market.horizons)}."
    )


def blended(forecasts: pl.DataFrame, members: dict[str, float]) -> pl.DataFrame:
    """Return the weighted mean of the members' quantiles, where every member made a forecast.

    They are labelled as forecasts over one session by a model `members`: positions are sized by the median against the
    band of the same horizon, whatever that is.
    """
    total = sum(members.values())
    weight = pl.col("model_name").replace_strict(
        list(members), [each / total for each in members.values()], return_dtype=pl.Float64
    )
    own = forecasts.filter(pl.col("model_name").is_in(list(members))).with_columns(weight.alias("weight"))
    mixed = own.group_by(*KEY).agg(
        *((pl.col(name) * pl.col("weight")).sum() for name in QUANTILES),
        pl.len().alias("count"),
        pl.col("known_time").max(),
    )
    return (
        mixed.filter(pl.col("count") == len(members))
        .drop("count")
        .with_columns(
            pl.lit("members").alias("model_name"),
            pl.lit(FORECAST_HORIZON, FORECASTS.schema["horizon_sessions"]).alias("horizon_sessions"),
        )
        .sort("event_time", "symbol")
    )


def weights_in_force(lake: LakeReader, clock: Clock, closes: pl.Series) -> pl.DataFrame:
    """Return how much each strategy counted at each close: weights by regime, times the scale to equal volatility.

    Decisions count from when they were known. Before the first one, and in a regime that none is about, all strategies
    count alike; one that a decision does not name, because it came later, has no weight.

    Returns
    -------
    pl.DataFrame
        ``event_time``, ``strategy``, ``weight``.
    """
    now, market = clock.now(), lake.market
    if not lake.exists(STRATEGY_RETURNS):
        raise NotReadyError(
            f"No strategy has paper returns yet, so none can have been selected. Run `{market.next_run}` first."
        )
    declared = paper_returns_of(lake.read_as_of(STRATEGY_RETURNS, now), market.grid, market.decided_after)
    scaled = at_equal_volatility(declared)
    with np.errstate(invalid="ignore", divide="ignore"):
        scale = np.where(declared.exposure > 0, scaled.exposure / declared.exposure, 1.0)
    grid = pl.DataFrame(
        {
            "event_time": np.repeat(np.array(declared.sessions, dtype=object), len(declared.strategies)).tolist(),
            "strategy": list(declared.strategies) * len(declared.sessions),
            "scale": scale.ravel(),
        },
        schema_overrides={"event_time": closes.dtype},
    )
    asked = pl.DataFrame({"event_time": closes}).join(
        pl.DataFrame({"strategy": list(declared.strategies)}), how="cross"
    )
    asked = asked.sort("strategy", "event_time").join(grid, on=["event_time", "strategy"], how="left")
    asked = asked.with_columns(pl.col("scale").forward_fill().over("strategy").fill_null(1.0))
    regimes = lake.read_as_of(REGIMES, now).filter(pl.col("known_time") <= pl.col("event_time") + market.decided_after)
    asked = asked.join(regimes.select("event_time", "regime"), on="event_time", how="left").sort("event_time")
    decided = _decided(lake, now).sort("in_force")
    found = asked.join_asof(
        decided,
        left_on="event_time",
        right_on="in_force",
        by=["regime", "strategy"],
        strategy="backward",
        check_sortedness=False,
    )
    is_decided = pl.col("weight").is_not_null().any().over("event_time")
    absent = pl.when(is_decided).then(0.0).otherwise(1.0 / len(declared.strategies))
    weight = (pl.coalesce("weight", absent) * pl.col("scale")).alias("weight")
    return found.select("event_time", "strategy", weight).sort("event_time", "strategy")


def _decided(lake: LakeReader, now: datetime) -> pl.DataFrame:
    """Decisions of the selection: ``regime``, ``strategy``, ``weight`` and the close at which each came into force."""
    rows = lake.read_as_of(SELECTIONS, now) if lake.exists(SELECTIONS) else SELECTIONS.empty()
    return (
        rows.with_columns((pl.col("known_time") - lake.market.decided_after).alias("in_force"))
        .select("regime", "in_force", pl.col("strategies").alias("strategy"), pl.col("weights").alias("weight"))
        .explode("strategy", "weight")
    )


def universe_of(file: StrategyFile, inputs: TargetInputs) -> tuple[str, ...]:
    """Return the symbols of a back-test, in order.

    Raises
    ------
    UnknownNameError
        If a symbol of the file was never forecast.
    """
    forecast = sorted(inputs.forecasts["symbol"].unique())
    wanted = file.universe or tuple(file.weights or ()) or tuple(forecast)
    for symbol in wanted:
        if symbol not in forecast:
            raise UnknownNameError("symbol with replayed forecasts", symbol, forecast)
    return tuple(sorted(wanted))


def strategy_targets(file: StrategyFile, inputs: TargetInputs, panel: BarPanel, delisted_after: int) -> FloatArray:
    """Return the target of each symbol at each close ``[session, symbol]``, as a share of equity; NaN for no change.

    What was decided at a close may be traded from the next session on, never at that close. Rows between two
    rebalancings, and a symbol that had no bar at the close, are NaN: their positions stay.
    """
    if file.weights is not None:
        row = np.array([file.weights.get(symbol, 0.0) for symbol in panel.symbols])
        return _on_schedule(np.where(panel.has_bar, row, np.nan), file)
    if file.equal_weight:
        return equal_weight_targets(file, panel)
    held = np.zeros(panel.close.shape)
    quoted, closes = _quoted(panel), pl.Series(panel.sessions, dtype=FORECASTS.schema["event_time"])
    own = inputs.forecasts.filter(pl.col("symbol").is_in(list(panel.symbols)))
    for strategy in inputs.pool:
        taken = positions(strategy, own, quoted, delisted_after).filter(pl.col("event_time").is_in(closes.implode()))
        position = matrices(taken, ("position",), closes, panel.symbols)["position"]
        held += np.nan_to_num(position) * _weights(inputs, strategy, panel)
    return _on_schedule(np.where(panel.has_bar, held, np.nan), file)


def equal_weight_targets(file: StrategyFile, panel: BarPanel) -> FloatArray:
    """Return the targets of 1/N: the same share for every symbol that has a bar, on the schedule of the strategy."""
    counts = panel.has_bar.sum(axis=1, keepdims=True)
    return _on_schedule(np.where(panel.has_bar, 1.0 / np.maximum(counts, 1), np.nan), file)


def matched_targets(wanted: FloatArray) -> FloatArray:
    """Return the targets of 1/N at the gross exposure of others: it holds them long, in equal parts, at each close.

    Parameters
    ----------
    wanted
        Targets of the strategy ``[session, symbol]``; NaN for no change, and so in the result.

    Examples
    --------
    >>> matched_targets(np.array([[0.3, -0.1], [np.nan, 0.2]])).tolist()
    [[0.2, 0.2], [nan, 0.2]]
    """
    asked = ~np.isnan(wanted)
    gross = np.nansum(np.abs(wanted), axis=1, keepdims=True)
    return np.where(asked, gross / np.maximum(asked.sum(axis=1, keepdims=True), 1), np.nan)


def naive_targets(panel: BarPanel) -> FloatArray:
    """Return the targets of a forecast of zero: none, all is cash."""
    return np.zeros(panel.close.shape)


def shuffled(inputs: TargetInputs, seed: int) -> TargetInputs:
    """Return forecasts that say nothing of the sessions they stand at: moved in time and given to other symbols.

    The table of forecasts is moved round by at least `LEAST_SHIFT` sessions, where there are that many, and its symbols
    are exchanged. So each twin trades as often as the strategy and on forecasts as persistent, but not on what
    was forecast.
    """
    rng = np.random.default_rng([seed, inputs.forecasts.height])
    closes = inputs.forecasts["event_time"].unique().sort()
    symbols = inputs.forecasts["symbol"].unique().sort()
    least = min(LEAST_SHIFT, max(closes.len() // 4, 1))
    shift = int(rng.integers(least, max(closes.len() - least, least) + 1))
    moved_closes = closes[np.roll(np.arange(closes.len()), shift)]
    moved_symbols = symbols[rng.permutation(symbols.len())]
    moved = inputs.forecasts.with_columns(
        pl.col("event_time").replace_strict(closes, moved_closes, return_dtype=closes.dtype),
        pl.col("symbol").replace_strict(symbols, moved_symbols, return_dtype=symbols.dtype),
    )
    return replace(inputs, forecasts=moved.sort("event_time", "symbol"))


def _weights(inputs: TargetInputs, strategy: StrategySpec, panel: BarPanel) -> FloatArray:
    """Weight of a strategy at each session ``[session, 1]``."""
    if inputs.weights is None:
        return np.ones((len(panel.sessions), 1))
    own = inputs.weights.filter(pl.col("strategy") == strategy.name)
    at = dict(own.select("event_time", "weight").iter_rows())
    return np.array([[at.get(session, 0.0)] for session in panel.sessions])


def _on_schedule(targets: FloatArray, file: StrategyFile) -> FloatArray:
    places = np.arange(len(targets))
    due = places % file.rebalancing.every_sessions == 0
    return np.where(due[:, None], targets, np.nan)


def _quoted(panel: BarPanel) -> pl.DataFrame:
    session, symbol = np.nonzero(panel.has_bar)
    closes = pl.Series("event_time", panel.sessions, dtype=FORECASTS.schema["event_time"])
    return pl.DataFrame({"symbol": np.array(panel.symbols)[symbol], "event_time": closes[session]})
