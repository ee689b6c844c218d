"""BM25: how well texts fit a question, by the words that both hold."""

import math
import re
from collections import Counter
from collections.abc import Sequence

SATURATION, LENGTH_WEIGHT = 1.5, 0.75
"""k1 and b of Robertson and Zaragoza, The Probabilistic Relevance Framework: BM25 and Beyond (2009), section 3."""
WORD = re.compile(r"\w+")


def bm25_scores(question: str, texts: Sequence[str]) -> list[float]:
    """Score texts against a question.

    Returns
    -------
    list of float
        One per text, 0 or more; 0 where the text holds no word of the question. Letter case does not count.

    Examples
    --------
    >>> [round(score, 2) for score in bm25_scores("momentum", ["Momentum of prices", "volume", "a note"])]
    [0.8, 0.0, 0.0]
    """
    counted = [Counter(WORD.findall(text.lower())) for text in texts]
    mean_length = sum(map(Counter.total, counted)) / max(1, len(counted))
    asked = {word: _rarity(word, counted) for word in WORD.findall(question.lower())}
    return [sum(weight * _saturated(words, word, mean_length) for word, weight in asked.items()) for words in counted]


def _rarity(word: str, counted: Sequence[Counter[str]]) -> float:
    holding = sum(word in words for words in counted)
    return math.log(1 + (len(counted) - holding + 0.5) / (holding + 0.5))


def _saturated(words: Counter[str], word: str, mean_length: float) -> float:
    times = words[word]
    if not times:
        return 0.0
    length = 1 - LENGTH_WEIGHT + LENGTH_WEIGHT * words.total() / mean_length
    return times * (SATURATION + 1) / (times + SATURATION * length)
