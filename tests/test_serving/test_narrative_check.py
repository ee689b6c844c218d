"""The checker: every true sentence passes, every altered one is dropped, whoever wrote it."""

import random
import re
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.explain.narrative.check import MEANINGS, RULES, check_all, failed_rule
from serving.explain.narrative.facts import NOT_ENOUGH, BandCount, FactSheet, facts_of
from serving.explain.narrative.sentences import Draft
from serving.explain.narrative.vocabulary import FALLING, RISING
from serving.explain.narrative.write import template_sentences
from support.narratives import made_inputs, passage
from support.properties import examples

PASSAGES = (
    passage(1, "On 215 sessions it moved by more than 2 of its daily volatilities. The rest was quiet."),
    passage(2, "return_5d is the return over 5 bars: P_t / P_{t-5} - 1. Null: never after the first value."),
)
RECEIPTS = 60
OF_A_KIND = 20


def written(seed: int) -> tuple[FactSheet, list[Draft]]:
    facts = facts_of(made_inputs(seed))
    return facts, template_sentences(facts, PASSAGES)


def sentences(text: str) -> list[tuple[FactSheet, Draft]]:
    """Return every sentence of many receipts that holds a pattern."""
    return [
        (facts, draft)
        for seed in range(RECEIPTS)
        for facts, drafts in [written(seed)]
        for draft in drafts
        if re.search(text, draft.text)
    ]


def test_of_five_hundred_true_sentences_none_is_dropped() -> None:
    made = [written(seed) for seed in range(RECEIPTS)]
    checked = [check_all(drafts, facts, PASSAGES) for facts, drafts in made]
    assert sum(len(each.passed) for each in checked) >= 500
    assert [each.dropped for each in checked if each.dropped] == []


@examples(50)
@given(st.integers(0, 2**32))
def test_whatever_a_receipt_holds_the_template_passes(seed: int) -> None:
    facts, drafts = written(seed)
    assert check_all(drafts, facts, PASSAGES).dropped == ()


def with_another_number(draft: Draft, rng: random.Random) -> Draft:
    digits = [found.start() for found in re.finditer(r"(?<![\w])\d|(?<=[\d.,])\d", draft.text)]
    at = rng.choice(digits)
    return replace(
        draft, text=f"{draft.text[:at]}{(int(draft.text[at]) + rng.randint(1, 9)) % 10}{draft.text[at + 1 :]}"
    )


def with_the_other_direction(draft: Draft, _: random.Random) -> Draft:
    flipped = {"raise": "lower", "lower": "raise"}
    return replace(draft, text=re.sub(r"\b(raise|lower)\b", lambda found: flipped[found[0]], draft.text))


def with_a_foreign_source(draft: Draft, rng: random.Random) -> Draft:
    return replace(draft, source_ids=(f"S{rng.randint(3, 99)}",))


def with_another_quotation(draft: Draft, rng: random.Random) -> Draft:
    start = draft.text.index('says: "') + len('says: "')
    at = rng.randrange(start, len(draft.text) - 1)
    other = rng.choice([letter for letter in "abcxyz0123" if letter != draft.text[at]])
    return replace(draft, text=f"{draft.text[:at]}{other}{draft.text[at + 1 :]}")


def from_the_future(draft: Draft, rng: random.Random) -> Draft:
    return replace(draft, text=f'The note "Note 9" says: "Later {rng.random()}."', source_ids=("S9",))


NUMBERED, DIRECTED, QUOTING = r'^[^"]*\d (%|USD|sessions)', "features (raise|lower)", 'says: "'
MUTATIONS = (
    (NUMBERED, with_another_number, {"number", "word"}),
    (DIRECTED, with_the_other_direction, {"direction"}),
    (QUOTING, with_a_foreign_source, {"source"}),
    (QUOTING, with_another_quotation, {"quote"}),
    (QUOTING, from_the_future, {"source"}),
)


@pytest.mark.parametrize(("pattern", "mutate", "reasons"), MUTATIONS, ids=lambda each: getattr(each, "__name__", ""))
def test_of_a_hundred_altered_sentences_none_passes(pattern, mutate, reasons) -> None:
    rng = random.Random(1)
    chosen = rng.sample(sentences(pattern), OF_A_KIND)
    altered = [(facts, mutate(draft, rng)) for facts, draft in chosen]
    assert [draft.text for _, draft in altered] != [draft.text for _, draft in chosen] or reasons == {"source"}
    found = [failed_rule(draft, facts, PASSAGES) for facts, draft in altered]
    assert set(found) <= reasons, [draft.text for (_, draft), why in zip(altered, found, strict=True) if why is None]
    assert len(found) * len(MUTATIONS) == 100


def test_values_of_two_subjects_cannot_change_places() -> None:
    for facts, draft in sentences("p10 is"):
        median, p10, p90 = (each.printed for each in facts.of("forecast", "median return", "p10", "p90"))
        if len({median, p10, p90}) == 3:
            swapped = draft.text.replace(p10, "\0").replace(p90, p10).replace("\0", p90)
            assert failed_rule(replace(draft, text=swapped), facts, PASSAGES) == "number"


