"""Types of written explanations: the job that writes one, its facts, sentences and sources."""

from datetime import datetime
from typing import Literal, Self

from pydantic import Field, model_validator

from serving.api.base import Answer, Finite, Horizon, Minutes, Part, Request, SymbolAnswer

WrittenDepth = Literal["fast", "medium", "deep"]
JobStatus = Literal["processing", "completed"]
SentenceKind = Literal["fact", "source"]
Writer = Literal["template", "model"]


class ExplanationJobRequest(Request):
    """What is to be explained in words: one stored forecast, or the newest one over a horizon."""

    depth: WrittenDepth = Field(
        default="fast",
        description="fast: a template over the facts; medium: passages of documents too, and a language model if one "
        "is configured; deep: also the stability of the contributions, the fidelity of a straight line (LIME), similar "
        "past windows with their outcomes, and scenarios of the last bar, which take up to a minute",
    )
    prediction_id: str | None = Field(default=None, min_length=1, max_length=64)
    horizon_sessions: Horizon | None = None
    horizon_minutes: Minutes | None = None

    @model_validator(mode="after")
    def _names_one_forecast(self) -> Self:
        named = (self.prediction_id, self.horizon_sessions, self.horizon_minutes)
        if sum(each is not None for each in named) > 1:
            raise ValueError("name at most one of prediction_id, horizon_sessions and horizon_minutes")
        return self


class ExplanationJobAccepted(Answer):
    """A job that writes an explanation; the same question within 300 seconds gets the same job."""

    job_id: str
    status: JobStatus
    estimated_seconds: Finite = Field(ge=0, description="until the first text; 0 once the job is completed")
    is_cached: bool = Field(description="whether an earlier question of the same kind has made the job")


class ExplanationFact(Part):
    """One checked fact that sentences cite."""

    id: str = Field(examples=["F1"])
    kind: str = Field(description="e.g. forecast, record, contribution, model, regime, strategy, data")
    subject: str = Field(description="what the value is of, as sentences name it", examples=["median"])
    value: Finite | str = Field(description="in the unit; a date as YYYY-MM-DD")
    unit: str = Field(description="%, sessions, a currency, ...; empty for text and dates")
    printed: str = Field(description="the value as sentences must print it", examples=["+0.21 %"])
    direction: Literal[-1, 0, 1] | None = Field(
        description="sign of the printed value where it says up or down; null where words of direction do not apply"
    )


class ExplanationSentence(Part):
    """One sentence that passed every check."""

    text: str
    kind: SentenceKind = Field(description="fact: from cited facts; source: with words of a cited passage")
    fact_ids: list[str]
    source_ids: list[str]


class ExplanationSource(Part):
    """One retrieved passage; its text is that of a document, untrusted and shown as text only."""

    id: str = Field(examples=["S1"])
    title: str
    excerpt: str
    source: str = Field(description="where the document is from, e.g. internal notes")
    published_at: datetime
    relevance: Finite = Field(ge=0, le=1, description="score as a share of the best passage's")


class DroppedSentence(Part):
    """One sentence of the writer that failed a check; its text is not shown."""

    reason: str = Field(description="the rule it failed, e.g. number, direction, source")
    meaning: str = Field(description="the same for a reader")


class PartLeftOut(Part):
    """One part of a deep explanation that could not be computed; the text says nothing about it."""

    part: str = Field(description="e.g. stability, line, similar_windows, scenario_down")
    reason: str


class WrittenExplanation(Part):
    """A forecast in words, every sentence checked against facts and passages."""

    text: str = Field(description="the sentences, one after the other")
    sentences: list[ExplanationSentence]
    facts: list[ExplanationFact]
    confidence: Finite | None = Field(
        ge=0.5, le=1, description="that of the forecast: probability of the median's sign; null where it is not known"
    )
    key_drivers: list[str] = Field(
        description="ids of the contributions, the largest first; empty where none were computed"
    )
    uncertainties: list[str] = Field(description="ids of the facts that say how far the forecast can be trusted")
    sources: list[ExplanationSource]
    dropped: list[DroppedSentence] = Field(description="sentences that failed a check")
    writer: Writer
    writer_problem: str = Field(description="why the language model did not write it; empty where none is configured")
    left_out: list[PartLeftOut] = Field(
        default=[], description="parts of a deep explanation that could not be computed, and why"
    )
    search: str = Field(description="how passages were found; empty for fast, which retrieves none")
    generated_at: datetime


class ExplanationJobAnswer(SymbolAnswer):
    """A job as it stands; with status 202 while it is under way, then possibly with the template's text already."""

    job_id: str
    status: JobStatus
    step: str = Field(description="what is done now, e.g. facts, passages, template, similar_windows, model")
    progress: Finite = Field(ge=0, le=1)
    symbol: str
    prediction_id: str
    as_of: datetime = Field(description="market time at which the forecast was made; nothing known later is used")
    depth: WrittenDepth
    seconds: Finite = Field(ge=0, description="from the question to this state")
    explanation: WrittenExplanation | None


class ExplanationJobCancelled(Answer):
    """What a job that was to be cancelled has come to."""

    job_id: str
    status: Literal["cancelled", "completed"] = Field(description="completed: it was done before, and is kept")


class ExplanationEvent(Part):
    """One event of the stream of a job: its name is `event`, its data this object as JSON."""

    event: Literal["step", "sentence", "dropped", "left_out", "completed", "failed"]
    step: str = Field(
        default="",
        description="that begins, or is left out; sentences after deep_template take the place of those before it",
    )
    writer: Writer | None = Field(default=None, description="of a sentence or of what was dropped")
    sentence: ExplanationSentence | None = None
    dropped: DroppedSentence | None = None
    reason: str = Field(default="", description="of a failure, or why a part is left out")
