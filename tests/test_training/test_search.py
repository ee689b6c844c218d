from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.storages.journal import JournalFileBackend

from lake.errors import UnknownNameError
from training.config import Experiment, parse_experiment
from training.dataset import WindowSet
from training.fit import fit_model
from training.search import JOURNAL, search


@pytest.fixture(scope="module")
def parts(make_windows: Any) -> tuple[WindowSet, WindowSet]:
    return make_windows(signal=0.5, seed=1), make_windows(signal=0.5, seed=2)


def with_trials(experiment: Experiment, trials: int, **more: object) -> Experiment:
    return experiment.model_copy(update={"search": experiment.search.model_copy(update={"trials": trials, **more})})


def test_the_result_is_complete_and_no_worse_than_what_was_declared(
    parts: tuple[WindowSet, WindowSet], tiny: Experiment, tmp_path: Path
) -> None:
    said: list[str] = []
    found = search("lstm", *parts, tiny, tmp_path, say=said.append)
    assert found.parameters.keys() == tiny.parameters_of("lstm").keys()
    assert found.loss == min(found.losses) <= found.first_loss == found.losses[0]
    assert (found.trials, found.ran, len(said)) == (3, 3, 3)
    assert parse_experiment({"parameters": {"lstm": found.parameters}, "search": {"hidden": [4, 8]}, **HIDDEN})
    assert (tmp_path / JOURNAL).is_file()


HIDDEN = {"models": ["naive", "lstm"]}


def test_a_second_search_does_nothing(parts: tuple[WindowSet, WindowSet], tiny: Experiment, tmp_path: Path) -> None:
    first = search("lstm", *parts, tiny, tmp_path)
    journal = (tmp_path / JOURNAL).read_bytes()
    again = search("lstm", *parts, tiny, tmp_path)
    assert again.ran == 0
    assert (again.parameters, again.losses) == (first.parameters, first.losses)
    assert (tmp_path / JOURNAL).read_bytes().count(b'"op_code": 4') == journal.count(b'"op_code": 4')  # trials made


def test_a_search_taken_up_again_goes_on_as_if_it_had_not_been_cut_off(
    parts: tuple[WindowSet, WindowSet], tiny: Experiment, tmp_path: Path
) -> None:
    whole = search("lstm", *parts, with_trials(tiny, 4), tmp_path / "whole")
    search("lstm", *parts, with_trials(tiny, 2), tmp_path / "cut")
    resumed = search("lstm", *parts, with_trials(tiny, 4), tmp_path / "cut")
    assert resumed.ran == 2
    assert resumed.losses == whole.losses
    assert resumed.parameters == whole.parameters


def test_a_trial_that_a_killed_run_left_open_is_closed_and_made_up_for(
    parts: tuple[WindowSet, WindowSet], tiny: Experiment, tmp_path: Path
) -> None:
    whole = search("lstm", *parts, with_trials(tiny, 3), tmp_path / "whole")
    folder = tmp_path / "killed"
    search("lstm", *parts, with_trials(tiny, 2), folder)
    storage = optuna.storages.JournalStorage(JournalFileBackend(str(folder / JOURNAL)))
    optuna.load_study(study_name="lstm", storage=storage).ask()  # opened, never told
    resumed = search("lstm", *parts, with_trials(tiny, 3), folder)
    states = [trial.state.name for trial in optuna.load_study(study_name="lstm", storage=storage).trials]
    assert states.count("RUNNING") == 0
    assert resumed.losses == whole.losses


def test_a_search_killed_in_its_first_trial_still_tries_what_was_declared(
    parts: tuple[WindowSet, WindowSet], tiny: Experiment, tmp_path: Path
) -> None:
    whole = search("lstm", *parts, with_trials(tiny, 2), tmp_path / "whole")
    folder = tmp_path / "killed"
    folder.mkdir()
    storage = optuna.storages.JournalStorage(JournalFileBackend(str(folder / JOURNAL)))
    study = optuna.create_study(study_name="lstm", storage=storage)
    declared = tiny.parameters_of("lstm")
    study.enqueue_trial({key: declared[key] for key in ("hidden", "dropout", "learning_rate", "weight_decay")})
    study.ask()  # opened, never told
    resumed = search("lstm", *parts, with_trials(tiny, 2), folder)
    assert resumed.losses == whole.losses
    assert resumed.first_loss == whole.first_loss


def test_a_trial_whose_loss_is_no_number_does_not_end_the_search(
    parts: tuple[WindowSet, WindowSet], tiny: Experiment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def diverge_once(*given: Any, watch: Any, **named: Any) -> Any:
        calls.append(1)
        if len(calls) == 2:
            watch(0, float("nan"))
        return fit_model(*given, watch=watch, **named)

    calls: list[int] = []
    monkeypatch.setattr("training.search.fit_model", diverge_once)
    found = search("lstm", *parts, tiny, tmp_path)
    assert (found.trials, found.pruned) == (3, 1)
    assert found.losses[1] == float("inf")
    assert found.loss == min(found.losses)


def test_poor_trials_are_pruned(parts: tuple[WindowSet, WindowSet], tiny: Experiment, tmp_path: Path) -> None:
    plan = with_trials(tiny, 8, epochs=4, prune_after_epochs=1)
    found = search("lstm", *parts, plan, tmp_path)
    assert 1 <= found.pruned < 8
    assert found.loss == min(found.losses)


def test_networks_share_a_file_and_no_trials(
    parts: tuple[WindowSet, WindowSet], tiny: Experiment, tmp_path: Path
) -> None:
    short = with_trials(tiny, 1)
    assert search("lstm", *parts, short, tmp_path).trials == search("tft", *parts, short, tmp_path).trials == 1


def test_what_has_nothing_to_search_is_refused(
    parts: tuple[WindowSet, WindowSet], tiny: Experiment, tmp_path: Path
) -> None:
    with pytest.raises(UnknownNameError, match="parameter search"):
        search("ridge", *parts, tiny, tmp_path)
