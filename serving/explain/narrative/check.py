"""The checker: a sentence passes if everything it states is a cited fact or a quotation, and is dropped otherwise.

Whoever wrote a sentence, template or language model, it is held against the same rules, and none is repaired. The
checker knows no meaning. It knows the forms that are allowed: printed values, each behind the subject it belongs to,
quotations that stand in a retrieved passage, and a closed list of words between them.
"""

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

from serving.explain.narrative.facts import FactSheet, StatedFact
from serving.explain.narrative.retrieve import Passage
from serving.explain.narrative.sentences import Draft
from serving.explain.narrative.tokens import Token, tokens_of, without_quotations
from serving.explain.narrative.vocabulary import ALLOWED, FALLING, MARKS, RISING

Reason = Literal["form", "trade", "fact", "source", "quote", "number", "text", "word", "direction", "uncited"]
MEANINGS: dict[Reason, str] = {
    "form": "it is too long, or holds a link, markup or a character that no sentence needs",
    "trade": "it tells the reader to trade",
    "fact": "it cites a fact that does not exist",
    "source": "it cites a passage that was not retrieved, or cites one and quotes none",
    "quote": "what it quotes does not stand in a cited passage, or is a number of a document that is not ours",
    "number": "a number or date in it is not the printed value of a cited fact of that subject",
    "text": "a text in it is the value of another fact than the one named before it",
    "word": "it uses a word outside the list of the checker",
    "direction": "a word of direction in it disagrees with the sign of a cited fact",
    "uncited": "it states no cited fact and quotes nothing",
}
LONGEST = 400
TRADE = re.compile(
    r"\b(buy|sell|purchase|invest|liquidate|accumulate|overweight|underweight|go (long|short))\b", re.IGNORECASE
)
LINK = re.compile(r"://|www\.|\]\(|<\s*[a-z/!]|\bmailto:|\bjavascript:", re.IGNORECASE)
FREE = {"symbol"}
"""Subjects whose value may stand without the subject before it; limits may too, they are whole statements."""


class Dropped(NamedTuple):
    """A sentence that failed, and the first rule that it failed."""

    draft: Draft
    reason: Reason


@dataclass(frozen=True)
class Checked:
    """What became of a writer's sentences, each in the writer's order."""

    passed: tuple[Draft, ...]
    dropped: tuple[Dropped, ...]


@dataclass(frozen=True)
class _Sentence:
    """A draft taken apart."""

    draft: Draft
    cited: tuple[StatedFact | None, ...]
    passages: tuple[Passage | None, ...]
    quotations: tuple[str, ...]
    tokens: tuple[Token, ...]

    @property
    def facts(self) -> list[StatedFact]:
        """Cited facts that exist."""
        return [fact for fact in self.cited if fact is not None]

    def stating(self, token: Token) -> list[StatedFact]:
        """Return the cited facts whose printed value a token is."""
        return [fact for fact in self.facts if fact.printed == token.text]


def check_all(drafts: Iterable[Draft], facts: FactSheet, passages: Sequence[Passage]) -> Checked:
    """Check sentences against facts and retrieved passages."""
    passed, dropped = list[Draft](), list[Dropped]()
    for draft in drafts:
        reason = failed_rule(draft, facts, passages)
        if reason is None:
            passed.append(draft)
        else:
            dropped.append(Dropped(draft, reason))
    return Checked(tuple(passed), tuple(dropped))


def failed_rule(draft: Draft, facts: FactSheet, passages: Sequence[Passage]) -> Reason | None:
    """Return the first rule that a sentence fails; None where it passes all of them.

    Examples
    --------
    >>> sheet = FactSheet([StatedFact("F1", "forecast", "median return", 0.2149, "%", 2, is_signed=True, sign=1)])
    >>> failed_rule(Draft("The median return is +0.21 %.", ("F1",)), sheet, [])
    >>> failed_rule(Draft("The median return is +0.22 %.", ("F1",)), sheet, [])
    'number'
    >>> failed_rule(Draft("The median return is +0.21 %, lower.", ("F1",)), sheet, [])
    'direction'
    """
    by_id = {passage.id: passage for passage in passages}
    cited = tuple(facts.get(each) for each in draft.fact_ids)
    text, quotations = without_quotations(draft.text)
    tokens = tuple(tokens_of(text, [fact for fact in cited if fact is not None]))
    sentence = _Sentence(draft, cited, tuple(map(by_id.get, draft.source_ids)), tuple(quotations), tokens)
    return next((reason for reason, fails in RULES if fails(sentence)), None)


