"""Experiments as frozen values: a YAML file is a small difference from the defaults, and an unknown key is an error."""

import hashlib
import json
from datetime import date, datetime, timedelta
from difflib import get_close_matches
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple, Self

import yaml
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    PlainValidator,
    ValidationError,
    create_model,
    field_validator,
    model_validator,
)

from lake.calendars import VENUE, close_of
from lake.errors import ConfigError, UnknownNameError
from lake.horizons import Horizon
from lake.market import Market
from training.models import BASELINE, MODELS, Choice, Dimension, ModelCard, card_of

FOLDER = Path(__file__).parent
"""Where the named experiments lie."""


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class TestInterval(NamedTuple):
    """Days that one fold is tested on, both ends included."""

    name: str
    first: date
    last: date


class SplitPlan(_Frozen):
    """How time is cut into training, validation and test.

    A training row is kept only when its label *ends* before the cut, whichever symbol it belongs to; see
    `training.data.walk_forward`.
    """

    test_years: tuple[int, ...] = Field(default=(2009, 2010, 2011), min_length=3, description="one fold per year")
    test_starts: tuple[date, ...] = Field(
        default=(), description="instead of years: first day of each fold, which lasts until the next one begins"
    )
    scheme: Literal["expanding", "rolling"] = Field(default="expanding", description="does old data stay in training?")
    rolling_sessions: int = Field(default=1260, ge=60, description="length of a rolling training interval")
    embargo_sessions: int = Field(default=5, ge=0, description="sessions left out between a label's end and the cut")
    validation_sessions: int = Field(
        default=252, ge=10, description="tail of each training interval for early stopping"
    )
    train_stride_sessions: int = Field(default=1, ge=1, description="every how many sessions a training window ends")
    test_stride_sessions: int = Field(default=1, ge=1, description="every how many sessions a test window ends")


class Optimisation(_Frozen):
    """How a network is trained."""

    epochs: int = Field(default=40, ge=1, description="most passes over the training windows")
    patience_epochs: int = Field(default=6, ge=1, description="passes without a better validation loss before stopping")
    epoch_windows: int | None = Field(default=None, ge=1, description="windows drawn for one pass; all by default")
    batch_windows: int = Field(default=256, ge=1, description="windows per gradient step")
    gradient_clip_norm: float = Field(default=1.0, gt=0, description="largest norm of a gradient")
    threads: int = Field(
        default=1,
        ge=1,
        le=64,
        description="CPU threads; more give other last digits, and wait long for a core that is busy elsewhere",
    )
    accelerator: Literal["cpu", "auto"] = Field(default="cpu", description="auto takes a GPU where there is one")


class SearchPlan(_Frozen):
    """How much is spent on looking for parameters."""

    trials: int = Field(default=40, ge=1, description="parameter sets tried per model")
    startup_trials: int = Field(default=8, ge=1, description="trials drawn at random before the search learns")
    epochs: int = Field(default=15, ge=1, description="most passes per trial")
    prune_after_epochs: int = Field(
        default=2, ge=1, description="passes every trial is granted before it may be pruned"
    )
    train_windows: int = Field(default=40_000, ge=32, description="newest training windows a trial sees")
    hidden: tuple[int, ...] | None = Field(
        default=None, min_length=1, description="widths that are tried, instead of those of the model's card"
    )


def _validated_parameters(given: Any) -> BaseModel:
    """Parameters of every registered model: the defaults of its card, and what differs from them."""
    return _parameters_class(tuple(MODELS.values())).model_validate(
        given.model_dump() if isinstance(given, BaseModel) else given
    )


@lru_cache
def _parameters_class(cards: tuple[ModelCard, ...]) -> type[BaseModel]:
    """Class with one field for each model."""
    parts: dict[str, Any] = {card.name: (card.parameters, card.parameters()) for card in cards}
    made: type[BaseModel] = create_model("ModelParameters", __base__=_Frozen, **parts)
    return made


