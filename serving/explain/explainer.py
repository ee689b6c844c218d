"""Explainer: explanations and what-ifs of stored forecasts, each computed once per set of models."""

import threading
import time
from collections import OrderedDict
from typing import TYPE_CHECKING, NamedTuple, TypeAlias, TypeVar

from lake.errors import NoGradientsError, UnknownNameError
from serving.api.explanations import MOST_FEATURES
from serving.explain.attention import ForecastAttention, attention_of
from serving.explain.models import ExplainedModels
from serving.explain.recording import explanation_row
from serving.explain.remaking import RemadeForecast
from serving.explain.scenario import with_bar
from serving.explain.similar import similar_windows
from serving.explain.stability import explain_with_stability
from serving.explain.surrogate import explain_by_line
from serving.explain.what_if import WhatIf, find_flip, sweep, with_changes
from serving.explanation_log import log_explanation
from serving.forecasts import VISIBLE
from serving.monitoring import metrics
from serving.replay import inputs_of

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable
    from typing import Any

    from lake.store import Lake
    from serving.api.explanations import AskedMethod, CounterfactualRequest, Depth, Grain
    from serving.deployment import Champions, LoadedModels
    from serving.explain.result import Explanation
    from serving.explain.similar import SimilarWindow

    Explaining = Callable[[RemadeForecast, Depth, Grain], Explanation]

Answer = TypeVar("Answer")

MOST_KEPT = 256
"""Forecasts and answers that are kept; the one that was used longest ago goes first."""


class ExplanationKey(NamedTuple):
    """What is asked about a forecast; every quantity is in one answer."""

    prediction_id: str
    method: "AskedMethod" = "shapley"
    depth: "Depth" = "fast"
    grain: "Grain" = "feature"


class SimilarKey(NamedTuple):
    """The forecast whose similar past windows are asked for."""

    similar_to: str


Recalled: TypeAlias = "ExplanationKey | SimilarKey | CounterfactualRequest"
"""What an answer is kept under."""


class Kept:
    """Answers by question, for one set of models in service. Safe for threads.

    A different set of models clears it: the engine or the typical windows of an answer may be others.
    """

    def __init__(self) -> None:
        self._models: LoadedModels | None = None
        self._answers: OrderedDict[Hashable, Any] = OrderedDict()
        self._lock = threading.Lock()

    def recall(self, question: "Hashable", models: "LoadedModels") -> "Any":
        """Return an answer, None where there is none."""
        with self._lock:
            if self._models is not models or question not in self._answers:
                return None
            self._answers.move_to_end(question)
            return self._answers[question]

    def keep(self, question: "Hashable", models: "LoadedModels", answer: "Any") -> None:
        """Keep an answer."""
        with self._lock:
            if self._models is not models:
                self._answers.clear()
                self._models = models
            self._answers[question] = answer
            while len(self._answers) > MOST_KEPT:
                self._answers.popitem(last=False)


