"""Building blocks of the Temporal Fusion Transformer, and the quantile head that both networks end in.

Equations are numbered as in Lim, Arik, Loeff and Pfister, "Temporal Fusion Transformers for interpretable
multi-horizon time series forecasting" (2021), arXiv:1912.09363. `d` is the hidden size.
"""

import math
from statistics import NormalDist

import torch
from torch import Tensor, nn
from torch.nn import functional

from training.models.spec import OutputSpec


class GatedLinearUnit(nn.Module):
    """GLU(x) = sigmoid(W4 x + b4) * (W5 x + b5), equation 5: a layer that can be closed.

    `[..., d_in] -> [..., d_out]`. Dropout falls on the input, as in the authors' code.
    """

    def __init__(self, d_in: int, d_out: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.dropout = nn.Dropout(dropout)
        self.linear = nn.Linear(d_in, 2 * d_out)  # value first, then gate, as functional.glu wants them

    def forward(self, x: Tensor) -> Tensor:
        """Return the gated projection."""
        return functional.glu(self.linear(self.dropout(x)), dim=-1)


class GateAddNorm(nn.Module):
    """LayerNorm(skip + GLU(x)), equations 17, 20 and 22: a block that the network can learn to pass by."""

    def __init__(self, d: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.gate = GatedLinearUnit(d, d, dropout)
        self.norm = nn.LayerNorm(d)

    def forward(self, x: Tensor, skip: Tensor) -> Tensor:
        """Return `[..., d]` for `x` and `skip` of the same shape."""
        output: Tensor = self.norm(skip + self.gate(x))
        return output


class GatedResidualNetwork(nn.Module):
    """GRN(a, c) = LayerNorm(a + GLU(W1 ELU(W2 a + W3 c + b2) + b1)), equations 2 to 4.

    Parameters
    ----------
    d_in, d_hidden, d_out
        Sizes; where `d_in` and `d_out` differ, the residual path is projected linearly.
    has_context
        Whether a context `c` of size `d_hidden` is added inside the ELU.
    dropout
        Share of the GLU's inputs that is dropped in training.
    """

    def __init__(
        self, d_in: int, d_hidden: int, d_out: int, *, has_context: bool = False, dropout: float = 0.0
    ) -> None:
        super().__init__()
        self.enter = nn.Linear(d_in, d_hidden)  # W2, b2
        self.context = nn.Linear(d_hidden, d_hidden, bias=False) if has_context else None  # W3
        self.leave = nn.Linear(d_hidden, d_hidden)  # W1, b1
        self.gate = GatedLinearUnit(d_hidden, d_out, dropout)
        self.skip = nn.Linear(d_in, d_out) if d_in != d_out else nn.Identity()
        self.norm = nn.LayerNorm(d_out)

    def forward(self, a: Tensor, c: Tensor | None = None) -> Tensor:
        """Return `[..., d_out]` for `a` `[..., d_in]` and a context that broadcasts against `[..., d_hidden]`."""
        inner = self.enter(a)
        if self.context is not None and c is not None:
            inner = inner + self.context(c)
        output: Tensor = self.norm(self.skip(a) + self.gate(self.leave(functional.elu(inner))))
        return output


class GroupedLinear(nn.Module):
    """One linear layer per variable, all computed at once: `[variable, row, d_in] -> [variable, row, d_out]`."""

    def __init__(self, variables: int, d_in: int, d_out: int) -> None:
        super().__init__()
        bound = 1 / math.sqrt(d_in)  # as nn.Linear draws them
        self.weight = nn.Parameter(torch.empty(variables, d_in, d_out).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.empty(variables, 1, d_out).uniform_(-bound, bound))

    def forward(self, x: Tensor) -> Tensor:
        """Return each variable's projection."""
        return torch.baddbmm(self.bias, x, self.weight)


class GroupedResidualNetwork(nn.Module):
    """One GRN without context per variable, with weights of its own: `[variable, row, d] -> [variable, row, d]`.

    It has no dropout: drawing a mask for every variable of every session took a seventh of the training time.
    """

    def __init__(self, variables: int, d: int) -> None:
        super().__init__()
        self.enter = GroupedLinear(variables, d, d)
        self.leave = GroupedLinear(variables, d, d)
        self.gate = GroupedLinear(variables, d, 2 * d)
        self.scale = nn.Parameter(torch.ones(variables, 1, d))
        self.shift = nn.Parameter(torch.zeros(variables, 1, d))

    def forward(self, a: Tensor) -> Tensor:
        """Return each variable, transformed."""
        weight = self.leave.weight @ self.gate.weight  # two linear layers in a row are one
        bias = self.leave.bias @ self.gate.weight + self.gate.bias
        gated = functional.glu(torch.baddbmm(bias, functional.elu(self.enter(a)), weight), dim=-1)
        return torch.addcmul(self.shift, functional.layer_norm(a + gated, a.shape[-1:]), self.scale)


class VariableSelectionNetwork(nn.Module):
    """Weigh the variables, then add them up, equations 6 to 8; real-valued variables are embedded linearly first.

    xi_j = w_j x_j + b_j embeds variable j; v = softmax(GRN(flattened xi, c)) are the selection weights;
    the output is sum_j v_j GRN_j(xi_j), each variable with a GRN of its own, shared by all sessions.

    Parameters
    ----------
    variables
        How many.
    d
        Hidden size.
    has_context
        Whether a static context takes part in the weights.
    """

    def __init__(self, variables: int, d: int, *, has_context: bool = False, dropout: float = 0.0) -> None:
        super().__init__()
        self.embed = GroupedLinear(variables, 1, d)
        self.weigh = GatedResidualNetwork(variables * d, d, variables, has_context=has_context, dropout=dropout)
        self.transform = GroupedResidualNetwork(variables, d)

    def forward(self, x: Tensor, c: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Return the selection `[row, d]` and its weights `[row, variable]`, which add up to 1.

        Parameters
        ----------
        x
            `[row, variable]`.
        c
            `[row, d]`, or None.
        """
        embedded = self.embed(x.t().unsqueeze(-1))  # [variable, row, d]
        weights = torch.softmax(self.weigh(embedded.transpose(0, 1).flatten(1), c), dim=-1)  # [row, variable]
        selected = (weights.t().unsqueeze(-1) * self.transform(embedded)).sum(dim=0)
        return selected, weights


class InterpretableMultiHeadAttention(nn.Module):
    """Attention whose heads share one value projection, so that their mean explains the output; equations 13 to 16.

    H = (1/m) sum_h softmax(Q Wq_h (K Wk_h)' / sqrt(d / m)) V Wv, projected back to `d`.
    """

    def __init__(self, d: int, heads: int) -> None:
        super().__init__()
        self.heads, self.d_head = heads, d // heads
        self.query = nn.Linear(d, heads * self.d_head)
        self.key = nn.Linear(d, heads * self.d_head)
        self.value = nn.Linear(d, self.d_head)
        self.output = nn.Linear(self.d_head, d, bias=False)

    def forward(self, query: Tensor, memory: Tensor, visible: Tensor) -> tuple[Tensor, Tensor]:
        """Return the output `[batch, step, d]` and the mean attention `[batch, step, position]`, rows adding up to 1.

        Parameters
        ----------
        query
            `[batch, step, d]`.
        memory
            `[batch, position, d]`: keys and values.
        visible
            bool `[step, position]`: which positions a step may look at.
        """
        queries = self.query(query).unflatten(-1, (self.heads, self.d_head)).transpose(1, 2)  # [batch, head, step, d/m]
        keys = self.key(memory).unflatten(-1, (self.heads, self.d_head)).permute(0, 2, 3, 1)
        scores = queries @ keys / math.sqrt(self.d_head)  # [batch, head, step, position]
        attention = torch.softmax(scores.masked_fill(~visible, float("-inf")), dim=-1).mean(dim=1)
        output: Tensor = self.output(attention @ self.value(memory))
        return output, attention


class QuantileHead(nn.Module):
    """Three quantiles that cannot cross: `[..., d] -> [..., horizon, quantile]` for the horizons it is made for.

    The linear layer answers (lower gap, median, upper gap); the quantiles are median - softplus(lower gap), median and
    median + softplus(upper gap). Before training they are close to those of the standard normal distribution, which
    is the naive forecast: a network starts there and has only to learn what is better.

    Parameters
    ----------
    d
        Size of the input.
    horizons
        How many horizons one input answers for.
    """

    def __init__(self, d: int, outputs: OutputSpec, horizons: int) -> None:
        super().__init__()
        self.horizons = horizons
        self.linear = nn.Linear(d, 3 * horizons)
        low, _, high = (abs(NormalDist().inv_cdf(level)) for level in outputs.quantiles)
        start = torch.tensor([math.log(math.expm1(low)), 0.0, math.log(math.expm1(high))])
        with torch.no_grad():
            self.linear.weight.mul_(0.1)
            self.linear.bias.copy_(start.repeat(horizons))

    def forward(self, x: Tensor) -> Tensor:
        """Return the quantiles, ascending along the last axis."""
        lower, median, upper = self.linear(x).unflatten(-1, (self.horizons, 3)).unbind(-1)
        return torch.stack([median - functional.softplus(lower), median, median + functional.softplus(upper)], dim=-1)
