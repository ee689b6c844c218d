"""Types of explanations: contributions of features to a forecast, and forecasts of changed inputs."""

from datetime import datetime
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from serving.api.base import Answer, Finite, Part, Price, Request, is_absent
from serving.api.outlook import MEANING, Direction, Outlook

MOST_FEATURES = 8
"""Features that one search or one sweep takes."""

Quantity = Literal["p10", "p50", "p90", "width"]
Depth = Literal["fast", "detailed", "deep"]
Grain = Literal["feature", "group", "session_block"]
Method = Literal["shapley", "lime", "integrated_gradients"]
AskedMethod = Literal["shapley", "lime", "integrated_gradients", "attention"]
At = Literal["last", "window"]
Identifier = Annotated[str, Field(max_length=64, description="prediction_id of a stored forecast")]
FeatureName = Annotated[str, Field(min_length=1, max_length=64, description="feature, as in /features/schema")]


class ExplainRequest(Request):
    """Why a stored forecast is what it is."""

    prediction_id: Identifier
    explanation_type: Depth = Field(
        default="fast",
        description="fast: one pair of opposite orders from each background window; detailed: four; deep: sixteen, "
        "and the stability of the contributions",
    )
    method: AskedMethod = Field(
        default="shapley",
        description="integrated_gradients: of the networks of the forecast; attention: where networks with attention "
        "looked, whatever the quantile. A forecast without such a network is an error",
    )
    quantile: Quantity = Field(default="p50", description="what is explained; width is p90 - p10")
    grain: Grain = Field(
        default="feature",
        description="feature: one player per feature; group: per group of features; session_block: each feature in the "
        "last session, in the five before it and earlier, which needs detailed or deep",
    )

    @model_validator(mode="after")
    def _has_enough_orders(self) -> Self:
        if self.grain == "session_block" and self.explanation_type == "fast":
            raise ValueError(
                "session blocks are three times as many players as features, too many for one pair of orders: say "
                "explanation_type detailed or deep"
            )
        return self


class FeatureContribution(Part):
    """The part of one feature, or of one group of features, in the distance from the base value to the forecast."""

    feature: str = Field(
        description="name of the feature; of the group where the grain is group; feature@block where it is "
        "session_block, with last, five_before and earlier"
    )
    group: str
    value: Finite | None = Field(
        description="in the last session; null where it is not known, for a group and for earlier sessions"
    )
    contribution: Finite = Field(description="in fractions of the reference price; all of them sum to value - base")
    standard_error: Finite | None = Field(
        ge=0, description="of the contribution, from the sampled orders; an upper bound where there is one pair"
    )
    percentile_in_training: Finite | None = Field(
        ge=0, le=100, description="share of training windows, in percent, whose last value is at most this one"
    )


class LocalExplanation(Part):
    """Contributions to one forecast, the largest first."""

    shap_values: dict[str, Finite] = Field(description="contribution of every player, by name")
    feature_contributions: list[FeatureContribution]


class ExplainedMember(Part):
    """One model's own contributions, after the correction of the band and before its weight."""

    model: str
    version: str
    digest: str
    weight: Finite
    pairs: int = Field(description="pairs of opposite orders from each background window")
    base_value: Finite
    value: Finite
    contributions: dict[str, Finite]


class BackgroundWindow(Part):
    """A typical training window that an absent feature is taken from."""

    symbol: str
    as_of: datetime = Field(description="close of its last session")


class BackgroundRead(Part):
    """The typical windows of some members."""

    hash: str = Field(description="SHA-256 of the file in the model's bundle, as its signature names it")
    regime: str = Field(description="regime the windows are typical of; any where the training knew too few of it")
    windows: list[BackgroundWindow]
    models: list[str]


