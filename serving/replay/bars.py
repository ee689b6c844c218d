"""Bars behind a stored forecast: what its features can be computed from again."""

from typing import TYPE_CHECKING

from lake.errors import DamagedTableError
from serving.replay.as_of_tables import AsOfTables, UnreadableTablesError

if TYPE_CHECKING:
    import polars as pl

    from lake.store import Lake
    from serving.replay.inputs import ForecastInputs


def bars_of(lake: "Lake", inputs: "ForecastInputs") -> "pl.DataFrame":
    """Return the bars of a forecast's symbol and of the index that were known when its window was.

    They are read at the table version of the receipt, one row per symbol and close, none later than the forecast's.

    Raises
    ------
    DamagedTableError
        If they cannot be read any more.
    """
    row = inputs.row
    symbols = [row["symbol"], lake.market.index]
    tables = AsOfTables(lake, inputs.receipt.tables, symbols, row["event_time"], row["event_time"])
    try:
        return tables.bars_known(inputs.known_time)
    except UnreadableTablesError as error:
        raise DamagedTableError(
            f"The bars of forecast {row['forecast_id']} cannot be read again: {error}. `quantlake replay "
            f"{row['forecast_id']}` says more."
        ) from error
