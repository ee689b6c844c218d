import numpy as np
import pytest
import torch
from scipy import stats
from sklearn.linear_model import Ridge

from lake.errors import ConfigError
from training.data import fit_scaler
from training.models import InputSpec, OutputSpec, build_network
from training.models.base import standardised_targets
from training.models.ridge import fit_ridge

INPUTS = InputSpec(("return_1d", "volatility_20d", "volume_ratio_20d"), sessions=6, scales=("volatility_20d",))
OUTPUTS = OutputSpec()


def market(rows: int = 800):
    """Windows and returns with a known share of signal in the first feature."""
    x, random = INPUTS.example(rows, seed=4), np.random.default_rng(5)
    sigma = x[:, -1, 1:2] * np.sqrt(np.array(OUTPUTS.horizons) / 252)
    return x, ((0.3 * x[:, -1, :1] + random.standard_normal((rows, 2))) * sigma).astype(np.float32)


def test_naive_is_zero_with_the_normal_band_of_the_last_volatility():
    x = INPUTS.example(5)
    found = build_network("naive", INPUTS, OUTPUTS)(torch.from_numpy(x)).numpy()
    for row in range(5):
        for horizon, sessions in enumerate(OUTPUTS.horizons):
            sigma = x[row, -1, 1] * np.sqrt(sessions / 252)
            np.testing.assert_allclose(found[row, horizon], stats.norm.ppf([0.1, 0.5, 0.9], scale=sigma), rtol=1e-5)


def test_a_window_without_a_scale_answers_nan_never_a_number():
    x = INPUTS.example(2)
    x[1, -1, [1, 4]] = 0
    found = build_network("naive", INPUTS, OUTPUTS)(torch.from_numpy(x))
    assert found[0].isfinite().all()
    assert found[1].isnan().all()


@pytest.mark.parametrize("penalty", [0.5, 1000.0])
def test_ridge_agrees_with_scikit_learn(penalty):
    x, y = market()
    network = fit_ridge(build_network("ridge", INPUTS, OUTPUTS, fit_scaler(x)), x, y, penalty=penalty)
    window = network.split(torch.from_numpy(x))
    features = torch.cat([window.scaled[:, -1], window.known[:, -1]], dim=-1).double().numpy()
    z = y / (x[:, -1, 1:2].astype(float) * np.sqrt(np.array(OUTPUTS.horizons) / 252))
    outside = Ridge(alpha=penalty).fit(features, z)
    np.testing.assert_allclose(network.weight.numpy(), outside.coef_.T, atol=1e-5)
    np.testing.assert_allclose(network.bias.numpy(), outside.intercept_, atol=1e-5)
    expected = outside.predict(features)[:, :, None] + np.quantile(z - outside.predict(features), [0.1, 0.5, 0.9], 0).T
    np.testing.assert_allclose(network.standardised(torch.from_numpy(x)).numpy(), expected, atol=2e-5)


def test_ridge_finds_the_planted_signal_and_covers_eighty_percent():
    x, y = market(4000)
    network = fit_ridge(build_network("ridge", INPUTS, OUTPUTS, fit_scaler(x)), x, y, penalty=1.0)
    quantiles = network(torch.from_numpy(x)).numpy()
    assert np.corrcoef(quantiles[:, 0, 1], y[:, 0])[0, 1] > 0.15
    inside = (quantiles[..., 0] <= y) & (y <= quantiles[..., 2])
    assert inside.mean() == pytest.approx(0.8, abs=0.02)


def test_quantiles_are_ascending():
    x, y = market()
    for name in ("naive", "ridge"):
        network = build_network(name, INPUTS, OUTPUTS, fit_scaler(x))
        if name == "ridge":
            fit_ridge(network, x, y)
        assert (network(torch.from_numpy(x)).diff(dim=-1) > 0).all()


def test_windows_whose_price_stood_still_are_left_out_of_the_fit():
    x, y = market(50)
    x[3, -1, 1] = 0
    inner, z = standardised_targets(build_network("ridge", INPUTS, OUTPUTS), x, y)
    assert len(inner) == len(z) == 49
    assert np.isfinite(z).all()


def test_refusals_say_what_to_do():
    x, y = market(20)
    network = build_network("ridge", INPUTS, OUTPUTS)
    with pytest.raises(ConfigError, match="at least 0"):
        fit_ridge(network, x, y, penalty=-1)
    with pytest.raises(ConfigError, match=r"expected \[n, session, column\] and \[n, 2\]"):
        fit_ridge(network, x, y[:, :1])
    with pytest.raises(ConfigError, match="training returns are infinite"):
        fit_ridge(network, x, np.where(np.arange(20)[:, None] == 3, np.inf, y))
    with pytest.raises(ConfigError, match="None of 20 training windows has a return over 5 bars"):
        fit_ridge(network, x, np.where(np.arange(2) == 1, np.nan, y))
    with pytest.raises(ConfigError, match="None of the 20 training windows"):
        fit_ridge(network, np.zeros_like(x), y)
