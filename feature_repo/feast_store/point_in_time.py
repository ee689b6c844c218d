"""The point-in-time join on two times: what was true, as far as it was known. Pure."""

from collections.abc import Mapping
from datetime import timedelta
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import polars as pl

EVENT, KNOWN = "event_time", "known_time"
CODE = "__code"
UNKNOWN = -1
"""Code of a key that no feature row has; place of a row that is not there."""
NEVER = np.iinfo(np.int64).min
"""A null time: before all others."""

Integers = npt.NDArray[np.int64]


class _States(NamedTuple):
    """Feature rows by key: the code of the key, the two times in microseconds, the place among the rows given."""

    code: Integers
    event: Integers
    known: Integers
    place: Integers

    @property
    def usable(self) -> Integers:
        """Since when each row can be used: the later of its two times."""
        return np.maximum(self.event, self.known)

    def take(self, chosen: npt.NDArray[np.int64] | npt.NDArray[np.bool_]) -> "_States":
        """Return the rows at some positions, or of a mask."""
        return _States(*(values[chosen] for values in self))


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

    Only keys and times are joined and the values fetched by place, so the width of `rows` hardly matters. Keys are
    compared where they change from one row to the next. Rows that stand by event and known time within each key, as
    files of tables keep them, are not sorted again unless some were restated.

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
    rows_code, asked_code = _codes(rows, spine, on)
    known_rows = _States(rows_code, _integers(rows[EVENT]), _integers(rows[KNOWN]), np.arange(rows.height))
    if rows[EVENT].null_count() or rows[KNOWN].null_count():
        known_rows = known_rows.take((known_rows.event != NEVER) & (known_rows.known != NEVER))
    asked_at = _integers(spine[at].cast(rows.schema[EVENT]))
    place, event = _newest_usable(asked_code, asked_at, known_rows)
    is_found = place != UNKNOWN
    if ttl is not None:
        is_found &= event >= asked_at - ttl // timedelta(microseconds=1)
    places = pl.select(pl.when(pl.lit(pl.Series(is_found))).then(pl.lit(pl.Series(place)))).to_series()
    values = rows.select(pl.col(ours).gather(places).alias(name) for ours, name in features.items())
    return pl.concat([spine, values], how="horizontal")


def _codes(rows: pl.DataFrame, spine: pl.DataFrame, on: Mapping[str, str]) -> tuple[Integers, Integers]:
    """Number the keys of the rows, in the order in which they first come; return the code of each row and question."""
    if not on:
        return np.zeros(rows.height, np.int64), np.zeros(spine.height, np.int64)
    keys = list(on)
    changes = pl.any_horizontal(pl.col(key).ne_missing(pl.col(key).shift(1)) for key in keys)
    starts = rows.select(((pl.int_range(pl.len()) == 0) | changes).arg_true()).to_series().to_numpy()
    text_as_numbers = pl.col(pl.String).cast(pl.Categorical)
    runs = (
        (rows if len(starts) == rows.height else rows.select(keys)[starts]).select(keys).with_columns(text_as_numbers)
    )
    distinct = runs.unique(maintain_order=True).with_columns(pl.int_range(pl.len()).alias(CODE))
    of_runs = runs.join(distinct, on=keys, how="left", nulls_equal=True, maintain_order="left")[CODE].to_numpy()
    spine_keys = spine.select(pl.col(their).alias(our) for our, their in on.items()).with_columns(text_as_numbers)
    asked = spine_keys.join(distinct, on=keys, how="left", maintain_order="left")[CODE]
    return np.repeat(of_runs, np.diff(starts, append=rows.height)), asked.fill_null(UNKNOWN).to_numpy()


def _newest_usable(asked_code: Integers, asked_at: Integers, rows: _States) -> tuple[Integers, Integers]:
    """Place and event of each question's answer; place `UNKNOWN` where there is none.

    Nearly all rows are known when they happen, and answer in the order of their events. The few known later are looked
    up apart: one whose event is as new is a restatement, and takes precedence.
    """
    is_late = rows.known > rows.event
    if not is_late.any():
        return _look_up(asked_code, asked_at, rows)
    place, event = _look_up(asked_code, asked_at, rows.take(~is_late))
    late_place, late_event = _look_up(asked_code, asked_at, rows.take(is_late))
    prevails = (late_place != UNKNOWN) & ((late_event >= event) | (place == UNKNOWN))
    return np.where(prevails, late_place, place), np.where(prevails, late_event, event)


def _look_up(asked_code: Integers, asked_at: Integers, rows: _States) -> tuple[Integers, Integers]:
    """Place and event of the row that answers each question: of its key, the last state that begins by then."""
    states = _states(rows)
    counts = np.bincount(states.code, minlength=int(asked_code.max(initial=UNKNOWN)) + 1)
    ends = np.append(np.cumsum(counts), 0)  # the last one is that of `UNKNOWN`, a span of nothing
    starts = ends - np.append(counts, 0)
    start = starts[asked_code]
    after = _first_after(states.usable, asked_at, start, ends[asked_code])
    answer = after - 1
    is_answered = after > start
    if not is_answered.any():
        return np.full_like(answer, UNKNOWN), np.full_like(answer, NEVER)
    return np.where(is_answered, states.place[answer], UNKNOWN), np.where(is_answered, states.event[answer], NEVER)


def _states(rows: _States) -> _States:
    """Turn rows into the succession of answers of each key: from its usable time on, this row is the one that counts.

    It then replaces the answer unless a newer event is already known; a late row about an older event never does. Rows
    that are such a succession as they stand, key by key, are returned as they are.
    """
    grouped = rows if (np.diff(rows.code) >= 0).all() else rows.take(_by_code(rows.code))
    if _in_order(grouped):
        return grouped
    usable = grouped.usable
    ordered = np.lexsort((grouped.known, grouped.event, usable, grouped.code))
    sorted_ = grouped.take(ordered)
    newest = pl.DataFrame({"code": sorted_.code, "event": sorted_.event}).select(pl.col("event").cum_max().over("code"))
    return sorted_.take(sorted_.event == newest.to_series().to_numpy())


def _by_code(code: Integers) -> Integers:
    """Positions of the rows key by key, in their order within each; a radix sort where the codes fit 16 bits."""
    is_small = code.max(initial=0) <= np.iinfo(np.uint16).max
    return np.argsort(code.astype(np.uint16) if is_small else code, kind="stable")


def _in_order(rows: _States) -> bool:
    """Whether each row is newer than the one of its key before it, and usable no earlier."""
    event, known, usable = rows.event, rows.known, rows.usable
    newer = (event[1:] > event[:-1]) | ((event[1:] == event[:-1]) & (known[1:] >= known[:-1]))
    follows = newer & (usable[1:] >= usable[:-1])
    return bool((follows | (rows.code[1:] != rows.code[:-1])).all())


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
    """Microseconds; a null is `NEVER`."""
    numbers: Integers = values.to_physical().cast(pl.Int64).fill_null(NEVER).to_numpy()
    return numbers
