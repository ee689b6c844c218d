"""The card of a model: everything the platform has to know about it, in one value that is whole or refused."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from importlib.util import find_spec
from pkgutil import resolve_name
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, ConfigDict

from feature_repo.targets import HORIZONS, QUANTILES
from lake.calendars import VENUE
from lake.errors import ConfigError, ModelError
from lake.horizon_ends import bars_spanned
from training.models.spec import OutputSpec

if TYPE_CHECKING:
    from training.models.base import ReturnForecaster

OPTIMISER = ("learning_rate", "weight_decay")
"""Parameters of a network that go to its optimiser; all others are sizes that it is built with."""


class Parameters(BaseModel):
    """Base of every model's parameters: frozen, with a default for each, and an unknown key is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")


@dataclass(frozen=True)
class Choice:
    """A parameter that is searched among values."""

    name: str
    values: tuple[int | float | str, ...]


@dataclass(frozen=True)
class Range:
    """A parameter that is searched between two numbers, both included; over orders of magnitude where `is_log`."""

    name: str
    low: float
    high: float
    is_log: bool = False


Dimension = Choice | Range
"""One searched parameter."""

Reference = str | Callable[..., Any]
"""A callable, or where it lies as ``module:name``: a card is read by commands that must not import torch."""


@dataclass(frozen=True)
class GradientDescent:
    """The network is trained epoch by epoch, once per seed; its parameters hold those of `OPTIMISER`."""


@dataclass(frozen=True)
class AtOnce:
    """The model is fitted in one call, on training and validation windows together.

    Parameters
    ----------
    function
        Takes the network, ``x``, ``y`` and the parameters by name, and returns the fitted network.
    is_seeded
        Whether it also takes ``seed``.
    """

    function: Reference
    is_seeded: bool = False


@dataclass(frozen=True)
class Unfitted:
    """There is nothing to fit: the model follows from its specification."""


@dataclass(frozen=True)
class FedStrategy:
    """A strategy that trades on a model's one-session forecasts; `serving.strategies.pool.Sizing` explains the rule."""

    name: str
    meaning: str
    rule: Literal["band", "hold"] = "band"
    scale: float = 20.0
    half_life_sessions: float = 5.0


_MISSING: Any = None