def _has_wrong_form(sentence: _Sentence) -> bool:
    text = sentence.draft.text
    is_odd = len(text) > LONGEST or not text.isprintable() or LINK.search(text) is not None
    return is_odd or any(token.text not in MARKS for token in sentence.tokens if token.kind == "mark")


def _tells_to_trade(sentence: _Sentence) -> bool:
    return TRADE.search(sentence.draft.text) is not None


def _cites_unknown_fact(sentence: _Sentence) -> bool:
    return None in sentence.cited


def _cites_wrong_source(sentence: _Sentence) -> bool:
    return None in sentence.passages or bool(sentence.passages) != bool(sentence.quotations)


def _misquotes(sentence: _Sentence) -> bool:
    passages = [passage for passage in sentence.passages if passage is not None]
    return not all(any(_stands_in(quoted, passage) for passage in passages) for quoted in sentence.quotations)


def _stands_in(quoted: str, passage: Passage) -> bool:
    is_there = quoted in passage.text or quoted == passage.title
    return bool(quoted.strip()) and is_there and (passage.is_ours or not any(map(str.isdigit, quoted)))


def _has_uncited_number(sentence: _Sentence) -> bool:
    return any(token.kind in {"number", "date"} for token in sentence.tokens) or any(
        any(map(str.isdigit, token.text)) for token in _misplaced(sentence)
    )


def _has_misplaced_text(sentence: _Sentence) -> bool:
    return bool(_misplaced(sentence))


def _misplaced(sentence: _Sentence) -> list[Token]:
    """Values that stand behind another subject than their own; a value belongs to the subject named last before it."""
    subjects = {fact.subject for fact in sentence.facts}
    named, found = "", list[Token]()
    for token in sentence.tokens:
        if token.kind != "stated":
            continue
        stating = sentence.stating(token)
        is_placed = any(fact.subject == named or fact.subject in FREE or fact.kind == "limit" for fact in stating)
        if token.text in subjects and not is_placed:
            named = token.text
        elif not is_placed:
            found.append(token)
    return found


def _has_unknown_word(sentence: _Sentence) -> bool:
    first, *others = [token for token in sentence.tokens if token.kind in {"word", "stated"}] or [Token("word", "a")]
    beginning = first.text.lower() if first.text == first.text.capitalize() else first.text
    words = [beginning] if first.kind == "word" else []
    words += [token.text for token in others if token.kind == "word"]
    return not ALLOWED.issuperset(words)


def _contradicts_sign(sentence: _Sentence) -> bool:
    words = {token.text.lower() for token in sentence.tokens if token.kind == "word"}
    said = {sign for sign, names in ((1, RISING), (-1, FALLING)) if words & names}
    return bool(said) and said != {fact.sign for fact in sentence.facts if fact.sign is not None}


def _states_nothing(sentence: _Sentence) -> bool:
    return not sentence.quotations and not any(
        token.kind == "stated" and sentence.stating(token) for token in sentence.tokens
    )


RULES: tuple[tuple[Reason, Callable[[_Sentence], bool]], ...] = (
    ("form", _has_wrong_form),
    ("trade", _tells_to_trade),
    ("fact", _cites_unknown_fact),
    ("source", _cites_wrong_source),
    ("quote", _misquotes),
    ("number", _has_uncited_number),
    ("text", _has_misplaced_text),
    ("word", _has_unknown_word),
    ("direction", _contradicts_sign),
    ("uncited", _states_nothing),
)
"""Every rule, in the order in which they are tried."""