class Experiment(_Frozen):
    """Everything that decides what a training run does, besides the data.

    Parameters
    ----------
    name
        Name of the experiment: the stem of its file.
    train_until
        Session whose close is the end of knowledge: no label that ends later is used in any way.
    calendar
        Sessions of the market that is learnt from.
    models
        Models that are judged and fitted, in this order, by default all; naive is always among them.
    seeds
        A network is trained once per seed. Its scores in the walk-forward evaluation are means over the seeds, with
        their spread; the seed with the best validation loss is served.
    parameters
        Parameters of every registered model; for the searched ones, where the search starts.
    horizons
        How far ahead its models forecast, e.g. ``("1 session", "20 sessions")``: some of those that the market
        declares, the first among them, on which strategies are judged. None means all of the market's.
    """

    name: str = "default"
    train_until: date = date(2011, 12, 30)
    calendar: str = VENUE
    models: tuple[str, ...] = Field(default_factory=lambda: tuple(MODELS))
    seeds: tuple[int, ...] = Field(default=(7,), min_length=1)
    splits: SplitPlan = SplitPlan()
    optimisation: Optimisation = Optimisation()
    search: SearchPlan = SearchPlan()
    parameters: Annotated[Any, PlainValidator(_validated_parameters)] = Field(default={}, validate_default=True)
    horizons: tuple[str, ...] = ()

    @field_validator("horizons")
    @classmethod
    def _are_horizons(cls, texts: tuple[str, ...]) -> tuple[str, ...]:
        try:
            return tuple(str(Horizon.parse(text)) for text in texts)
        except ConfigError as error:
            raise ValueError(str(error)) from error

    @field_validator("models")
    @classmethod
    def _are_known(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        unknown = [name for name in names if name not in MODELS]
        if unknown:
            raise ValueError(f"{unknown} are no models; there are {', '.join(MODELS)}")
        return names

    @model_validator(mode="after")
    def _is_consistent(self) -> Self:
        if BASELINE not in self.models:
            raise ValueError(f"models must hold '{BASELINE}': the table shows every other model beside it")
        plan = self.splits
        name, starts = ("test_starts", plan.test_starts) if plan.test_starts else ("test_years", plan.test_years)
        if list(starts) != sorted(set(starts)):  # type: ignore[type-var] # all of one type
            raise ValueError(f"{name} {starts} must ascend: parameters are searched for before the first of them")
        late = [each.name for each in self.test_intervals if each.first > self.train_until]
        if late:
            raise ValueError(f"{name} {late} lie after train_until {self.train_until}, which nothing may see")
        for name in self.tuned:
            declared = self.parameters_of(name)
            for choice in self.space_of(name):
                if isinstance(choice, Choice) and declared[choice.name] not in choice.values:
                    raise ValueError(
                        f"parameters.{name}.{choice.name} {declared[choice.name]} must be among "
                        f"search.{choice.name} {choice.values}"
                    )
        return self

    @property
    def knowledge_end(self) -> datetime:
        """Close of `train_until`, the last instant this experiment may know, in UTC."""
        return close_of(self.train_until, self.calendar)

    @property
    def test_intervals(self) -> tuple[TestInterval, ...]:
        """The intervals that are tested on, one fold each, in order.

        Examples
        --------
        >>> [each.name for each in Experiment().test_intervals]
        ['2009', '2010', '2011']
        """
        plan = self.splits
        if not plan.test_starts:
            return tuple(TestInterval(f"{year}", date(year, 1, 1), date(year, 12, 31)) for year in plan.test_years)
        ends = [*(start - timedelta(days=1) for start in plan.test_starts[1:]), self.train_until]
        return tuple(TestInterval(f"{start}", start, end) for start, end in zip(plan.test_starts, ends, strict=True))

    @property
    def tuned(self) -> tuple[str, ...]:
        """Models of this experiment whose parameters are searched for."""
        return tuple(name for name in self.models if card_of(name).space)

    def horizon_bars(self, market: Market) -> tuple[int, ...]:
        """Return how far ahead its models forecast in a market, as `Market.horizon_bars` counts, ascending.

        Raises
        ------
        ConfigError
            If it declares a horizon that the market does not, or lacks the market's first.

        Examples
        --------
        >>> market = Market("desk", horizons=("1 session", "5 sessions", "20 sessions"))
        >>> Experiment().horizon_bars(market)
        (1, 5, 20)
        >>> Experiment(horizons=("1 session", "20 sessions")).horizon_bars(market)
        (1, 20)
        """
        if not self.horizons:
            return market.horizon_bars
        offered = {str(market.horizon_of(bars)): bars for bars in market.horizon_bars}
        unknown = [text for text in self.horizons if text not in offered]
        first, *_ = offered
        if unknown or first not in self.horizons:
            problem = f"and no {', '.join(unknown)}" if unknown else f"of which strategies are judged on {first}"
            raise ConfigError(
                f"The experiment '{self.name}' declares the horizons {', '.join(self.horizons)}; the market "
                f"'{market.name}' has {', '.join(offered)}, {problem}. Declare {first} and any others of the market's "
                "under `horizons` of the experiment, or leave it out for all of them."
            )
        return tuple(bars for text, bars in offered.items() if text in self.horizons)

    def parameters_of(self, model: str) -> dict[str, Any]:
        """Return the declared parameters of one model, by name.

        Examples
        --------
        >>> Experiment().parameters_of("ridge")
        {'penalty': 1000.0}
        """
        defaults = card_of(model).parameters()  # for a model registered after this experiment was made
        values: dict[str, Any] = getattr(self.parameters, model, defaults).model_dump()
        return values

    def space_of(self, model: str) -> tuple[Dimension, ...]:
        """Return what is searched for a model: the space of its card, with the widths of `search.hidden` if given."""
        widths = self.search.hidden
        return tuple(
            Choice(dimension.name, widths) if dimension.name == "hidden" and widths is not None else dimension
            for dimension in card_of(model).space
        )

    def fingerprint(self) -> str:
        """Return the SHA-256 of every value, in hex."""
        values = self.model_dump(mode="json")
        if self.calendar == VENUE:  # as before there were others, so that no training is done again
            del values["calendar"]
        if not self.splits.test_starts:
            del values["splits"]["test_starts"]
        if not self.horizons:
            del values["horizons"]
        return hashlib.sha256(json.dumps(values, separators=(",", ":"), ensure_ascii=False).encode()).hexdigest()


def list_experiments(folder: Path = FOLDER) -> list[str]:
    """Return the names of the experiments in a folder.

    Examples
    --------
    >>> list_experiments()
    ['demo', 'full', 'test']
    """
    return sorted(path.stem for path in folder.glob("*.yaml"))


def load_experiment(name: str, folder: Path = FOLDER) -> Experiment:
    """Read one named experiment.

    Raises
    ------
    UnknownNameError
        If there is no such file; the message lists the nearest names.
    ConfigError
        If the file holds an unknown key (the message names the nearest known one) or a value that breaks a rule.

    Examples
    --------
    >>> load_experiment("demo").splits.test_years
    (2009, 2010, 2011)
    """
    path = folder / f"{name}.yaml"
    if not path.is_file():
        raise UnknownNameError("experiment", name, list_experiments(folder))
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    except yaml.YAMLError as error:
        raise ConfigError(
            f"The experiment file {path.name} is not YAML: {error}. Compare it with demo.yaml."
        ) from error
    if not isinstance(content, dict):
        raise ConfigError(
            f"The experiment file {path.name} holds a {type(content).__name__}, expected keys and values."
        )
    return parse_experiment({"name": name} | content, where=path.name)


def parse_experiment(values: dict[str, Any], *, where: str = "the experiment") -> Experiment:
    """Return the experiment that differs from the defaults by `values`.

    Raises
    ------
    ConfigError
        If there is an unknown key (the message names the nearest known one) or a value that breaks a rule.

    Examples
    --------
    >>> parse_experiment({"parameters": {"ridge": {"penalty": 10}}}).parameters_of("ridge")
    {'penalty': 10.0}
    """
    try:
        return Experiment.model_validate(values)
    except ValidationError as error:
        problems = "; ".join(_problem(dict(found)) for found in error.errors())
        raise ConfigError(f"{where} cannot be used. {problems}.") from error


def _problem(found: dict[str, Any]) -> str:
    path = [str(part) for part in found["loc"]]
    if found["type"] != "extra_forbidden":
        return f"{'.'.join(path) or 'experiment'}: {found['msg']}, got {found['input']!r}"
    known = _fields_at(path[:-1])
    nearest = get_close_matches(path[-1], known, n=1, cutoff=0.0)
    return (
        f"Unknown key '{'.'.join(path)}'. Did you mean '{nearest[0]}'?"
        if nearest
        else f"'{'.'.join(path[:-1])}' has no keys"
    )


def _fields_at(path: list[str]) -> list[str]:
    model: type[BaseModel] = Experiment
    for part in path:
        annotation = model.model_fields[part].annotation
        if model is Experiment and part == "parameters":
            annotation = _parameters_class(tuple(MODELS.values()))
        assert isinstance(annotation, type)
        assert issubclass(annotation, BaseModel)
        model = annotation
    return list(model.model_fields)
