"""How far printed digits can be trusted, and which ratios are those of splits."""

from fractions import Fraction

import numpy as np
import polars as pl

EXACT = 1e-9
"""Relative difference that the order of multiplications can cause."""
CENTS, ALL_DIGITS = 2, 17
_FORWARD = {
    *(Fraction(new, old) for old in range(1, 6) for new in range(old + 1, 31)),
    *(Fraction(old + 1, old) for old in range(6, 21)),
    Fraction(23, 20),
    *map(Fraction, (40, 50, 100)),
}
SPLITS = np.array(sorted(map(float, {*_FORWARD, *(1 / ratio for ratio in _FORWARD)})))
"""New shares per old share as companies declare them: 2:1, 3:2, 21:20, 1:10."""


def noise() -> pl.Expr:
    """Relative error that the printed digits of ``close`` and ``adj_close`` allow in their quotient.

    Half a unit in the last place of each. Trailing zeros say nothing (12.50 becomes 12.5 on the way, and 12 becomes
    12.0), so the digits of a row are those of its longest price, and the adjusted close has two decimals where the
    others have.

    Examples
    --------
    >>> row = pl.DataFrame({"open": ["10.25"], "high": ["11"], "low": ["10"], "close": ["10.5"], "adj_close": ["5.25"]})
    >>> row = row.with_columns(pl.col("close", "adj_close").cast(float).name.suffix("_value"))
    >>> round(row.select(noise()).item(), 6)  # 0.005 / 10.5 + 0.005 / 5.25
    0.001429
    """
    of_prices = pl.max_horizontal(_decimals(name) for name in ("open", "high", "low", "close"))
    own = _decimals("adj_close")
    of_adjusted = pl.when(own >= CENTS).then(own).otherwise(pl.max_horizontal(own, pl.min_horizontal(of_prices, CENTS)))
    steps = ((of_prices, "close_value"), (of_adjusted, "adj_close_value"))
    return pl.sum_horizontal((0.5 * _tenth_to(decimals) / pl.col(price)).fill_null(0) for decimals, price in steps)


def is_split(rise: np.ndarray, error: np.ndarray) -> np.ndarray:
    """Whether factors are ratios of splits, as far as their digits tell.

    Parameters
    ----------
    rise, error
        Positive factors, and the relative error of each.

    Examples
    --------
    >>> is_split(np.array([1.5, 0.1, 1.0123]), np.array([1e-6, 1e-6, 1e-3])).tolist()
    [True, True, False]
    """
    after = np.clip(np.searchsorted(SPLITS, rise), 1, SPLITS.size - 1)
    distance = np.minimum(np.abs(rise / SPLITS[after] - 1), np.abs(rise / SPLITS[after - 1] - 1))
    is_near: np.ndarray = distance <= error
    return is_near


def _decimals(name: str) -> pl.Expr:
    text = pl.col(name)
    digits = text.str.extract(r"\.(\d*[1-9])0*$").str.len_chars().cast(pl.Float64)
    return pl.when(text.str.contains("[eE]")).then(float(ALL_DIGITS)).otherwise(digits.fill_null(0.0))


def _tenth_to(decimals: pl.Expr) -> pl.Expr:
    return pl.lit(0.1).pow(decimals)
