"""Paper returns of the pool, arranged by session and strategy, and what they must be to prove anything."""

from bisect import bisect_right
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

import polars as pl

from lake.calendars import VENUE, next_closes, session_closes
from lake.errors import ConflictError, LookAheadError, NotReadyError
from serving.evidence import FloatArray
from serving.strategies.pool import FORECAST_HORIZON, STRATEGY_NAMES


class PaperReturns(NamedTuple):
    """Paper returns of the pool by session.

    Parameters
    ----------
    strategies
        Names, in the pool's order.
    sessions, ends, known
        Closes at which positions were taken, until which they were held, and whose decisions knew their returns
        ``[session]``. A return that is delivered late is known after its end.
    regime
        Regime known when the positions were taken ``[session]``.
    net, exposure
        Net return, and sum of absolute positions, as fractions of equity ``[session, strategy]``.
    """

    strategies: tuple[str, ...]
    sessions: tuple[datetime, ...]
    ends: tuple[datetime, ...]
    known: tuple[datetime, ...]
    regime: tuple[str, ...]
    net: FloatArray
    exposure: FloatArray


def paper_returns_of(
    rows: pl.DataFrame, calendar: str = VENUE, decided_after: timedelta = timedelta(0)
) -> PaperReturns:
    """Arrange rows of `strategy_returns` by session and strategy, in the pool's order.

    Sessions in which not every strategy that has returns has one are left out, so that all are compared on the same
    sessions. The table says when a return was known, but not until when positions were held, and a late ``known_time``
    looks like a long holding period; so `ends` follow from the calendar and from the horizon by which the pool revises
    its positions, `FORECAST_HORIZON`.

    Parameters
    ----------
    decided_after
        Time from a close to its decisions. What was known within it after the end of a holding period counts as known
        at that end.

    Raises
    ------
    NotReadyError
        If there is no such session.
    """
    names = tuple(name for name in STRATEGY_NAMES if name in set(rows["strategy"].unique()))
    rows = rows.filter(pl.col("strategy").is_in(names))
    order = pl.col("strategy").replace_strict(list(names), list(range(len(names))), return_dtype=pl.Int32)
    whole = rows.filter(pl.len().over("event_time") == len(names)).sort("event_time", order)
    if whole.is_empty():
        raise NotReadyError(
            "No session has a return of every strategy yet. Replay forecasts, then update strategy_returns."
        )
    shape = (-1, len(names))
    sessions = whole.group_by("event_time", maintain_order=True).agg(
        pl.col("known_time").max(), pl.col("regime").first()
    )
    ends = holding_ends(sessions["event_time"].to_list(), FORECAST_HORIZON, calendar)
    known: list[datetime] = sessions["known_time"].to_list()
    return PaperReturns(
        names,
        tuple(sessions["event_time"].to_list()),
        ends,
        tuple(max(end, at - decided_after) if at > end else at for end, at in zip(ends, known, strict=True)),
        tuple(sessions["regime"].to_list()),
        whole["net_return"].to_numpy().reshape(shape),
        whole["exposure"].to_numpy().reshape(shape),
    )


def holding_ends(sessions: Sequence[datetime], horizon_sessions: int, calendar: str = VENUE) -> tuple[datetime, ...]:
    """Close, a number of sessions later, of each close in order.

    Examples
    --------
    >>> from datetime import UTC, datetime
    >>> friday = datetime(2012, 1, 6, 21, tzinfo=UTC)
    >>> [end.day for end in holding_ends([friday], 1) + holding_ends([friday], 5)]
    [9, 13]
    """
    following = [
        *session_closes(sessions[0], sessions[-1], calendar),
        *next_closes(sessions[-1], horizon_sessions, calendar),
    ]
    return tuple(following[bisect_right(following, at) + horizon_sessions - 1] for at in sessions)


def refuse_overlap(returns: PaperReturns) -> None:
    """Refuse returns that share market moves, or that were known before they were earned.

    Evidence multiplies one bet per session. Returns over overlapping periods contain the same market move several
    times, and each bet after the first one knows a part of its outcome, so more than alpha of the worlds without any
    gain are proven (docs/selection.md has the figure for five-session returns of every session). Holding periods are
    half-open, ``(session, end]``; when a return was known does not matter here.

    Raises
    ------
    ConflictError
        If positions were held beyond the next session's close.
    LookAheadError
        If a return was known before its holding period ended.
    """
    overlapping = [n for n, end in enumerate(returns.ends[:-1]) if end > returns.sessions[n + 1]]
    if overlapping:
        first = overlapping[0]
        raise ConflictError(
            f"The holding periods of {len(overlapping)} of {len(returns.sessions)} paper returns overlap: positions "
            f"taken at {returns.sessions[first]} were held until {returns.ends[first]}, the next ones were taken at "
            f"{returns.sessions[first + 1]}. Expected periods that end by the next session, because overlapping ones "
            "count one market move several times as evidence. Pass one-session returns (FORECAST_HORIZON 1), or leave "
            "out the sessions within a holding period."
        )
    early = [n for n, end in enumerate(returns.ends) if returns.known[n] < end]
    if early:
        raise LookAheadError(
            f"The return of positions taken at {returns.sessions[early[0]]} is known at {returns.known[early[0]]}, "
            f"before they were sold at {returns.ends[early[0]]}; so are {len(early) - 1} others. Expected a known_time "
            "at the end of the holding period or later. Make strategy_returns again from labels of the horizon "
            f"{FORECAST_HORIZON}."
        )
