"""Questions about a stored forecast, declared: what is asked, what is answered, and how an `Explainer` answers it."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from pydantic import BaseModel, TypeAdapter

from serving.api import attention, explanations
from serving.api.explanations import BarChange, CounterfactualRequest, Scenario
from serving.explain.answers import counterfactual_answer, explanation_answer, short_explanation
from serving.explain.attention_answer import attention_answer
from serving.explain.explainer import Explainer, ExplanationKey, SimilarKey
from serving.explain.narrative import (
    CLOSE_CHANGES,
    DeepFindings,
    DeepPart,
    Drivers,
    drivers_from,
    line_findings,
    scenario_findings,
    similar_findings,
    stability_findings,
)
from serving.explain.surrogate import FAITHFUL_R2

if TYPE_CHECKING:
    from collections.abc import Callable

    from lake.market import Market
    from serving.api.explanations import CounterfactualAnswer, ExplainRequest
    from serving.explain.explainer import Recalled

Asked = TypeVar("Asked", bound=BaseModel)
Answer = TypeVar("Answer")
ExplainAnswer = explanations.ExplanationAnswer | attention.AttentionAnswer


class AboutForecast(BaseModel):
    """A question that names a stored forecast and nothing else."""

    prediction_id: explanations.Identifier


class AboutDeepPart(AboutForecast):
    """A question about one part of a deep explanation in words."""

    part: DeepPart


@dataclass(frozen=True)
class ExplanationQuestion(Generic[Asked, Answer]):
    """One kind of question.

    Parameters
    ----------
    name
        Its name between processes.
    asked
        Type of what is asked.
    answered
        Type of what is answered, with its form in JSON.
    key
        From what is asked to what an `Explainer` recalls an answer by.
    answer
        Has an explainer answer, in the market of the home; the last argument is whether the explainer recalled it.
    """

    name: str
    asked: type[Asked]
    answered: TypeAdapter[Answer]
    key: "Callable[[Asked], Recalled]"
    answer: "Callable[[Explainer, Market, Asked, bool], Answer]"


def _key_of(asked: "ExplainRequest") -> ExplanationKey:
    if asked.method == "attention":  # depth and grain make no difference
        return ExplanationKey(asked.prediction_id, asked.method)
    if asked.method == "integrated_gradients":  # nothing is drawn, so the depth makes none
        return ExplanationKey(asked.prediction_id, asked.method, grain=asked.grain)
    return ExplanationKey(asked.prediction_id, asked.method, asked.explanation_type, asked.grain)


def _explain(explainer: Explainer, market: "Market", asked: "ExplainRequest", is_cached: bool) -> ExplainAnswer:
    key = _key_of(asked)
    if asked.method == "attention":
        return attention_answer(explainer.attention(key), market, is_cached=is_cached)
    return explanation_answer(explainer.explain(key), asked.quantile, market, is_cached=is_cached)


def _what_if(
    explainer: Explainer,
    market: "Market",
    asked: "CounterfactualRequest",
    is_cached: bool,
) -> "CounterfactualAnswer":
    return counterfactual_answer(explainer.what_if(asked), market, is_cached=is_cached)


def _fast_key(asked: AboutForecast) -> ExplanationKey:
    return ExplanationKey(asked.prediction_id)


def _deep_key(asked: AboutDeepPart) -> "Recalled":
    if asked.part == "stability":
        return ExplanationKey(asked.prediction_id, depth="deep")
    if asked.part == "line":
        return ExplanationKey(asked.prediction_id, "lime", "deep")
    if asked.part == "similar_windows":
        return SimilarKey(asked.prediction_id)
    bar = BarChange(close_change=CLOSE_CHANGES[asked.part])
    return CounterfactualRequest(prediction_id=asked.prediction_id, scenario=Scenario(bar=bar))


def _deep(explainer: Explainer, _market: "Market", asked: AboutDeepPart, _is_cached: bool) -> DeepFindings:
    key = _deep_key(asked)
    if isinstance(key, SimilarKey):
        return similar_findings(explainer.similar(key))
    if isinstance(key, CounterfactualRequest):
        return scenario_findings(CLOSE_CHANGES[asked.part], explainer.what_if(key))
    found = explainer.explain(key)
    return stability_findings(found) if asked.part == "stability" else line_findings(found, FAITHFUL_R2)


EXPLAIN: ExplanationQuestion["ExplainRequest", ExplainAnswer] = ExplanationQuestion(
    "explain", explanations.ExplainRequest, TypeAdapter(ExplainAnswer), _key_of, _explain
)
"""Contributions to a forecast, or where its networks looked."""
WHAT_IF: ExplanationQuestion["CounterfactualRequest", "CounterfactualAnswer"] = ExplanationQuestion(
    "what_if",
    explanations.CounterfactualRequest,
    TypeAdapter(explanations.CounterfactualAnswer),
    lambda asked: asked,
    _what_if,
)
"""The forecast of a changed input."""
SHORT = ExplanationQuestion(
    "short",
    AboutForecast,
    TypeAdapter(explanations.ForecastExplanation),
    _fast_key,
    lambda explainer, market, asked, _: short_explanation(explainer.explain(_fast_key(asked)), market),
)
"""The explanation beside a forecast that was just given."""
DRIVERS = ExplanationQuestion(
    "drivers",
    AboutForecast,
    TypeAdapter(Drivers),
    _fast_key,
    lambda explainer, _market, asked, _: drivers_from(explainer.explain(_fast_key(asked))),
)
"""Contributions that a written explanation states."""
DEEP = ExplanationQuestion("deep", AboutDeepPart, TypeAdapter(DeepFindings), _deep_key, _deep)
"""One part of what a written explanation of depth ``deep`` states beyond the others."""

ALL = (EXPLAIN, WHAT_IF, SHORT, DRIVERS, DEEP)
QUESTIONS: dict[str, ExplanationQuestion[Any, Any]] = {each.name: each for each in ALL}
