"""Documents and their passages: from a text to rows of `documents` and `chunks`."""

import hashlib
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

import polars as pl

from lake.tables import CHUNKS, DOCUMENTS

if TYPE_CHECKING:
    from lake.report import Report
    from lake.store import Lake

PASSAGE_WORDS = 120
"""Longest passage; a paragraph that is longer is cut between words."""


@dataclass(frozen=True, kw_only=True)
class Document:
    """One text as it was published; white space is of no account, and every paragraph is a passage or several.

    Parameters
    ----------
    doc_id
        Names it for good: another text under the same id is a later form of it.
    symbol
        Instrument it is about; None for the whole market.
    published_at, known_time
        When it was published, and when this home could know it.
    """

    doc_id: str
    source: str
    symbol: str | None
    title: str
    section: str
    text: str
    licence: str
    published_at: datetime
    known_time: datetime

    @property
    def digest(self) -> str:
        """SHA-256 of title and text."""
        return hashlib.sha256(f"{self.title}\n{self.text}".encode()).hexdigest()

    def passages(self) -> Iterator[str]:
        """Yield its passages in order."""
        for paragraph in self.text.split("\n\n"):
            words = paragraph.split()
            for at in range(0, len(words), PASSAGE_WORDS):
                yield " ".join(words[at : at + PASSAGE_WORDS])


def store_documents(lake: "Lake", documents: Sequence[Document]) -> "Report":
    """Add documents that are new, or whose text is another than the newest stored one; the others change nothing.

    Returns
    -------
    Report
        Of `documents`; skipped where every text is stored.
    """
    started = time.perf_counter()
    fresh = _fresh(lake, documents)
    rows = [_document_row(document) for document in fresh]
    passages = [row for document in fresh for row in _passage_rows(document)]
    lake.merge(CHUNKS, pl.DataFrame(passages, schema=CHUNKS.schema))
    report = lake.merge(DOCUMENTS, pl.DataFrame(rows, schema=DOCUMENTS.schema))
    return report.with_details(seconds=time.perf_counter() - started, passages=len(passages))


def _fresh(lake: "Lake", documents: Sequence[Document]) -> list[Document]:
    if not lake.exists(DOCUMENTS) or not documents:
        return list(documents)
    latest = max(document.known_time for document in documents)
    stored = lake.read_as_of(DOCUMENTS, latest).select("doc_id", "text_digest")
    known = set(stored.iter_rows())
    return [document for document in documents if (document.doc_id, document.digest) not in known]


def _document_row(document: Document) -> dict[str, Any]:
    row = asdict(document) | {"text_digest": document.digest, "event_time": document.published_at}
    return {name: row[name] for name in DOCUMENTS.names}


def _passage_rows(document: Document) -> Iterator[dict[str, Any]]:
    for position, text in enumerate(document.passages()):
        yield {
            "chunk_id": f"{document.doc_id}#{position}",
            "doc_id": document.doc_id,
            "text_digest": document.digest,
            "position": position,
            "text": text,
            "event_time": document.published_at,
            "known_time": document.known_time,
        }
