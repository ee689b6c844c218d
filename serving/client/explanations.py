"""Questions of the client about explanations: contributions, what-ifs, words, importance of features."""

from collections.abc import Iterator

from serving import api
from serving.api.attention import AttentionAnswer
from serving.api.explanations import (
    CounterfactualAnswer,
    CounterfactualRequest,
    Depth,
    ExplainRequest,
    ExplanationAnswer,
    Grain,
    Method,
    Quantity,
)
from serving.api.importance import ImportanceAnswer
from serving.client.connection import Connection, how_far, part


class ExplanationCalls(Connection):
    """Explanation routes of the client; see docs/explanations.md and docs/narrative.md."""

    def explain(
        self,
        prediction_id: str,
        *,
        quantile: Quantity = "p50",
        explanation_type: Depth = "fast",
        method: Method = "shapley",
        grain: Grain = "feature",
    ) -> ExplanationAnswer:
        """Split an earlier forecast into contributions of its features; see docs/explanations.md."""
        body = ExplainRequest(
            prediction_id=prediction_id,
            quantile=quantile,
            explanation_type=explanation_type,
            method=method,
            grain=grain,
        )
        return self._typed(ExplanationAnswer, "POST", "/explain/prediction", json=body.model_dump(mode="json"))

    def attention(self, prediction_id: str) -> AttentionAnswer:
        """Return where the networks of an earlier forecast looked; one without attention raises `RefusedError`."""
        body = ExplainRequest(prediction_id=prediction_id, method="attention").model_dump(mode="json")
        return self._typed(AttentionAnswer, "POST", "/explain/prediction", json=body)

    def what_if(self, question: CounterfactualRequest) -> CounterfactualAnswer:
        """Forecast a changed input of an earlier forecast: named changes, a sweep, or a search for a turn."""
        body = question.model_dump(mode="json", exclude_none=True)
        return self._typed(CounterfactualAnswer, "POST", "/explain/counterfactual", json=body)

    def ask_in_words(
        self,
        symbol: str,
        *,
        depth: api.WrittenDepth = "fast",
        prediction_id: str | None = None,
        horizon_sessions: int | None = None,
        horizon_minutes: int | None = None,
    ) -> api.ExplanationJobAccepted:
        """Ask for a forecast in words: of one stored forecast, or of the newest one of the symbol over a horizon."""
        named = {"prediction_id": prediction_id, "horizon_sessions": horizon_sessions}
        named |= {"horizon_minutes": horizon_minutes}
        body = {"depth": depth} | {name: value for name, value in named.items() if value is not None}
        return self._typed(api.ExplanationJobAccepted, "POST", f"/explanations/{part(symbol)}", json=body)

    def in_words(self, job_id: str) -> api.ExplanationJobAnswer:
        """Return a job that writes an explanation; `status` says whether it is completed.

        Raises
        ------
        UnknownNameError
            If there is none of that id, or it was forgotten.
        FailedJobError
            If it failed or was lost.
        """
        return self._typed(api.ExplanationJobAnswer, "GET", f"/explanations/jobs/{part(job_id)}")

    def cancel_words(self, job_id: str) -> api.ExplanationJobCancelled:
        """Cancel a job that writes an explanation; one that is completed stays so. Errors are those of `in_words`."""
        return self._typed(api.ExplanationJobCancelled, "DELETE", f"/explanations/jobs/{part(job_id)}")

    def newest_in_words(self, symbol: str) -> api.ExplanationJobAnswer:
        """Return the explanation of a symbol that was asked for last."""
        return self._typed(api.ExplanationJobAnswer, "GET", f"/explanations/{part(symbol)}")

    def follow_words(self, job_id: str, *, after: int = 0) -> Iterator[api.ExplanationEvent]:
        """Yield the events of a job as they happen, until it is completed or has failed.

        Parameters
        ----------
        after
            Events to leave out, from the first on; a reader that lost its connection goes on where it was.
        """
        for text in self._events(f"/explanations/jobs/{part(job_id)}/events", after):
            yield api.ExplanationEvent.model_validate_json(text)

    def importance(
        self,
        model: str = "blend",
        horizon_sessions: int | None = None,
        *,
        horizon_minutes: int | None = None,
        regime: str = "all",
        as_of: str | None = None,
    ) -> ImportanceAnswer:
        """Return how much worse a model forecasts when a feature is exchanged among the symbols of each session."""
        asked = {"model": model, "regime": regime} | how_far(horizon_sessions, horizon_minutes)
        asked |= {} if as_of is None else {"as_of": as_of}
        return self._typed(ImportanceAnswer, "GET", "/explain/features", params=asked)
