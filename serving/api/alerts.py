"""Types of the route that takes alerts: the body of an Alertmanager's web hook, and what became of it."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from serving.api.base import Part

Text = Annotated[str, Field(max_length=4_000)]
MOST_ALERTS = 500
"""Of one message; an Alertmanager groups far fewer."""


class HookedAlert(BaseModel):
    """One alert as an Alertmanager hands it on; what else it says is not read."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    status: Literal["firing", "resolved"]
    labels: dict[str, Text] = Field(description="of the rule, `alertname` and `severity` among them")
    annotations: dict[str, Text] = Field(default_factory=dict, description="`summary` and `action` are shown")
    startsAt: datetime = Field(description="when it began")  # noqa: N815 - the Alertmanager's own name
    endsAt: datetime = Field(description="when it ended, of one that is resolved")  # noqa: N815 - as above


class HookRequest(BaseModel):
    """Body of an Alertmanager's web hook, version 4; fields beside these are not read."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    version: Literal["4"]
    alerts: list[HookedAlert] = Field(max_length=MOST_ALERTS)


class AlertsTaken(Part):
    """What was written into the book of alerts; it is on disk."""

    taken: int = Field(description="alerts of the message")
    new: int = Field(description="of them those that did not last already")
