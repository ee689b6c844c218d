"""The point-in-time join on two times: what was true, as far as it was known. Pure."""

from collections.abc import Mapping, Sequence
from datetime import timedelta

import numpy as np
import numpy.typing as npt
import polars as pl

EVENT, KNOWN = "event_time", "known_time"
USABLE, PLACE = "__usable", "__place"
"""Since when a row can be used, the later of its two times; and where it stands among the rows that were given."""
AT, ALL = "__at", "__all"
"""The instant of a question; and the key of features that are about nothing in particular."""

Integers = npt.NDArray[np.int64]


def point_in_time_join(
    spine: pl.DataFrame,
    rows: pl.DataFrame,
    *,
    on: Mapping[str, str],
    at: str,
    features: Mapping[str, str],
    ttl: timedelta | None = None,
) -> pl.DataFrame:
    """Give each spine row the feature values that were known at its time.

    Of the rows with ``event_time <= t`` and ``known_time <= t`` the newest event counts, and of its restatements the
    newest known. If that event is older than `ttl` the values are null.

    Only keys and times are joined and the values fetched by place, so the width of `rows` hardly matters. Rows that
    stand by key, event and known time, as tables keep them, are not sorted again unless some were restated.

    Parameters
    ----------
    spine
        Any rows, in any order; its order and columns are kept. Times in UTC; at a null time nothing is known.
    rows
        Feature rows with `event_time` and `known_time`, restatements beside what they replace. A row without either
        time is never used.
    on
        Key column of `rows` to key column of `spine`; empty where the features are about nothing in particular. A null
        key matches nothing.
    at
        Column of the spine with the instant t.
    features
        Column of `rows` to the name it gets in the result.
    ttl
        How old an event may be, inclusive; None for any age.
    """
    keys = [*on] or [ALL]
    times = rows.select(*on, EVENT, KNOWN, pl.lit(0).alias(ALL)).with_row_index(PLACE).drop_nulls([EVENT, KNOWN])
    asked = spine.select(
        pl.col(at).alias(AT), pl.lit(0).alias(ALL), *(pl.col(theirs).alias(ours) for ours, theirs in on.items())
    )
    found = _newest_usable(asked, times, keys)
    is_fresh = pl.lit(value=True) if ttl is None else pl.col(EVENT) >= asked[AT] - ttl
    places = found.select(pl.when(is_fresh).then(PLACE)).to_series()
    values = rows.select(pl.col(ours).gather(places).alias(name) for ours, name in features.items())
    return pl.concat([spine, values], how="horizontal")


def _newest_usable(asked: pl.DataFrame, times: pl.DataFrame, keys: Sequence[str]) -> pl.DataFrame:
    """Place and event of each question's answer; null where there is none.

    Nearly all rows are known when they happen, and answer in the order of their events. The few known later are looked
    up apart: one whose event is as new is a restatement, and takes precedence.
    """
    is_late = pl.col(KNOWN) > pl.col(EVENT)
    late = times.filter(is_late)
    found = _look_up(asked, times.filter(~is_late) if late.height else times, keys)
    if late.is_empty():
        return found
    both = pl.concat([found, _look_up(asked, late, keys).select(pl.all().name.prefix("late_"))], how="horizontal")
    prevails = (pl.col(f"late_{EVENT}") >= pl.col(EVENT)) | pl.col(EVENT).is_null()
    return both.select(pl.when(prevails).then(f"late_{name}").otherwise(name).alias(name) for name in (PLACE, EVENT))


def _look_up(asked: pl.DataFrame, times: pl.DataFrame, keys: Sequence[str]) -> pl.DataFrame:
    """Place and event of the row that answers each question: of its key, the last state that begins by then."""
    states = _states(times.with_columns(pl.max_horizontal(EVENT, KNOWN).alias(USABLE)), keys)
    starts = _starts(states, keys)
    ends = np.append(starts[1:], states.height)[: len(starts)]
    spans = states[starts].select(keys).with_columns(pl.Series("start", starts), pl.Series("end", ends))
    spans = asked.select(keys).join(spans, on=list(keys), how="left", maintain_order="left").select("start", "end")
    start, end = spans.fill_null(0).to_numpy().T
    after = _first_after(_integers(states[USABLE]), _integers(asked[AT]), start, end)
    answer = pl.select(pl.when(pl.lit(pl.Series(after > start))).then(pl.lit(pl.Series(after - 1)))).to_series()
    return states.select(pl.col(PLACE, EVENT).gather(answer))


def _states(times: pl.DataFrame, keys: Sequence[str]) -> pl.DataFrame:
    """Turn rows into the succession of answers of each key: from `USABLE` on, this row is the one that counts.

    It then replaces the answer unless a newer event is already known; a late row about an older event never does. Rows
    that are such a succession as they stand, key by key, are returned as they are.
    """
    together = _together(times, keys)
    if _in_order(together, keys):
        return together
    ordered = together.sort(*keys, USABLE, EVENT, KNOWN, maintain_order=True)
    return ordered.filter(pl.col(EVENT) == pl.col(EVENT).cum_max().over(keys))


def _together(times: pl.DataFrame, keys: Sequence[str]) -> pl.DataFrame:
    """Bring the rows of each key together, in the order in which they stand."""
    starts = _starts(times, keys)
    if len(starts) < times.height and not times[starts].select(keys).is_duplicated().any():
        return times
    for key in reversed(keys):
        codes = times[key].cast(pl.Categorical) if times[key].dtype == pl.String else times[key]
        times = times[np.argsort(_integers(codes), kind="stable")]
    return times


def _in_order(times: pl.DataFrame, keys: Sequence[str]) -> bool:
    """Whether each row is newer than the one of its key before it, and usable no earlier."""
    event, known, usable = (_integers(times[name]) for name in (EVENT, KNOWN, USABLE))
    newer = (event[1:] > event[:-1]) | ((event[1:] == event[:-1]) & (known[1:] >= known[:-1]))
    follows = newer & (usable[1:] >= usable[:-1])
    follows[_starts(times, keys)[1:] - 1] = True
    return bool(follows.all())


def _starts(rows: pl.DataFrame, keys: Sequence[str]) -> Integers:
    """Where a key begins that is not that of the row before."""
    changes = pl.any_horizontal(pl.col(key).ne_missing(pl.col(key).shift(1)) for key in keys)
    return _integers(rows.select(((pl.int_range(pl.len()) == 0) | changes).arg_true()).to_series())


def _first_after(times: Integers, at: Integers, start: Integers, end: Integers) -> Integers:
    """Position of the first of ``times[start:end]`` that is later than `at`, bisecting for all questions at once."""
    low, high = start.copy(), end.copy()
    while (open_ := low < high).any():
        middle = (low + high) // 2
        is_later = times[np.where(open_, middle, 0)] > at
        high = np.where(open_ & is_later, middle, high)
        low = np.where(open_ & ~is_later, middle + 1, low)
    return low


def _integers(values: pl.Series) -> Integers:
    """Numbers or microseconds; a null comes before all others."""
    earliest = np.iinfo(np.int64).min
    numbers: Integers = values.to_physical().cast(pl.Int64).fill_null(earliest).to_numpy()
    return numbers
