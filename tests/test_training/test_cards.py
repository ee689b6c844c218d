"""A model is one card: a card that is not whole is refused, and everything else follows from it."""

import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pydantic import Field

from feature_repo.online import BlendWeights
from lake.errors import ConfigError, ModelError, UnknownNameError
from lake.ledger import TrialLedger
from serving.strategies import document, pool
from training.data import WindowSet
from training.experiments import Experiment, parse_experiment
from training.fit import fit_model, load_fitted, save_fitted, search_parameters
from training.judge import forecast_folds, score_folds
from training.models import (
    MODELS,
    AtOnce,
    Choice,
    FedStrategy,
    GradientDescent,
    ModelCard,
    OutputSpec,
    Parameters,
    Range,
    card_of,
    register,
    registered,
)
from training.models import base as models_base
from training.models.card import resolved

ROOT = Path(__file__).parents[2]


class ConvolutionParameters(Parameters):
    """Parameters of a network that has no `hidden`."""

    channels: int = Field(default=4, ge=1)
    learning_rate: float = Field(default=0.01, gt=0)
    weight_decay: float = Field(default=0.0, ge=0)


class Convolution(models_base.ReturnForecaster):
    """A network from outside: one convolution over the sessions, and the normal band around its answer."""

    def __init__(self, inputs: Any, outputs: Any, scaler: Any = None, *, channels: int = 4) -> None:
        super().__init__(inputs, outputs, scaler)
        self.channels = channels
        self.convolution = torch.nn.Conv1d(inputs.width, channels, kernel_size=5)
        self.head = torch.nn.Linear(channels, len(outputs.horizons))

    def heads(self, window: Any) -> torch.Tensor:
        seen = torch.cat([window.scaled, window.known], dim=-1).transpose(1, 2)  # [batch, feature, session]
        middle = self.head(torch.relu(self.convolution(seen)).mean(dim=-1))  # [batch, horizon]
        return torch.stack([middle - 1.28, middle, middle + 1.28], dim=-1)

    def architecture(self) -> dict[str, int | float]:
        return {"channels": self.channels}


CARD = ModelCard(
    name="convolution",
    meaning="A convolution over the sessions.",
    build=Convolution,
    fit=GradientDescent(),
    parameters=ConvolutionParameters,
    space=(Choice("channels", (2, 4)), Range("learning_rate", 1e-3, 1e-1, is_log=True)),
    outputs=OutputSpec(),
    strategies=(FedStrategy("convolution", "Long and short by the convolution's median."),),
)
PARTS = ("name", "meaning", "build", "fit", "parameters", "space", "outputs", "strategies")


@pytest.fixture(scope="module")
def parts(make_windows: Any) -> tuple[WindowSet, WindowSet]:
    return make_windows(signal=0.5, seed=1), make_windows(signal=0.5, seed=2)


@pytest.fixture
def outside(tiny: Experiment) -> Any:
    with registered(CARD):
        yield parse_experiment({**tiny.model_dump(exclude={"parameters"}), "models": ["naive", "convolution"]})
    assert "convolution" not in MODELS


@pytest.mark.parametrize("part", PARTS)
def test_a_card_without_a_part_says_which_is_missing(part: str) -> None:
    given = {name: getattr(CARD, name) for name in PARTS if name != part}
    with pytest.raises(ConfigError, match=rf"not whole: {part} is missing\. Give every part in .*registry\.py"):
        ModelCard(**given)


def test_a_card_that_is_not_whole_is_an_error_at_import(tmp_path: Path) -> None:
    registry = (ROOT / "training/models/registry.py").read_text(encoding="utf-8")
    cut = registry.replace('fit=AtOnce("training.models.ridge:fit_ridge"),\n', "")
    assert cut != registry
    (tmp_path / "cut_registry.py").write_text(cut, encoding="utf-8")
    command = [sys.executable, "-c", "import cut_registry"]
    said = subprocess.run(
        command, cwd=ROOT, env={"PYTHONPATH": f"{tmp_path}:{ROOT}"}, capture_output=True, text=True, check=False
    )
    assert said.returncode == 1
    assert "The card of model 'ridge' is not whole: fit is missing" in said.stderr


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"build": "training.models.nowhere:Network"}, "build 'training.models.nowhere:Network' leads nowhere"),
        ({"build": "training.models.lstm:Lstm"}, "leads nowhere"),
        ({"fit": AtOnce("training.models.ridge:fit")}, "fit.function 'training.models.ridge:fit' leads nowhere"),
        ({"fit": AtOnce(print)}, "which only gradient descent has"),
        ({"space": (Choice("hidden", (2, 4)),)}, "space has hidden, parameters have channels"),
        ({"parameters": Parameters, "space": ()}, "no learning_rate, which the optimiser needs"),
        ({"outputs": OutputSpec((1, 20))}, "forecasts are stored for horizons"),
    ],
)
def test_parts_that_do_not_fit_together_are_named(change: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError) as error:
        replace(CARD, **change)
    assert "The card of model 'convolution' cannot be used" in str(error.value)
    assert words in str(error.value)


