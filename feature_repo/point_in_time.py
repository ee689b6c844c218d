"""The point-in-time join on two times: what was true, as far as it was known. Pure."""

from collections.abc import Mapping, Sequence
from datetime import timedelta

import polars as pl

EVENT, KNOWN = "event_time", "known_time"


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

    Parameters
    ----------
    spine
        Any rows, in any order; its order and columns are kept. Times in UTC.
    rows
        Feature rows with `event_time` and `known_time`, restatements beside what they replace.
    on
        Key column of `rows` to key column of `spine`. A null key matches nothing.
    at
        Column of the spine with the instant t.
    features
        Column of `rows` to the name it gets in the result.
    ttl
        How old an event may be, inclusive; None for any age.
    """
    keys = list(on)
    states = _states(rows.select(*keys, EVENT, KNOWN, *features), keys)
    asked = spine.select(
        pl.int_range(pl.len()).alias("__row"),
        pl.col(at).alias("__at"),
        *(pl.col(theirs).alias(ours) for ours, theirs in on.items()),
    )
    found = asked.sort("__at").join_asof(
        states, left_on="__at", right_on="__from", by=keys, strategy="backward", check_sortedness=False
    )
    if ttl:
        is_fresh = pl.col(EVENT) >= pl.col("__at") - ttl
        found = found.with_columns(pl.when(is_fresh).then(pl.col(name)).alias(name) for name in features)
    values = found.sort("__row").select(pl.col(ours).alias(name) for ours, name in features.items())
    return pl.concat([spine, values], how="horizontal")


def newest_known(rows: pl.DataFrame, keys: Sequence[str]) -> pl.DataFrame:
    """Keep one row per key: the newest event, and of its restatements the newest known."""
    ordered = rows.sort(EVENT, KNOWN, maintain_order=True)
    return ordered.unique(list(keys), keep="last", maintain_order=True)


def _states(rows: pl.DataFrame, keys: list[str]) -> pl.DataFrame:
    """Turn rows into the succession of answers: from `__from` on, this row is the one that counts.

    A row can be used from the later of its two times. It then replaces the answer unless a newer event is already
    known; a late row about an older event never does.
    """
    usable = rows.with_columns(pl.max_horizontal(EVENT, KNOWN).alias("__from"))
    ordered = usable.sort("__from", EVENT, KNOWN, maintain_order=True)
    newest = pl.col(EVENT) == pl.col(EVENT).cum_max().over(keys)
    return ordered.filter(newest).unique([*keys, "__from"], keep="last", maintain_order=True)
