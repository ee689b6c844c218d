"""Strategy files: what a back-test runs, as a frozen value; a YAML file holds it, and an unknown key is an error."""

import json
from dataclasses import fields, is_dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Literal, Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from lake.errors import ConfigError, UnknownNameError
from lake.execution import Costs
from serving.strategies import STRATEGY_NAMES

EXAMPLES = Path(__file__).parent / "examples"
"""Strategy files that come with the platform; a name without a suffix is looked up here."""
UNKNOWN_KEY = ("extra_forbidden", "unexpected_keyword_argument")
SELECTED = "selected"
"""Value of `pool` for the weights that `selections` had in force at each close."""


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class SizingRule(_Frozen):
    """From a forecast to a target, as `serving.strategies.pool.Sizing` says."""

    scale: float = Field(default=20.0, gt=0, description="target at a median of half the p10..p90 band")
    half_life_sessions: float = Field(default=5.0, gt=0, description="of the exponential average of targets")


class Rebalancing(_Frozen):
    """When targets become orders."""

    every_sessions: int = Field(default=1, ge=1, description="sessions from one rebalancing to the next")
    trade_at: Literal["open", "close"] = Field(
        default="close", description="of the session after the decision; open needs bars with an open"
    )


class FoldPlan(_Frozen):
    """How the sessions of a back-test are cut into folds that are scored apart."""

    sessions: int = Field(default=63, ge=5, description="sessions of a fold")
    embargo_sessions: int = Field(
        default=5, ge=0, description="first sessions after the newest label that a model learnt from, not scored"
    )


class StrategyFile(_Frozen):
    """One strategy to back-test.

    Exactly one of `pool`, `members`, `weights` and `equal_weight` says what is held.

    Examples
    --------
    >>> parse_strategy({"name": "half and half", "weights": {"AAA": 0.5, "BBB": 0.5}}).universe is None
    True
    """

    name: str = Field(min_length=1, max_length=80, description="name in tables and pictures")
    pool: str | None = Field(default=None, description="a strategy of the pool by its name, or selected")
    members: dict[str, float] | None = Field(
        default=None, description="models and their weights, whose forecasts are blended"
    )
    weights: dict[str, float] | None = Field(default=None, description="constant target weights by symbol")
    equal_weight: bool = Field(default=False, description="the same target weight for every symbol of the universe")
    sizing: SizingRule = Field(default_factory=SizingRule)
    horizon: str = Field(default="1 session", description="horizon of the forecasts that members are read at")
    universe: tuple[str, ...] | None = Field(default=None, description="symbols; null for all that are forecast")
    capital: float = Field(default=1_000_000.0, gt=0, description="equity at the start, in the market's currency")
    rebalancing: Rebalancing = Field(default_factory=Rebalancing)
    costs: Costs = Field(default_factory=Costs, description="paid by the strategy, by 1/N and by naive alike")
    declared_daily_value: float | None = Field(
        default=None,
        gt=0,
        description="money traded a day in a symbol whose bars have no volume; without it such orders are refused",
    )
    folds: FoldPlan = Field(default_factory=FoldPlan)
    shuffles: int = Field(default=19, ge=0, le=200, description="null twins that trade on shuffled forecasts")
    capacity: tuple[float, ...] = Field(
        default=(1e5, 1e6, 1e7, 1e8, 1e9), description="equity at the start of each point of the capacity curve"
    )

    @model_validator(mode="after")
    def _one_source_of_targets(self) -> Self:
        named = [name for name in ("pool", "members", "weights", "equal_weight") if getattr(self, name)]
        if len(named) != 1:
            found = ", ".join(named) or "none of them"
            raise ValueError(f"exactly one of pool, members, weights and equal_weight must be given, found {found}")
        if self.pool and self.pool not in (SELECTED, *STRATEGY_NAMES):
            raise ValueError(f"pool must be one of {', '.join((SELECTED, *STRATEGY_NAMES))}")
        if self.members and (min(self.members.values()) < 0 or sum(self.members.values()) <= 0):
            raise ValueError("members must have weights of 0 or more, not all 0")
        if self.weights and sum(abs(each) for each in self.weights.values()) > 1 + 1e-9:
            raise ValueError("the absolute weights must sum to 1 at most: nothing is bought on credit")
        return self

    @property
    def text(self) -> str:
        """The values as JSON, the same text for the same values."""
        return json.dumps(self.model_dump(mode="json"), sort_keys=True, separators=(",", ":"))

    @property
    def described(self) -> str:
        """What is held, in a phrase."""
        if self.pool:
            return f"{self.pool} of the pool" if self.pool != SELECTED else "the selected strategies of the pool"
        if self.members:
            total = sum(self.members.values())
            return " + ".join(f"{weight / total:.0%} {model}" for model, weight in self.members.items())
        return "equal weights" if self.equal_weight else f"constant weights of {len(self.weights or {})} symbols"

    def scored_parameters(self) -> dict[str, Any]:
        """Return what decides the returns: everything but the name, the null twins and the capacity curve."""
        return self.model_dump(mode="json", exclude={"name", "shuffles", "capacity", "folds"})


def parse_strategy(values: Any, *, where: str = "The strategy file") -> StrategyFile:
    """Return a strategy from plain values.

    Raises
    ------
    ConfigError
        If there is an unknown key, the message naming the known ones, or a value that breaks a rule.
    """
    if not isinstance(values, dict):
        raise ConfigError(
            f"{where} must hold keys and values, e.g. 'name: mine' and 'pool: ridge'. See docs/backtest.md."
        )
    try:
        return StrategyFile.model_validate(values)
    except ValidationError as error:
        problems = "; ".join(_problem(dict(found)) for found in error.errors())
        raise ConfigError(f"{where} cannot be used. {problems}. See docs/backtest.md.") from error


def load_strategy(name: str | Path) -> StrategyFile:
    """Return the strategy of a YAML file, or of a packaged example by its name.

    Raises
    ------
    UnknownNameError
        If there is neither a file nor an example of that name.
    ConfigError
        If the file is not YAML, or not a strategy.

    Examples
    --------
    >>> load_strategy("ridge").pool
    'ridge'
    """
    path = Path(name)
    if not path.is_file():
        path = EXAMPLES / f"{name}.yaml"
        if "/" in str(name) or not path.is_file():
            raise UnknownNameError("strategy file", str(name), example_names())
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(f"The strategy file {path} is not YAML: {error}.") from error
    return parse_strategy(content, where=f"The strategy file {path}")


def example_names() -> list[str]:
    """Return the names of the packaged examples."""
    return sorted(path.stem for path in EXAMPLES.glob("*.yaml"))


def _problem(found: dict[str, Any]) -> str:
    path = [str(part) for part in found["loc"]]
    if found["type"] not in UNKNOWN_KEY:
        return f"{'.'.join(path) or 'strategy'}: {found['msg']}, got {found['input']!r}"
    known = _keys_at(path[:-1])
    nearest = get_close_matches(path[-1], known, n=1)
    return f"Unknown key '{'.'.join(path)}'. " + (
        f"Did you mean '{nearest[0]}'?" if nearest else f"There are {', '.join(known)}"
    )


def _keys_at(path: list[str]) -> list[str]:
    model: type[Any] = StrategyFile
    for part in path:
        model = model.model_fields[part].annotation
    return [each.name for each in fields(model)] if is_dataclass(model) else list(model.model_fields)
