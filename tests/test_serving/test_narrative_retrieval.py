"""Retrieval: passages as they were known, of the symbol or the market; and the notes that are there to be found."""

import shutil
from datetime import timedelta

import polars as pl
import pytest

from feature_repo.catalog import FEATURES_TECHNICAL, MODEL_FEATURES
from lake.clock import DEMO_START, FixedClock
from lake.settings import Settings
from lake.store import Lake
from lake.tables import CHUNKS, DOCUMENTS, INTERNAL_NOTES, LABELS
from serving.explain.narrative.documents import PASSAGE_WORDS, store_documents
from serving.explain.narrative.notes import LARGE_MOVE, update_notes
from serving.explain.narrative.retrieve import LEXICAL, Passage, Retriever
from serving.monitoring.metrics import RETRIEVAL_FUTURE_HITS
from support.narratives import CLOSE, document

LATER = CLOSE + timedelta(days=1)


def future_hits() -> float:
    return RETRIEVAL_FUTURE_HITS._value.get()


def retrieve(lake, question: str, symbol: str = "AAPL", as_of=CLOSE) -> tuple[Passage, ...]:
    """Search by words alone, whatever is installed."""
    retrieved = Retriever(lake, Settings(home=lake.root.parent, embedder="off")).find([question], symbol, as_of)
    assert retrieved.search == LEXICAL
    return retrieved.passages


def found(lake, question: str, symbol: str = "AAPL", as_of=CLOSE) -> list[str]:
    return [passage.chunk_id.partition("#")[0] for passage in retrieve(lake, question, symbol, as_of)]


def test_what_was_not_known_yet_is_not_found(lake) -> None:
    before = future_hits()
    planted = [document(f"future-{n}", "momentum " * 9, known_time=LATER + timedelta(days=n)) for n in range(20)]
    store_documents(lake, [document("known", "a note about momentum"), *planted])
    assert found(lake, "momentum") == ["known"]
    assert future_hits() == before
    assert len(found(lake, "momentum", as_of=LATER + timedelta(days=30))) == 6


def test_a_future_hit_is_counted_and_not_returned(lake, monkeypatch) -> None:
    """Where reading as of a time is broken below."""
    before = future_hits()
    planted = document("future", "momentum momentum", known_time=LATER)
    store_documents(lake, [document("known", "a note about momentum"), planted])
    monkeypatch.setattr(Lake, "read_as_of", lambda self, spec, _, where=None: self.read(spec, where=where))
    retrieved = Retriever(lake, Settings(home=lake.root.parent, embedder="off")).find(["momentum"], "AAPL", CLOSE)
    assert [passage.chunk_id for passage in retrieved.passages] == ["known#0"]
    assert (retrieved.future_hits, future_hits()) == (1, before + 1)


def test_documents_of_the_symbol_and_of_the_market_are_searched_and_no_others(lake) -> None:
    names = {"market": None, "apple": "AAPL", "ibm": "IBM"}
    store_documents(lake, [document(name, "momentum", symbol=symbol) for name, symbol in names.items()])
    assert set(found(lake, "momentum")) == {"market", "apple"}
    assert found(lake, "dividend") == []


def test_a_document_that_was_written_again_has_its_new_passages_only(lake) -> None:
    store_documents(lake, [document("note", "momentum of old\n\nmomentum of old too")])
    again = document("note", "momentum anew", known_time=LATER)
    assert store_documents(lake, [again]).added == 1
    assert [each.text for each in retrieve(lake, "momentum", "AAPL", LATER)] == ["momentum anew"]
    assert len(found(lake, "momentum")) == 2
    assert store_documents(lake, [again]).skipped


def test_the_best_passage_comes_first_with_a_relevance_of_one(lake) -> None:
    texts = {"both": "momentum and volume", "one": "momentum and price", "none": "a word"}
    store_documents(lake, [document(name, text) for name, text in texts.items()])
    ranked = retrieve(lake, "Momentum volume", "AAPL", CLOSE)
    assert [(each.id, each.chunk_id) for each in ranked] == [("S1", "both#0"), ("S2", "one#0")]
    assert (ranked[0].relevance, ranked[1].relevance < 1) == (1, True)


