"""Exchange of features among the symbols of a session, and which features are exchanged together."""

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from scipy.sparse.csgraph import connected_components
from scipy.stats import rankdata

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

CORRELATED = 0.8
"""Absolute rank correlation above which two features stand in for each other, and are exchanged together as well."""
JOINED_BY = " + "


class FeatureSet(NamedTuple):
    """Features that are exchanged together: one, or a cluster.

    Parameters
    ----------
    features
        Names.
    places
        Their positions in the input of the model.
    """

    features: tuple[str, ...]
    places: tuple[int, ...]

    @property
    def name(self) -> str:
        """The feature, or the features of the cluster in one text."""
        return JOINED_BY.join(self.features)


def feature_sets(features: "Sequence[str]", last: "NDArray[np.float32]") -> tuple[FeatureSet, ...]:
    """Return every feature alone, then every cluster of features that are correlated above `CORRELATED`.

    A feature that another one repeats loses nothing when it is exchanged alone, because the model reads the other; so
    the two are exchanged together as well. Clusters are connected components: each of a cluster's features is
    correlated with another one of it, and with none outside.

    Parameters
    ----------
    features
        In the order of the last axis.
    last
        ``[window, feature]``: their values in the last session; NaN is not known, and counts as the median rank.

    Examples
    --------
    >>> random = np.random.default_rng(0)
    >>> first, other = random.normal(size=(2, 50))
    >>> found = feature_sets(("a", "b", "c"), np.column_stack([first, other, 2 * first]).astype(np.float32))
    >>> [one.name for one in found]
    ['a', 'b', 'c', 'a + c']
    """
    alone = [FeatureSet((name,), (place,)) for place, name in enumerate(features)]
    count, label = connected_components(np.abs(_rank_correlations(last)) > CORRELATED, directed=False)
    clusters = [np.flatnonzero(label == number).tolist() for number in range(count)]
    together = [FeatureSet(tuple(features[p] for p in places), tuple(places)) for places in clusters if len(places) > 1]
    return (*alone, *together)


def order_within(sessions: "NDArray[np.int64]", random: np.random.Generator) -> "NDArray[np.int64]":
    """Draw for each window another window of its session, every one of them once; uniform over the permutations.

    Parameters
    ----------
    sessions
        ``[window]``, the number of its session.

    Examples
    --------
    >>> sessions = np.array([0, 1, 0, 1, 1])
    >>> order = order_within(sessions, np.random.default_rng(1))
    >>> bool((sessions[order] == sessions).all()), sorted(order.tolist())
    (True, [0, 1, 2, 3, 4])
    """
    order = np.empty(len(sessions), np.int64)
    order[np.argsort(sessions, kind="stable")] = np.lexsort((random.random(len(sessions)), sessions))
    return order


def exchanged(x: "NDArray[np.float32]", places: "Sequence[int]", order: "NDArray[np.int64]") -> "NDArray[np.float32]":
    """Return model inputs whose features at these places, values and flags of all sessions, come from other windows.

    Parameters
    ----------
    x
        ``[window, session, 2 * feature]``: values, then mask.
    order
        ``[window]``, the window that the features come from.

    Examples
    --------
    >>> x = np.arange(8, dtype=np.float32).reshape(2, 1, 4)  # two features, values then mask
    >>> exchanged(x, [0], np.array([1, 0])).tolist()
    [[[4.0, 1.0, 6.0, 3.0]], [[0.0, 5.0, 2.0, 7.0]]]
    """
    count = x.shape[-1] // 2
    channels = [*places, *(count + place for place in places)]
    changed = x.copy()
    changed[..., channels] = x[order][..., channels]
    return changed


def _rank_correlations(last: "NDArray[np.float32]") -> "NDArray[np.float64]":
    """Spearman's correlation of each pair of features, ``[feature, feature]``; 0 for one that does not vary."""
    ranks = np.ma.masked_invalid(rankdata(last, axis=0, nan_policy="omit"))  # [window, feature]
    centred = (ranks - ranks.mean(axis=0)).filled(0.0)
    lengths = np.sqrt((centred**2).sum(axis=0))
    scaled = centred / np.where(lengths > 0, lengths, 1.0)
    found: NDArray[np.float64] = scaled.T @ scaled
    return found
