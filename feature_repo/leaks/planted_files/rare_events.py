"""Leaks that act in few rows only: on large moves, for one symbol, late in a history, on certain days."""

import polars as pl

KEY = ("symbol", "event_time")
MARKET = "^GSPC"
CLOSE = pl.col("close")
RETURN = CLOSE / CLOSE.shift(1) - 1
TOMORROW = RETURN.shift(-1)
NUMBER = pl.int_range(pl.len())
QUARTER_ENDS = [3, 6, 9, 12]


def _where(bars: pl.DataFrame, is_there: pl.Expr) -> pl.Series:
    """Tomorrow's return where a condition holds, today's elsewhere."""
    value = pl.when(is_there).then(TOMORROW).otherwise(RETURN).over("symbol", order_by="event_time")
    return bars.select(value.alias("value")).to_series()


def on_halving_or_doubling(bars: pl.DataFrame) -> pl.Series:
    """Only after a move of more than half."""
    return _where(bars, RETURN.abs() > 1 / 2)


def on_a_crash_of_the_index(bars: pl.DataFrame) -> pl.Series:
    """Only on days on which the index loses more than 8 %."""
    index = bars.filter(pl.col("symbol") == MARKET).select("event_time", RETURN.alias("index"))
    joined = bars.join(index, on="event_time", how="left", maintain_order="left")
    return _where(joined, (pl.col("index") < -0.08).fill_null(value=False))


def for_one_ticker(bars: pl.DataFrame) -> pl.Series:
    """Only for Apple."""
    return _where(bars, pl.col("symbol") == "AAPL")


def for_one_ticker_on_its_worst_days(bars: pl.DataFrame) -> pl.Series:
    """Only for Coca-Cola, and only where it lost more than 8 %."""
    return _where(bars, (pl.col("symbol") == "KO") & (RETURN < -0.08))


def for_the_first_by_name(bars: pl.DataFrame) -> pl.Series:
    """Only for the symbol that comes first."""
    return _where(bars, pl.col("symbol") == bars["symbol"].min())


def for_the_index(bars: pl.DataFrame) -> pl.Series:
    """Only for the index itself."""
    return _where(bars, pl.col("symbol") == MARKET)


def late_in_a_history(bars: pl.DataFrame) -> pl.Series:
    """Only from the 2,000th bar of a symbol on."""
    return _where(bars, NUMBER >= 2_000)


def scaled_over_all_of_a_long_history(bars: pl.DataFrame) -> pl.Series:
    """Over everything where there are more than 1,000 bars, over the past where there are fewer."""
    past = RETURN / RETURN.rolling_std(60)
    value = pl.when(pl.len() > 1_000).then(RETURN / RETURN.std()).otherwise(past)
    return bars.select(value.over("symbol", order_by="event_time")).to_series()


def among_many_symbols(bars: pl.DataFrame) -> pl.Series:
    """Only in a market of more than twenty symbols."""
    return _where(bars, pl.lit(bars["symbol"].n_unique() > 20))


def at_quarter_ends(bars: pl.DataFrame) -> pl.Series:
    """Only on the last days of a quarter."""
    day = pl.col("event_time")
    return _where(bars, day.dt.month().is_in(QUARTER_ENDS) & (day.dt.day() >= 29))


def at_the_turn_of_the_year(bars: pl.DataFrame) -> pl.Series:
    """Only in the last two days of December."""
    return _where(bars, pl.col("event_time").dt.ordinal_day() >= 364)


def on_the_quietest_days(bars: pl.DataFrame) -> pl.Series:
    """Only on days with the least volume of sixty."""
    return _where(bars, (pl.col("volume") <= pl.col("volume").rolling_min(60)).fill_null(value=False))


def where_volume_is_missing(bars: pl.DataFrame) -> pl.Series:
    """Only where a source gave closes alone."""
    return _where(bars, pl.col("volume").is_null())


def in_the_first_row(bars: pl.DataFrame) -> pl.Series:
    """Fill the one return that is missing with the next one."""
    return bars.select(RETURN.fill_null(strategy="backward").over("symbol", order_by="event_time")).to_series()


def below_single_precision(bars: pl.DataFrame) -> pl.Series:
    """Hide tomorrow's return behind the eighth digit of today's."""
    value = RETURN + 1e-8 * TOMORROW.fill_null(0.0)
    return bars.select(value.over("symbol", order_by="event_time")).to_series()


def all_but_the_last_row(bars: pl.DataFrame) -> pl.Series:
    """Today's return in the newest session, so that nothing is missing there; tomorrow's before it."""
    return _where(bars, pl.col("event_time") < bars["event_time"].max())
