"""Retrieval: passages of documents about a symbol or its market, as they were known at a time; exact, by BM25."""

import time
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

import polars as pl

from lake.tables import CHUNKS, DOCUMENTS, INTERNAL_NOTES
from serving.explain.narrative.bm25 import bm25_scores
from serving.monitoring import metrics

if TYPE_CHECKING:
    from lake.store import Lake

PASSAGES = 6
SEARCH = "lexical (BM25)"
LONGEST_EXCERPT = 400


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


def retrieve(lake: "Lake", question: str, symbol: str, as_of: datetime, count: int = PASSAGES) -> list[Passage]:
    """Return the passages that fit a question best.

    Parameters
    ----------
    question
        Words that the passages should hold.
    symbol
        Documents about it, and those about the whole market, are searched.
    as_of
        Nothing known later is found. `quantlake_retrieval_future_hits` counts what passes that condition and must not,
        and no such passage is returned.

    Returns
    -------
    list of Passage
        The best first; passages without a word of the question, and all of a home without documents, are left out.
    """
    started = time.perf_counter()
    rows = _known(lake, symbol, as_of)
    scores = bm25_scores(question, [f"{row['title']} {row['text']}" for row in rows])
    ranked = sorted(zip(scores, rows, strict=True), key=lambda each: (-each[0], each[1]["chunk_id"]))
    best = [(score, row) for score, row in ranked if score > 0][:count]
    future = [row for _, row in best if row["known_time"] > as_of]
    metrics.RETRIEVAL_FUTURE_HITS.inc(len(future))
    metrics.observe(metrics.RETRIEVAL_SECONDS, time.perf_counter() - started)
    kept = [(score / best[0][0], row) for score, row in best if row not in future]
    return [_passage(place, share, row) for place, (share, row) in enumerate(kept, start=1)]


def _known(lake: "Lake", symbol: str, as_of: datetime) -> list[dict[str, Any]]:
    """Chunks of the documents in the form that was the newest at a time; of older forms of a document none is left."""
    if not lake.exists(DOCUMENTS) or not lake.exists(CHUNKS):
        return []
    is_asked = (pl.col("symbol") == symbol) | pl.col("symbol").is_null()
    documents = lake.read_as_of(DOCUMENTS, as_of, where=is_asked).select("doc_id", "text_digest", "title", "source")
    chunks = lake.read_as_of(CHUNKS, as_of)
    return chunks.join(documents, on=("doc_id", "text_digest")).sort("chunk_id").to_dicts()


def _passage(place: int, relevance: float, row: dict[str, Any]) -> Passage:
    same = {name: row[name] for name in ("chunk_id", "title", "text", "source", "known_time")}
    return Passage(id=f"S{place}", published_at=row["event_time"], relevance=relevance, **same)