@dataclass(frozen=True, kw_only=True)
class ModelCard:
    """Everything the platform knows about a model.

    Parameters
    ----------
    name
        Name in experiments, tables, the registry and answers.
    meaning
        One line for a reader.
    build
        Makes the network: takes `InputSpec`, `OutputSpec`, `Scaler` and its sizes by name.
    fit
        `GradientDescent`, `AtOnce` or `Unfitted`.
    parameters
        Class of its parameters; the defaults are where a search starts.
    space
        What is searched, ``()`` for nothing; only gradient descent has a validation loss to search by.
    outputs
        Horizons and quantiles it answers: those of the table `forecasts`.
    strategies
        Strategies that trade on its forecasts, ``()`` for none.
    libraries
        Distributions whose version may change its numbers, besides numpy and torch.
    is_baseline
        Whether it is a formula that others are judged against.

    Raises
    ------
    ConfigError
        If a part is missing or does not fit the others; the message names it.

    Examples
    --------
    >>> ModelCard(name="prophet", meaning="A trend.", build="training.models.lstm:LstmForecaster")  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    lake.errors.ConfigError: The card of model 'prophet' is not whole: fit, parameters, space, outputs, strategies ...
    """

    name: str = _MISSING
    meaning: str = _MISSING
    build: Reference = _MISSING
    fit: GradientDescent | AtOnce | Unfitted = _MISSING
    parameters: type[Parameters] = _MISSING
    space: tuple[Dimension, ...] = _MISSING
    outputs: OutputSpec = _MISSING
    strategies: tuple[FedStrategy, ...] = _MISSING
    libraries: tuple[str, ...] = ()
    is_baseline: bool = False

    def __post_init__(self) -> None:
        """Refuse a card that is not whole."""
        missing = [part.name for part in fields(self) if getattr(self, part.name) is _MISSING]
        if missing:
            raise ConfigError(
                f"The card of model '{self.name}' is not whole: {', '.join(missing)} "
                f"{'is' if len(missing) == 1 else 'are'} missing. Give every part in training/models/registry.py; "
                "write () for an empty search space or for no strategies."
            )
        problems = [*self._reference_problems(), *self._parameter_problems(), *self._output_problems()]
        if problems:
            raise ConfigError(f"The card of model '{self.name}' cannot be used: {'; '.join(problems)}.")

    @property
    def is_network(self) -> bool:
        """Whether it is trained by gradient descent: once per seed, with early stopping."""
        return isinstance(self.fit, GradientDescent)

    def sizes(self, parameters: Mapping[str, Any]) -> dict[str, Any]:
        """Return the parameters that a network is built with; what is not a network is built without any."""
        return {key: value for key, value in parameters.items() if self.is_network and key not in OPTIMISER}

    @property
    def has_attention(self) -> bool:
        """Whether its network weighs what it looks at, and is exported with these weights."""
        from training.models.attention import AttentiveForecaster

        made = resolved(self.build)
        return isinstance(made, type) and issubclass(made, AttentiveForecaster)

    def network(self, *specs: Any, **sizes: Any) -> "ReturnForecaster":
        """Return a new network, its weights drawn from torch's present random state."""
        made: ReturnForecaster = resolved(self.build)(*specs, **sizes)
        return made

    def fitted_at_once(
        self, network: "ReturnForecaster", x: Any, y: Any, parameters: Mapping[str, Any], seed: int
    ) -> "ReturnForecaster":
        """Return the network, fitted in one call.

        Raises
        ------
        ModelError
            If the model is trained by gradient descent, or its function returns no network.
        """
        if isinstance(self.fit, Unfitted):
            return network
        if isinstance(self.fit, GradientDescent):
            raise ModelError(f"Model '{self.name}' is trained by gradient descent, it cannot be fitted in one call.")
        more = {"seed": seed} if self.fit.is_seeded else {}
        fitted: ReturnForecaster | None = resolved(self.fit.function)(network, x, y, **parameters, **more)
        if not isinstance(fitted, type(network)):
            raise ModelError(
                f"The fit function of model '{self.name}' returned {type(fitted).__name__}, expected the fitted "
                f"{type(network).__name__}. A model that was not fitted is never used."
            )
        return fitted

    def _reference_problems(self) -> list[str]:
        given = {"build": self.build} | ({"fit.function": self.fit.function} if isinstance(self.fit, AtOnce) else {})
        return [f"{part} {place!r} leads nowhere" for part, place in given.items() if not _leads_somewhere(place)]

    def _parameter_problems(self) -> list[str]:
        known = self.parameters.model_fields
        problems = [f"parameter {name} has no default" for name, field in known.items() if field.is_required()]
        problems += [
            f"space has {dimension.name}, parameters have {', '.join(known) or 'nothing'}"
            for dimension in self.space
            if dimension.name not in known
        ]
        if self.is_network:
            problems += [
                f"parameters have no {name}, which the optimiser needs" for name in OPTIMISER if name not in known
            ]
        elif self.space:
            problems.append("space is searched by the validation loss, which only gradient descent has")
        return problems

    def outputs_over(self, horizons: tuple[int, ...], grid: str = VENUE) -> OutputSpec:
        """Return what the model answers over other horizons than those of its card, e.g. of another market's grid."""
        lengths = tuple(bars_spanned(horizon, grid).mean for horizon in horizons)
        return OutputSpec(horizons, self.outputs.quantiles, () if lengths == horizons else lengths)

    def _output_problems(self) -> list[str]:
        if (self.outputs.horizons, self.outputs.quantiles) == (HORIZONS, QUANTILES):
            return []
        return [f"outputs are {self.outputs}, forecasts are stored for horizons {HORIZONS} and quantiles {QUANTILES}"]


def resolved(reference: Reference) -> Callable[..., Any]:
    """Return the callable that a reference leads to; its module is imported now."""
    if not isinstance(reference, str):
        return reference
    found: Callable[..., Any] = resolve_name(reference)
    return found


def _leads_somewhere(reference: Reference) -> bool:
    """Whether a reference is callable, or a module that exists defines its name; nothing is imported for it."""
    if not isinstance(reference, str):
        return callable(reference)
    module, _, name = reference.partition(":")
    try:
        spec = find_spec(module)
    except (ImportError, ValueError):
        return False
    if spec is None or spec.origin is None or not spec.has_location:
        return False
    with open(spec.origin, encoding="utf-8") as source:  # noqa: PTH123 - a path of the import system
        return any(line.startswith((f"def {name}(", f"class {name}(", f"class {name}:")) for line in source)
