"""Corrections of a forecast before it is answered: factors of its band, and trust in its probability.

Pure and small: the request path uses it. Where the numbers come from is `serving.calibration.conformal`.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from serving.forecasts.blending import sign_probability

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from feature_repo.online import OnlineCalibration

COVERAGE_TARGET = 0.8
"""Share of outcomes that fall within p10..p90 of a calibrated forecast, in the long run."""


@dataclass(frozen=True)
class Calibration:
    """The correction in force for one regime; every tuple is aligned with `horizons`.

    Parameters
    ----------
    as_of
        Close by which every outcome it was learned from was known.
    regime
        Regime it is for.
    horizons
        Sessions ahead.
    lower, upper
        Factors of ``p50 - p10`` and of ``p90 - p50``; above 0.
    trust
        Share of the distance from a half that is believed of the probability that the quantiles say; 0 or more.
    sessions
        Sessions of this regime learned from.
    """

    as_of: datetime
    regime: str
    horizons: tuple[int, ...]
    lower: tuple[float, ...]
    upper: tuple[float, ...]
    trust: tuple[float, ...]
    sessions: tuple[float, ...]

    @classmethod
    def of(cls, held: "OnlineCalibration | None", regime: str) -> "Calibration | None":
        """Return the online corrections of a regime; None where there are none."""
        return None if held is None else _of(held, regime)

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON; numbers come back to the last bit."""
        return asdict(self) | {"as_of": self.as_of.isoformat()}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        """Read back what `to_dict` wrote."""
        lists = {name: tuple(values[name]) for name in ("horizons", "lower", "upper", "trust", "sessions")}
        return cls(datetime.fromisoformat(values["as_of"]), values["regime"], **lists)

    def knows(self, horizon: int) -> bool:
        """Whether forecasts over a horizon are corrected."""
        return horizon in self.horizons


def calibrate(
    quantiles: "NDArray[np.float64]", horizons: Sequence[int], calibrations: "Sequence[Calibration | None]"
) -> "NDArray[np.float64]":
    """Correct the bands of forecasts; medians stay, and ordered quantiles stay ordered.

    Parameters
    ----------
    quantiles
        ``[row, horizon, quantile]``: p10, p50, p90.
    horizons
        Sessions ahead, in the order of the second axis.
    calibrations
        One per row. A row without one, or a horizon that it does not know, stays as it is.
    """
    # Rows of one read share one object, so it is looked into once, and by identity.
    distinct = {id(calibration): calibration for calibration in calibrations}
    asked = tuple(horizons)
    if len(distinct) == 1:
        return widened(quantiles, _factors(next(iter(distinct.values())), asked))
    known = {key: _factors(calibration, asked) for key, calibration in distinct.items()}
    factors = np.array([known[id(calibration)] for calibration in calibrations])  # [row, horizon, side]
    return widened(quantiles, factors.reshape(*quantiles.shape[:2], 2))


def widened(quantiles: "NDArray[np.float64]", factors: "NDArray[np.float64]") -> "NDArray[np.float64]":
    """Widen or narrow both sides of bands about their medians; ordered quantiles stay ordered.

    Parameters
    ----------
    quantiles
        ``[..., quantile]``: p10, p50, p90.
    factors
        ``[..., side]``: of the lower and of the upper part; above 0. A factor of 1 changes no bit.
    """
    corrected: NDArray[np.float64] = quantiles.copy()
    p50 = quantiles[..., 1]
    for place, side, sign in ((0, 0, -1.0), (2, 1, 1.0)):
        half, factor = np.abs(quantiles[..., place] - p50), factors[..., side]
        np.copyto(corrected[..., place], p50 + sign * factor * half, where=factor != 1.0)
    return corrected


def confidence(p10: float, p50: float, p90: float, *, trust: float = 1.0) -> float:
    """Probability that the return has the sign of the median.

    ``1/2 + trust x (P - 1/2)``, with P read off the calibrated quantiles by
    `serving.forecasts.blending.sign_probability`.

    Returns
    -------
    float
        From 0.5 to 1; 0.5 for a median of zero.
    """
    return min(0.5 + trust * (sign_probability(p10, p50, p90) - 0.5), 1.0)


def trust_of(calibration: Calibration | None, horizon: int) -> float:
    """Trust in force; 1 where nothing is known yet."""
    if calibration is None or not calibration.knows(horizon):
        return 1.0
    return calibration.trust[calibration.horizons.index(horizon)]


@lru_cache(maxsize=256)
def _factors(calibration: Calibration | None, horizons: tuple[int, ...]) -> "NDArray[np.float64]":
    """Factors ``[horizon, side]``, not to be written to; 1 where nothing is known."""
    sides = () if calibration is None else zip(calibration.lower, calibration.upper, strict=True)
    known = dict(zip(() if calibration is None else calibration.horizons, sides, strict=True))
    return np.array([known.get(horizon, (1.0, 1.0)) for horizon in horizons])


@lru_cache(maxsize=64)
def _of(held: "OnlineCalibration", regime: str) -> Calibration | None:
    places = [place for place, name in enumerate(held.regimes) if name == regime]
    if not places:
        return None
    horizons = tuple(held.horizons[place] for place in places)
    numbers = (held.lower, held.upper, held.trust, held.sessions)
    return Calibration(held.as_of, regime, horizons, *(tuple(values[place] for place in places) for values in numbers))
