"""Forecast cache: one computation per model set and input row.

Rows change once a session, and requests come all day. A forecast is kept with the very bytes that it was made from and
the set of models that made it, never by time, so a swap, a restatement or a new session cannot bring back an old one.
"""

import threading
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

    from feature_repo.online import BlendWeights
    from serving.deployment import LoadedModels
    from serving.forecasts import Calibration, Row
    from serving.predict.forecasting import RowForecast


class _Origin(NamedTuple):
    """Everything that the numbers of a forecast come from."""

    packed: tuple[bytes, bytes]
    regime: str
    blend: "BlendWeights"
    calibration: "Calibration | None"


class ForecastCache:
    """The latest forecast of each symbol by the models in service. Safe for threads.

    Parameters
    ----------
    symbols
        Forecasts that are kept, with about 10 KiB each; the symbol that came first is evicted first. 0 keeps none.
    """

    def __init__(self, symbols: int) -> None:
        self._most = symbols
        self._models: LoadedModels | None = None
        self._kept: dict[str, tuple[_Origin, RowForecast]] = {}
        self._lock = threading.Lock()

    def __len__(self) -> int:
        """Number of forecasts that are kept."""
        return len(self._kept)

    def recall(self, row: "Row", models: "LoadedModels") -> "RowForecast | None":
        """Return the forecast that these models have made of this very row, None if they have not."""
        with self._lock:
            origin, forecast = self._kept.get(row.symbol, _NOTHING)
            return forecast if self._models is models and origin == _origin(row) else None

    def keep(self, rows: "Sequence[Row]", models: "LoadedModels", forecasts: "Sequence[RowForecast]") -> None:
        """Keep the forecasts of rows by these models. A different model set clears the cache."""
        if not self._most:
            return
        with self._lock:
            if self._models is not models:
                self._kept.clear()
                self._models = models
            for row, forecast in zip(rows, forecasts, strict=True):
                self._kept[row.symbol] = _origin(row), forecast
            while len(self._kept) > self._most:
                del self._kept[next(iter(self._kept))]

    def forget(self, symbol: str) -> None:
        """Remove a symbol, so that its next forecast is computed."""
        with self._lock:
            self._kept.pop(symbol, None)


_NOTHING = None, None


def _origin(row: "Row") -> _Origin:
    return _Origin(row.packed, row.regime, row.blend, row.calibration)
