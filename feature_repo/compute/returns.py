"""Returns of the adjusted close."""

import numpy as np

from feature_repo.compute.kernel import Bars, kernel


@kernel
def simple_return(price: Bars, sessions: int) -> Bars:
    """Return ``P_t / P_{t-n} - 1``; NaN for the first n bars."""
    out = np.full(price.size, np.nan)
    for t in range(sessions, price.size):
        out[t] = price[t] / price[t - sessions] - 1
    return out