def test_every_reference_of_a_packaged_card_can_be_imported() -> None:
    for card in MODELS.values():
        assert issubclass(resolved(card.build), models_base.ReturnForecaster)
        assert not isinstance(card.fit, AtOnce) or callable(resolved(card.fit.function))


def test_names_of_models_and_strategies_are_taken_once() -> None:
    with pytest.raises(ConfigError, match="There is a model 'ridge' already"):
        register(replace(CARD, name="ridge"))
    with pytest.raises(ConfigError, match="feeds a strategy 'buy_and_hold', as 'naive' does already"):
        register(replace(CARD, strategies=(FedStrategy("buy_and_hold", "Taken."),)))
    with pytest.raises(UnknownNameError, match="lstm"):
        card_of("lsmt")


@pytest.mark.parametrize("returned", [None, "network"])
def test_a_function_that_returns_no_fitted_network_is_an_error(
    returned: Any, parts: tuple[WindowSet, WindowSet], tiny: Experiment
) -> None:
    lazy = replace(CARD, fit=AtOnce(lambda *_, **__: returned), space=())
    with registered(lazy), pytest.raises(ModelError, match="A model that was not fitted is never used"):
        fit_model("convolution", *parts, tiny)


def test_the_strategies_of_the_service_are_those_of_the_cards() -> None:
    assert document.POOL == pool.POOL
    assert pool.POOL.read_text(encoding="utf-8") == document.pool_as_json(MODELS.values()), (
        "serving/strategies/pool.json is older than the cards: run `make docs`"
    )
    with pytest.raises(ConfigError, match="make docs"):
        pool.parse_pool('[{"model": "naive", "name": "naive", "rule": "all_in"}]')


def test_a_model_from_outside_is_searched_fitted_and_kept(
    parts: tuple[WindowSet, WindowSet], outside: Experiment, ledger: TrialLedger, tmp_path: Path
) -> None:
    assert outside.tuned == ("convolution",)
    assert outside.parameters_of("convolution") == {"channels": 4, "learning_rate": 0.01, "weight_decay": 0.0}
    with pytest.raises(ConfigError, match="'channels'"):
        parse_experiment({"parameters": {"convolution": {"chanels": 2}}})
    found = search_parameters("convolution", *parts, outside, tmp_path, ledger=ledger)
    assert (found.trials, found.parameters.keys()) == (3, {"channels", "learning_rate", "weight_decay"})
    fitted = fit_model("convolution", *parts, outside, found.parameters)
    again = load_fitted(save_fitted(fitted, tmp_path / "fitted"))
    np.testing.assert_array_equal(again.predict(parts[1].x), fitted.predict(parts[1].x))


def test_a_model_from_outside_is_judged(outside: Experiment, ledger: TrialLedger, make_windows: Any) -> None:
    windows = make_windows(start=datetime(2007, 6, 1, tzinfo=UTC), end=datetime(2011, 12, 30, tzinfo=UTC), symbols=2)
    forecasts = forecast_folds(windows, outside, {}, ledger=ledger)
    table = score_folds(forecasts, experiment="outside", known_time=datetime(2012, 1, 1, tzinfo=UTC))
    assert set(table["model"]) == {"naive", "convolution"}
    assert table.filter(table["model"] == "convolution")["pinball_loss"].null_count() == 0


def test_a_model_from_outside_is_exported_with_its_proof_and_serves_a_forecast(
    outside: Experiment, make_windows: Any, tmp_path: Path
) -> None:

    from feature_repo.targets.windows import FORECAST_V2
    from lake.settings import Settings
    from serving.deployment import LoadedModels
    from serving.deployment.candidates import LoadedModel
    from serving.engines import load_engine
    from serving.engines.export import export_model
    from serving.predict import forecast

    windows = make_windows(signal=0.5, symbols=9)
    fitted = fit_model("convolution", windows, windows, outside)
    until = datetime(2008, 7, 1, tzinfo=UTC)
    bundle = export_model(
        fitted.network, "convolution", FORECAST_V2, {"labels": 1}, windows.x, tmp_path / "bundle", train_until=until
    )
    assert bundle.parity.max_absolute_difference <= 1e-5
    models = LoadedModels({"convolution": LoadedModel(bundle, load_engine(bundle, Settings(home=tmp_path)))})
    features = len(FORECAST_V2.features)
    row = Row(windows.x[0, :, :features], "convolution")
    made = forecast([row], models)  # type: ignore[list-item]
    np.testing.assert_allclose(made.quantiles[0], fitted.predict(windows.x[:1])[0], atol=1e-5)
    assert [[member.name for member in each] for each in made.members[0]] == [["convolution"]] * 2


class Row:
    """What the blend reads of a row."""

    def __init__(self, window: np.ndarray, name: str) -> None:
        self.window, self.symbol, self.calibration = window, "AAPL", None
        self.blend = BlendWeights(datetime(2012, 12, 31, tzinfo=UTC), (1, 5), (name, name), (1.0, 1.0))
