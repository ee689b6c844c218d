"""What was done to the prices of a file, judged by overnight changes. Pure functions."""

from dataclasses import dataclass

import polars as pl

from lake.sources.files.proposal import FieldChoice, OpenQuestion

SPLITS = (2, 3, 4, 5, 6, 7, 8, 9, 10, 15, 20, 25, 30, 40, 50, 100)
NEAR = 0.03
"""How near an overnight change must come to a split's ratio; the rest is the day's return."""
FACTOR_JUMP = 1.3
"""A change of adj_close / close beyond this is a split (as in `lake.refine.actions`)."""
SAME = 1e-9


@dataclass(frozen=True)
class SplitLike:
    """An overnight change of the close that has the ratio of a split."""

    symbol: str
    day: str
    before: float
    after: float

    def __str__(self) -> str:
        """Return the change in words."""
        return f"{self.symbol} went from {self.before:g} to {self.after:g} on {self.day}"


def find_basis(good: pl.DataFrame, *, has_close: bool, has_adjusted: bool) -> FieldChoice | OpenQuestion:
    """Return the price basis with its evidence, or the question that the file leaves open.

    Parameters
    ----------
    good
        ``symbol``, ``day``, ``close_value`` and ``adj_close_value`` of rows that pass the rules.
    has_close, has_adjusted
        Whether the file has a column of each.
    """
    if not has_close:
        return FieldChoice("price_basis", "fully_adjusted", "the only closes are adjusted ones")
    rows = good.sort("symbol", "day").with_columns((pl.col("adj_close_value") / pl.col("close_value")).alias("factor"))
    rise = (pl.col("factor") / pl.col("factor").shift(1)).over("symbol")
    if has_adjusted and rows.select((pl.col("factor") - 1).abs().max() > SAME).item():
        is_split = (rise > FACTOR_JUMP) | (rise < 1 / FACTOR_JUMP)
        splits = rows.filter(is_split)
        if splits.height:
            where = f"{splits['symbol'][0]} on {splits['day'][0]}"
            return FieldChoice(
                "price_basis", "as_traded", f"adjusted close over close jumps by a split's ratio, {where}"
            )
        return FieldChoice(
            "price_basis",
            "split_adjusted",
            "adjusted close over close moves by dividends only, never by a split's ratio",
        )
    found = _split_like(rows)
    if found is not None:
        return OpenQuestion(
            "price_basis",
            f"{found}, which looks like a split, and no adjusted close tells whether it was one.",
            ("price_basis=as_traded if it was", "price_basis=split_adjusted", "price_basis=fully_adjusted if not"),
        )
    return FieldChoice(
        "price_basis",
        "split_adjusted",
        "no overnight change looks like a split; whether dividends are taken out too, a file of one close cannot say",
        is_assumed=True,
    )


def _split_like(rows: pl.DataFrame) -> SplitLike | None:
    before = pl.col("close_value").shift(1).over("symbol")
    ratio = pl.max_horizontal(pl.col("close_value") / pl.col("before"), pl.col("before") / pl.col("close_value"))
    jumps = rows.with_columns(before.alias("before")).filter(ratio > SPLITS[0] * (1 - NEAR))
    found = jumps.filter(pl.any_horizontal([(ratio / size - 1).abs() < NEAR for size in SPLITS]))
    if found.is_empty():
        return None
    first = found.row(0, named=True)
    return SplitLike(first["symbol"], str(first["day"]), first["before"], first["close_value"])
