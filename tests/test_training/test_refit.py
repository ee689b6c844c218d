"""Networks learn from the newest year too, once it has said for how long; seeds that learnt nothing are passed over."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest
import torch

from lake.errors import LookAheadError
from lake.ledger import TrialLedger
from training.data import WindowSet, assert_learnt_before, champion_split, fit_scaler, walk_forward
from training.experiments import Experiment
from training.fit import Fitted, fit_best, fit_each_seed, fit_model, load_fitted, refit, save_fitted
from training.judge import forecast_folds
from training.models import MODELS, Variation, variation_of

FLAT = Variation((0.0, 0.0), (0.0, 0.0), (0.0, 0.0))


@pytest.fixture(scope="module")
def parts(make_windows: Any) -> tuple[WindowSet, WindowSet]:
    later = {"start": datetime(2008, 7, 1, tzinfo=UTC), "end": datetime(2008, 9, 1, tzinfo=UTC)}
    return make_windows(signal=0.3, seed=1), make_windows(signal=0.3, seed=2, **later)


@pytest.fixture(scope="module")
def fitted(parts: tuple[WindowSet, WindowSet], tiny: Experiment) -> Fitted:
    return fit_model("lstm", *parts, tiny)


def weights_of(fit: Fitted) -> dict[str, torch.Tensor]:
    return fit.network.state_dict()


def differ(one: Fitted, other: Fitted) -> bool:
    return any(not torch.equal(value, weights_of(other)[name]) for name, value in weights_of(one).items())


def test_the_refit_learns_from_validation_windows_and_scales_by_them(
    parts: tuple[WindowSet, WindowSet], tiny: Experiment, fitted: Fitted
) -> None:
    train, valid = parts
    again = refit(fitted, train, valid, tiny)
    both = train.joined(valid)
    expected = fit_scaler(both.x)
    np.testing.assert_array_equal(again.network.mean.numpy(), expected.mean)
    np.testing.assert_array_equal(again.network.std.numpy(), expected.std)
    assert (again.learnt_from, again.learnt_until) == (len(both), valid.keys["label_end"].max())
    assert (fitted.learnt_from, fitted.learnt_until) == (len(train), train.keys["label_end"].max())
    assert (again.history, again.seed, again.parameters) == (fitted.history, fitted.seed, fitted.parameters)
    mirrored = WindowSet(valid.x, -valid.y, valid.keys)
    assert differ(refit(fitted, train, mirrored, tiny), again)
    assert not differ(refit(fitted, train, valid, tiny), again)
    assert not again.network.training


def test_the_refit_takes_as_many_steps_as_the_best_epoch_says(
    parts: tuple[WindowSet, WindowSet], tiny: Experiment, fitted: Fitted
) -> None:
    """Epochs of the same windows: with one epoch asked for, what comes out is what one epoch of all windows gives."""
    train, valid = parts
    best_first, best_last = replace(fitted, epochs=1), replace(fitted, epochs=3)
    once = fit_model(
        "lstm", train.joined(valid), valid, tiny, optimisation=tiny.optimisation.model_copy(update={"epochs": 1})
    )
    assert not differ(refit(best_first, train, valid, tiny), once)
    assert differ(refit(best_last, train, valid, tiny), once)


@pytest.mark.parametrize("name", [name for name, card in MODELS.items() if not card.is_network])
def test_what_is_fitted_in_one_call_has_learnt_from_everything_already(
    name: str, parts: tuple[WindowSet, WindowSet], tiny: Experiment
) -> None:
    fit = fit_model(name, *parts, tiny)
    assert refit(fit, *parts, tiny) is fit
    assert (fit.learnt_from, fit.epochs) == (sum(map(len, parts)), 0)
    assert fit.learnt_until == parts[1].keys["label_end"].max()


def test_a_saved_model_says_what_it_learnt_from(fitted: Fitted, tmp_path: Any) -> None:
    loaded = load_fitted(save_fitted(fitted, tmp_path))
    assert (loaded.learnt_from, loaded.learnt_until) == (fitted.learnt_from, fitted.learnt_until)
    assert loaded.epochs == fitted.epochs == fitted.history.index(min(fitted.history)) + 1
    assert loaded.loss == fitted.loss == min(fitted.history)


def test_every_seed_is_fitted_and_refitted_for_the_table_and_one_for_service(
    parts: tuple[WindowSet, WindowSet], tiny: Experiment, ledger: TrialLedger
) -> None:
    many = tiny.model_copy(update={"seeds": (1, 2, 3)})
    judged = list(fit_each_seed("lstm", *parts, many))
    assert [fit.seed for fit in judged] == [1, 2, 3]
    assert {fit.learnt_from for fit in judged} == {sum(map(len, parts))}
    best = min(judged, key=lambda fit: fit.loss)
    assert not differ(fit_best("lstm", *parts, many, ledger=ledger), best)
    assert len(list(fit_each_seed("ridge", *parts, many))) == 1


def test_a_seed_whose_forecasts_do_not_vary_is_served_only_where_none_varies(
    parts: tuple[WindowSet, WindowSet], tiny: Experiment, ledger: TrialLedger, monkeypatch: pytest.MonkeyPatch
) -> None:
    many = tiny.model_copy(update={"seeds": (1, 2, 3)})
    losses = {seed: min(fit_model("lstm", *parts, tiny, seed=seed).history) for seed in many.seeds}
    best, second, _ = sorted(losses, key=lambda seed: losses[seed])
    real = Fitted.variation
    monkeypatch.setattr(Fitted, "variation", lambda fit, x: FLAT if fit.seed == best else real(fit, x))
    assert fit_best("lstm", *parts, many, ledger=ledger).seed == second
    monkeypatch.setattr(Fitted, "variation", lambda *_: FLAT)
    assert fit_best("lstm", *parts, many, ledger=ledger).seed == best


@pytest.fixture(scope="module")
def market(make_windows: Any) -> WindowSet:
    years = {"start": datetime(2007, 6, 1, tzinfo=UTC), "end": datetime(2011, 12, 31, tzinfo=UTC)}
    return make_windows(symbols=3, seed=3, **years)


@pytest.mark.parametrize("name", ["ridge", "lstm"])
def test_no_fit_of_a_fold_learns_from_a_label_that_ends_in_its_test(
    market: WindowSet, tiny: Experiment, ledger: TrialLedger, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = tiny.model_copy(update={"models": ("naive", name)})
    split = walk_forward(market.keys, one)[0]
    train, valid, test = (market.take(rows) for rows in (split.train, split.valid, split.test))
    honest = list(fit_each_seed(name, train, valid, one))
    for fit in honest:
        assert_learnt_before(split, fit.learnt_until)
    monkeypatch.setattr("training.fit.fit_each_seed", lambda *_: fit_each_seed(name, train, valid.joined(test), one))
    with pytest.raises(LookAheadError, match=r"Split 2009: a model learnt from a label that ends on 20"):
        forecast_folds(market, one, {}, ledger=ledger)


def test_a_champion_may_learn_from_what_is_known_at_the_end_of_knowledge_and_no_later(
    market: WindowSet, tiny: Experiment
) -> None:
    champion, fold = champion_split(market.keys, tiny), walk_forward(market.keys, tiny)[1]
    assert_learnt_before(champion, tiny.knowledge_end)
    assert_learnt_before(champion, None)
    after = tiny.knowledge_end.replace(year=2012)
    with pytest.raises(LookAheadError, match="expected none after 2011-12-30"):
        assert_learnt_before(champion, after)
    with pytest.raises(LookAheadError, match="expected none at or after 2010-01-04"):
        assert_learnt_before(fold, fold.test_start)


@pytest.mark.parametrize(("flat", "kept"), [((), 0), ((0,), 1), ((0, 1, 2), 0)])
def test_an_epoch_after_which_nothing_varies_is_kept_only_where_every_one_is_so(
    parts: tuple[WindowSet, WindowSet], tiny: Experiment, monkeypatch: pytest.MonkeyPatch, flat: set[int], kept: int
) -> None:
    """Epochs by rising loss; the best of those that vary is kept."""
    plan = tiny.optimisation.model_copy(update={"epochs": 3, "patience_epochs": 3})
    losses = fit_model("lstm", *parts, tiny, optimisation=plan).history
    ranked = sorted(range(3), key=lambda epoch: losses[epoch])
    flat_epochs, seen = {ranked[place] for place in flat}, []

    def variation(_: Any) -> Variation:
        seen.append(1)
        return FLAT if len(seen) - 1 in flat_epochs else Variation((1.0, 1.0), (1.0, 1.0), (1.0, 1.0))

    monkeypatch.setattr("training.fit.module.variation_in_units", variation)
    fit = fit_model("lstm", *parts, tiny, optimisation=plan)
    assert fit.history == losses
    assert fit.epochs == ranked[kept] + 1


def test_a_refit_that_no_longer_varies_is_not_taken(
    parts: tuple[WindowSet, WindowSet], tiny: Experiment, fitted: Fitted, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert not fitted.variation(parts[1].x).is_constant
    assert refit(fitted, *parts, tiny) is not fitted
    real = Fitted.variation
    monkeypatch.setattr(Fitted, "variation", lambda fit, x: real(fit, x) if fit is fitted else FLAT)
    assert refit(fitted, *parts, tiny) is fitted


def test_a_fit_that_does_not_vary_is_not_fitted_again(
    parts: tuple[WindowSet, WindowSet], tiny: Experiment, ledger: TrialLedger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is refused whatever its weights; a network without a learning rate says the same of every window."""
    still = tiny.parameters_of("tft") | {"learning_rate": 1e-9}
    flat = fit_model("tft", *parts, tiny, still)
    assert flat.variation(parts[1].x).is_constant
    trained: list[int] = []
    monkeypatch.setattr("training.fit.fit.train_for", lambda *_: trained.append(1))
    assert refit(flat, *parts, tiny) is flat
    assert fit_best("tft", *parts, tiny, still, ledger=ledger).learnt_until == parts[0].keys["label_end"].max()
    assert not trained


@pytest.mark.parametrize("name", ["lstm", "tft"])
def test_the_validation_of_a_network_says_how_much_it_varies(
    name: str, parts: tuple[WindowSet, WindowSet], tiny: Experiment
) -> None:
    fit, x = fit_model(name, *parts, tiny), parts[1].x
    np.testing.assert_allclose(fit.variation(x), variation_of(fit.predict(x), x), rtol=1e-3, atol=1e-6)


def test_the_validation_of_the_first_fit_says_nothing_of_the_refit(
    parts: tuple[WindowSet, WindowSet], tiny: Experiment, fitted: Fitted
) -> None:
    again, x = refit(fitted, *parts, tiny), parts[1].x
    assert again.variation(x) == variation_of(again.predict(x), x) != fitted.variation(x)