class StabilityRead(Part):
    """How well contributions keep their order in windows whose values have the same percentiles in print."""

    windows: int = Field(description="windows with every value of the last session moved within half a percentile")
    rank_correlation: Finite = Field(
        ge=-1, le=1, description="mean over these windows of Spearman's, with the contributions of the true window"
    )
    lowest: Finite = Field(ge=-1, le=1, description="the lowest of them")

    @property
    def sentence(self) -> str:
        """The same for a reader."""
        return (
            f"Stability: rank correlation {self.rank_correlation:.2f}, lowest {self.lowest:.2f}, over {self.windows} "
            "windows whose values have the same percentiles in print."
        )


class PredictionExplanation(Part):
    """What makes one number of a forecast differ from the forecast of typical windows."""

    quantile: Quantity
    base_value: Finite = Field(description="mean forecast of the background windows")
    value: Finite = Field(description="the number that was forecast")
    local_explanation: LocalExplanation
    reasoning_chain: list[str]
    members: list[ExplainedMember]
    method: Method
    explanation_type: Depth
    grain: Grain
    backgrounds: list[BackgroundRead]
    additivity_error: Finite = Field(ge=0, description="distance of base value plus contributions from the value")
    fidelity_r2: Finite | None = Field(
        default=None, description="of lime: share of the variance that its straight line explains; null for shapley"
    )
    unexplained_share: Finite | None = Field(
        default=None,
        ge=0,
        le=1,
        description="of integrated_gradients: share in the forecast of models that have none; what they add is the "
        "contribution 'not explained by gradients'. Null for other methods",
    )
    is_faithful: bool | None = Field(default=None, description="whether fidelity_r2 is at least 0.8; null for shapley")
    stability: StabilityRead | None = Field(
        default=None, description="of the explanation_type deep; null for the others and for lime"
    )


class EngineRead(Part):
    """What computed an explanation: the engines that make forecasts."""

    name: str = Field(description="runtime and version", examples=["onnxruntime 1.31.1"])
    devices: list[str]
    digests: dict[str, str] = Field(description="SHA-256 of each model's file")


class ExplainedAnswer(Answer):
    """What every answer about an explained forecast has."""

    prediction_id: str
    symbol: str
    as_of: datetime = Field(description="close of the last session the forecast knows")
    horizon_sessions: int | None = Field(default=None, exclude_if=is_absent)
    horizon_minutes: int | None = Field(default=None, exclude_if=is_absent)
    engine: EngineRead
    seconds: Finite = Field(ge=0, description="time that the computation took when it was made")
    is_cached: bool


class ExplanationAnswer(ExplainedAnswer):
    """Contributions of features to one forecast."""

    explanation_id: str = Field(description="key of its row in the table `explanations`")
    explanation: PredictionExplanation


class Change(Request):
    """Another value of one feature."""

    to: Finite | None = Field(default=None, description="the new value, in the feature's unit")
    by: Finite | None = Field(default=None, description="what is added to the value")

    @model_validator(mode="after")
    def _is_one_change(self) -> Self:
        if (self.to is None) == (self.by is None):
            raise ValueError("say either to, the new value, or by, what is added to it")
        return self


class FlipSearch(Request):
    """The smallest change of one feature that turns the forecast."""

    flip: Literal["direction"]
    features: list[FeatureName] | None = Field(
        default=None, min_length=1, max_length=MOST_FEATURES, description="by default those that contribute most"
    )


class Sweep(Request):
    """Forecasts along the training range of features, one feature at a time."""

    features: list[FeatureName] = Field(min_length=1, max_length=MOST_FEATURES)


class BarChange(Request):
    """Another last bar; by default the true one."""

    close_change: Finite = Field(
        default=0.0, gt=-1, le=10, description="of the close, as a fraction of it: -0.03 is a close 3 % lower"
    )
    volume_ratio: Finite = Field(default=1.0, ge=0, le=1_000, description="new volume by the true one")
    range_ratio: Finite = Field(
        default=1.0, ge=0, le=100, description="new distance of high and low by the true one, the body at least"
    )


