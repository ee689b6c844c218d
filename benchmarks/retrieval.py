"""Search of documents: how well each ranking finds the notes that answer a question, and how long a search takes."""

import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from benchmarks.labelled_questions import IN_ENGLISH, SYMBOL, Labelled, as_a_job_asks
from benchmarks.report import Topic
from lake.clock import FixedClock
from lake.errors import EmbedderError
from lake.settings import Settings, settings
from lake.store import Lake
from lake.tables import CHUNKS, DOCUMENTS, INTERNAL_NOTES
from serving.embedding import Embedder, open_embedder
from serving.explain.narrative import LEXICAL, Retriever
from serving.explain.narrative.ranking import by_meaning, by_words, fused
from serving.explain.narrative.vectors import searched_text, store_vectors

if TYPE_CHECKING:
    from numpy.typing import NDArray

FOUND, SHOWN = 3, 6
HEADER = ("ranking", "questions in English: recall@3", "MRR", "a job's list of names: share of the first six")
Scores = Callable[[Sequence[str]], "NDArray[np.float64]"]


def measure(configured: Settings | None = None) -> Topic:
    """Rank the notes of the home for labelled questions, and search them as a job does."""
    configured = configured or settings()
    embedder = open_embedder(configured)
    if embedder is None:
        raise EmbedderError("There is no embedder to measure. `make embedder` installs it.")
    lake = Lake.open(configured)
    notes = _notes(lake)
    names = notes["doc_id"].str.strip_prefix(f"{INTERNAL_NOTES}:").to_list()
    features = [name.removeprefix("feature:") for name in names if name.startswith("feature:")]
    listed = list(as_a_job_asks(features))
    rankings = _rankings(embedder, [searched_text(row) for row in notes.iter_rows(named=True)])
    rows = tuple(_row(name, scores, names, listed) for name, scores in rankings.items())
    text = (
        f"{len(IN_ENGLISH)} questions in English and {len(listed)} lists of names as a written explanation asks them, "
        f"about the {len(names)} notes on {SYMBOL} and its market. A recall is a share of at most {FOUND} answers; of "
        f"{len(IN_ENGLISH)} questions its standard error is about .08. The ranking in use was chosen on these same "
        "questions, none were held out. Four more were tried on lists of names and are no rows: "
        'reciprocal ranks over all parts (.342); parts with their kind before the name, as "feature rsi_14" (.778); '
        "that joined with BM25 (.986), and BM25 with reciprocal ranks over such parts (.547)."
    )
    return Topic("Search of documents", text, HEADER, rows, tuple(_times(lake, configured, embedder, listed)))


def _notes(lake: Lake) -> pl.DataFrame:
    """Newest passages of our own notes that a question about the symbol may find."""
    at = lake.read(DOCUMENTS)["known_time"].max()
    is_asked = (pl.col("source") == INTERNAL_NOTES) & (pl.col("symbol").is_null() | (pl.col("symbol") == SYMBOL))
    documents = lake.read_as_of(DOCUMENTS, at, where=is_asked).select("doc_id", "text_digest", "title")
    return lake.read_as_of(CHUNKS, at).join(documents, on=("doc_id", "text_digest")).sort("doc_id")


def _rankings(embedder: Embedder, texts: Sequence[str]) -> Mapping[str, Scores]:
    vectors = [embedder.embed(text).tolist() for text in texts]

    def whole(question: Sequence[str]) -> "NDArray[np.float64]":
        return by_meaning([embedder.embed(" ".join(question))], vectors)

    def parts(question: Sequence[str]) -> "NDArray[np.float64]":
        return by_meaning([embedder.embed(part) for part in question], vectors)

    return {
        "BM25": lambda question: by_words(question, texts),
        "MiniLM, question as a whole": whole,
        "BM25 and that, reciprocal ranks": lambda question: fused([by_words(question, texts), whole(question)]),
        "MiniLM, by part of the question": parts,
        "BM25 and that, reciprocal ranks: in use": lambda question: fused([by_words(question, texts), parts(question)]),
    }


def _row(name: str, scores: Scores, names: Sequence[str], listed: Iterable[Labelled]) -> tuple[str, ...]:
    english = [(_best(scores(asked.question), names), asked.answers) for asked in IN_ENGLISH]
    jobs = [(_best(scores(asked.question), names), asked.answers) for asked in listed]
    recall = [len(answers.intersection(best[:FOUND])) / min(FOUND, len(answers)) for best, answers in english]
    reciprocal = [
        max((1 / (best.index(each) + 1) for each in answers if each in best), default=0) for best, answers in english
    ]
    shares = [len(answers.intersection(best[:SHOWN])) / SHOWN for best, answers in jobs]
    return name, *(f"{np.mean(figures):.3f}" for figures in (recall, reciprocal, shares))


def _best(scores: "NDArray[np.float64]", names: Sequence[str]) -> list[str]:
    ranked = sorted(zip(-scores, names, strict=True))
    return [name for score, name in ranked if score < 0]


def _times(lake: Lake, configured: Settings, embedder: Embedder, listed: Sequence[Labelled]) -> list[str]:
    """Search a copy of the documents as a job does, with and without the embedder."""
    with tempfile.TemporaryDirectory() as folder:
        copy = Lake(Path(folder) / "tables")
        for spec in (DOCUMENTS, CHUNKS):
            copy.merge(spec, lake.read(spec))
        added = store_vectors(copy, embedder)
        clock = FixedClock(copy.read(DOCUMENTS)["known_time"].max())
        notes = [f"the vectors of {added.added} passages are computed once, in {added.seconds:.1f} s"]
        for name, choice in ((LEXICAL, "off"), ("with the embedder", configured.embedder)):
            retriever = Retriever(copy, configured.model_copy(update={"embedder": choice}))
            first, *others = (1e3 * retriever.find(each.question, SYMBOL, clock.now()).seconds for each in listed)
            middle, late = np.percentile(others, (50, 95))
            notes.append(f"a search, {name}: first {first:.0f}, then p50 {middle:.0f}, p95 {late:.0f} ms")
        return notes
