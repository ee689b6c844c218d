"""The point-in-time join on two times: what was true, as far as it was known. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

EVENT, KNOWN = "event_time", "known_time"
PLACE, NUMBER = "__place", "__number"
"""Where a row stands among those that were given; and the number of a key."""

Integers = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Times:
    """Rows without their features, aligned: the number of the key, both times in microseconds, and the place."""

    key: Integers
    event: Integers
    known: Integers
    place: Integers

    @cached_property
    def usable(self) -> Integers:
        """Since when each row can be used: the later of its two times."""
        return np.maximum(self.event, self.known)

    def take(self, which: npt.NDArray[Any]) -> "Times":
        """Rows of a mask, or in an order."""
        return Times(self.key[which], self.event[which], self.known[which], self.place[which])


@dataclass(frozen=True)
class Asked:
    """Questions, aligned: the number of the key, -1 for one that has no rows, and the instant in microseconds."""

    key: Integers
    at: Integers


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
    known = rows.select(*on, EVENT, KNOWN).with_row_index(PLACE).drop_nulls([EVENT, KNOWN])
    key, keys = _numbered(known, list(on))
    times = Times(key, *(_integers(known[name]) for name in (EVENT, KNOWN, PLACE)))
    theirs = spine.select(pl.col(theirs).alias(ours) for ours, theirs in on.items())
    asked = Asked(_number_of(theirs, keys, spine.height), _integers(spine[at]))
    event, place = _newest_usable(asked, times)
    is_answer = place >= 0
    if ttl is not None:
        is_answer &= asked.at - event <= ttl // timedelta(microseconds=1)
    places = pl.Series(place).set(pl.Series(~is_answer), None)
    values = rows.select(pl.col(ours).gather(places).alias(name) for ours, name in features.items())
    return pl.concat([spine, values], how="horizontal")


def newest_known(rows: pl.DataFrame, keys: Sequence[str]) -> pl.DataFrame:
    """Keep one row per key: the newest event, and of its restatements the newest known."""
    times = rows.select(*keys, EVENT, KNOWN).with_row_index(PLACE).sort(EVENT, KNOWN, maintain_order=True)
    newest = times.unique(list(keys), keep="last", maintain_order=True) if keys else times.tail(1)
    return rows.select(pl.all().gather(newest[PLACE]))


def _newest_usable(asked: Asked, times: Times) -> tuple[Integers, Integers]:
    """Event and place of each question's answer; the place is -1 where there is none.

    Nearly all rows are known when they happen, and answer in the order of their events. The few known later are looked
    up apart: one whose event is as new is a restatement, and takes precedence.
    """
    is_late = times.known > times.event
    if not is_late.any():
        return _look_up(asked, times)
    event, place = _look_up(asked, times.take(~is_late))
    late_event, late_place = _look_up(asked, times.take(is_late))
    prevails = (late_place >= 0) & ((late_event >= event) | (place < 0))
    return np.where(prevails, late_event, event), np.where(prevails, late_place, place)


def _look_up(asked: Asked, times: Times) -> tuple[Integers, Integers]:
    """Event and place of the row that answers each question: of its key, the last state that begins by then."""
    states = _states(times)
    if not len(states.key):
        return np.zeros_like(asked.at), np.full_like(asked.at, -1)
    start, end = (np.searchsorted(states.key, asked.key, side) for side in ("left", "right"))
    answer = _first_after(states.usable, asked.at, start, end) - 1
    return states.event[answer], np.where(answer >= start, states.place[answer], -1)


def _states(times: Times) -> Times:
    """Turn rows into the succession of answers of each key: from `usable` on, this row is the one that counts.

    It then replaces the answer unless a newer event is already known; a late row about an older event never does. Rows
    that are such a succession as they stand, once those of a key are together, are not sorted again.
    """
    if (times.key[1:] < times.key[:-1]).any():
        small = times.key.astype(np.uint16) if times.key.max() < 2**16 else times.key  # numpy sorts 16 bits fastest
        times = times.take(np.argsort(small, kind="stable"))
    if _in_order(times):
        return times
    ordered = times.take(np.lexsort((times.known, times.event, times.usable, times.key)))
    rank = np.unique(ordered.event, return_inverse=True)[1]
    newest = np.maximum.accumulate(ordered.key * len(rank) + rank)  # begins anew with each key
    return ordered.take(newest == ordered.key * len(rank) + rank)


def _in_order(times: Times) -> bool:
    """Whether each row is newer than the one of its key before it, and usable no earlier."""
    event, known, usable = times.event, times.known, times.usable
    newer = (event[1:] > event[:-1]) | ((event[1:] == event[:-1]) & (known[1:] >= known[:-1]))
    return bool(((newer & (usable[1:] >= usable[:-1])) | (times.key[1:] != times.key[:-1])).all())


def _numbered(rows: pl.DataFrame, keys: list[str]) -> tuple[Integers, pl.DataFrame]:
    """Number of each row's key, in the order in which keys first appear, and the keys with their numbers.

    Only the first row of each run of a key is looked at, which are few where a table is sorted by key.
    """
    if not keys:
        return np.zeros(rows.height, np.int64), rows.select()
    starts = _starts(rows, keys)
    runs = rows.select(keys)[starts]
    known = runs.unique(maintain_order=True).with_row_index(NUMBER)
    return np.repeat(_number_of(runs, known, runs.height), np.diff(np.append(starts, rows.height))), known


def _number_of(rows: pl.DataFrame, keys: pl.DataFrame, size: int) -> Integers:
    """Number of each row's key; -1 for one that has none, as a null has."""
    if not rows.width:
        return np.zeros(size, np.int64)
    found = rows.join(keys, on=rows.columns, how="left", maintain_order="left")
    return _integers(found[NUMBER].cast(pl.Int64).fill_null(-1))


def _starts(rows: pl.DataFrame, keys: list[str]) -> Integers:
    """Where a key begins that is not that of the row before."""
    changes = [pl.col(key).ne_missing(pl.col(key).shift(1)) for key in keys]
    is_start = pl.any_horizontal(pl.int_range(pl.len()) == 0, *changes)
    return _integers(rows.select(is_start.arg_true()).to_series())


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
