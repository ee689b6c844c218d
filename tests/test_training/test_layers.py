"""The blocks against the paper's equations (arXiv:1912.09363), worked in NumPy with the same weights."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional

from training.models.layers import (
    GateAddNorm,
    GatedLinearUnit,
    GatedResidualNetwork,
    InterpretableMultiHeadAttention,
    QuantileHead,
    VariableSelectionNetwork,
)
from training.models.spec import OutputSpec

ROWS, D, VARIABLES = 7, 4, 3


@pytest.fixture(autouse=True)
def _seeded():
    with torch.random.fork_rng():
        torch.manual_seed(11)
        yield


def numbers(module: nn.Module) -> dict[str, np.ndarray]:
    """Weights moved off their first values, so that a forgotten scale or shift shows, in float64."""
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
    return {name: tensor.double().numpy() for name, tensor in module.eval().state_dict().items()}


def affine(x, weights, name):
    return x @ weights[f"{name}.weight"].T + weights.get(f"{name}.bias", 0.0)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def elu(x):
    return np.where(x > 0, x, np.exp(np.minimum(x, 0)) - 1)


def softmax(x):
    powers = np.exp(x - x.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)


def layer_norm(x, scale, shift):
    centred = x - x.mean(axis=-1, keepdims=True)
    return centred / np.sqrt(centred.var(axis=-1, keepdims=True) + 1e-5) * scale + shift


def glu(x, weights, name):  # equation 5: sigmoid(W4 x + b4) * (W5 x + b5)
    w5, w4 = np.split(weights[f"{name}.linear.weight"], 2)
    b5, b4 = np.split(weights[f"{name}.linear.bias"], 2)
    return sigmoid(x @ w4.T + b4) * (x @ w5.T + b5)


def grn(a, weights, prefix="", c=None):  # equations 2 to 4
    named = {name.removeprefix(prefix): value for name, value in weights.items() if name.startswith(prefix)}
    inner = affine(a, named, "enter") + (0 if c is None else affine(c, named, "context"))
    eta1 = affine(elu(inner), named, "leave")
    skip = affine(a, named, "skip") if "skip.weight" in named else a
    return layer_norm(skip + glu(eta1, named, "gate"), named["norm.weight"], named["norm.bias"])


def close(found: torch.Tensor, expected: np.ndarray) -> None:
    np.testing.assert_allclose(found.detach().numpy(), expected, rtol=2e-5, atol=2e-6)


def test_gated_linear_unit():
    layer, x = GatedLinearUnit(D, 5), torch.randn(ROWS, D)
    weights = {f"layer.{name}": value for name, value in numbers(layer).items()}
    close(layer(x), glu(x.double().numpy(), weights, "layer"))


def test_gate_add_norm():
    layer, x, skip = GateAddNorm(D), torch.randn(ROWS, D), torch.randn(ROWS, D)
    weights = numbers(layer)
    expected = skip.double().numpy() + glu(x.double().numpy(), weights, "gate")
    close(layer(x, skip), layer_norm(expected, weights["norm.weight"], weights["norm.bias"]))


@pytest.mark.parametrize("d_out", [D, 6])
def test_gated_residual_network_without_context(d_out):
    layer, a = GatedResidualNetwork(D, 5, d_out), torch.randn(ROWS, D)
    weights = numbers(layer)
    close(layer(a), grn(a.double().numpy(), weights))


def test_gated_residual_network_with_context():
    layer, a, c = GatedResidualNetwork(D, 5, D, has_context=True), torch.randn(ROWS, D), torch.randn(ROWS, 5)
    weights = numbers(layer)
    close(layer(a, c), grn(a.double().numpy(), weights, c=c.double().numpy()))


def test_a_closed_gate_leaves_only_the_residual_path():
    layer, a = GatedResidualNetwork(D, 5, D), torch.randn(ROWS, D)
    with torch.no_grad():
        layer.gate.linear.bias[D:] = -1e4
    assert torch.allclose(layer(a), functional.layer_norm(a, (D,)))


@pytest.mark.parametrize("has_context", [False, True])
def test_variable_selection_network(has_context):
    layer = VariableSelectionNetwork(VARIABLES, D, has_context=has_context)
    x, c = torch.randn(ROWS, VARIABLES), torch.randn(ROWS, D) if has_context else None
    weights = numbers(layer)
    raw = x.double().numpy()
    embedded = [raw[:, [j]] @ weights["embed.weight"][j] + weights["embed.bias"][j] for j in range(VARIABLES)]
    flat = np.concatenate(embedded, axis=-1)
    chosen = softmax(grn(flat, weights, "weigh.", None if c is None else c.double().numpy()))  # equation 6
    expected = 0
    for j, xi in enumerate(embedded):  # equations 7 and 8
        own = {name.removeprefix("transform."): value[j] for name, value in weights.items() if "transform" in name}
        inner = elu(xi @ own["enter.weight"] + own["enter.bias"]) @ own["leave.weight"] + own["leave.bias"]
        value, gate = np.split(inner @ own["gate.weight"] + own["gate.bias"], 2, axis=-1)
        expected = expected + chosen[:, [j]] * layer_norm(xi + value * sigmoid(gate), own["scale"], own["shift"])
    selected, found = layer(x, c)
    close(found, chosen)
    close(selected, expected)
    assert torch.allclose(found.sum(dim=-1), torch.ones(ROWS))


def test_attention_is_the_mean_over_heads_of_ordinary_attention_with_one_value():
    heads, steps, positions = 3, 2, 5
    layer = InterpretableMultiHeadAttention(6, heads)
    numbers(layer)
    query, memory = torch.randn(ROWS, steps, 6), torch.randn(ROWS, positions, 6)
    visible = torch.arange(positions) <= torch.tensor([[3], [4]])
    value = layer.value(memory)
    each = [
        functional.scaled_dot_product_attention(queries, keys, value, attn_mask=visible)
        for queries, keys in zip(
            layer.query(query).chunk(heads, dim=-1), layer.key(memory).chunk(heads, dim=-1), strict=True
        )
    ]
    output, attention = layer(query, memory, visible)
    assert torch.allclose(output, layer.output(torch.stack(each).mean(dim=0)), rtol=1e-5, atol=1e-6)
    assert torch.allclose(attention.sum(dim=-1), torch.ones(ROWS, steps))
    assert (attention[:, 0, 4] == 0).all()


def test_attention_does_not_see_what_is_masked():
    layer = InterpretableMultiHeadAttention(4, 2)
    memory = torch.randn(ROWS, 6, 4)
    visible = torch.ones(6, 6, dtype=torch.bool).tril()
    before, _ = layer(memory, memory, visible)
    changed = memory.clone()
    changed[:, 4:] += 5
    after, _ = layer(changed, changed, visible)
    assert torch.equal(before[:, :4], after[:, :4])
    assert not torch.allclose(before[:, 4:], after[:, 4:])


@given(st.lists(st.floats(-1e3, 1e3), min_size=D, max_size=D))
def test_quantiles_never_cross(values):
    head = QuantileHead(D, OutputSpec(), horizons=2)
    with torch.no_grad():
        head.linear.weight.normal_(0, 3)
        quantiles = head(torch.tensor([values]))
    assert quantiles.shape == (1, 2, 3)
    assert (quantiles.diff(dim=-1) >= 0).all()


def test_the_head_starts_at_the_naive_forecast():
    quantiles = QuantileHead(D, OutputSpec(), horizons=2)(torch.zeros(1, D))
    np.testing.assert_allclose(quantiles[0].detach().numpy(), [[-1.2815516, 0, 1.2815516]] * 2, atol=1e-5)
