"""The technical features as plain Polars expressions, one pass per feature and symbol: the rival of the kernels."""

import math

import polars as pl

from lake.universe import MARKET

CLOSE = pl.col("close")
YEAR = math.sqrt(252)


def compute(bars: pl.DataFrame) -> pl.DataFrame:
    """Compute the technical features of every bar as `feature_repo.engines.panel.compute_technical`."""
    market = bars.filter(pl.col("symbol") == MARKET).sort("event_time")
    context = market.select(
        "event_time",
        CLOSE.alias("market_close"),
        _return(1).alias("market_return"),
        (_return(1).rolling_std(20) * YEAR).alias("market_volatility"),
        pl.col("known_time").cum_max().alias("market_known_time"),
    )
    own = bars.filter(pl.col("symbol") != MARKET).sort("symbol", "event_time")
    joined = own.join(context, on="event_time", how="left", maintain_order="left")
    known = pl.max_horizontal(pl.col("known_time").cum_max().over("symbol"), "market_known_time").alias("known_time")
    values = [value.cast(pl.Float64).over("symbol").alias(name) for name, value in EXPRESSIONS.items()]
    computed = joined.with_columns(known).select("symbol", "event_time", "known_time", *values)
    return computed.with_columns(
        pl.when(pl.col(name).is_finite()).then(pl.col(name)).alias(name) for name in EXPRESSIONS
    )


def _return(sessions: int, price: str = "close") -> pl.Expr:
    return pl.col(price) / pl.col(price).shift(sessions) - 1


def _volume_ratio(sessions: int) -> pl.Expr:
    mean = pl.col("volume").rolling_mean(sessions)
    return pl.when(mean > 0).then(pl.col("volume") / mean)


def _seeded_mean(values: pl.Expr, weight: float, sessions: int, seeded_at: int) -> pl.Expr:
    """Mean whose seed, the plain mean of n values, stands in the row `seeded_at`; no value after the first is null."""
    row = pl.int_range(pl.len())
    started = pl.when(row == seeded_at).then(values.rolling_mean(sessions)).when(row > seeded_at).then(values)
    return started.ewm_mean(alpha=weight, adjust=False)


def _exponential(values: pl.Expr, sessions: int, seeded_at: int) -> pl.Expr:
    return _seeded_mean(values, 2 / (sessions + 1), sessions, seeded_at - 1)


def _wilder(values: pl.Expr, sessions: int) -> pl.Expr:
    return _seeded_mean(values, 1 / sessions, sessions, sessions)


def _rsi(sessions: int) -> pl.Expr:
    change = CLOSE - CLOSE.shift(1)
    gain, loss = (_wilder(values.clip(lower_bound=0), sessions) for values in (change, -change))
    return pl.when(gain + loss > 0).then(100 * gain / (gain + loss))


def _bollinger(sessions: int, deviations: float) -> pl.Expr:
    half_width = deviations * CLOSE.rolling_std(sessions, ddof=0)
    return pl.when(half_width > 0).then(0.5 + (CLOSE - CLOSE.rolling_mean(sessions)) / (2 * half_width))


def _true_range() -> pl.Expr:
    high, low, before = pl.col("high"), pl.col("low"), CLOSE.shift(1)
    is_known = high.is_not_null() & low.is_not_null() & before.is_not_null()
    return pl.when(is_known).then(pl.max_horizontal(high, before) - pl.min_horizontal(low, before))


def _beta(sessions: int) -> pl.Expr:
    own, market = _return(1), _return(1, "market_close")
    variance = market.rolling_var(sessions)
    return pl.when(variance > 0).then(pl.rolling_cov(own, market, window_size=sessions) / variance)


_MONEY = pl.col("close_unadjusted") * pl.col("volume_unadjusted")
_MACD = _exponential(CLOSE, 12, 26) - _exponential(CLOSE, 26, 26)
_RANGE = _wilder(_true_range(), 14)
EXPRESSIONS: dict[str, pl.Expr] = {
    **{f"return_{sessions}d": _return(sessions) for sessions in (1, 5, 20, 60, 120, 252)},
    **{f"volatility_{sessions}d": _return(1).rolling_std(sessions) * YEAR for sessions in (5, 20, 60)},
    **{f"volume_ratio_{sessions}d": _volume_ratio(sessions) for sessions in (5, 20)},
    "dollar_volume": _MONEY,
    "log_dollar_volume": pl.when(_MONEY > 0).then(_MONEY.log()),
    "market_beta": _beta(252),
    "market_return": pl.col("market_return"),
    "market_volatility": pl.col("market_volatility"),
    "rsi_14": _rsi(14),
    "macd": _MACD,
    "macd_signal": _exponential(_MACD, 9, 34),
    "macd_relative": _MACD / CLOSE,
    "sma_50_200_cross": (CLOSE.rolling_mean(50) > CLOSE.rolling_mean(200)).cast(pl.Float64),
    "bollinger_position": _bollinger(20, 2),
    "atr_14": _RANGE,
    "atr_relative": _RANGE / CLOSE,
}
"""By the name of the feature; each is evaluated over one symbol in order of time."""