class Explainer:
    """Explains stored forecasts by the engines that made them, and logs each explanation that it computes.

    Parameters
    ----------
    lake
        Tables that inputs are read from, at the versions of the receipts.
    champions
        Models in service.
    by_gradients
        Explains by integrated gradients; None refuses that method, in a process without torch.
    """

    def __init__(self, lake: "Lake", champions: "Champions", by_gradients: "Explaining | None" = None) -> None:
        self._lake, self._champions, self._by_gradients = lake, champions, by_gradients
        self._models = ExplainedModels(champions)
        self._kept = Kept()

    def recall(self, question: Recalled) -> "Any":
        """Return the answer to a question that was asked before, None otherwise; nothing is computed or read."""
        return self._kept.recall(_named(question), self._champions.current())

    def explain(self, question: ExplanationKey) -> "Explanation":
        """Split a forecast into contributions of its features.

        Raises
        ------
        UnknownNameError
            If no forecast that may be looked up has that id.
        NotReadyError
            If it has no receipt, or a model was exported without typical windows.
        DamagedTableError
            If what it was made from is not as it was.
        NoGradientsError
            If gradients are asked for, and no model of the forecast has any, or this process computes none.
        ModelError
            If a model cannot be loaded, or computes something else now.
        LogError
            If it could not be written to the explanation log; it is not kept then.
        """
        is_cached = self.recall(question) is not None
        started = time.perf_counter()
        found = self._once(question, lambda forecast: self._logged(forecast, question))
        labels = found.method, found.depth, str(is_cached).lower()
        metrics.EXPLANATION_SECONDS.labels(*labels).observe(time.perf_counter() - started)
        return found

    def _logged(self, forecast: RemadeForecast, question: ExplanationKey) -> "Explanation":
        """Explain a forecast; the explanation is on disk when this returns."""
        found = self._explaining(question.method)(forecast, question.depth, question.grain)
        configured = self._champions.configured
        log_explanation(configured, explanation_row(found, configured.clock.now()))
        metrics.EXPLANATION_ADDITIVITY_ERROR.observe(found.additivity_error)
        return found

    def _explaining(self, method: "AskedMethod") -> "Explaining":
        if method == "integrated_gradients":
            if self._by_gradients is None:
                raise NoGradientsError(
                    "This process computes no gradients, which need torch; the explanation process of "
                    "`quantlake serve` does. The method shapley needs none."
                )
            return self._by_gradients
        return explain_with_stability if method == "shapley" else explain_by_line

    def attention(self, question: ExplanationKey) -> ForecastAttention:
        """Compute where the networks of a forecast looked.

        Raises
        ------
        NoAttentionError
            If no model of the forecast has a graph with attention; for the other errors see `explain`.
        """
        return self._once(question, attention_of)

    def what_if(self, question: "CounterfactualRequest") -> WhatIf:
        """Forecast a changed input; for the errors see `explain` and `serving.explain.what_if`."""

        def timed(forecast: RemadeForecast) -> WhatIf:
            started = time.perf_counter()
            return self._changed(forecast, question)._replace(seconds=time.perf_counter() - started)

        return self._once(question, timed)

    def similar(self, question: SimilarKey) -> "tuple[SimilarWindow, ...]":
        """Find similar past windows of the symbol of a forecast; for the errors see `explain` and `similar_windows`."""
        return self._once(question, lambda forecast: similar_windows(forecast, self._lake))

    def _once(self, question: Recalled, compute: "Callable[[RemadeForecast], Answer]") -> "Answer":
        """Return the answer to a question: the one that is kept, or what a function makes of the forecast."""
        found: Answer | None = self.recall(question)
        if found is None:
            models = self._champions.current()
            found = compute(self.forecast(_forecast_of(question)))
            self._kept.keep(_named(question), models, found)
        return found

    def _changed(self, forecast: RemadeForecast, question: "CounterfactualRequest") -> WhatIf:
        if question.changes is not None:
            return with_changes(forecast, question.changes, question.at)
        if question.sweep is not None:
            return sweep(forecast, question.sweep.features, question.at)
        if question.scenario is not None:
            return with_bar(forecast, self._lake, question.scenario.bar)
        assert question.find is not None
        features = question.find.features or self._most_important(question.prediction_id)
        return find_flip(forecast, features, question.at)

    def _most_important(self, prediction_id: str) -> list[str]:
        largest = self.explain(ExplanationKey(prediction_id)).largest("p50")
        return [each.player for each in largest if each.value is not None][:MOST_FEATURES]

    def forecast(self, prediction_id: str) -> RemadeForecast:
        """Return a stored forecast with its inputs and its models; for the errors see `explain`."""
        models = self._champions.current()
        found: RemadeForecast | None = self._kept.recall(prediction_id, models)
        if found is None:
            inputs = inputs_of(self._lake, self._champions.configured, prediction_id)
            if inputs.row["kind"] not in VISIBLE:
                raise UnknownNameError("prediction", prediction_id, [])
            found = RemadeForecast.of(inputs, self._models)
            self._kept.keep(prediction_id, models, found)
        return found


def _named(question: Recalled) -> "Hashable":
    return question if isinstance(question, ExplanationKey | SimilarKey) else question.model_dump_json()


def _forecast_of(question: Recalled) -> str:
    return question.similar_to if isinstance(question, SimilarKey) else question.prediction_id
