"""The numbers that a model scales its input by; `training.data.fit_scaler` learns them."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True)
class FeatureScaler:
    """The numbers that bring each feature to mean 0 and spread 1.

    Parameters
    ----------
    mean, std
        float32 `[feature]`, in the unit of the feature; `std` is positive.
    """

    mean: npt.NDArray[np.float32]
    std: npt.NDArray[np.float32]

    @classmethod
    def identity(cls, features: int) -> "FeatureScaler":
        """Return the scaler that changes nothing, for a module whose numbers are loaded afterwards."""
        return cls(np.zeros(features, np.float32), np.ones(features, np.float32))
