"""View model of a forecast in words: checked sentences, the facts and passages that they cite, and what was dropped."""

from dataclasses import dataclass

from serving.api import ExplanationJobAnswer, WrittenExplanation
from serving.pages import formats

NOT_FAITHFUL = "not faithful"
"""What the fact about a straight line says that is not to be relied on."""


@dataclass(frozen=True)
class WrittenSentence:
    """One sentence, the ids of what it cites, and whether to grey it: the method that it tells of is not faithful."""

    text: str
    cites: tuple[str, ...]
    is_greyed: bool = False


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
    left_out
        Parts of a deep explanation that could not be computed, and why.
    is_done
        Whether the text stays as it is; a deep one replaces the first after up to a minute.
    """

    sentences: tuple[WrittenSentence, ...]
    facts: tuple[tuple[str, str, str], ...]
    sources: tuple[tuple[str, str, str, str, str], ...]
    dropped: tuple[str, ...]
    left_out: tuple[tuple[str, str], ...]
    writer: str
    problem: str
    is_done: bool = True


@dataclass(frozen=True)
class JobView:
    """A job that writes an explanation.

    Parameters
    ----------
    step, percent
        What is done now, and how much of the whole is done.
    words
        The text so far; None while there is none.
    """

    symbol: str
    prediction_id: str
    depth: str
    step: str
    percent: int
    seconds: str
    is_done: bool
    words: WordsView | None


def job_view(answer: ExplanationJobAnswer) -> JobView:
    """Return a job as it stands."""
    return JobView(
        symbol=answer.symbol,
        prediction_id=answer.prediction_id,
        depth=answer.depth,
        step=formats.words(answer.step),
        percent=round(100 * answer.progress),
        seconds=f"{answer.seconds:.1f} s",
        is_done=answer.status == "completed",
        words=words_view(answer),
    )


def words_view(answer: ExplanationJobAnswer) -> WordsView | None:
    """Return the text of a job; None while there is none."""
    return None if answer.explanation is None else _view(answer.explanation, is_done=answer.status == "completed")


def _view(written: WrittenExplanation, *, is_done: bool) -> WordsView:
    greyed = {fact.id for fact in written.facts if fact.kind == "line" and fact.value == NOT_FAITHFUL}
    return WordsView(
        sentences=tuple(
            WrittenSentence(each.text, (*each.fact_ids, *each.source_ids), not greyed.isdisjoint(each.fact_ids))
            for each in written.sentences
        ),
        facts=tuple((fact.id, fact.subject, fact.printed) for fact in written.facts),
        sources=tuple(
            (each.id, each.title, each.excerpt, each.source, formats.day(each.published_at)) for each in written.sources
        ),
        dropped=tuple(each.meaning for each in written.dropped),
        left_out=tuple((formats.words(each.part), each.reason) for each in written.left_out),
        writer={"template": "a template", "model": "a language model"}[written.writer],
        problem=written.writer_problem,
        is_done=is_done,
    )
