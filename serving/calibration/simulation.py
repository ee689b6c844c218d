"""What a walk-forward simulation of one horizon found: the type that learning, reliability and picture share."""

from dataclasses import dataclass

import numpy as np
import polars as pl

from serving.calibration.conformal import ForecastPanel, Tracked
from serving.forecasts import widened


@dataclass(frozen=True)
class WalkForwardSimulation:
    """Walk-forward simulation of one horizon: its panel, the correction in force at each close, and the panel's rows.

    Parameters
    ----------
    rows
        ``symbol``, ``event_time``, ``regime``, ``p10``, ``p50``, ``p90`` (before calibration) and ``realised_return``
        (null while open), in the order of the panel.
    """

    panel: ForecastPanel
    tracked: Tracked
    rows: pl.DataFrame

    def calibrated(self) -> np.ndarray:
        """Quantiles as they would have been answered at each close ``[row, quantile]``."""
        session = self.panel.session
        return widened(self.panel.quantiles, self.tracked.factors[session, self.panel.regime[session]])
