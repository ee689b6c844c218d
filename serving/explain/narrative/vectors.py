"""Vectors of passages: computed by whoever writes the documents, read by whoever searches them."""

import time
from typing import TYPE_CHECKING, Any

import polars as pl

from lake.tables import CHUNK_VECTORS, CHUNKS, DOCUMENTS

if TYPE_CHECKING:
    from datetime import datetime

    from lake.report import Report
    from lake.store import Lake
    from serving.embedding import Embedder

FORM = ("chunk_id", "text_digest")
"""Names one form of a passage."""


def searched_text(row: dict[str, Any]) -> str:
    """Return what is searched of a passage: the title of its document, and its words."""
    return f"{row['title']} {row['text']}"


def store_vectors(lake: "Lake", embedder: "Embedder") -> "Report":
    """Compute the vectors that passages lack of this embedder; those of other embedders stay beside them.

    Earlier forms of a document have vectors too: a search as of an earlier time finds them.

    Returns
    -------
    Report
        Of `chunk_vectors`; skipped where every passage has its vector.
    """
    started = time.perf_counter()
    titles = lake.read(DOCUMENTS).select("doc_id", "text_digest", "title").unique()
    rows = [
        {name: row[name] for name in (*FORM, "event_time", "known_time")}
        | {"embedder_digest": embedder.digest, "vector": embedder.embed(searched_text(row)).tolist()}
        for row in lacking_vectors(lake, embedder.digest).join(titles, on=("doc_id", "text_digest")).to_dicts()
    ]
    report = lake.merge(CHUNK_VECTORS, pl.DataFrame(rows, schema=CHUNK_VECTORS.schema))
    return report.with_details(seconds=time.perf_counter() - started)


def lacking_vectors(lake: "Lake", embedder_digest: str) -> pl.DataFrame:
    """Return the passages without a vector of an embedder, in the columns of `chunks`; each form of a passage once."""
    if not lake.exists(CHUNKS):
        return CHUNKS.empty()
    forms = lake.read(CHUNKS).sort("known_time", "chunk_id").unique(FORM, keep="first", maintain_order=True)
    if not lake.exists(CHUNK_VECTORS):
        return forms
    stored = lake.read(CHUNK_VECTORS, where=pl.col("embedder_digest") == embedder_digest)
    return forms.join(stored, on=FORM, how="anti", maintain_order="left")


def with_vectors(lake: "Lake", passages: pl.DataFrame, embedder_digest: str, as_of: "datetime") -> pl.DataFrame:
    """Return passages with the column ``vector``; null where one has none of this embedder that was known."""
    if not lake.exists(CHUNK_VECTORS):
        return passages.with_columns(pl.lit(None, CHUNK_VECTORS.schema["vector"]).alias("vector"))
    known = lake.read_as_of(CHUNK_VECTORS, as_of, where=pl.col("embedder_digest") == embedder_digest)
    return passages.join(known.select(*FORM, "vector"), on=FORM, how="left", maintain_order="left")
