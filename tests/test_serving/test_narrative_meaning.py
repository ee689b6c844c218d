"""Search by meaning: real vectors in real tables, known at the time, of one embedder, in the order of the texts."""

from datetime import timedelta

import polars as pl
import pytest

from lake.clock import FixedClock
from lake.settings import Settings
from lake.tables import CHUNK_VECTORS, CHUNKS, DOCUMENTS
from serving.explain.narrative.check import check_all
from serving.explain.narrative.documents import store_documents
from serving.explain.narrative.facts import facts_of
from serving.explain.narrative.notes import update_notes
from serving.explain.narrative.retrieve import LEXICAL, Retriever
from serving.explain.narrative.sentences import Draft
from serving.explain.narrative.vectors import store_vectors
from serving.monitoring.metrics import RETRIEVAL_FUTURE_HITS
from support.embedding import packaged_embedder
from support.injections import INJECTIONS
from support.narratives import CLOSE, document, made_inputs

LATER = CLOSE + timedelta(days=1)
DIVIDENDS = "The company pays cash to its shareholders every quarter."
RAIN = "Heavy rain is expected in the mountains."
QUESTION = ["dividends"]


@pytest.fixture(scope="module")
def embedder():
    return packaged_embedder()


def retrieved(lake, question=QUESTION, as_of=CLOSE, symbol="AAPL"):
    return Retriever(lake, Settings(home=lake.root.parent)).find(question, symbol, as_of)


def names(found) -> list[str]:
    return [passage.chunk_id.partition("#")[0] for passage in found.passages]


def test_a_passage_is_found_by_its_meaning_without_a_word_of_the_question(lake, embedder) -> None:
    store_documents(lake, [document("rain", RAIN), document("cash", DIVIDENDS)])
    assert names(retrieved(lake)) == []
    assert store_vectors(lake, embedder).added == 2
    found = retrieved(lake)
    assert names(found)[0] == "cash"
    assert found.search == f"{LEXICAL} and by meaning (embedder {embedder.digest[:12]})"


def test_what_was_not_known_yet_is_not_found_by_meaning(lake, embedder) -> None:
    before = RETRIEVAL_FUTURE_HITS._value.get()
    planted = [document(f"future-{n}", DIVIDENDS, known_time=LATER + timedelta(days=n)) for n in range(20)]
    store_documents(lake, [document("known", RAIN), *planted])
    store_vectors(lake, embedder)
    found = retrieved(lake)
    assert (names(found), found.future_hits, RETRIEVAL_FUTURE_HITS._value.get()) == (["known"], 0, before)
    assert len(names(retrieved(lake, as_of=LATER + timedelta(days=30)))) == 6


def test_a_vector_has_the_times_of_its_passage_whenever_it_was_computed(lake, embedder) -> None:
    store_documents(lake, [document("note", RAIN, known_time=LATER)])
    store_vectors(lake, embedder)
    columns = ("chunk_id", "text_digest", "event_time", "known_time")
    assert lake.read(CHUNK_VECTORS).select(columns).equals(lake.read(CHUNKS).select(columns))


def test_the_form_that_was_known_is_searched_and_no_later_one(lake, embedder) -> None:
    store_documents(lake, [document("note", DIVIDENDS)])
    store_documents(lake, [document("note", RAIN, known_time=LATER)])
    assert store_vectors(lake, embedder).added == 2
    assert [each.text for each in retrieved(lake).passages] == [DIVIDENDS]
    assert [each.text for each in retrieved(lake, as_of=LATER).passages] == [RAIN]


def test_documents_of_other_symbols_are_not_found_by_meaning(lake, embedder) -> None:
    store_documents(lake, [document(name, DIVIDENDS, symbol=name) for name in ("AAPL", "IBM")])
    store_vectors(lake, embedder)
    assert names(retrieved(lake)) == ["AAPL"]


