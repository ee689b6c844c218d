"""What counts as a forecast that varies: anything beyond a volatility times one shape."""

from typing import Any

import numpy as np
import pytest

from feature_repo.targets import FORECAST_V1, FORECAST_V2, HORIZONS
from training.data import WindowSet
from training.models import SMALLEST_DEVIATION, variation_of


@pytest.fixture(scope="module")
def windows(make_windows: Any) -> WindowSet:
    return make_windows(symbols=4, seed=8)


def quantiles_of(windows: WindowSet, part: str | None, deviation: float) -> np.ndarray:
    """Quantiles of one shape in units of sigma; one part of them varies by a standard deviation."""
    sigma = windows.x[:, -1, FORECAST_V2.scale_indices] * np.sqrt(np.array(HORIZONS) / 252)  # [window, horizon]
    sign = deviation * np.where(np.arange(len(windows)) % 2, 1.0, -1.0)[:, None]
    shape = np.broadcast_to([-1.3, 0.02, 1.2], (*sigma.shape, 3)).copy()
    if part == "median":
        shape += sign[..., None] * 1.25 * np.ones(3)  # half a band is 1.25
    if part == "width":
        shape *= np.exp(sign)[..., None]
    if part == "skew":
        shape[..., 1] += sign * 2.5
    return (shape * sigma[..., None]).astype(np.float32)


@pytest.mark.parametrize("part", ["median", "width", "skew"])
def test_each_part_alone_is_variation(windows: WindowSet, part: str) -> None:
    for deviation, is_constant in ((0.2 * SMALLEST_DEVIATION, True), (2 * SMALLEST_DEVIATION, False)):
        found = variation_of(quantiles_of(windows, part, deviation), windows.x)
        assert getattr(found, part) == pytest.approx((deviation, deviation), rel=0.02)
        assert found.is_constant is is_constant
    assert f"{part} 0.0100" in str(found)


def test_a_volatility_times_one_shape_is_constant_however_much_it_moves(windows: WindowSet) -> None:
    found = variation_of(quantiles_of(windows, None, 0.0), windows.x)
    assert max(*found.median, *found.width, *found.skew) < 1e-6
    assert found.is_constant


def test_one_horizon_that_varies_is_enough_for_the_fit_but_not_for_the_other(windows: WindowSet) -> None:
    quantiles = quantiles_of(windows, None, 0.0)
    quantiles[:, 1] = quantiles_of(windows, "width", 0.1)[:, 1]
    found = variation_of(quantiles, windows.x)
    assert (found.is_constant_at(0), found.is_constant_at(1), found.is_constant) == (True, False, False)


def test_what_has_no_scale_or_no_band_is_left_out(windows: WindowSet) -> None:
    quantiles, x = quantiles_of(windows, None, 0.0), windows.x.copy()
    x[::2, -1, FORECAST_V2.scale_indices[0]] = 0.0
    quantiles[1::4] = 0.0
    assert variation_of(quantiles, x).is_constant
    assert variation_of(np.zeros_like(quantiles), x).is_constant


def test_the_scale_is_that_of_the_window(windows: WindowSet) -> None:
    assert len(FORECAST_V1.scale_indices) == 1  # one scale for all horizons
    narrow = windows.x[..., [*range(FORECAST_V1.shape[1]), *range(FORECAST_V1.shape[1])]]
    assert len(variation_of(quantiles_of(windows, None, 0.0), narrow, FORECAST_V1).width) == len(HORIZONS)
