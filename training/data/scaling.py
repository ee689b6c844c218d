"""Mean and spread of each feature, learnt from training windows only."""

import numpy as np
import numpy.typing as npt

from lake.errors import ConfigError
from training.models import FeatureScaler


def fit_scaler(x: npt.NDArray[np.float32]) -> FeatureScaler:
    """Return mean and population standard deviation of each feature over the windows given.

    Give it training windows only: a mean that has seen the test period is a leak. What is not known (flag 0) counts
    for nothing. Sessions that lie in several windows count once for each.

    Parameters
    ----------
    x
        float32 `[window, session, 2 * feature]`, values then flags.

    Returns
    -------
    FeatureScaler
        A feature that is constant, or never known, has std 1; one that is never known has mean 0.

    Raises
    ------
    ConfigError
        If there is no window, or a value is not finite.

    Examples
    --------
    >>> window = np.array([[[1.0, 1.0], [3.0, 1.0], [0.0, 0.0]]], dtype=np.float32)  # 1, 3, not known
    >>> scaler = fit_scaler(window)
    >>> scaler.mean.item(), scaler.std.item()
    (2.0, 1.0)
    """
    if x.ndim != 3 or not len(x) or x.shape[-1] % 2:  # noqa: PLR2004 - window, session, value-or-flag
        raise ConfigError(f"A scaler needs windows [window, session, 2 * feature], found shape {x.shape}.")
    if not np.isfinite(x).all():
        raise ConfigError("The windows hold NaN or infinite values. Pass them through to_model_input first.")
    features = x.shape[-1] // 2
    moments = [_moments(x[..., index], x[..., features + index] > 0) for index in range(features)]
    mean, std = np.array(moments, dtype=np.float64).T
    return FeatureScaler(mean.astype(np.float32), std.astype(np.float32))


def _moments(values: npt.NDArray[np.float32], known: npt.NDArray[np.bool_]) -> tuple[float, float]:
    sample = values[known].astype(np.float64)
    if not sample.size:
        return 0.0, 1.0
    mean = float(sample.mean())
    if sample.min() == sample.max():
        return mean, 1.0
    return mean, float(sample.std())
