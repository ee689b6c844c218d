import numpy as np
import pytest
import torch

from training.fit.losses import pinball_loss
from training.judge import metrics

QUANTILES = (0.1, 0.5, 0.9)


def test_the_loss_trained_on_is_the_loss_reported():
    random = np.random.default_rng(3)
    truth, forecast = random.standard_normal((50, 2)), random.standard_normal((50, 2, 3))
    reported = np.mean([metrics.pinball_loss(truth[:, h], forecast[:, h], QUANTILES) for h in range(2)])
    trained = pinball_loss(torch.from_numpy(forecast), torch.from_numpy(truth), QUANTILES)
    assert trained.item() == pytest.approx(reported, rel=1e-12)


def test_by_hand():
    forecast = torch.tensor([[[1.0, 2.0, 4.0]]])
    assert pinball_loss(forecast, torch.tensor([[3.0]]), QUANTILES).item() == pytest.approx((0.2 + 0.5 + 0.1) / 3)


def test_its_gradient_is_the_level_below_and_the_level_less_one_above():
    forecast = torch.tensor([[[0.0, 0.0, 5.0]]], requires_grad=True)
    pinball_loss(forecast, torch.tensor([[1.0]]), QUANTILES).backward()
    assert forecast.grad is not None
    np.testing.assert_allclose(forecast.grad.numpy(), [[[-0.1 / 3, -0.5 / 3, 0.1 / 3]]], rtol=1e-6)


def test_descending_it_finds_the_quantiles_of_a_sample():
    torch.manual_seed(0)
    sample = torch.randn(4000, 1)
    free = torch.zeros(1, 1, 3, requires_grad=True)
    optimizer = torch.optim.Adam([free], lr=0.05)
    for _ in range(300):
        optimizer.zero_grad()
        pinball_loss(free, sample, QUANTILES).backward()
        optimizer.step()
    np.testing.assert_allclose(free.detach().flatten().numpy(), np.quantile(sample.numpy(), QUANTILES), atol=0.05)


def test_an_unknown_outcome_counts_for_nothing_and_a_forecast_that_is_nan_does():
    nan, known = float("nan"), torch.tensor([[1.0]])
    alone = pinball_loss(torch.zeros(1, 1, 3), known, QUANTILES)
    assert pinball_loss(torch.zeros(2, 1, 3), torch.tensor([[1.0], [nan]]), QUANTILES) == alone
    assert torch.isnan(pinball_loss(torch.zeros(1, 1, 3), torch.tensor([[nan]]), QUANTILES))
    assert torch.isnan(pinball_loss(torch.tensor([[[0.0, nan, 0.0]]]), known, QUANTILES))
