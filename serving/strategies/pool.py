"""The pool of strategies as declared values: positions and paper returns.

A strategy turns the one-session forecasts of one model into positions by a sizing rule. Every strategy is run on paper
every session, so what each of them earned is known and none has to be tried to learn about it.
"""

import json
from dataclasses import dataclass
from math import exp, log
from pathlib import Path
from typing import Any, Literal, get_args

import polars as pl

from lake.errors import ConfigError, ConflictError, UnknownNameError
from lake.market import DEMO
from serving.strategies.halts import carried

COST_BPS = 10.0
"""Cost of trading, per side, in basis points of the value traded."""
EQUAL_WEIGHT = "equal_weight"
"""Name shown where no strategy is preferred: every strategy of the pool has the same weight."""
FORECAST_HORIZON = 1
"""Horizon that positions are sized by, in sessions: they are revised at every close."""
POOL = Path(__file__).with_name("pool.json")
"""The pool as the model cards declare it; written by `serving.strategies.document`."""
POOL_KEYS = {"model", "name", "meaning", "rule", "scale", "half_life_sessions"}
Rule = Literal["band", "hold"]


@dataclass(frozen=True)
class Sizing:
    """Rule from a forecast to a target between -1 (short) and 1 (long).

    Parameters
    ----------
    rule
        ``band``: the median in units of half the p10..p90 band, times `scale`, clipped to -1..1. ``hold``: always 1.
    scale
        Target at a median of one half-band. Daily medians are a few hundredths of it, hence numbers well above 1.
    half_life_sessions
        Targets are averaged exponentially with this half-life, so that turnover does not pay for noise.
    """

    rule: Rule
    scale: float = 20.0
    half_life_sessions: float = 5.0


@dataclass(frozen=True)
class StrategySpec:
    """One way to trade on one model's forecasts.

    Parameters
    ----------
    name
        Name in tables and answers.
    model
        Model whose forecasts it reads; several strategies may share one.
    sizing
        From forecast to target. Capital is shared equally: a position is target / symbols forecast.
    meaning
        One sentence for a reader.
    """

    name: str
    model: str
    sizing: Sizing
    meaning: str


def parse_pool(text: str) -> tuple[StrategySpec, ...]:
    """Return the strategies of a pool in JSON: model, name, meaning and sizing of each.

    Raises
    ------
    ConfigError
        If a key is missing or unknown, or a sizing rule is.
    """
    return tuple(_strategy(row) for row in json.loads(text))


def _strategy(row: dict[str, Any]) -> StrategySpec:
    if row.get("rule") not in get_args(Rule) or set(row) != POOL_KEYS:
        raise ConfigError(
            f"The strategy {row} cannot be used: expected the keys {sorted(POOL_KEYS)} and a rule of {get_args(Rule)}. "
            "Write the pool again with `make docs`."
        )
    sizing = Sizing(row["rule"], row["scale"], row["half_life_sessions"])
    return StrategySpec(row["name"], row["model"], sizing, row["meaning"])


STRATEGIES: tuple[StrategySpec, ...] = parse_pool(POOL.read_text(encoding="utf-8"))
"""The pool, in the order in which weights are listed everywhere."""

STRATEGY_NAMES: tuple[str, ...] = tuple(strategy.name for strategy in STRATEGIES)


def strategy_named(name: str) -> StrategySpec:
    """Return the declared strategy of that name.

    Raises
    ------
    UnknownNameError
        If the pool holds none; the message lists the nearest names.
    """
    for strategy in STRATEGIES:
        if strategy.name == name:
            return strategy
    raise UnknownNameError("strategy", name, STRATEGY_NAMES)


