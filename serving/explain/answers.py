"""Answers of the endpoint about an explained forecast."""

from typing import TYPE_CHECKING, Any

from serving.api import explanations as api
from serving.explain.surrogate import FAITHFUL_R2
from serving.explain.wording import reasoning
from serving.forecasts import sign_probability

if TYPE_CHECKING:
    from lake.market import Market
    from serving.explain.result import BackgroundUse, Contribution, Explanation, MemberExplanation
    from serving.explain.what_if import WhatIf

TOP = 5
"""Features in the short explanation beside a forecast."""


def explanation_answer(
    explanation: "Explanation", quantity: api.Quantity, market: "Market", *, is_cached: bool
) -> api.ExplanationAnswer:
    """Return the contributions to one quantity of a forecast."""
    ahead = market.horizon_of(explanation.horizon)
    ahead_of: dict[str, Any] = {ahead.member: ahead.n}
    largest = explanation.largest(quantity)
    fidelity = explanation.fidelity_r2
    told = api.PredictionExplanation(
        quantile=quantity,
        base_value=explanation.base_values[quantity],
        value=explanation.values[quantity],
        local_explanation=api.LocalExplanation(
            shap_values={each.player: each.contribution for each in explanation.contributions[quantity]},
            feature_contributions=[_contribution(each) for each in largest],
        ),
        reasoning_chain=reasoning(explanation, quantity, ahead),
        members=[_member(explanation, each, quantity) for each in explanation.members],
        method=explanation.method,
        explanation_type=explanation.depth,
        grain=explanation.grain,
        backgrounds=[_background(each) for each in explanation.backgrounds],
        additivity_error=explanation.additivity_error,
        fidelity_r2=None if fidelity is None else fidelity[quantity],
        unexplained_share=explanation.unexplained_share,
        is_faithful=None if fidelity is None else fidelity[quantity] >= FAITHFUL_R2,
        stability=_stability(explanation, quantity),
    )
    digests = {member.model: member.digest for member in explanation.members}
    return api.ExplanationAnswer(
        prediction_id=explanation.prediction_id,
        symbol=explanation.symbol,
        as_of=explanation.as_of,
        engine=api.EngineRead(name=explanation.engine, devices=list(explanation.devices), digests=digests),
        seconds=explanation.seconds,
        is_cached=is_cached,
        explanation_id=explanation.explanation_id,
        explanation=told,
        **ahead_of,
    )


def counterfactual_answer(found: "WhatIf", market: "Market", *, is_cached: bool) -> api.CounterfactualAnswer:
    """Return the stored forecast beside that of a changed input."""
    forecast = found.forecast
    row, ahead = forecast.inputs.row, market.horizon_of(forecast.horizon)
    ahead_of: dict[str, Any] = {ahead.member: ahead.n}
    return api.CounterfactualAnswer(
        prediction_id=row["forecast_id"],
        symbol=row["symbol"],
        as_of=row["event_time"],
        engine=api.EngineRead(
            name=forecast.engine_name,
            devices=forecast.devices,
            digests={model.use.name: model.use.digest for model in forecast.models},
        ),
        seconds=found.seconds,
        is_cached=is_cached,
        stored=found.stored,
        changed=found.changed,
        delta=None if found.changed is None else _delta(found.stored, found.changed),
        moved=list(found.moved),
        is_inside_range=all(each.is_inside_range for each in found.moved) if found.moved else None,
        is_found=found.is_found,
        sweeps=list(found.sweeps),
        note=found.note,
        **ahead_of,
    )


def short_explanation(explanation: "Explanation", market: "Market") -> api.ForecastExplanation:
    """Return what is told beside a forecast: the features that contribute most to its median."""
    values = explanation.values
    total = sum(abs(each.contribution) for each in explanation.contributions["p50"])
    return api.ForecastExplanation(
        top_features=[
            api.TopFeature(
                name=each.player,
                importance=abs(each.contribution) / total if total else 0.0,
                contribution=each.contribution,
                value=each.value,
            )
            for each in explanation.largest("p50")[:TOP]
            if each.contribution
        ],
        reasoning=" ".join(reasoning(explanation, "p50", market.horizon_of(explanation.horizon))),
        confidence_factors=api.ConfidenceFactors(
            direction_probability=sign_probability(values["p10"], values["p50"], values["p90"]),
            trust=explanation.trust,
            band_width=values["width"],
            typical_band_width=explanation.base_values["width"],
            models=len(explanation.members),
        ),
    )


def _contribution(each: "Contribution") -> api.FeatureContribution:
    return api.FeatureContribution(
        feature=each.player,
        group=each.group,
        value=each.value,
        contribution=each.contribution,
        standard_error=each.standard_error,
        percentile_in_training=each.percentile,
    )


def _member(explanation: "Explanation", member: "MemberExplanation", quantity: api.Quantity) -> api.ExplainedMember:
    names = [each.player for each in explanation.contributions[quantity]]
    return api.ExplainedMember(
        model=member.model,
        version=member.version,
        digest=member.digest,
        weight=member.weight,
        pairs=member.pairs,
        base_value=member.base_values[quantity],
        value=member.values[quantity],
        contributions=dict(zip(names, member.contributions[quantity], strict=True)),
    )


def _stability(explanation: "Explanation", quantity: api.Quantity) -> api.StabilityRead | None:
    if explanation.stability is None:
        return None
    found = explanation.stability[quantity]
    return api.StabilityRead(windows=found.windows, rank_correlation=found.mean, lowest=found.lowest)


def _background(used: "BackgroundUse") -> api.BackgroundRead:
    windows = [api.BackgroundWindow(symbol=symbol, as_of=as_of) for symbol, as_of in used.windows]
    return api.BackgroundRead(hash=used.hash, regime=used.regime, windows=windows, models=list(used.models))


def _delta(stored: api.ForecastRead, changed: api.ForecastRead) -> api.ForecastDelta:
    prices = (changed.target_price, stored.target_price)
    return api.ForecastDelta(
        p10=changed.p10 - stored.p10,
        p50=changed.p50 - stored.p50,
        p90=changed.p90 - stored.p90,
        target_price=None if prices[0] is None or prices[1] is None else prices[0] - prices[1],
        confidence=changed.confidence - stored.confidence,
    )
