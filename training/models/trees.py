"""Boosted trees as tensors: LightGBM grows them, a module walks them, and they are exported like any other model."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from lake.errors import ModelError
from training.models.base import ReturnForecaster, Window, standardised_targets
from training.models.scaler import FeatureScaler
from training.models.spec import InputSpec, OutputSpec

THREADS = 1
"""Threads LightGBM grows with. Its threads wait by spinning, so that on a busy machine two are many times slower."""


LANES = 16
"""Trees are filled up to a multiple of it: a sum over a row that does not end with the processor's vector depends, in
its last bit, on where the row stands in the batch."""
ZERO = float(np.float32(1e-35))
"""LightGBM takes every value from -ZERO to ZERO for zero, and so bounds at -ZERO are exclusive."""


class Forest(NamedTuple):
    """Trees in flat tables, one row per node; a leaf leads back to itself.

    Parameters
    ----------
    feature, threshold, low, high, value
        `[node]`: column looked at, bound, next node if at most the bound, next node otherwise, value of a leaf.
    roots
        `[tree]`: node each tree begins at; as many trees for each horizon and quantile, quantile the fastest.
    depth
        Steps of the longest walk.
    """

    feature: npt.NDArray[np.int64]
    threshold: npt.NDArray[np.float32]
    low: npt.NDArray[np.int64]
    high: npt.NDArray[np.int64]
    value: npt.NDArray[np.float32]
    roots: npt.NDArray[np.int64]
    depth: int


class TreeEnsemble(ReturnForecaster):
    """One boosted ensemble per horizon and quantile, over the last session's values and flags.

    Every window walks the same number of steps, because a leaf leads back to itself. Values are compared as they came,
    unscaled, so that each step is exact rather than almost exact. Crossed quantiles are put in order by sorting.

    Parameters
    ----------
    rounds, nodes, depth
        Trees per horizon and quantile, nodes in all, and the longest walk; needed only to make room for a state.
    """

    feature: Tensor
    threshold: Tensor
    low: Tensor
    high: Tensor
    value: Tensor
    roots: Tensor

    def __init__(
        self,
        inputs: InputSpec,
        outputs: OutputSpec,
        scaler: FeatureScaler | None = None,
        *,
        rounds: int = 1,
        nodes: int = 1,
        depth: int = 0,
    ) -> None:
        super().__init__(inputs, outputs, scaler)
        index, number = np.zeros(nodes, np.int64), np.zeros(nodes, np.float32)
        roots = np.zeros(rounds * len(outputs.horizons) * len(outputs.quantiles), np.int64)
        self.plant(Forest(index, number, index, index, number, roots, depth))

    def plant(self, forest: Forest) -> None:
        """Replace the trees."""
        for name in ("feature", "threshold", "low", "high", "value", "roots"):
            self.register_buffer(name, torch.tensor(getattr(forest, name)))
        self.depth = forest.depth
        self.rounds = len(forest.roots) // (len(self.outputs.horizons) * len(self.outputs.quantiles))

    def heads(self, window: Window) -> Tensor:
        """Return the sums of the leaves, ascending along the quantiles."""
        row = last_row(window)  # [batch, 2 * feature]
        node = self.roots.expand(row.shape[0], -1)  # [batch, tree]
        for _ in range(self.depth):
            is_low = row.gather(1, self.feature[node]) <= self.threshold[node]
            node = torch.where(is_low, self.low[node], self.high[node])
        shape = (-1, len(self.outputs.horizons), len(self.outputs.quantiles), self.rounds)
        return _ascending(self.value[node].reshape(shape).sum(dim=-1))

    def architecture(self) -> dict[str, int | float]:
        """Return the sizes of its tables."""
        return {"rounds": self.rounds, "nodes": len(self.feature), "depth": self.depth}


def fit_trees(
    network: TreeEnsemble,
    x: npt.NDArray[np.float32],
    y: npt.NDArray[np.float32],
    *,
    rounds: int = 60,
    leaves: int = 8,
    learning_rate: float = 0.05,
    rows_per_leaf: int = 200,
    seed: int = 0,
) -> TreeEnsemble:
    """Grow one LightGBM quantile model per horizon and quantile, in units of sigma, and return the network with them.

    Parameters
    ----------
    network
        Its trees are replaced.
    x
        Training windows, float32 `[window, session, 2 * feature]`; only the last session is looked at.
    y
        Their simple returns, float32 `[window, horizon]`, NaN where not known: each horizon learns from those that it
        has. Windows without a scale are left out.
    rounds, leaves, learning_rate, rows_per_leaf
        Trees per model, leaves per tree at most, shrinkage, and windows a leaf needs at least.
    seed
        The same seed gives the same trees.
    """
    inner, z = standardised_targets(network, x, y)
    with torch.no_grad():
        rows = last_row(network.split(torch.from_numpy(inner))).numpy()
    settings = {
        "num_leaves": leaves,
        "learning_rate": learning_rate,
        "min_data_in_leaf": rows_per_leaf,
        "seed": seed,
    }
    boosters = [
        grow(rows[known], target[known], level, rounds, settings)
        for target in z.T
        for known in [~np.isnan(target)]
        for level in network.outputs.quantiles
    ]
    network.plant(lay_out(boosters, rounds + -rounds % LANES))
    return network


def grow(
    rows: npt.NDArray[np.float32],
    target: npt.NDArray[np.float64],
    level: float,
    rounds: int,
    settings: Mapping[str, Any],
) -> Any:
    """Return a LightGBM booster for one quantile level; `settings` are LightGBM's parameters beyond the fixed ones."""
    import lightgbm

    fixed = {
        "objective": "quantile",
        "alpha": level,
        "bagging_fraction": 0.7,
        "bagging_freq": 1,
        "feature_fraction": 0.7,
        "use_missing": False,
        "deterministic": True,
        "force_row_wise": True,
        "num_threads": THREADS,
        "verbosity": -1,
    }
    return lightgbm.train(fixed | dict(settings), lightgbm.Dataset(rows, label=target), num_boost_round=rounds)


