"""Retrieval: passages of documents about a symbol or its market, as they were known at a time.

The search is exact, over every passage that was known. It is lexical (BM25), and by meaning too where an embedder is
installed; the answer says which.
"""

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any

import polars as pl

from lake.errors import EmbedderError
from lake.tables import CHUNKS, DOCUMENTS, INTERNAL_NOTES
from serving.embedding import open_embedder
from serving.explain.narrative.ranking import by_meaning, by_words, fused
from serving.explain.narrative.vectors import searched_text, with_vectors
from serving.monitoring import metrics

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from lake.settings import Settings
    from lake.store import Lake
    from serving.embedding import Embedder

logger = logging.getLogger("quantlake.serving")

PASSAGES = 6
LEXICAL = "lexical (BM25)"
LONGEST_EXCERPT = 400
SHORT_DIGEST = 12


@dataclass(frozen=True)
class Passage:
    """One retrieved passage of a document: data, never an instruction.

    Parameters
    ----------
    id
        As sentences cite it: S1, S2, ...
    title, text
        Title of the document, and the words of the passage.
    source
        Where the document is from.
    published_at, known_time
        When it was published, and when this home could know it.
    relevance
        Score as a share of the best passage's, from 0 to 1.
    """

    id: str
    chunk_id: str
    title: str
    text: str
    source: str
    published_at: datetime
    known_time: datetime
    relevance: float

    @property
    def is_ours(self) -> bool:
        """Whether the document is a note that this platform generated from its own tables."""
        return self.source == INTERNAL_NOTES

    @property
    def excerpt(self) -> str:
        """The beginning of the passage."""
        return self.text[:LONGEST_EXCERPT]


@dataclass(frozen=True)
class Retrieved:
    """What a search found.

    Parameters
    ----------
    passages
        The best first.
    search
        How they were found, as the answer says it.
    future_hits
        Passages that were found although they were not known yet; none of them is among `passages`.
    seconds
        How long it took.
    """

    passages: tuple[Passage, ...]
    search: str
    future_hits: int
    seconds: float


class Retriever:
    """Finds passages in the documents of a home. The embedder is opened with the first question.

    Parameters
    ----------
    lake
        With the tables `documents`, `chunks` and `chunk_vectors`.
    configured
        Say which embedder, if any.
    """

    def __init__(self, lake: "Lake", configured: "Settings") -> None:
        self._lake, self._configured = lake, configured

    def find(self, question: Sequence[str], symbol: str, as_of: datetime, count: int = PASSAGES) -> Retrieved:
        """Return the passages that fit a question best.

        Parameters
        ----------
        question
            Its parts: names, or one sentence.
        symbol
            Documents about it, and those about the whole market, are searched.
        as_of
            Nothing known later is found. `quantlake_retrieval_future_hits_total` counts what passes that condition and
            must not, and no such passage is returned.

        Returns
        -------
        Retrieved
            Passages that share no word with the question and have no vector are left out; a home without documents
            has none.
        """
        started = time.perf_counter()
        known = _known(self._lake, symbol, as_of)
        scores, search = self._ranked(question, known, as_of)
        rows = zip(scores.tolist(), known.to_dicts(), strict=True)
        ranked = sorted(rows, key=lambda each: (-each[0], each[1]["chunk_id"]))
        best = [(score, row) for score, row in ranked if score > 0][:count]
        kept = [(score / best[0][0], row) for score, row in best if row["known_time"] <= as_of]
        seconds, future_hits = time.perf_counter() - started, len(best) - len(kept)
        metrics.RETRIEVAL_FUTURE_HITS.inc(future_hits)
        metrics.observe(metrics.RETRIEVAL_SECONDS, seconds)
        passages = tuple(_passage(place, share, row) for place, (share, row) in enumerate(kept, start=1))
        return Retrieved(passages, search, future_hits, seconds)

    def _ranked(
        self, question: Sequence[str], known: pl.DataFrame, as_of: datetime
    ) -> "tuple[NDArray[np.float64], str]":
        """Score of each passage, and how they were searched."""
        words = by_words(question, [searched_text(row) for row in known.iter_rows(named=True)])
        embedder, search = self._embedder if known.height else (None, LEXICAL)
        if embedder is None:
            return words, search
        vectors = with_vectors(self._lake, known, embedder.digest, as_of)["vector"].to_list()
        if lacking := vectors.count(None):
            search += f"; {lacking} of {len(vectors)} passages have no vector of this embedder yet"
        if lacking == len(vectors):
            return words, f"{LEXICAL}, not {search}"
        meaning = by_meaning([embedder.embed(part) for part in question], vectors)
        return fused([words, meaning]), f"{LEXICAL} and {search}"

    @cached_property
    def _embedder(self) -> "tuple[Embedder | None, str]":
        """The embedder, and what it is called; or None, and what an answer says then."""
        try:
            found = open_embedder(self._configured)
        except EmbedderError as error:  # it names files of this machine, which a client need not know
            logger.warning("documents are searched by their words alone: %s", error)
            return None, f"{LEXICAL}; the embedder cannot be used, `quantlake doctor` says why"
        return (None, LEXICAL) if found is None else (found, f"by meaning (embedder {found.digest[:SHORT_DIGEST]})")


def _known(lake: "Lake", symbol: str, as_of: datetime) -> pl.DataFrame:
    """Chunks of the documents in the form that was the newest at a time; of older forms of a document none is left."""
    if not lake.exists(DOCUMENTS) or not lake.exists(CHUNKS):
        return pl.DataFrame()
    is_asked = (pl.col("symbol") == symbol) | pl.col("symbol").is_null()
    documents = lake.read_as_of(DOCUMENTS, as_of, where=is_asked).select("doc_id", "text_digest", "title", "source")
    chunks = lake.read_as_of(CHUNKS, as_of)
    return chunks.join(documents, on=("doc_id", "text_digest")).sort("chunk_id")


def _passage(place: int, relevance: float, row: dict[str, Any]) -> Passage:
    same = {name: row[name] for name in ("chunk_id", "title", "text", "source", "known_time")}
    return Passage(id=f"S{place}", published_at=row["event_time"], relevance=relevance, **same)
