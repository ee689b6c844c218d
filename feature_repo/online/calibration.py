"""The calibration in force, as the online store holds it: one row for the whole market."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any, Self

from feature_repo.online.packing import event_time
from feature_repo.online.views import CALIBRATION

COLUMNS = ("regimes", "horizons", "lower", "upper", "trust", "sessions")
_read = CALIBRATION.layout.reader(COLUMNS)


@dataclass(frozen=True)
class OnlineCalibration:
    """One entry per regime and horizon; every tuple has that length.

    Parameters
    ----------
    as_of
        Close by which every outcome it was learned from was known.
    regimes, horizons
        What an entry is for.
    lower, upper, trust, sessions
        See the table `calibrations`.
    """

    as_of: datetime
    regimes: tuple[str, ...]
    horizons: tuple[int, ...]
    lower: tuple[float, ...]
    upper: tuple[float, ...]
    trust: tuple[float, ...]
    sessions: tuple[float, ...]

    @classmethod
    def of(cls, row: Mapping[str, Any]) -> Self:
        """Return the calibration in a row of the table `calibrations`."""
        return cls(row["event_time"], *(tuple(row[name]) for name in COLUMNS))


@lru_cache(maxsize=8)
def held_calibration(value: bytes) -> OnlineCalibration:
    """Unpack a row of the view; the same bytes are unpacked once."""
    regimes, *numbers = _read(value)
    return OnlineCalibration(event_time(value), tuple(regimes), *(tuple(part.tolist()) for part in numbers))


def calibration_in_force(rows: Sequence[bytes], now: datetime) -> OnlineCalibration | None:
    """Return what the view holds; None where it holds nothing, or something that has outlived what it allows."""
    held = held_calibration(rows[0]) if rows else None
    return held if held is not None and CALIBRATION.is_current(held.as_of, now) else None
