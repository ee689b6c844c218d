import numpy as np
import pytest
import torch

from lake.errors import ConfigError
from training.data import fit_scaler
from training.fit.losses import pinball_loss
from training.models import InputSpec, OutputSpec, build_network

INPUTS = InputSpec(("return_1d", "volatility_20d", "volume_ratio_20d"), sessions=8, scales=("volatility_20d",))
OUTPUTS = OutputSpec()
POSITIONS = 8 + 5


@pytest.fixture
def network():
    return build_network("tft", INPUTS, OUTPUTS, fit_scaler(INPUTS.example(100)), seed=5).eval()


@pytest.fixture
def windows():
    return torch.from_numpy(INPUTS.example(20, seed=6))


def test_the_explanation_is_made_of_shares(network, windows):
    attention, features, availability = network.explain(windows)
    assert attention.shape == (20, 2, POSITIONS)
    assert features.shape == (20, 8, 3)
    assert availability.shape == (20, 3)
    for shares in (attention, features, availability):
        assert (shares >= 0).all()
        assert torch.allclose(shares.sum(dim=-1), torch.ones(shares.shape[:-1]))


def test_a_step_ahead_sees_the_window_and_the_steps_up_to_itself(network, windows):
    attention = network.explain(windows).attention
    assert (attention[:, 0, : INPUTS.sessions + 1] > 0).all()
    assert (attention[:, 0, INPUTS.sessions + 1 :] == 0).all()
    assert (attention[:, 1] > 0).all()


def test_the_first_horizon_does_not_depend_on_later_steps(network, windows):
    before = network(windows)
    with torch.no_grad():
        network.step_ahead[1:] += 1
    after = network(windows)
    assert torch.equal(before[:, 0], after[:, 0])
    assert not torch.allclose(before[:, 1], after[:, 1])


def test_removing_the_causal_mask_would_be_noticed(network, windows):
    before = network(windows)
    network.visible.fill_(value=True)
    assert not torch.allclose(before[:, 0], network(windows)[:, 0], rtol=1e-6, atol=0)


def test_explaining_does_not_change_the_forecast(network, windows):
    before = network(windows)
    network.explain(windows)
    assert torch.equal(network(windows), before)


def test_every_part_takes_part(network, windows):
    """No parameter is left without a gradient, except where a softmax over equals or a shift cancels out."""
    pinball_loss(network.standardised(windows), torch.randn(20, 2), OUTPUTS.quantiles).backward()
    idle = [name for name, value in network.named_parameters() if value.grad is None or not value.grad.any()]
    assert idle == []


def test_it_learns_a_planted_signal_and_says_which_feature_it_used():
    torch.manual_seed(0)
    x, random = INPUTS.example(1500, seed=7), np.random.default_rng(8)
    signal = x[:, -1, 2] * x[:, -1, 5]
    z = torch.from_numpy((signal[:, None] + 0.3 * random.standard_normal((1500, 2))).astype(np.float32))
    network = build_network("tft", INPUTS, OUTPUTS, fit_scaler(x), seed=5, dropout=0.0).train()
    optimizer, windows = torch.optim.Adam(network.parameters(), lr=0.01), torch.from_numpy(x)
    for _ in range(8):
        for rows in torch.randperm(1500).split(150):
            optimizer.zero_grad()
            pinball_loss(network.standardised(windows[rows]), z[rows], OUTPUTS.quantiles).backward()
            optimizer.step()
    fresh = INPUTS.example(400, seed=9)
    with torch.no_grad():
        median = network.eval().standardised(torch.from_numpy(fresh))[:, 0, 1].numpy()
    assert np.corrcoef(median, fresh[:, -1, 2] * fresh[:, -1, 5])[0, 1] > 0.8
    shares = network.explain(torch.from_numpy(fresh)).feature_weights[:, -1].mean(dim=0)
    assert shares.argmax().item() == 2


def test_sizes_are_taken_and_checked():
    network = build_network("tft", INPUTS, OUTPUTS, hidden=12, heads=3, dropout=0.2)
    assert network.architecture() == {"hidden": 12, "heads": 3, "dropout": 0.2}
    with pytest.raises(ConfigError, match="hidden=24"):
        build_network("tft", INPUTS, OUTPUTS, hidden=10, heads=3)
