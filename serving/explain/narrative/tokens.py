"""Splits a sentence into what a check looks at: subjects and values of cited facts, numbers, words, characters."""

import re
from collections.abc import Iterable, Iterator
from typing import Literal, NamedTuple

from serving.explain.narrative.facts import StatedFact

TokenKind = Literal["stated", "date", "number", "word", "mark"]

QUOTED = re.compile(r'"([^"]*)"')
PLACE = " () "
"""Stands for a quotation in what is left of a sentence without them."""
PATTERNS: dict[TokenKind, str] = {
    "date": r"\d{4}-\d{1,2}-\d{1,2}",
    "number": r"\d[\d.,]*",
    "word": r"[^\W\d]\w*(?:-[^\W\d]\w*)*",
    "mark": r".",
}
BEFORE, AFTER = r"(?<![\w+\-])(?<!\d[.,])", r"(?![\w%])(?![.,]\d)"
"""A subject or value is whole: no letter, digit or sign runs on at either end."""


class Token(NamedTuple):
    """One piece of a sentence; ``stated`` is the subject or the printed value of a cited fact."""

    kind: TokenKind
    text: str


def without_quotations(text: str) -> tuple[str, list[str]]:
    """Return a sentence with its quotations taken out, and the quoted texts.

    Examples
    --------
    >>> without_quotations('The note says: "Null is not known."')
    ('The note says:  () ', ['Null is not known.'])
    """
    return QUOTED.sub(PLACE, text), QUOTED.findall(text)


def tokens_of(text: str, cited: Iterable[StatedFact]) -> Iterator[Token]:
    """Yield the tokens of a sentence without quotations; the longest name that fits at a place counts.

    Examples
    --------
    >>> fact = StatedFact("F1", "forecast", "p10", -1.5, "%", digits=2)
    >>> [token.text for token in tokens_of("p10 is -1.50 %", [fact]) if token.kind != "mark"]
    ['p10', 'is', '-1.50 %']
    """
    names = {name for fact in cited for name in (fact.subject, fact.printed)}
    listed = "|".join(re.escape(name) for name in sorted(names, key=len, reverse=True))
    parts = [f"(?P<stated>{BEFORE}(?:{listed}){AFTER})"] if listed else []
    parts += [f"(?P<{kind}>{pattern})" for kind, pattern in PATTERNS.items()]
    for found in re.finditer("|".join(parts), text, re.DOTALL):
        kind: TokenKind = found.lastgroup  # type: ignore[assignment]  # every pattern is a named group
        yield Token(kind, found.group())