class Scenario(Request):
    """What all features are computed again from."""

    bar: BarChange


class CounterfactualRequest(Request):
    """A forecast of a changed input: named changes, a range, the smallest change that turns it, or another last bar."""

    prediction_id: Identifier
    changes: dict[FeatureName, Change] | None = Field(default=None, min_length=1, max_length=64)
    find: FlipSearch | None = None
    sweep: Sweep | None = None
    scenario: Scenario | None = None
    at: At = Field(default="last", description="last: the last session of the window changes; window: all sessions")

    @model_validator(mode="after")
    def _is_one_question(self) -> Self:
        if sum(asked is not None for asked in (self.changes, self.find, self.sweep, self.scenario)) != 1:
            raise ValueError("ask one question: changes, find, sweep or scenario")
        return self


class ForecastRead(Part):
    """The numbers of a forecast."""

    p10: Finite
    p50: Finite
    p90: Finite
    target_price: Price | None
    direction: Direction
    confidence: Finite = Field(ge=0.5, le=1)
    outlook: Outlook = Field(description=MEANING)


class ForecastDelta(Part):
    """The changed forecast less the stored one."""

    p10: Finite
    p50: Finite
    p90: Finite
    target_price: Finite | None
    confidence: Finite


class MovedFeature(Part):
    """A feature that has another value in the changed input."""

    feature: str
    before: Finite | None = Field(description="in the last session; null where it is not known")
    after: Finite | None = Field(description="null where the changed input does not have it")
    percentile_before: Finite | None = Field(ge=0, le=100, description="percentile in training")
    percentile_after: Finite | None = Field(ge=0, le=100)
    is_inside_range: bool = Field(description="whether every new value lies within 1-99 % of training")


class SweepPoint(Part):
    """The forecast at one value of a feature."""

    to: Finite
    p10: Finite
    p50: Finite
    p90: Finite
    target_price: Price | None
    direction: Direction
    confidence: Finite = Field(ge=0.5, le=1)


class FeatureSweep(Part):
    """Forecasts at 41 values of one feature, from 1 % to 99 % of training."""

    feature: str
    value: Finite | None = Field(description="in the last session; null where it is not known")
    percentile: Finite | None = Field(ge=0, le=100, description="of that value in training")
    low: Finite = Field(description="1 % of training windows have a smaller last value")
    high: Finite = Field(description="1 % of training windows have a larger last value")
    points: list[SweepPoint]


class CounterfactualAnswer(ExplainedAnswer):
    """The stored forecast beside that of a changed input."""

    stored: ForecastRead = Field(description="the forecast as it was given")
    changed: ForecastRead | None = Field(description="null for a sweep, and for a search that found nothing")
    delta: ForecastDelta | None
    moved: list[MovedFeature]
    is_inside_range: bool | None = Field(description="whether all that moved is inside its range; null for no change")
    is_found: bool | None = Field(description="whether a search found a change; null for another question")
    sweeps: list[FeatureSweep]
    note: str


class TopFeature(Part):
    """A feature that moved a forecast most."""

    name: str
    importance: Finite = Field(ge=0, le=1, description="share of its contribution in the sum of absolute ones")
    contribution: Finite
    value: Finite | None


class ConfidenceFactors(Part):
    """What the confidence of a forecast follows from."""

    direction_probability: Finite = Field(ge=0.5, le=1, description="as the quantiles alone say it")
    trust: Finite = Field(ge=0, description="share of its distance from a half that earlier forecasts justify")
    band_width: Finite = Field(description="p90 - p10")
    typical_band_width: Finite = Field(description="mean p90 - p10 of the background windows")
    models: int = Field(description="models that took part")


class ForecastExplanation(Part):
    """The short explanation beside a forecast."""

    top_features: list[TopFeature]
    reasoning: str
    confidence_factors: ConfidenceFactors
