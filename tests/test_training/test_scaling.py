import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.preprocessing import StandardScaler

from lake.errors import ConfigError
from training.data import fit_scaler
from training.models import FeatureScaler, InputSpec, OutputSpec, build_network

SPEC = InputSpec(("return_1d", "volatility_20d", "volume_ratio_20d"), sessions=8, scales=("volatility_20d",))


def test_mean_and_spread_agree_with_scikit_learn_which_also_leaves_out_what_is_not_known():
    x = SPEC.example(40)
    values, known = np.split(x.astype(np.float64), 2, axis=-1)
    outside = StandardScaler().fit(np.where(known > 0, values, np.nan).reshape(-1, 3))
    found = fit_scaler(x)
    np.testing.assert_allclose(found.mean, outside.mean_, rtol=1e-6)
    np.testing.assert_allclose(found.std, outside.scale_, rtol=1e-6)


@given(st.floats(-1e6, 1e6, width=32))
def test_what_lies_under_a_closed_flag_does_not_matter(hidden):
    x = SPEC.example(5)
    other = np.where(np.concatenate([x[..., 3:] == 0, np.zeros_like(x[..., 3:], bool)], axis=-1), np.float32(hidden), x)
    np.testing.assert_array_equal(fit_scaler(other).mean, fit_scaler(x).mean)
    np.testing.assert_array_equal(fit_scaler(other).std, fit_scaler(x).std)


def test_a_constant_feature_keeps_its_spread_of_one_and_an_unknown_one_is_left_alone():
    x = SPEC.example(20)
    x[..., 0] = 0.7  # constant
    x[..., 3] = 1
    x[..., 5] = 0  # never known
    found = fit_scaler(x)
    assert found.std[0] == 1
    assert found.mean[0] == pytest.approx(0.7, rel=1e-6)
    assert (found.mean[2], found.std[2]) == (0, 1)


def test_scaled_training_windows_have_mean_zero_and_spread_one_inside_the_module():
    x = SPEC.example(50)
    window = build_network("naive", SPEC, OutputSpec(), fit_scaler(x)).split(torch.from_numpy(x))
    for index in range(3):
        inside = window.scaled[..., index][window.known[..., index] > 0].double()
        assert inside.mean().item() == pytest.approx(0, abs=1e-5)
        assert inside.std(correction=0).item() == pytest.approx(1, abs=1e-5)
    assert (window.scaled[window.known == 0] == 0).all()


def test_the_identity_changes_nothing():
    x = torch.from_numpy(SPEC.example(4))
    window = build_network("naive", SPEC, OutputSpec(), FeatureScaler.identity(3)).split(x)
    assert torch.equal(window.scaled, window.values)


def test_refusals_say_what_to_do():
    with pytest.raises(ConfigError, match=r"found shape \(0, 8, 6\)"):
        fit_scaler(SPEC.example(4)[:0])
    broken = SPEC.example(4)
    broken[0, 0, 0] = np.nan
    with pytest.raises(ConfigError, match="to_model_input"):
        fit_scaler(broken)
