"""The account of a desk: what it began with, under which declared terms."""

import json
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any

from lake.errors import ConfigError
from lake.execution import Costs
from serving.desk.deciding import DeskLimits
from serving.desk.rules import DeskRules

PAPER = "paper"
EQUAL_WEIGHT = ".equal_weight"
"""What the name of the account that holds 1/N ends with."""


@dataclass(frozen=True)
class DeskAccount:
    """An account on paper. Its terms never change: other terms are another account.

    Parameters
    ----------
    name
        Name in tables.
    opened
        Close at which it began, with cash alone.
    capital
        Cash it began with, in the currency of the market.
    opened_by
        Who answers for it.
    costs
        What orders and positions cost, 1/N beside it too.
    rules, limits
        As `serving.desk.decide` takes them.
    declared_daily_value
        Money traded a day in a symbol whose bars have no volume.
    """

    name: str
    opened: datetime
    capital: float
    opened_by: str
    costs: Costs = field(default_factory=Costs)
    rules: DeskRules = field(default_factory=DeskRules)
    limits: DeskLimits = field(default_factory=DeskLimits)
    declared_daily_value: float = 50_000_000.0

    def __post_init__(self) -> None:
        """Refuse an account that cannot trade."""
        if not self.name.replace("_", "").isalnum():
            raise ConfigError(f"The name of the account is '{self.name}'; letters, digits and _ are expected.")
        if not (self.capital > 0 and self.declared_daily_value > 0):
            raise ConfigError("The capital of an account and declared_daily_value are amounts above 0.")

    @property
    def equal_weight(self) -> str:
        """Name of the account that holds 1/N beside it."""
        return self.name + EQUAL_WEIGHT

    def to_json(self) -> str:
        """Return it as JSON."""
        return json.dumps(asdict(self) | {"opened": self.opened.isoformat()}, sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> "DeskAccount":
        """Read what `to_json` wrote."""
        read: dict[str, Any] = json.loads(text)
        rules = read["rules"]
        return cls(
            **(
                read
                | {
                    "opened": datetime.fromisoformat(read["opened"]),
                    "costs": Costs(**read["costs"]),
                    "rules": DeskRules(**(rules | {"restricted": tuple(rules["restricted"])})),
                    "limits": DeskLimits(**read["limits"]),
                }
            )
        )
