import numpy as np
import torch

from training.data import fit_scaler
from training.fit.losses import pinball_loss
from training.models import InputSpec, OutputSpec, build_network

INPUTS = InputSpec(("return_1d", "volatility_20d"), sessions=10, scales=("volatility_20d",))
OUTPUTS = OutputSpec()


def network_of(x=None):
    return build_network("lstm", INPUTS, OUTPUTS, None if x is None else fit_scaler(x), seed=2)


def test_it_is_torchs_lstm_over_scaled_values_and_flags_worked_step_by_step():
    x = INPUTS.example(4)
    network = network_of(x).eval()
    scaler = fit_scaler(x)
    values, known = np.split(x.astype(np.float64), 2, axis=-1)
    inputs = np.concatenate([(values - scaler.mean) / scaler.std * known, known], axis=-1)
    weights = {name: value.double().numpy() for name, value in network.state_dict().items()}
    hidden, cell = np.zeros((4, 32)), np.zeros((4, 32))
    for session in range(INPUTS.sessions):
        gates = inputs[:, session] @ weights["lstm.weight_ih_l0"].T + weights["lstm.bias_ih_l0"]
        gates += hidden @ weights["lstm.weight_hh_l0"].T + weights["lstm.bias_hh_l0"]
        enter, forget, candidate, leave = np.split(gates, 4, axis=-1)
        cell = cell / (1 + np.exp(-forget)) + np.tanh(candidate) / (1 + np.exp(-enter))
        hidden = np.tanh(cell) / (1 + np.exp(-leave))
    raw = (hidden @ weights["head.linear.weight"].T + weights["head.linear.bias"]).reshape(4, 2, 3)
    gap = np.log1p(np.exp(raw))
    expected = np.stack([raw[..., 1] - gap[..., 0], raw[..., 1], raw[..., 1] + gap[..., 2]], axis=-1)
    sigma = x[:, -1, 1, None] * np.sqrt(np.array([1, 5]) / 252)
    found = network(torch.from_numpy(x)).detach().numpy()
    np.testing.assert_allclose(found, expected * sigma[..., None], atol=1e-6)


def test_it_learns_a_signal_that_only_the_order_of_the_sessions_carries():
    torch.manual_seed(0)
    x, random = INPUTS.example(2000, seed=3), np.random.default_rng(4)
    rise = np.sign(x[:, -4, 0] * x[:, -4, 2])  # the sign of the return three sessions ago, 0 where not known
    z = torch.from_numpy((rise[:, None] + 0.3 * random.standard_normal((2000, 2))).astype(np.float32))
    network, windows = network_of(x).train(), torch.from_numpy(x)
    optimizer = torch.optim.Adam(network.parameters(), lr=0.01)
    for _ in range(12):
        for rows in torch.randperm(2000).split(200):
            optimizer.zero_grad()
            pinball_loss(network.standardised(windows[rows]), z[rows], OUTPUTS.quantiles).backward()
            optimizer.step()
    fresh = INPUTS.example(500, seed=5)
    with torch.no_grad():
        median = network.eval().standardised(torch.from_numpy(fresh))[:, 0, 1].numpy()
    truth = np.sign(fresh[:, -4, 0] * fresh[:, -4, 2])
    assert np.corrcoef(median, truth)[0, 1] > 0.8


def test_it_starts_near_the_naive_forecast():
    with torch.no_grad():
        z = network_of().eval().standardised(torch.from_numpy(INPUTS.example(50)))
    np.testing.assert_allclose(z.numpy(), np.broadcast_to([-1.2816, 0, 1.2816], (50, 2, 3)), atol=0.1)


def test_sizes_are_taken():
    network = build_network("lstm", INPUTS, OUTPUTS, hidden=7, layers=2, dropout=0.3)
    assert network.architecture() == {"hidden": 7, "layers": 2, "dropout": 0.3}
    assert network.lstm.weight_hh_l1.shape == (28, 7)
