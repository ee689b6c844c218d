"""Splits that a price file is adjusted for, declared in a file beside it."""

from collections.abc import Collection
from datetime import UTC, datetime
from pathlib import Path

import polars as pl

from lake.errors import SourceError
from lake.names import canonical_symbol
from lake.sources.base import ACTION_COLUMNS

COLUMNS = ("symbol", "ex_date", "ratio")


def read_splits(path: Path, symbols: Collection[str], source: str) -> pl.DataFrame:
    r"""Return the splits of a file as stated actions.

    Parameters
    ----------
    path
        CSV file with the columns ``symbol``, ``ex_date`` (as 2024-06-10, the first session in new shares) and ``ratio``
        (new shares per old share: 10 for ten for one, 0.1 for one for ten).
    symbols
        Those of the price file.
    source
        Name of the source that states them.

    Returns
    -------
    pl.DataFrame
        In the columns of `ACTION_COLUMNS`, ``split_adjusted``, in the order of the file.

    Raises
    ------
    SourceError
        If the file cannot be read, lacks a column, or has a row that is no split of one of the symbols: a split that is
        passed over would put every price before it wrong.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "splits.csv"
    >>> _ = path.write_text("symbol,ex_date,ratio\nNVDA,2024-06-10,10\n")
    >>> read_splits(path, ["NVDA"], "file").select("symbol", "ex_date", "kind", "ratio").rows()
    [('NVDA', datetime.date(2024, 6, 10), 'split', '10.0')]
    """
    try:
        cells = pl.read_csv(path, infer_schema=False)
    except (OSError, pl.exceptions.PolarsError) as error:
        raise SourceError(f"The splits of the price file cannot be read from {path}: {error}.") from error
    if missing := [name for name in COLUMNS if name not in cells.columns]:
        raise SourceError(f"{path.name} has no column {', '.join(missing)}. It needs {', '.join(COLUMNS)}.")
    ratio = pl.col("ratio").str.strip_chars().cast(pl.Float64, strict=False)
    named = {text: canonical_symbol(text) for text in cells["symbol"].unique().drop_nulls()}
    splits = cells.select(
        pl.col("symbol").replace_strict(named, default=None, return_dtype=pl.String),
        pl.col("ex_date").str.strip_chars().str.to_date("%Y-%m-%d", strict=False),
        pl.when(ratio.is_finite() & (ratio > 0)).then(ratio).alias("ratio"),
    )
    is_known = pl.col("symbol").is_in([*symbols])
    is_wrong = pl.any_horizontal(pl.all().is_null(), ~is_known, pl.struct("symbol", "ex_date").is_duplicated())
    wrong = splits.with_row_index("line", 2).filter(is_wrong.fill_null(value=True))
    if wrong.height:
        line = wrong["line"][0]
        said = ", ".join(str(cell) for cell in cells.row(line - 2))
        raise SourceError(
            f"Line {line} of {path.name} is {said}: expected a symbol of the price file, the ex-date as "
            "2024-06-10 and the new shares per old share as 10, one line per split."
        )
    same = {"amount": None, "currency": None, "price_basis": "split_adjusted", "kind": "split", "source": source}
    received = pl.lit(datetime.now(UTC)).cast(ACTION_COLUMNS["received_at"]).alias("received_at")
    literals = [pl.lit(value, dtype=pl.String).alias(name) for name, value in same.items()]
    return splits.with_columns(pl.col("ratio").cast(pl.String), received, *literals).select([*ACTION_COLUMNS])
