import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from lake.errors import ConfigError, ModelError, NotReadyError, UnknownNameError
from lake.ledger import TrialLedger
from training.data import WindowSet, fit_scaler
from training.experiments import Experiment
from training.fit import Fitted, fit_best, fit_model, load_fitted, save_fitted
from training.fit.fitted import WEIGHTS
from training.fit.losses import pinball_loss
from training.models import MODELS


@pytest.fixture(scope="module")
def parts(make_windows: Any) -> tuple[WindowSet, WindowSet]:
    return make_windows(signal=0.3, seed=1), make_windows(symbols=2, signal=0.3, seed=2)


@pytest.fixture(scope="module")
def fitted(parts: tuple[WindowSet, WindowSet], tiny: Experiment) -> dict[str, Fitted]:
    return {name: fit_model(name, *parts, tiny) for name in MODELS}


def validation_loss(fit: Fitted, valid: WindowSet) -> float:
    x, y = torch.from_numpy(valid.x), torch.from_numpy(valid.y)
    with torch.no_grad():
        sigma = fit.network.sigma(fit.network.split(x))
        return float(pinball_loss(fit.network.standardised(x), y / sigma, fit.network.outputs.quantiles))


@pytest.mark.parametrize("name", MODELS)
def test_every_model_answers_ordered_finite_quantiles(
    name: str, fitted: dict[str, Fitted], parts: tuple[WindowSet, WindowSet]
) -> None:
    quantiles = fitted[name].predict(parts[1].x)
    assert quantiles.shape == (len(parts[1]), 2, 3)
    assert quantiles.dtype == np.float32
    assert np.isfinite(quantiles).all()
    assert (np.diff(quantiles, axis=-1) >= 0).all()
    assert not fitted[name].network.training


@pytest.mark.parametrize("name", MODELS)
def test_the_same_seed_gives_the_same_bits(
    name: str, fitted: dict[str, Fitted], parts: tuple[WindowSet, WindowSet], tiny: Experiment
) -> None:
    torch.manual_seed(123)  # whatever the caller drew before makes no difference
    again = fit_model(name, *parts, tiny)
    for key, value in fitted[name].network.state_dict().items():
        assert torch.equal(value, again.network.state_dict()[key]), key
    assert again.history == fitted[name].history


@pytest.mark.parametrize("name", ["lstm", "tft"])
def test_another_seed_gives_another_network(
    name: str, fitted: dict[str, Fitted], parts: tuple[WindowSet, WindowSet], tiny: Experiment
) -> None:
    assert fit_model(name, *parts, tiny, seed=99).history != fitted[name].history


@pytest.mark.parametrize("name", MODELS)
def test_the_scaler_has_seen_training_windows_only(
    name: str, fitted: dict[str, Fitted], parts: tuple[WindowSet, WindowSet]
) -> None:
    expected = fit_scaler(parts[0].x)
    np.testing.assert_array_equal(fitted[name].network.mean.numpy(), expected.mean)
    np.testing.assert_array_equal(fitted[name].network.std.numpy(), expected.std)


@pytest.mark.parametrize("name", ["ridge", "lightgbm", "lstm"])
def test_a_signal_is_found_and_naive_beaten_on_windows_never_seen(
    name: str, make_windows: Any, tiny: Experiment
) -> None:
    train, valid, fresh = (make_windows(symbols=12, signal=1.0, seed=seed) for seed in (3, 4, 5))
    parameters = tiny.parameters_of(name) | ({"rounds": 40, "learning_rate": 0.1} if name == "lightgbm" else {})
    plan = tiny.optimisation.model_copy(update={"epochs": 12, "patience_epochs": 12})
    losses = {
        model: validation_loss(fit_model(model, train, valid, tiny, given, optimisation=plan), fresh)
        for model, given in (("naive", None), (name, parameters))
    }
    assert losses[name] < 0.9 * losses["naive"]


@pytest.mark.parametrize("name", ["lstm", "tft"])
def test_the_weights_kept_are_those_of_the_best_epoch(
    name: str, parts: tuple[WindowSet, WindowSet], tiny: Experiment
) -> None:
    wild = tiny.parameters_of(name) | {"learning_rate": 0.3}
    plan = tiny.optimisation.model_copy(update={"epochs": 4, "patience_epochs": 4})
    fit = fit_model(name, *parts, tiny, wild, optimisation=plan)
    assert len(fit.history) == 4
    assert fit.epochs < 4
    assert validation_loss(fit, parts[1]) == pytest.approx(fit.history[fit.epochs - 1], rel=1e-5)
    assert fit.loss == fit.history[fit.epochs - 1]


def test_training_stops_when_validation_no_longer_improves(
    parts: tuple[WindowSet, WindowSet], tiny: Experiment
) -> None:
    plan = tiny.optimisation.model_copy(update={"epochs": 60, "patience_epochs": 2})
    wild = tiny.parameters_of("lstm") | {"learning_rate": 0.1}
    history = fit_model("lstm", *parts, tiny, wild, optimisation=plan).history
    assert len(history) < 60
    assert min(history) == history[-3]


