"""Inputs of one stored forecast, read again: its row, its receipt, and the window that its models were given."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from feature_repo.targets import FORECAST_V2, WINDOW_SPECS, FloatArray, WindowSpec, window_hash
from lake.errors import DamagedTableError, NotReadyError, UnknownNameError
from serving.forecasts import Calibration
from serving.replay.as_of_tables import AsOfTables, UnreadableTablesError, window_spec_of
from serving.replay.cases import Case, cases

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from lake.settings import Settings
    from lake.store import Lake
    from serving.receipts import ModelUse, Receipt


@dataclass(frozen=True)
class ForecastInputs:
    """What a stored forecast was computed from.

    Parameters
    ----------
    row
        Its row of `forecasts`, as it was sealed.
    receipt
        Models with their weights, and the correction of the band.
    spec, window
        ``[session, feature]``, oldest session first; NaN is not known. It has the hash that stands in the row.
    known_time
        When the window was known.
    """

    row: dict[str, Any]
    receipt: "Receipt"
    spec: WindowSpec
    window: FloatArray
    known_time: "datetime"

    @property
    def models(self) -> "Sequence[ModelUse]":
        """Models that took part."""
        return self.receipt.models

    @property
    def calibration(self) -> Calibration | None:
        """Correction that was applied to the band."""
        return None if self.receipt.calibration is None else Calibration.from_dict(self.receipt.calibration)


def inputs_of(lake: "Lake", configured: "Settings", forecast_id: str) -> ForecastInputs:
    """Read the inputs of a stored forecast of any kind, at the table versions of its receipt.

    Raises
    ------
    UnknownNameError
        If no forecast has that id.
    NotReadyError
        If its receipt does not say what it was made from.
    DamagedTableError
        If row, receipt or window are not those that were sealed, or cannot be read any more.
    """
    found = cases(lake, configured, [forecast_id])
    if not found:
        raise UnknownNameError("prediction", forecast_id, [])
    case = found[0]
    shown = f"`quantlake replay {forecast_id}` says more."
    if case.findings:
        raise DamagedTableError(f"Forecast {forecast_id} is not as it was made: {case.findings[0]}. {shown}")
    known = known_time(case)
    if case.receipt is None or known is None:
        raise NotReadyError(
            f"Forecast {forecast_id} has no receipt that says what it was made from, so its input is not known. Ask "
            "for a forecast made since receipts are written."
        )
    row = case.row
    tables = AsOfTables(lake, case.receipt.tables, [row["symbol"]], row["event_time"], row["event_time"])
    try:
        spec, window = find_window(tables, row, known)
    except UnreadableTablesError as error:
        raise DamagedTableError(
            f"The input of forecast {forecast_id} cannot be read again: {error}. {shown}"
        ) from error
    if window is None or window_hash(window) != row["feature_hash"]:
        raise DamagedTableError(
            f"The features of {row['symbol']} at {row['event_time']} are not those that forecast {forecast_id} was "
            f"made from. {shown}"
        )
    return ForecastInputs(row, case.receipt, spec, window, known)


def known_time(case: Case) -> "datetime | None":
    """Return when the input of a forecast was known: that of a backfilled one at its own close."""
    if case.is_replay:
        at: datetime = case.row["event_time"]
        return at
    return case.receipt.window_known_time if case.receipt else None


def find_window(tables: AsOfTables, row: dict[str, Any], known: "datetime") -> tuple[WindowSpec, FloatArray | None]:
    """Cut the window of a forecast from the features known at an instant, by the specification that has its hash.

    Returns
    -------
    tuple
        The specification and the window ``[session, feature]``; where none has the hash of the row, the newest
        specification and its window, and None where there is no window at all.
    """
    found: dict[str, FloatArray] = {}
    for each in WINDOW_SPECS.values():
        cut = tables.windows_known(known, [row["event_time"]], each)
        symbols = cut.keys["symbol"].to_list()
        if row["symbol"] in symbols:
            found[each.name] = cut.values[symbols.index(row["symbol"])]
    spec = window_spec_of(row["feature_hash"], {name: window_hash(window) for name, window in found.items()})
    return (FORECAST_V2, None) if spec is None else (spec, found[spec.name])
