"""How much the forecasts of a model vary beyond the volatility they are scaled by, and when that is nothing."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from feature_repo.targets import FORECAST_V2, HORIZONS, WindowSpec
from training.models.spec import SESSIONS_PER_YEAR, InputSpec

SMALLEST_DEVIATION = 0.005
"""Standard deviation below which a part of a forecast does not vary.

Half a hundredth of a half-band of 1.3 % a day is less than a basis point of return, which no trade pays for; a width
that changes by half a hundredth moves the pinball loss in the sixth decimal. Networks that stopped after their first
gradient steps show .0001 to .0015 in every part, those that learnt .01 to .07 in one part at least.
"""


class Variation(NamedTuple):
    """Standard deviations over windows of what a model says in units of the windows' own volatility.

    A volatility times a fixed shape has zeros everywhere, however much the volatility moves.

    Parameters
    ----------
    median
        Of p50 over half the band, (p90 - p10) / 2; one for each horizon, like the others.
    width
        Of the logarithm of half the band over the expected size of the return.
    skew
        Of (p90 - p50) / (p90 - p10).
    """

    median: tuple[float, ...]
    width: tuple[float, ...]
    skew: tuple[float, ...]

    def is_constant_at(self, number: int) -> bool:
        """Whether nothing varies at the horizon of that place."""
        return max(self.median[number], self.width[number], self.skew[number]) < SMALLEST_DEVIATION

    @property
    def is_constant(self) -> bool:
        """Whether nothing varies at any horizon."""
        return all(self.is_constant_at(number) for number in range(len(self.median)))

    def __str__(self) -> str:
        """Return the largest deviation of each part, for a reader."""
        parts = zip(self._fields, self, strict=True)
        return ", ".join(f"{name} {max(deviations):.4f}" for name, deviations in parts)


def variation_of(
    quantiles: npt.NDArray[np.float32],
    x: npt.NDArray[np.float32],
    window: WindowSpec | InputSpec = FORECAST_V2,
    horizons: tuple[int, ...] = HORIZONS,
) -> Variation:
    """Return how much forecasts for some windows vary.

    Parameters
    ----------
    quantiles
        ``[window, horizon, quantile]``: p10, p50 and p90 of the simple return, ascending.
    x
        The windows they were made from, ``[window, session, 2 * feature]``.
    window
        What the windows were built with. A forecast without a positive band or scale is left out.
    horizons
        Of the forecasts, in bars.

    Examples
    --------
    >>> x = np.ones((2, *FORECAST_V2.shape), np.float32)
    >>> same = np.tile(np.float32([-0.02, 0.001, 0.02]), (2, 2, 1))
    >>> variation_of(same, x).is_constant
    True
    >>> other = same * np.float32([1.0, 1.5])[:, None, None]  # the second band is half as wide again
    >>> variation_of(other, x).is_constant, round(variation_of(other, x).width[0], 3)
    (False, 0.203)
    """
    roots = np.sqrt(np.array(horizons) / SESSIONS_PER_YEAR)
    scaled = window.scaled_for(horizons) if isinstance(window, WindowSpec) else window
    sigma = x[:, -1, scaled.scale_indices].astype(np.float64) * roots  # [window, horizon]
    with np.errstate(divide="ignore", invalid="ignore"):
        return variation_in_units(quantiles / sigma[..., None])


def variation_in_units(z: npt.NDArray[np.floating]) -> Variation:
    """Return the same for quantiles in units of the expected size of the return, `[window, horizon, quantile]`."""
    low, middle, high = np.moveaxis(z.astype(np.float64), -1, 0)  # [window, horizon] each
    band = high - low
    columns = [np.flatnonzero(usable) for usable in (np.isfinite(band) & (band > 0)).T]
    with np.errstate(divide="ignore", invalid="ignore"):
        parts = (2 * middle / band, np.log(band / 2), (high - middle) / band)
    median, width, skew = (
        tuple(float(part[rows, number].std()) if len(rows) else 0.0 for number, rows in enumerate(columns))
        for part in parts
    )
    return Variation(median, width, skew)