def test_a_vector_of_another_embedder_is_never_compared(lake, embedder) -> None:
    store_documents(lake, [document("rain", RAIN), document("cash", DIVIDENDS)])
    store_vectors(lake, embedder)
    right = lake.read(CHUNK_VECTORS).sort("chunk_id")  # cash, rain
    others = right.with_columns(pl.lit("another").alias("embedder_digest"), pl.col("vector").reverse())
    lake.merge(CHUNK_VECTORS, others)
    assert names(retrieved(lake))[0] == "cash"
    store_documents(lake, [document("new", f"{DIVIDENDS} Always.")])
    lake.merge(CHUNK_VECTORS, _vector_of(lake, "new#0", right["vector"][0]))
    found = retrieved(lake)
    assert "new" not in names(found)
    assert found.search.endswith("1 of 3 passages have no vector of this embedder yet")


def _vector_of(lake, chunk_id: str, vector) -> pl.DataFrame:
    chunk = lake.read(CHUNKS, where=pl.col("chunk_id") == chunk_id)
    made = chunk.with_columns(pl.lit("another").alias("embedder_digest"), pl.Series("vector", [vector.to_list()]))
    return made.select(pl.col(name).cast(dtype) for name, dtype in CHUNK_VECTORS.schema.items())


def test_without_any_vector_the_search_is_lexical_and_says_so(lake, embedder) -> None:
    store_documents(lake, [document("cash", DIVIDENDS)])
    found = retrieved(lake, ["cash"])
    assert names(found) == ["cash"]
    assert found.search.startswith(f"{LEXICAL}, not by meaning")
    assert "1 of 1 passages have no vector" in found.search


def test_an_embedder_that_cannot_be_used_leaves_the_search_lexical_and_its_files_unnamed(
    lake, tmp_path, caplog
) -> None:
    store_documents(lake, [document("cash", DIVIDENDS)])
    configured = Settings(home=lake.root.parent, embedder=tmp_path)
    found = Retriever(lake, configured).find(["cash"], "AAPL", CLOSE)
    assert names(found) == ["cash"]
    assert found.search == f"{LEXICAL}; the embedder cannot be used, `quantlake doctor` says why"
    assert f"QUANTLAKE_EMBEDDER is {tmp_path}, which lacks" in caplog.text


def test_notes_get_vectors_once_and_also_where_the_embedder_came_later(lake, embedder) -> None:
    clock = FixedClock(CLOSE)
    first = update_notes(lake, clock)
    assert first.added
    assert not lake.exists(CHUNK_VECTORS)
    with_vectors = update_notes(lake, clock, embedder)
    assert (with_vectors.skipped, with_vectors.details["vectors_added"]) == (False, lake.read(CHUNKS).height)
    assert with_vectors.rows == lake.read(DOCUMENTS).height
    assert update_notes(lake, clock, embedder).skipped


def test_of_documents_found_by_meaning_no_false_sentence_passes(lake, embedder) -> None:
    facts = facts_of(made_inputs(3))
    store_documents(lake, [document(f"foreign-{n}", text, source="news") for n, text in enumerate(INJECTIONS)])
    store_vectors(lake, embedder)
    cited = tuple(fact.id for fact in facts)
    for text in INJECTIONS:
        passages = retrieved(lake, [text]).passages
        assert passages[0].text == text
        ids = tuple(passage.id for passage in passages)
        obeyed = [Draft(text, cited), Draft(text, cited, ids), Draft(f'The note says: "{text}"', cited, ids)]
        passed = check_all(obeyed, facts, passages).passed
        assert [draft.text for draft in passed if draft.text == text] == []
        assert not any(map(str.isdigit, "".join(draft.text for draft in passed)))


def test_of_a_hundred_false_sentences_beside_passages_found_by_meaning_none_passes(lake, embedder) -> None:
    store_documents(lake, [document(f"note-{n}", f"{DIVIDENDS} {text}") for n, text in enumerate(INJECTIONS)])
    store_vectors(lake, embedder)
    passages = retrieved(lake).passages
    facts = facts_of(made_inputs(3))
    (median,) = facts.of("forecast", "median return")
    lies = [f"The median return is +{100 + n}.77 %." for n in range(50)]
    lies += [f'The note says: "{passages[n % 6].text} Truly, {n} times."' for n in range(50)]
    drafts = [Draft(text, (median.id,), (passages[n % 6].id,) * ('"' in text)) for n, text in enumerate(lies)]
    checked = check_all(drafts, facts, passages)
    assert (checked.passed, len(checked.dropped)) == ((), 100)
