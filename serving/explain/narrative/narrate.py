"""One written explanation: a writer's sentences, checked, with the facts and passages that they cite."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Literal

from serving import api
from serving.explain.narrative.check import MEANINGS, Checked, Dropped, check_all
from serving.explain.narrative.facts import FactSheet, StatedFact
from serving.monitoring import metrics

if TYPE_CHECKING:
    from serving.explain.narrative.retrieve import Passage
    from serving.explain.narrative.sentences import Draft

WriterName = Literal["template", "model"]
Write = Callable[[FactSheet, "Sequence[Passage]"], "list[Draft]"]
UNCERTAIN = ("record", "limit", "stability", "line")
"""Kinds of facts that say how far a forecast can be trusted, beside its confidence and its band."""


@dataclass(frozen=True)
class Narrative:
    """What a writer said, after the check.

    Parameters
    ----------
    search
        How passages were found; empty where none were looked for.
    """

    facts: FactSheet
    passages: "tuple[Passage, ...]"
    checked: Checked
    writer: WriterName
    search: str = ""

    def to_answer(
        self, confidence: float | None, *, writer_problem: str = "", left_out: "Sequence[api.PartLeftOut]" = ()
    ) -> api.WrittenExplanation:
        """Return it as the endpoint answers it, with the parts that could not be computed."""
        sentences = [sentence_of(draft) for draft in self.checked.passed]
        uncertain = [
            fact for fact in self.facts if fact.kind in UNCERTAIN or fact.subject in {"confidence", "p10", "p90"}
        ]
        return api.WrittenExplanation(
            text=" ".join(sentence.text for sentence in sentences),
            sentences=sentences,
            facts=[_fact(fact) for fact in self.facts],
            confidence=confidence,
            key_drivers=[fact.id for fact in self.facts.of("contribution") if fact.sign is not None],
            uncertainties=[fact.id for fact in uncertain],
            sources=[_source(passage) for passage in self.passages],
            dropped=[dropped_of(dropped) for dropped in self.checked.dropped],
            writer=self.writer,
            writer_problem=writer_problem,
            left_out=list(left_out),
            search=self.search,
            generated_at=datetime.now(UTC),
        )


def narrate(
    write: Write, writer: WriterName, facts: FactSheet, passages: "Sequence[Passage]" = (), search: str = ""
) -> Narrative:
    """Let a writer write, and check each of its sentences.

    Raises
    ------
    WriterError
        If the writer is a language model that does not answer as it was asked to.
    """
    started = time.perf_counter()
    checked = check_all(write(facts, passages), facts, passages)
    metrics.observe(metrics.timer(metrics.NARRATIVE_SECONDS, writer), time.perf_counter() - started)
    metrics.NARRATIVE_SENTENCES.labels(writer, "passed").inc(len(checked.passed))
    for dropped in checked.dropped:
        metrics.NARRATIVE_SENTENCES.labels(writer, dropped.reason).inc()
    return Narrative(facts, tuple(passages), checked, writer, search)


def with_uncertainty(written: Narrative, template: Narrative) -> Narrative:
    """Add the template's sentences about the record and the limits that a writer left out: no band stands alone."""
    said = {each for draft in written.checked.passed for each in draft.fact_ids}
    needed = {fact.id for fact in written.facts if fact.kind in UNCERTAIN} - said
    added = tuple(draft for draft in template.checked.passed if needed.intersection(draft.fact_ids))
    return replace(written, checked=replace(written.checked, passed=written.checked.passed + added))


def sentence_of(draft: "Draft") -> api.ExplanationSentence:
    """Return a sentence that passed as the endpoint answers it."""
    return api.ExplanationSentence(
        text=draft.text,
        kind="source" if draft.source_ids else "fact",
        fact_ids=list(draft.fact_ids),
        source_ids=list(draft.source_ids),
    )


def dropped_of(dropped: Dropped) -> api.DroppedSentence:
    """Return why a sentence was dropped; its text goes no further."""
    return api.DroppedSentence(reason=dropped.reason, meaning=MEANINGS[dropped.reason])


def _fact(fact: StatedFact) -> api.ExplanationFact:
    return api.ExplanationFact(
        id=fact.id,
        kind=fact.kind,
        subject=fact.subject,
        value=fact.value,
        unit=fact.unit,
        printed=fact.printed,
        direction=fact.sign,
    )


def _source(passage: "Passage") -> api.ExplanationSource:
    same = {name: getattr(passage, name) for name in ("id", "title", "excerpt", "source", "published_at", "relevance")}
    return api.ExplanationSource(**same)
