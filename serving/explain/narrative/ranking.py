"""Rankings: in which order passages fit a question, by the words they share with it, by meaning, or by both.

A question is a list of parts. For the words they share, parts are one text. For meaning each part is compared on its
own: the vector of a list of names lies near none of what they name (`benchmarks/retrieval.py`).
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from serving.explain.narrative.bm25 import bm25_scores

if TYPE_CHECKING:
    from numpy.typing import NDArray

RANK_CONSTANT = 60
"""k of Cormack, Clarke and Buettcher, Reciprocal Rank Fusion outperforms Condorcet (SIGIR 2009)."""


def by_words(question: Sequence[str], texts: Sequence[str]) -> "NDArray[np.float64]":
    """Score texts by the words that they share with a question (BM25); 0 where they share none."""
    return np.array(bm25_scores(" ".join(question), texts))


def by_meaning(
    question: "Sequence[NDArray[np.float32]]", vectors: "Sequence[Sequence[float] | None]"
) -> "NDArray[np.float64]":
    """Score texts by the largest cosine of their vector with that of a part of a question; exact search.

    Returns
    -------
    NDArray
        One score per text, from 0 to 1; 0 where it has no vector, or all cosines are negative.

    Examples
    --------
    >>> parts = [np.array([1.0, 0.0], dtype=np.float32), np.array([0.0, 1.0], dtype=np.float32)]
    >>> by_meaning(parts, [[0.6, 0.8], None, [-1.0, 0.0]]).round(2).tolist()
    [0.8, 0.0, 0.0]
    """
    scores = np.zeros(len(vectors))
    there = [place for place, vector in enumerate(vectors) if vector is not None]
    if there:
        cosines = np.array([vectors[place] for place in there], dtype=np.float32) @ np.array(question).T
        scores[there] = cosines.max(axis=1)  # [text, part] -> [text]
    return np.maximum(scores, 0.0)


def fused(rankings: "Sequence[NDArray[np.float64]]") -> "NDArray[np.float64]":
    """Join rankings of the same texts by reciprocal ranks; equal scores share the better rank, 0 counts as not found.

    Examples
    --------
    >>> fused([np.array([3.0, 2.0, 0.0]), np.array([0.1, 0.9, 0.0])]).round(4).tolist()
    [0.0325, 0.0325, 0.0]
    """
    total = np.zeros(len(rankings[0]))
    for scores in rankings:
        ranks = 1 + (scores[None, :] > scores[:, None]).sum(axis=1)
        total += np.where(scores > 0, 1 / (RANK_CONSTANT + ranks), 0.0)
    return total