FALSE = (
    ("The forecast is certain.", "word"),
    ("The forecast had no error.", "word"),
    ("The p10 is twice {p10}.", "word"),
    ("The median return was made in December.", "word"),
    ("IBM has a median return of {median}.", "word"),
    ("The median return is {median} as profits are known.", "word"),
    ("The median return is {median}; the p10 is {median} to 10000 USD.", "number"),
    ("The median return is {median} on 2013-02-30.", "number"),
    ("The regime of the market is intact.", "word"),
    ("Buy: the median return is {median}.", "trade"),
    ("The median return is {median}, go long.", "trade"),
    ("The median return is {median}, see https://example.com.", "form"),
    ("The median return is {median} <b>.", "form"),
    ("The median return is {median} [x](y).", "form"),
    ("The median return is {median}\u200b.", "form"),
    ("The median return is {median}\nThe forecast had confidence.", "form"),
    ("The forecast had a median return.", "uncited"),
    ('The forecast "is known".', "source"),
)


@pytest.mark.parametrize(("text", "reason"), FALSE, ids=[text for text, _ in FALSE])
def test_what_is_no_cited_fact_is_dropped(text: str, reason: str) -> None:
    facts = facts_of(made_inputs(3))
    cited = facts.of("forecast", "median return", "p10")
    said = text.format(median=cited[0].printed, p10=cited[1].printed)
    assert failed_rule(Draft(said, tuple(fact.id for fact in cited)), facts, PASSAGES) == reason


def test_a_sentence_that_cites_nothing_or_what_is_not_there_is_dropped() -> None:
    facts = facts_of(made_inputs(3))
    median = facts.of("forecast", "median return")[0]
    assert failed_rule(Draft(f"The median return is {median.printed}."), facts, []) == "number"
    assert failed_rule(Draft(f"The median return is {median.printed}.", ("F999",)), facts, []) == "fact"


def test_a_document_that_is_not_ours_brings_in_no_number() -> None:
    foreign = passage(1, "It moved on 215 sessions. It was quiet.", source="news")
    facts = facts_of(made_inputs(3))
    assert failed_rule(Draft('The note says: "It was quiet."', (), ("S1",)), facts, [foreign]) is None
    assert failed_rule(Draft('The note says: "It moved on 215 sessions."', (), ("S1",)), facts, [foreign]) == "quote"


def test_a_direction_of_no_fact_or_of_nothing_is_dropped() -> None:
    flat = facts_of(replace(made_inputs(3), p50=0.0))
    median = flat.of("forecast", "median return")[0]
    assert (median.printed, median.sign) == ("0.00 %", 0)
    for word in ("raise", "lower"):
        draft = Draft(f"The features {word} the median return, {median.printed}.", (median.id,))
        assert failed_rule(draft, flat, []) == "direction"
    assert not RISING & FALLING


def test_a_record_of_few_outcomes_is_stated_as_such() -> None:
    few, enough = (replace(made_inputs(3), answered=band) for band in (BandCount(29), BandCount(212, 0.77, 0.71, 0.82)))
    assert facts_of(few).of("record", "it held")[0].printed == NOT_ENOUGH
    (said,) = (draft.text for draft in template_sentences(facts_of(enough)) if "meant to hold" in draft.text)
    ends = "it held 77.0 % (low end 71.0 %, high end 82.0 %), outcomes counted 212"
    assert said == f"The band is meant to hold 80 % of outcomes; {ends}."


def test_every_rule_has_a_meaning() -> None:
    assert {reason for reason, _ in RULES} == set(MEANINGS)


def test_a_number_that_is_not_finite_is_no_fact() -> None:
    with pytest.raises(ValueError, match="not finite"):
        facts_of(replace(made_inputs(3), p50=float("nan")))


def test_what_followed_one_similar_window_is_never_told_of_another() -> None:
    told = sentences(r"return after window B")
    assert len(told) >= 10
    for facts, draft in told:
        first = [fact for fact in facts if fact.subject in {"similar past window A", "return after window A"}]
        swapped = draft.text.replace(facts.get(draft.fact_ids[2]).printed, first[1].printed)
        other = Draft(swapped, (*draft.fact_ids, *(fact.id for fact in first)))
        is_same = first[1].printed == facts.get(draft.fact_ids[2]).printed
        assert failed_rule(draft, facts, PASSAGES) is None
        assert is_same or failed_rule(other, facts, PASSAGES) == "number"


def test_a_straight_line_that_is_not_faithful_cannot_be_called_faithful() -> None:
    told = sentences("is not faithful")
    assert told
    for facts, draft in told:
        other = replace(draft, text=draft.text.replace("is not faithful", "is faithful"))
        assert failed_rule(other, facts, PASSAGES) in {"word", "text"}
