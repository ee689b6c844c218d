"""Experiments as frozen values: a YAML file is a small difference from the defaults, and an unknown key is an error."""

import hashlib
from datetime import date, datetime
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Literal, Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from lake.calendars import close_of
from lake.errors import ConfigError, UnknownNameError
from training.models import MODELS, NEURAL_MODELS

FOLDER = Path(__file__).parent / "experiments"
"""Where the named experiments lie."""

ModelName = Literal["naive", "ridge", "lightgbm", "lstm", "tft"]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class SplitPlan(_Frozen):
    """How time is cut into training, validation and test.

    A training row is kept only when its label *ends* before the cut, whichever symbol it belongs to; see
    `training.splits`.
    """

    test_years: tuple[int, ...] = Field(default=(2009, 2010, 2011), min_length=3, description="one fold per year")
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
    hidden: tuple[int, ...] = Field(default=(16, 32, 64), min_length=1, description="widths that are tried")


class Network(_Frozen):
    """What both networks have."""

    hidden: int = Field(default=32, ge=1, description="width of the hidden state")
    dropout: float = Field(default=0.2, ge=0, lt=1, description="share of activations dropped in training")
    learning_rate: float = Field(default=1e-3, gt=0, description="step size of AdamW")
    weight_decay: float = Field(default=1e-3, ge=0, description="decay of AdamW")


class Lstm(Network):
    """Parameters of the LSTM."""

    layers: int = Field(default=1, ge=1, le=4, description="stacked LSTM layers")


class Tft(Network):
    """Parameters of the Temporal Fusion Transformer."""

    heads: int = Field(default=2, ge=1, description="attention heads; must divide hidden")

    @model_validator(mode="after")
    def _heads_divide(self) -> Self:
        if self.hidden % self.heads:
            raise ValueError(f"hidden {self.hidden} cannot be shared out to {self.heads} heads")
        return self


class Ridge(_Frozen):
    """Parameters of the ridge regression."""

    penalty: float = Field(default=1000.0, ge=0, description="weight of the squared coefficients")


class LightGbm(_Frozen):
    """Parameters of the boosted trees, one ensemble per horizon and quantile."""

    rounds: int = Field(default=60, ge=1, description="trees per ensemble")
    leaves: int = Field(default=8, ge=2, description="leaves per tree at most")
    learning_rate: float = Field(default=0.05, gt=0, description="shrinkage per tree")
    rows_per_leaf: int = Field(default=200, ge=1, description="windows a leaf needs at least")


class Naive(_Frozen):
    """Naive has no parameters: zero return, and the band of a normal distribution of the window's volatility."""


class ModelParameters(_Frozen):
    """Parameters of every model; for the searched ones, where the search starts."""

    naive: Naive = Naive()
    ridge: Ridge = Ridge()
    lightgbm: LightGbm = LightGbm()
    lstm: Lstm = Lstm()
    tft: Tft = Tft()


class Experiment(_Frozen):
    """Everything that decides what a training run does, besides the data.

    Parameters
    ----------
    name
        Name of the experiment: the stem of its file.
    train_until
        Session whose close is the end of knowledge: no label that ends later is used in any way.
    models
        Models that are judged and fitted, in this order; naive is always among them.
    seeds
        A network is trained once per seed, and the run with the best validation loss is kept.
    """

    name: str = "default"
    train_until: date = date(2011, 12, 30)
    models: tuple[ModelName, ...] = ("naive", "ridge", "lightgbm", "lstm", "tft")
    seeds: tuple[int, ...] = Field(default=(7,), min_length=1)
    splits: SplitPlan = SplitPlan()
    optimisation: Optimisation = Optimisation()
    search: SearchPlan = SearchPlan()
    parameters: ModelParameters = ModelParameters()

    @model_validator(mode="after")
    def _is_consistent(self) -> Self:
        if "naive" not in self.models:
            raise ValueError("models must hold 'naive': the table shows every other model beside it")
        years = self.splits.test_years
        if list(years) != sorted(set(years)):
            raise ValueError(f"test_years {years} must ascend: parameters are searched for before the first of them")
        late = [year for year in self.splits.test_years if year > self.train_until.year]
        if late:
            raise ValueError(f"test_years {late} lie after train_until {self.train_until}, which nothing may see")
        for name in self.tuned:
            hidden = self.parameters_of(name)["hidden"]
            if hidden not in self.search.hidden:
                raise ValueError(f"parameters.{name}.hidden {hidden} must be among search.hidden {self.search.hidden}")
        return self

    @property
    def knowledge_end(self) -> datetime:
        """Close of `train_until`, the last instant this experiment may know, in UTC."""
        return close_of(self.train_until)

    @property
    def tuned(self) -> tuple[str, ...]:
        """Models of this experiment whose parameters are searched for."""
        return tuple(name for name in self.models if name in NEURAL_MODELS)

    def parameters_of(self, model: str) -> dict[str, Any]:
        """Return the declared parameters of one model, by name."""
        if model not in MODELS:
            raise UnknownNameError("model", model, MODELS)
        values: dict[str, Any] = getattr(self.parameters, model).model_dump()
        return values

    def fingerprint(self) -> str:
        """Return the SHA-256 of every value, in hex."""
        return hashlib.sha256(self.model_dump_json().encode()).hexdigest()


def experiments(folder: Path = FOLDER) -> list[str]:
    """Names of the experiments in a folder."""
    return sorted(path.stem for path in folder.glob("*.yaml"))


def load(name: str, folder: Path = FOLDER) -> Experiment:
    """Read one named experiment.

    Raises
    ------
    UnknownNameError
        If there is no such file; the message lists the nearest names.
    ConfigError
        If the file holds an unknown key (the message names the nearest known one) or a value that breaks a rule.

    Examples
    --------
    >>> load("demo").splits.test_years
    (2009, 2010, 2011)
    """
    path = folder / f"{name}.yaml"
    if not path.is_file():
        raise UnknownNameError("experiment", name, experiments(folder))
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
    """Return the experiment that differs from the defaults by `values`, or say what is wrong with them."""
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
        assert isinstance(annotation, type)
        assert issubclass(annotation, BaseModel)
        model = annotation
    return list(model.model_fields)