def test_who_watches_hears_every_epoch_and_can_stop(parts: tuple[WindowSet, WindowSet], tiny: Experiment) -> None:
    heard: list[tuple[int, float]] = []

    def watch(epoch: int, loss: float) -> None:
        heard.append((epoch, loss))
        if epoch == 1:
            raise KeyError("enough")

    plan = tiny.optimisation.model_copy(update={"epochs": 9})
    with pytest.raises(KeyError, match="enough"):
        fit_model("lstm", *parts, tiny, optimisation=plan, watch=watch)
    assert [epoch for epoch, _ in heard] == [0, 1]
    assert all(math.isfinite(loss) for _, loss in heard)


def test_the_callers_threads_and_random_state_are_left_alone(
    parts: tuple[WindowSet, WindowSet], tiny: Experiment
) -> None:
    threads, state = torch.get_num_threads(), torch.get_rng_state()
    fit_model("lstm", *parts, tiny)
    assert torch.get_num_threads() == threads
    assert torch.equal(torch.get_rng_state(), state)


def test_of_several_seeds_the_best_on_validation_is_kept(
    parts: tuple[WindowSet, WindowSet], tiny: Experiment, ledger: TrialLedger
) -> None:
    many = tiny.model_copy(update={"seeds": (1, 2, 3)})
    worth = {seed: min(fit_model("lstm", *parts, tiny, seed=seed).history) for seed in many.seeds}
    assert fit_best("lstm", *parts, many, ledger=ledger).seed == min(worth, key=lambda seed: worth[seed])


def test_a_loss_that_is_never_a_number_is_an_error(parts: tuple[WindowSet, WindowSet], tiny: Experiment) -> None:
    broken = WindowSet(parts[1].x, np.full_like(parts[1].y, np.nan), parts[1].keys)
    with pytest.raises(ModelError, match="learning_rate"):
        fit_model("lstm", parts[0], broken, tiny)


def test_an_unknown_model_is_named(parts: tuple[WindowSet, WindowSet], tiny: Experiment) -> None:
    with pytest.raises(UnknownNameError, match="ridge"):
        fit_model("rigde", *parts, tiny)


@pytest.mark.parametrize("name", MODELS)
def test_a_saved_model_answers_the_same_bits(
    name: str, fitted: dict[str, Fitted], parts: tuple[WindowSet, WindowSet], tmp_path: Path
) -> None:
    loaded = load_fitted(save_fitted(fitted[name], tmp_path / name))
    np.testing.assert_array_equal(loaded.predict(parts[1].x), fitted[name].predict(parts[1].x))
    assert (loaded.name, loaded.parameters, loaded.seed) == (name, fitted[name].parameters, fitted[name].seed)
    assert loaded.history == fitted[name].history


def test_a_file_that_holds_code_is_refused(fitted: dict[str, Fitted], tmp_path: Path) -> None:
    class Harm:
        def __reduce__(self) -> tuple[Any, tuple[str]]:
            return (Path.touch, (tmp_path / "harmed",))  # type: ignore[return-value]

    folder = save_fitted(fitted["ridge"], tmp_path / "ridge")
    torch.save({"mean": Harm()}, folder / WEIGHTS)
    with pytest.raises(ModelError, match="cannot be used for 'ridge'"):
        load_fitted(folder)
    assert not (tmp_path / "harmed").exists()


def test_damaged_and_missing_weights_say_what_to_do(fitted: dict[str, Fitted], tmp_path: Path) -> None:
    folder = save_fitted(fitted["lstm"], tmp_path / "lstm")
    content = (folder / WEIGHTS).read_bytes()
    (folder / WEIGHTS).write_bytes(content[: len(content) // 2])
    with pytest.raises(ModelError, match="Fit the model again"):
        load_fitted(folder)
    (folder / WEIGHTS).unlink()
    with pytest.raises(NotReadyError, match=r"weights\.pt"):
        load_fitted(folder)


@pytest.mark.parametrize("name", ["naive", "har", "garch", "ridge", "lightgbm"])
def test_what_is_not_known_over_one_horizon_changes_nothing_at_another(name: str, make_windows: Any) -> None:
    """Half of the five-session returns are missing: the model of one session is the same to the last bit."""
    whole = make_windows(signal=0.3, seed=4)
    y = whole.y.copy()
    y[len(y) // 2 :, 1] = np.nan
    gapped = WindowSet(whole.x, y, whole.keys)
    one, other = (fit_model(name, part, part.take(np.arange(8)), Experiment()) for part in (whole, gapped))
    assert np.array_equal(one.predict(whole.x)[:, 0], other.predict(whole.x)[:, 0])
    assert np.isfinite(other.predict(whole.x)).all()


def test_a_horizon_without_any_return_is_named(make_windows: Any) -> None:
    whole = make_windows(seed=4)
    unknown = WindowSet(whole.x, np.where([False, True], np.float32("nan"), whole.y), whole.keys)
    with pytest.raises(ConfigError, match="has a return over 5 bars"):
        fit_model("ridge", unknown, unknown.take(np.arange(8)), Experiment())


def test_a_network_learns_from_windows_whose_long_label_is_missing(make_windows: Any, tiny: Experiment) -> None:
    whole = make_windows(symbols=2, seed=4)
    y = whole.y.copy()
    y[::2, 1] = np.nan
    fitted = fit_model("lstm", WindowSet(whole.x, y, whole.keys), whole, tiny)
    assert np.isfinite(fitted.history).all()
