"""Types of attention: where the networks of a forecast looked."""

from pydantic import Field

from serving.api.base import Finite, Part
from serving.api.explanations import ExplainedAnswer

LOOKED = "Where the network looked, not why: a weight is no contribution and no cause."


class SessionLookedAt(Part):
    """The weight of one session of the window; with those of the steps ahead they add up to 1."""

    lag: int = Field(ge=0, description="bars before the last one of the window, which is 0")
    weight: Finite = Field(ge=0)


class FeatureLookedAt(Part):
    """The weight of one feature; those of all features add up to 1."""

    feature: str
    group: str
    weight: Finite = Field(ge=0, description="mean over the sessions of the window")
    last_weight: Finite = Field(ge=0, description="in the last session")
    availability_weight: Finite = Field(ge=0, description="of whether it is known in the last session")


class AttendingMember(Part):
    """Where one model of the forecast looked."""

    model: str
    version: str
    digest: str
    weight: Finite = Field(description="of the model in the forecast")
    sessions: list[SessionLookedAt] = Field(description="the newest first")
    steps_ahead: list[Finite] = Field(description="weights of the steps ahead, from the first")
    features: list[FeatureLookedAt] = Field(description="the largest weight first")


class AttentionAnswer(ExplainedAnswer):
    """Where the networks of a stored forecast looked."""

    label: str = LOOKED
    members: list[AttendingMember] = Field(description="models with attention, each over the horizon of the forecast")
    without_attention: list[str] = Field(description="models of the forecast that do not weigh what they look at")
