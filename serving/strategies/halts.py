"""Symbols without a bar: what their positions stand at, and when a symbol counts as delisted.

A position cannot be traded while its symbol has no bar. It stands at the last close, earns nothing, and what happened
meanwhile is booked when the next bar comes (a halt). After `Market.delisted_after` sessions without a bar it is closed
at the last close (a delisting), at the cost of any other sale; what a holder of it receives later is not in bars.
"""

import numpy as np
import numpy.typing as npt
import polars as pl

from lake.horizons import DAY, Interval

KEY = ("symbol", "event_time")


def carried(
    targets: npt.NDArray[np.float64], has_bar: npt.NDArray[np.bool_], step: float, delisted_after: int
) -> npt.NDArray[np.float64]:
    """Move positions towards their targets at each close at which their symbols can be traded.

    Parameters
    ----------
    targets
        Shares of equity ``[session, symbol]``; the absolute ones of a session sum to 1 at most.
    has_bar
        Whether the symbol has a bar ``[session, symbol]``.
    step
        Share of the way to the target that is gone at one close, above 0 and at most 1; all of it at the first.
    delisted_after
        Sessions without a bar after which a position is closed.

    Returns
    -------
    numpy.ndarray
        Positions ``[session, symbol]``. Those of symbols without a bar stay, and the others share what these leave, so
        that the absolute ones of a session sum to 1 at most.

    Examples
    --------
    >>> halted = np.array([[True, True], [True, False], [True, True]])
    >>> carried(np.array([[0.5, 0.5], [1.0, 0.0], [0.5, 0.0]]), halted, step=1.0, delisted_after=20).tolist()
    [[0.5, 0.5], [0.5, 0.5], [0.5, 0.0]]
    """
    held = np.zeros(targets.shape)
    position, absent = np.zeros(targets.shape[1]), np.zeros(targets.shape[1], dtype=np.int64)
    for session, (target, is_quoted) in enumerate(zip(targets, has_bar, strict=True)):
        absent = np.where(is_quoted, 0, absent + 1)
        stays = ~is_quoted & (absent <= delisted_after)
        left = 1.0 - np.abs(position[stays]).sum()
        pace = step if session else 1.0
        moved = (1.0 - pace) * position + pace * target * left
        position = held[session] = np.where(stays, position, np.where(is_quoted, moved, 0.0))
    return held


def settled_returns(labels: pl.DataFrame, closes: pl.DataFrame) -> pl.DataFrame:
    """Return what each symbol made from each session to the next, those without a bar included.

    A bar counts for its session if it was known before a later session's first bar was; what comes later than that is
    booked with the next bar that is in time, as a holder would have. So each session settles at the latest when the
    market goes on, and day by day gives what one jump does.

    Parameters
    ----------
    labels
        One-session rows of `labels`, each as first known.
    closes
        ``symbol``, ``event_time``, ``known_time`` and ``close`` of bars, each as first known.

    Returns
    -------
    pl.DataFrame
        ``symbol``, ``event_time``, ``known_time``, ``forward_return``, both null while a bar may still come. A symbol
        has no row before its first bar.
    """
    market = (
        closes.group_by("event_time")
        .agg(pl.col("known_time").min().alias("first_known"))
        .sort("event_time")
        .select("event_time", pl.col("first_known").cum_min(reverse=True).shift(-1).alias("gone_on"))
    )
    in_time = closes.join(market, on="event_time").filter(
        pl.col("gone_on").is_null() | (pl.col("known_time") <= pl.col("gone_on"))
    )
    grid = closes.select("symbol").unique().join(market, how="cross")
    marks = (
        grid.join(in_time.select(*KEY, "known_time", "close"), on=KEY, how="left")
        .sort(KEY)
        .with_columns(
            pl.coalesce("known_time", "gone_on").alias("settled_at"),
            pl.col("close").forward_fill().over("symbol").alias("mark"),
        )
    )
    following = [pl.col(name).shift(-1).over("symbol") for name in ("settled_at", "mark", "gone_on")]
    ahead = marks.filter(pl.col("mark").is_not_null()).with_columns(
        *following, pl.col("mark").alias("before"), pl.col("known_time").alias("own_known")
    )
    made = labels.select(*KEY, pl.col("known_time").alias("label_known"), pl.col("forward_return").alias("label"))
    joined = ahead.join(made, on=KEY, how="left", maintain_order="left")
    is_label = (
        pl.col("own_known").is_not_null()
        & pl.col("label").is_not_null()
        & (pl.col("gone_on").is_null() | (pl.col("label_known") <= pl.col("gone_on")))
    )
    is_known = pl.col("settled_at").is_not_null()
    marked = pl.when(is_known).then(pl.col("mark") / pl.col("before") - 1)
    return joined.select(
        *KEY,
        pl.when(is_label).then(pl.col("label_known")).otherwise("settled_at").alias("known_time"),
        pl.when(is_label).then(pl.col("label")).otherwise(marked).alias("forward_return"),
    )


def absences(closes: pl.DataFrame, symbols: pl.Series, delisted_after: int, interval: Interval = DAY) -> list[str]:
    """Say of each symbol without a bar at the market's newest close where its last bar lies, and what follows.

    Parameters
    ----------
    closes
        ``symbol`` and ``event_time`` of the bars of the market.
    symbols
        Those that are forecast.
    delisted_after
        Closes without a bar after which a position is closed.
    interval
        How long a bar lasts: closes of daily bars are called sessions.

    Examples
    --------
    >>> from datetime import UTC, datetime
    >>> first, second = datetime(2012, 12, 28, 21, tzinfo=UTC), datetime(2012, 12, 31, 21, tzinfo=UTC)
    >>> bars = pl.DataFrame({"symbol": ["A", "B", "B"], "event_time": [first, first, second]})
    >>> absences(bars, pl.Series(["A", "B"]), 20)[0]
    'A has no bar since 2012-12-28, 1 session: its paper positions stand at that close, as in a halt.'
    """
    every = closes["event_time"].unique().sort()
    unit, written = ("session", "%Y-%m-%d") if interval == DAY else ("close", "%Y-%m-%d %H:%M UTC")
    last = closes.filter(pl.col("symbol").is_in(symbols.implode())).group_by("symbol").agg(pl.col("event_time").max())
    sentences = []
    for symbol, at in last.filter(pl.col("event_time") < every.max()).sort(KEY).iter_rows():
        missed = every.len() - 1 - int(every.search_sorted(at))
        follows = (
            f"its paper positions were closed at that close after {delisted_after} of them, as in a delisting"
            if missed > delisted_after
            else "its paper positions stand at that close, as in a halt"
        )
        sentences.append(
            f"{symbol} has no bar since {at:{written}}, {missed} {unit}{'s' if missed > 1 else ''}: {follows}."
        )
    return sentences