def test_a_long_paragraph_is_cut_between_words() -> None:
    passages = list(document("long", " ".join(map(str, range(2 * PASSAGE_WORDS + 1)))).passages())
    assert [len(each.split()) for each in passages] == [PASSAGE_WORDS, PASSAGE_WORDS, 1]


def test_a_home_without_documents_has_no_passages(lake) -> None:
    assert retrieve(lake, "momentum", "AAPL", CLOSE) == ()


@pytest.fixture(scope="module")
def noted(featured_lake, tmp_path_factory):
    """The real market with its notes."""
    lake = Lake(shutil.copytree(featured_lake.root, tmp_path_factory.mktemp("noted") / "tables"))
    return lake, update_notes(lake, FixedClock(DEMO_START))


def test_notes_are_written_once(noted) -> None:
    lake, report = noted
    assert report.added == lake.read(DOCUMENTS).height == lake.read(CHUNKS).height
    assert update_notes(lake, FixedClock(DEMO_START)).skipped
    assert set(lake.read(DOCUMENTS)["source"]) == {INTERNAL_NOTES}
    titles = set(lake.read(DOCUMENTS)["title"])
    assert {f"Feature {name}" for name in MODEL_FEATURES} <= titles


def test_a_note_worded_otherwise_within_one_instant_is_written_with_the_next(noted, monkeypatch, tmp_path) -> None:
    lake = Lake(shutil.copytree(noted[0].root, tmp_path / "tables"))
    monkeypatch.setattr("serving.explain.narrative.notes.LARGE_MOVE", 2.5)
    stored = lake.read(DOCUMENTS)
    assert update_notes(lake, FixedClock(DEMO_START)).skipped
    assert lake.read(DOCUMENTS).equals(stored)
    later = DEMO_START + timedelta(days=1)
    assert update_notes(lake, FixedClock(later)).added > 0
    history = lake.read_as_of(DOCUMENTS, later, where=pl.col("section") == "history")
    assert all("more than 2.5 of its daily volatilities" in text for text in history["text"])


def test_notes_of_features_are_sentences_whatever_their_meaning_begins_with(noted) -> None:
    lake, _ = noted
    texts = dict(lake.read(DOCUMENTS).select("title", "text").iter_rows())
    assert texts["Feature market_beta"].startswith(
        "market_beta: how strongly the symbol moves with the market. Formula: cov(r, r_market) / var(r_market)"
    )
    assert [text for title, text in texts.items() if title.startswith("Feature ") and " is the " in text[:40]] == []


def test_the_note_about_large_moves_is_what_the_tables_hold(noted) -> None:
    lake, _ = noted
    is_apple = pl.col("symbol") == "AAPL"
    features = lake.read_as_of(FEATURES_TECHNICAL, DEMO_START, where=is_apple).sort("event_time")
    labels = lake.read_as_of(LABELS, DEMO_START, where=is_apple & (pl.col("horizon_sessions") == 5))
    forward = dict(labels.select("event_time", "forward_return").iter_rows())
    moves, yesterday = [], None
    for row in features.iter_rows(named=True):
        if yesterday is not None and abs(row["return_1d"]) > LARGE_MOVE * yesterday / 252**0.5:
            moves += [forward[row["event_time"]]] if row["event_time"] in forward else []
        yesterday = row["volatility_20d"]
    note = next(iter(retrieve(lake, "AAPL large moves", "AAPL", DEMO_START)))
    median = sorted(moves)[len(moves) // 2] if len(moves) % 2 else sum(sorted(moves)[len(moves) // 2 - 1 :][:2]) / 2
    assert note.title == "AAPL after large moves"
    assert f"On {len(moves)} sessions AAPL" in note.text
    assert f"{100 * median:+.2f} %" in note.text
    assert f"{100 * sum(each > 0 for each in moves) / len(moves):.0f} % of the returns" in note.text
