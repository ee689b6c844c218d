"""Answer of the endpoint about where the networks of a stored forecast looked."""

from typing import TYPE_CHECKING, Any

from feature_repo.catalog import family_of
from serving.api import attention as api
from serving.api.explanations import EngineRead

if TYPE_CHECKING:
    from lake.market import Market
    from serving.engines import AttentionRead
    from serving.explain.attention import ForecastAttention
    from serving.explain.models import ExplainedModel


def attention_answer(found: "ForecastAttention", market: "Market", *, is_cached: bool) -> api.AttentionAnswer:
    """Return the weights behind a stored forecast, over its own horizon."""
    forecast = found.forecast
    row, ahead = forecast.inputs.row, market.horizon_of(forecast.horizon)
    ahead_of: dict[str, Any] = {ahead.member: ahead.n}
    shares = zip(forecast.models, forecast.shares, strict=True)
    attentive = [(model, share) for model, share in shares if model.use.name in found.reads]
    return api.AttentionAnswer(
        prediction_id=row["forecast_id"],
        symbol=row["symbol"],
        as_of=row["event_time"],
        engine=EngineRead(
            name=forecast.engine_name,
            devices=["cpu"],
            digests={model.use.name: str(model.bundle.signature.explain) for model, _ in attentive},
        ),
        seconds=found.seconds,
        is_cached=is_cached,
        members=[_member(model, found.reads[model.use.name], share, forecast.horizon) for model, share in attentive],
        without_attention=found.without,
        **ahead_of,
    )


def _member(model: "ExplainedModel", read: "AttentionRead", weight: float, horizon: int) -> api.AttendingMember:
    signature = model.bundle.signature
    positions = read.attention[0, signature.horizons.index(horizon)].tolist()
    window, ahead = positions[: signature.sessions], positions[signature.sessions :]
    return api.AttendingMember(
        model=model.use.name,
        version=model.use.version,
        digest=model.use.digest,
        weight=weight,
        sessions=[api.SessionLookedAt(lag=lag, weight=each) for lag, each in enumerate(reversed(window))],
        steps_ahead=ahead,
        features=_features(signature.features, read),
    )


def _features(names: "tuple[str, ...]", read: "AttentionRead") -> list[api.FeatureLookedAt]:
    by_session = read.feature_weights[0]  # [session, feature]
    columns = (by_session.mean(axis=0).tolist(), by_session[-1].tolist(), read.availability_weights[0].tolist())
    found = [
        api.FeatureLookedAt(
            feature=name, group=family_of(name), weight=mean, last_weight=last, availability_weight=known
        )
        for name, mean, last, known in zip(names, *columns, strict=True)
    ]
    return sorted(found, key=lambda each: (-each.weight, each.feature))