def lay_out(boosters: Sequence[Any], rounds: int) -> Forest:
    """Return the boosters' trees in flat tables; one with fewer than `rounds` trees is filled up with trees of value 0.

    Raises
    ------
    ModelError
        If a tree splits otherwise than by `value <= threshold`.
    """
    nodes: list[_Node] = []
    roots, depths = [], [0]
    for booster in boosters:
        trees = [tree["tree_structure"] for tree in booster.dump_model()["tree_info"]]
        for tree in [*trees, *[{"leaf_value": 0.0}] * (rounds - len(trees))]:
            roots.append(len(nodes))
            grown = list(_flatten(tree, len(nodes), 0))
            nodes += [node for node, _ in grown]
            depths.append(max(depth for _, depth in grown))
    feature, threshold, low, high, value = zip(*nodes, strict=True)
    return Forest(
        np.array(feature, np.int64),
        round_down(_without_zero(np.array(threshold, np.float64))),
        np.array(low, np.int64),
        np.array(high, np.int64),
        np.array(value, np.float32),
        np.array(roots, np.int64),
        max(depths),
    )


def round_down(threshold: npt.NDArray[np.float64]) -> npt.NDArray[np.float32]:
    """Return the largest float32 that is not above each bound.

    For a float32 `x`, `x <= bound` holds exactly when `x <= round_down(bound)`; rounding to the nearest would let the
    next float32 above the bound pass.
    """
    nearest = threshold.astype(np.float32)
    return np.where(nearest > threshold, np.nextafter(nearest, np.float32(-np.inf)), nearest).astype(np.float32)


def last_row(window: Window) -> Tensor:
    """Return the last session's values, 0 where not known, and flags, `[batch, 2 * feature]`."""
    values, known = window.values[:, -1], window.known[:, -1]
    return torch.cat([torch.where(known > 0, values, 0.0), known], dim=-1)


def _without_zero(threshold: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return the bounds with those at -ZERO moved just below it, where LightGBM means them to be."""
    return np.where(threshold == -ZERO, np.nextafter(threshold, -np.inf), threshold)


class _Node(NamedTuple):
    feature: int
    threshold: float
    low: int
    high: int
    value: float


def _flatten(tree: Mapping[str, Any], place: int, depth: int) -> Iterator[tuple[_Node, int]]:
    """Yield the nodes of a tree whose root stands at row `place`, each with its depth; children follow their parent."""
    if "leaf_value" in tree:
        yield _Node(0, 0.0, place, place, float(tree["leaf_value"])), depth
        return
    if tree["decision_type"] != "<=":
        raise ModelError(
            f"A tree splits by '{tree['decision_type']}', expected '<='. Grow the trees without categorical features."
        )
    low = list(_flatten(tree["left_child"], place + 1, depth + 1))
    high = list(_flatten(tree["right_child"], place + 1 + len(low), depth + 1))
    yield (
        _Node(int(tree["split_feature"]), float(tree["threshold"]), place + 1, place + 1 + len(low), 0.0),
        depth,
    )
    yield from low
    yield from high


def _ascending(quantiles: Tensor) -> Tensor:
    """Sort three values along the last axis by comparisons only, which every engine has."""
    first, second, third = quantiles.unbind(-1)
    smaller, larger = torch.minimum(first, second), torch.maximum(first, second)
    middle, highest = torch.minimum(larger, third), torch.maximum(larger, third)
    return torch.stack([torch.minimum(smaller, middle), torch.maximum(smaller, middle), highest], dim=-1)
