"""View model of a forecast in words: checked sentences, the facts and passages that they cite, and what was dropped."""

from dataclasses import dataclass

from serving.api import ExplanationJobAnswer, WrittenExplanation
from serving.pages import formats


@dataclass(frozen=True)
class WrittenSentence:
    """One sentence, and the ids of what it cites."""

    text: str
    cites: tuple[str, ...]


@dataclass(frozen=True)
class WordsView:
    """A forecast in words.

    Parameters
    ----------
    facts
        Id, subject, and the value as sentences print it.
    sources
        Id, title, excerpt, whence, and when it was published.
    dropped
        Rules that sentences of the writer failed, in words.
    """

    sentences: tuple[WrittenSentence, ...]
    facts: tuple[tuple[str, str, str], ...]
    sources: tuple[tuple[str, str, str, str, str], ...]
    dropped: tuple[str, ...]
    writer: str
    problem: str


def words_view(answer: ExplanationJobAnswer) -> WordsView | None:
    """Return the text of a job; None while there is none."""
    return None if answer.explanation is None else _view(answer.explanation)


def _view(written: WrittenExplanation) -> WordsView:
    return WordsView(
        sentences=tuple(WrittenSentence(each.text, (*each.fact_ids, *each.source_ids)) for each in written.sentences),
        facts=tuple((fact.id, fact.subject, fact.printed) for fact in written.facts),
        sources=tuple(
            (each.id, each.title, each.excerpt, each.source, formats.day(each.published_at)) for each in written.sources
        ),
        dropped=tuple(each.meaning for each in written.dropped),
        writer={"template": "a template", "model": "a language model"}[written.writer],
        problem=written.writer_problem,
    )
