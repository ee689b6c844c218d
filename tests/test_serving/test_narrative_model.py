"""The model writer, against a server that speaks both interfaces: what it asks, and what it makes of any answer."""

import json

import pytest
from pydantic import SecretStr

from lake.errors import ConfigError, WriterError
from serving.explain.narrative.check import check_all
from serving.explain.narrative.facts import facts_of
from serving.explain.narrative.model_writer import MOST_BYTES, ModelWriter
from serving.explain.narrative.sentences import Draft
from support.injections import INJECTIONS
from support.narratives import language_model, made_inputs, passage

FACTS = facts_of(made_inputs(3))
MEDIAN = FACTS.of("forecast", "median return")[0]
TRUE = {"text": f"The median return is {MEDIAN.printed}.", "fact_ids": [MEDIAN.id], "source_ids": []}


def writer_of(settings, address: str, **changes) -> ModelWriter:
    said = {"llm_url": address, "llm_model": "small", "llm_timeout_s": 60.0} | changes
    made = ModelWriter.of(settings.model_copy(update=said))
    assert made is not None
    return made


@pytest.mark.parametrize("protocol", ["openai", "ollama"])
def test_sentences_come_back_over_both_interfaces(settings, protocol: str) -> None:
    with language_model(lambda _: [TRUE]) as model:
        writer = writer_of(settings, getattr(model, protocol), llm_key=SecretStr("secret"))
        assert writer(FACTS, [passage(1, "a text")]) == [Draft(TRUE["text"], (MEDIAN.id,))]
    (asked,) = model.asked
    options = asked.get("options", asked)
    assert (asked["model"], asked["stream"], options["temperature"]) == ("small", False, 0)
    assert options.get("num_predict", options.get("max_tokens")) == 600
    assert "sentences" in json.dumps(asked.get("format", asked.get("response_format")))
    assert model.headers[0]["authorization"] == "Bearer secret"
    prompt = json.loads(asked["messages"][1]["content"])
    assert [fact["printed"] for fact in prompt["facts"]] == [fact.printed for fact in FACTS]
    assert prompt["passages"] == [{"id": "S1", "title": "Note 1", "text": "a text"}]
    assert "secret" not in repr(writer) + json.dumps(asked)


BROKEN = {
    "no JSON": "The forecast is good.",
    "cut JSON": '{"sentences": [{"text": "The',
    "another form": '{"answer": []}',
    "numbers for text": '{"sentences": [{"text": 1, "fact_ids": [], "source_ids": []}]}',
    "further members": '{"sentences": [], "tools": []}',
    "no document": b"<html>",
    "an empty document": b"{}",
    "a list": b"[]",
    "too many bytes": b" " * (MOST_BYTES + 1),
    "too many sentences": json.dumps({"sentences": [TRUE] * 41}),
}


@pytest.mark.parametrize("name", BROKEN)
def test_an_answer_in_another_form_is_an_error_and_no_text(settings, name: str) -> None:
    with language_model(lambda _: BROKEN[name]) as model, pytest.raises(WriterError, match="language model small"):
        writer_of(settings, model.openai)(FACTS, [])


@pytest.mark.parametrize("status", [301, 401, 404, 500])
def test_a_refusal_or_a_redirect_is_an_error(settings, status: int) -> None:
    with language_model(lambda _: [TRUE]) as model:
        model.status = status
        with pytest.raises(WriterError):
            writer_of(settings, model.openai)(FACTS, [])
    assert len(model.asked) == 1


def test_a_model_that_does_not_answer_in_time_is_an_error(settings) -> None:
    with language_model(lambda _: [TRUE]) as model:
        model.is_held.clear()
        with pytest.raises(WriterError, match=r"within 0\.2 s"):
            writer_of(settings, model.ollama, llm_timeout_s=0.2)(FACTS, [])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"llm_url": "http://127.0.0.1:11434"}, "ends in /v1"),
        ({"llm_url": "file:///etc/passwd/v1"}, "http or https"),
        ({"llm_model": ""}, "QUANTLAKE_LLM_MODEL"),
        ({"llm_url": "http://model.example/v1", "llm_key": SecretStr("secret")}, "plain http"),
    ],
)
def test_settings_that_cannot_be_used_are_refused(settings, changes, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        writer_of(settings, "http://127.0.0.1:1/v1", **changes)


def test_without_an_address_there_is_no_model(settings) -> None:
    assert ModelWriter.of(settings) is None


def obeying(text: str) -> list[list[dict]]:
    """Return answers of a model that does what a text asks for: states it, cites facts for it, quotes it."""
    facts = [fact.id for fact in FACTS]
    return [
        [{"text": text, "fact_ids": [], "source_ids": []}, TRUE],
        [{"text": text, "fact_ids": facts, "source_ids": []}],
        [{"text": f'The note says: "{text}"', "fact_ids": [], "source_ids": ["S1"]}],
        [{"text": f"{TRUE['text']} {text}", "fact_ids": facts, "source_ids": ["S1"]}],
    ]


@pytest.mark.parametrize("place", range(len(INJECTIONS)))
def test_an_injection_changes_no_number_adds_no_link_and_passes_no_false_sentence(settings, place: int) -> None:
    text = INJECTIONS[place]
    passages = [passage(1, text, source="news")]
    printed = [fact.printed for fact in FACTS]
    for answer in obeying(text):
        with language_model(lambda _, said=answer: said) as model:
            drafts = writer_of(settings, model.openai)(FACTS, passages)
        checked = check_all(drafts, FACTS, passages)
        stated = [draft for draft in checked.passed if not draft.source_ids]
        assert [draft.text for draft in stated] == [TRUE["text"]] * len(stated)
        for quoting in (draft for draft in checked.passed if draft.source_ids):
            assert quoting.text == f'The note says: "{text}"', "a quotation, word for word, under its source"
            assert not any(map(str.isdigit, text))
            assert "://" not in text
    assert [fact.printed for fact in FACTS] == printed
