"""Where horizons end on a grid of bars, and how many bars they span; those in sessions end with a session."""

from functools import cache
from typing import NamedTuple

import polars as pl

from lake.calendars import VENUE, bars_of_session, closes
from lake.horizons import DAY, horizon_of, interval_of


def horizon_ends(closes_of_bars: pl.Series, horizon: int, venue: str = VENUE) -> pl.Series:
    """Return the close at which a horizon that begins at each of some consecutive closes ends; null beyond the last.

    Parameters
    ----------
    closes_of_bars
        Closes of the grid in order, none left out between the first and the last, as `numbered_closes` has them.
    horizon
        As `lake.horizons.Horizon.bars` counts: bars, or of bars of minutes sessions, which end with the last bar of
        the n-th session after that of the close.

    Examples
    --------
    >>> from datetime import UTC, datetime
    >>> from lake.calendars import numbered_closes
    >>> morning, evening = datetime(2012, 11, 23, 15, tzinfo=UTC), datetime(2012, 11, 26, 21, tzinfo=UTC)
    >>> bars = numbered_closes(morning, evening, "XNYS@60m")["event_time"]
    >>> [f"{at:%d %H:%M}" for at in horizon_ends(bars, 1_000, "XNYS@60m").drop_nulls().unique()]
    ['26 21:00']
    >>> [f"{at:%d %H:%M}" for at in horizon_ends(bars, 3, "XNYS@60m")[:2]]
    ['23 18:00', '26 15:30']
    """
    interval = interval_of(venue)
    ahead = horizon_of(horizon, interval)
    if ahead.unit == "minute" or interval == DAY:
        return closes_of_bars.shift(-horizon)
    sessions = closes(venue)["event_time"]
    place = pl.Series(sessions.search_sorted(closes_of_bars, "left"), dtype=pl.Int64) + ahead.n
    ends = sessions.gather(place.clip(upper_bound=len(sessions) - 1))
    is_within = (place < len(sessions)) & (ends <= closes_of_bars[-1] if len(closes_of_bars) else place < 0)
    return pl.select(pl.when(is_within).then(ends)).to_series().alias(closes_of_bars.name)


class BarsSpanned(NamedTuple):
    """How many bars a horizon spans, on average over the bars it may begin at, and at most."""

    mean: float
    most: int


@cache
def bars_spanned(horizon: int, venue: str = VENUE) -> BarsSpanned:
    """Return how many bars a horizon spans, by the longest session of the calendar.

    Examples
    --------
    >>> bars_spanned(5), bars_spanned(1_000, "24/7@15m")  # from the first bar of a day two days but for a bar
    (BarsSpanned(mean=5.0, most=5), BarsSpanned(mean=143.5, most=191))
    """
    interval = interval_of(venue)
    ahead = horizon_of(horizon, interval)
    if ahead.unit == "minute" or interval == DAY:
        return BarsSpanned(float(horizon), horizon)
    a_session = bars_of_session(venue)
    return BarsSpanned(ahead.n * a_session + (a_session - 1) / 2, (ahead.n + 1) * a_session - 1)
