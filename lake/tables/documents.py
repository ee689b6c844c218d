"""Tables of documents: texts that written explanations may quote, the passages that are searched, their vectors."""

import polars as pl

from lake.spec import INSTANT, Column, TableSpec
from lake.tables.columns import COUNT, KNOWN_TIME, TEXT

INTERNAL_NOTES = "internal notes"
"""Source of the documents that this platform generates from its own tables and declarations."""

PUBLISHED = Column("event_time", INSTANT, "UTC", "when it was published")
DOC_ID = Column("doc_id", TEXT, "", "document")
TEXT_DIGEST = Column(
    "text_digest", TEXT, "", "SHA-256 of the document's title and text; another one is another form of it"
)

DOCUMENTS = TableSpec(
    name="documents",
    layer="clean",
    meaning="Texts that a written explanation may quote; they are untrusted, and instructions in them are text.",
    key=("doc_id",),
    columns=(
        DOC_ID,
        Column("source", TEXT, "", "where it is from, e.g. internal notes"),
        Column("symbol", TEXT, "", "instrument it is about; null for the whole market", nullable=True),
        Column("title", TEXT, "", "title"),
        Column("section", TEXT, "", "kind of text, e.g. feature, model, history, runbook"),
        Column("text", TEXT, "", "the whole text"),
        TEXT_DIGEST,
        Column("licence", TEXT, "", "terms it may be quoted under"),
        PUBLISHED,
        KNOWN_TIME,
    ),
)

CHUNKS = TableSpec(
    name="chunks",
    layer="clean",
    meaning="Passages of documents, which are searched; those of the newest form of a document have its digest.",
    key=("chunk_id",),
    columns=(
        Column("chunk_id", TEXT, "", "passage"),
        DOC_ID,
        TEXT_DIGEST,
        Column("position", COUNT, "", "place in the document, from 0", minimum=0),
        Column("text", TEXT, "", "words of the passage"),
        PUBLISHED,
        KNOWN_TIME,
    ),
)

CHUNK_VECTORS = TableSpec(
    name="chunk_vectors",
    layer="clean",
    meaning="Sentence vectors of passages, one per embedder; a vector has the times of its passage.",
    key=("chunk_id", "text_digest", "embedder_digest"),
    columns=(
        Column("chunk_id", TEXT, "", "passage"),
        TEXT_DIGEST,
        Column("embedder_digest", TEXT, "", "SHA-256 of the embedder's files; others' vectors are not compared"),
        Column("vector", pl.List(pl.Float32()), "", "vector of length 1 of the document's title and the passage"),
        PUBLISHED,
        KNOWN_TIME,
    ),
    restates=False,
)