def positions(
    strategy: StrategySpec,
    forecasts: pl.DataFrame,
    quoted: pl.DataFrame | None = None,
    delisted_after: int = DEMO.delisted_after,
) -> pl.DataFrame:
    """Positions a strategy takes at each close, as shares of its equity.

    Parameters
    ----------
    forecasts
        Columns ``symbol``, ``event_time``, ``horizon_sessions``, ``model_name``, ``p10``, ``p50``, ``p90``; at most one
        row per symbol, session and horizon of the strategy's model. Other models and horizons are passed over.
    quoted
        ``symbol``, ``event_time`` of the bars known when positions are taken; by default every symbol has all.
    delisted_after
        Sessions without a bar after which a position is closed.

    Returns
    -------
    pl.DataFrame
        ``symbol``, ``event_time``, ``position`` for every pair of symbol and session; a symbol without a forecast
        moves to 0 at the pace of the sizing rule, one without a bar stays where it is until it counts as delisted
        (`serving.strategies.halts`). The sum of absolute positions of a session is at most 1.

    Raises
    ------
    ConflictError
        If the model has two forecasts for one symbol and session.
    """
    key = ["symbol", "event_time"]
    is_own = (pl.col("model_name") == strategy.model) & (pl.col("horizon_sessions") == FORECAST_HORIZON)
    of_model = forecasts.lazy().filter(is_own).select(*key, _target(strategy.sizing).alias("target")).collect()
    is_double = of_model.select(pl.struct(key).is_duplicated()).to_series()
    if is_double.any():
        example = of_model.filter(is_double).select(key).row(0, named=True)
        raise ConflictError(
            f"Model '{strategy.model}' has several forecasts for {example}. Pass the replayed ones only."
        )
    targets = of_model.lazy().with_columns(pl.col("target") / pl.len().over("event_time"))
    grid = targets.select("symbol").unique().join(targets.select("event_time").unique(), how="cross")
    held = grid.join(targets, on=key, how="left").with_columns(pl.col("target").fill_null(0.0))
    bars = grid if quoted is None else quoted.lazy()
    held = held.join(bars.select(*key, has_bar=True), on=key, how="left")
    rows = held.with_columns(pl.col("has_bar").fill_null(value=False)).sort("event_time", "symbol").collect()
    shape = (rows["event_time"].n_unique(), rows["symbol"].n_unique())
    step = 1.0 if strategy.sizing.rule == "hold" else 1.0 - exp(-log(2.0) / strategy.sizing.half_life_sessions)
    moved = carried(
        rows["target"].to_numpy().reshape(shape), rows["has_bar"].to_numpy().reshape(shape), step, delisted_after
    )
    return rows.select(*key, pl.Series("position", moved.ravel(), dtype=pl.Float64)).sort(key)


def net_returns(held: pl.DataFrame, returns: pl.DataFrame, cost_bps: float = COST_BPS) -> pl.DataFrame:
    """Net return of positions from each close to the next.

    A position is taken at the close of its session and earns the return to the next close. It costs
    ``cost_bps`` of the turnover: the sum of absolute changes against the positions of the session before, which are
    taken as they were set (their drift with prices since then is not charged for). What is not in positions is cash and
    earns nothing, so that equity x (1 + net return) is cash plus positions at the next close.

    Parameters
    ----------
    held
        As `positions` returns it.
    returns
        ``symbol``, ``event_time``, ``known_time``, ``forward_return`` over one session.

    Returns
    -------
    pl.DataFrame
        ``event_time``, ``known_time``, ``gross_return``, ``cost``, ``net_return``, ``turnover``, ``exposure`` in
        order of time. A session is left out while the return of any symbol held in it is not known.
    """
    before = pl.col("position").shift(1).over("symbol", order_by="event_time").fill_null(0.0)
    moved = held.with_columns((pl.col("position") - before).abs().alias("change"))
    joined = moved.join(returns, on=["symbol", "event_time"], how="left").sort("event_time", "symbol")
    is_waiting = (pl.col("position") != 0) & pl.col("forward_return").is_null()
    sessions = joined.group_by("event_time", maintain_order=True).agg(
        pl.col("known_time").max(),
        (pl.col("position") * pl.col("forward_return").fill_null(0.0)).sum().alias("gross_return"),
        pl.col("change").sum().alias("turnover"),
        pl.col("position").abs().sum().alias("exposure"),
        is_waiting.any().alias("is_waiting"),
    )
    settled = sessions.filter(~pl.col("is_waiting") & pl.col("known_time").is_not_null())
    return settled.with_columns((pl.col("turnover") * cost_bps / 1e4).alias("cost")).select(
        "event_time",
        "known_time",
        "gross_return",
        "cost",
        (pl.col("gross_return") - pl.col("cost")).alias("net_return"),
        "turnover",
        "exposure",
    )


def _target(sizing: Sizing) -> pl.Expr:
    if sizing.rule == "hold":
        return pl.lit(1.0)
    half_band = (pl.col("p90") - pl.col("p10")) / 2
    conviction = pl.when(half_band > 0).then(pl.col("p50") / half_band).otherwise(pl.col("p50").sign())
    return (conviction * sizing.scale).clip(-1.0, 1.0)
