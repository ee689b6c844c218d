"""Rows of tables as a reader gives them: what the withdrawals need of it."""

from typing import Protocol

import polars as pl

from lake.spec import TableSpec


class StoredRows(Protocol):
    """The tables of a lake, for reading."""

    def exists(self, spec: TableSpec) -> bool:
        """Return whether a table was ever written."""
        ...

    def scan_all(self, spec: TableSpec) -> pl.LazyFrame:
        """Return every stored row, those of withdrawn forecasts among them."""
        ...

    def read(self, spec: TableSpec, *, where: pl.Expr | None = None) -> pl.DataFrame:
        """Return the stored rows that satisfy an expression."""
        ...
