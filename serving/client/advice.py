"""Questions of the client about recommendations."""

from typing import Any

from serving import api
from serving.client.connection import Connection, how_far, part


class AdviceCalls(Connection):
    """Recommendation routes of the client; see docs/advice.md."""

    def recommend(
        self,
        symbol: str,
        horizon_sessions: int | None = None,
        *,
        horizon_minutes: int | None = None,
        position: float = 0.0,
        equity: float | None = None,
        risk_tolerance: api.RiskTolerance = "moderate",
        time_horizon: api.TimeHorizon = "short",
    ) -> api.RecommendAnswer:
        """Ask what to do about a symbol in a book; the answer is stored before it is given.

        Parameters
        ----------
        horizon_sessions, horizon_minutes
            How far ahead; by default what `time_horizon` means.
        position
            Shares held; below zero where sold short.
        equity
            Value of the account in the currency of the price; without it no size follows.
        risk_tolerance
            Which limits bound the size.

        Raises
        ------
        UnknownNameError
            If there is no such symbol.
        NotReadyError
            If it cannot be forecast yet, or no service answers.
        RefusedError
            For every other refusal.
        """
        context: dict[str, Any] = {"current_position": position, "equity": equity, "risk_tolerance": risk_tolerance}
        context["time_horizon"] = time_horizon
        named = horizon_sessions is not None or horizon_minutes is not None
        body: dict[str, Any] = {"symbol": symbol, "portfolio_context": context}
        body |= how_far(horizon_sessions, horizon_minutes) if named else {}
        return self._typed(api.RecommendAnswer, "POST", "/recommend", json=body)

    def recommendation(self, recommendation_id: str) -> api.RecommendAnswer:
        """Return an earlier recommendation that was asked for with the same key."""
        return self._typed(api.RecommendAnswer, "GET", f"/recommendations/{part(recommendation_id)}")

    def explain_recommendation(self, recommendation_id: str) -> api.ExplainRecommendationAnswer:
        """Return why an earlier recommendation is what it is: the steps of its size, gate, contributions, flip.

        Parameters
        ----------
        recommendation_id
            Of one that was asked for with the same key; an operator's key may name any, and is told the desk's
            decisions about the same symbol and close, with every vote.

        Raises
        ------
        UnknownNameError
            If there is none of that identifier, or it belongs to another key.
        RefusedError
            For every other refusal.
        """
        asked = {"recommendation_id": recommendation_id}
        return self._typed(api.ExplainRecommendationAnswer, "POST", "/explain/recommendation", json=asked)

    def recommendations(self, symbol: str, *, as_of: str | None = None) -> api.RecommendationsAnswer:
        """List the recommendations of a symbol that were asked for with the same key, the newest first."""
        asked = {"symbol": symbol} | ({} if as_of is None else {"as_of": as_of})
        return self._typed(api.RecommendationsAnswer, "GET", "/recommendations", params=asked)
