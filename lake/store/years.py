"""Which rows belong to a run over some years only."""

from collections.abc import Collection

import polars as pl


def known_in(years: Collection[int]) -> pl.Expr:
    """Whether a row became known in one of these years, in UTC; every row does when none is named.

    A year is that of `known_time`, not of `event_time`. A delivery of 2012 may say something about 2009; it belongs to
    the run of 2012, which fetched it, and is lost nowhere. An instant that ends a year belongs to that year, as in the
    half-open spans ``(start, end]`` in which sources are asked.
    """
    if not years:
        return pl.lit(value=True)
    return pl.col("known_time").dt.offset_by("-1us").dt.year().is_in(sorted(years))
