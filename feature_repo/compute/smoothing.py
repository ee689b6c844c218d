"""Recursive means with the seeding of TA-Lib, so that values agree from the first valid bar."""

import polars as pl


def exponential_mean(values: pl.Expr, sessions: int, *, seeded_at: int | None = None) -> pl.Expr:
    """Return the exponential mean with weight ``2 / (n + 1)``.

    Parameters
    ----------
    values
        Expression over one symbol; nulls are passed over and stay null in the result.
    sessions
        The n of the weight.
    seeded_at
        Number of the known value (counted from 1) that carries the seed, which is the plain mean of the last n known
        values; by default the n-th. The result is null before it.
    """
    return _seeded_mean(values, 2 / (sessions + 1), sessions, seeded_at or sessions)


def wilder_mean(values: pl.Expr, sessions: int) -> pl.Expr:
    """Return Wilder's mean, weight ``1 / n``, seeded with the plain mean of the first n known values."""
    return _seeded_mean(values, 1 / sessions, sessions, sessions)


def _seeded_mean(values: pl.Expr, weight: float, sessions: int, seeded_at: int) -> pl.Expr:
    is_known = values.is_not_null()
    count = is_known.cum_sum()
    is_seed = (count > seeded_at - sessions) & (count <= seeded_at)
    seed = pl.when(is_seed).then(values).cum_sum() / sessions
    started = pl.when(count == seeded_at).then(seed).when(count > seeded_at).then(values)
    smoothed = pl.when(is_known).then(started).ewm_mean(alpha=weight, adjust=False, ignore_nulls=True)
    return pl.when(is_known & (count >= seeded_at)).then(smoothed)
