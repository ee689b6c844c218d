import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.storages.journal import JournalFileBackend

from lake.errors import ModelError, UnknownNameError
from lake.ledger import TrialLedger
from lake.store import Lake
from support.waiting import until
from training import fit
from training.data import WindowSet
from training.experiments import Experiment, parse_experiment
from training.fit import Fitted, SearchResult, fit_model
from training.fit.study import DATABASE, JOURNAL, SharedStudy
from training.models import Variation

DEADLINE_SECONDS = 240.0
"""Far more than a worker needs on a busy machine."""
FLAT = Variation((0.0, 0.0), (0.0, 0.0), (0.0, 0.0))
HERE = Path(__file__).parent
NOW = datetime(2012, 12, 31, 21, tzinfo=UTC)
WORKER = HERE / "search_worker.py"


@pytest.fixture(scope="module")
def parts(make_windows: Any) -> tuple[WindowSet, WindowSet]:
    return make_windows(signal=0.5, seed=1), make_windows(signal=0.5, seed=2)


def ledger_in(folder: Path) -> TrialLedger:
    return TrialLedger(Lake(folder / "tables"), NOW, data="rows", code="code")


def search_parameters(
    name: str, train: WindowSet, valid: WindowSet, experiment: Experiment, folder: Path, **named: Any
) -> SearchResult:
    return fit.search_parameters(name, train, valid, experiment, folder, ledger=ledger_in(folder), **named)


def with_trials(experiment: Experiment, trials: int, **more: object) -> Experiment:
    return experiment.model_copy(update={"search": experiment.search.model_copy(update={"trials": trials, **more})})


def trials_in(folder: Path, name: str = "lstm") -> list[optuna.trial.FrozenTrial]:
    study = optuna.load_study(study_name=name, storage=f"sqlite:///{folder / DATABASE}")
    return study.get_trials()


def test_the_result_is_complete_and_no_worse_than_what_was_declared(
    parts: tuple[WindowSet, WindowSet], tiny: Experiment, tmp_path: Path
) -> None:
    said: list[str] = []
    found = search_parameters("lstm", *parts, tiny, tmp_path, progress=said.append)
    assert found.parameters.keys() == tiny.parameters_of("lstm").keys()
    assert found.loss == min(found.losses) <= found.first_loss == found.losses[0]
    assert (found.trials, found.ran, len(said)) == (3, 3, 3)
    assert parse_experiment({"parameters": {"lstm": found.parameters}, "search": {"hidden": [4, 8]}, **LSTM_ONLY})
    declared = tiny.parameters_of("lstm")
    assert trials_in(tmp_path)[0].params == {
        name: declared[name] for name in ("hidden", "dropout", "learning_rate", "weight_decay")
    }


LSTM_ONLY = {"models": ["naive", "lstm"]}


def test_a_second_search_does_nothing(parts: tuple[WindowSet, WindowSet], tiny: Experiment, tmp_path: Path) -> None:
    first = search_parameters("lstm", *parts, tiny, tmp_path)
    again = search_parameters("lstm", *parts, tiny, tmp_path)
    assert again.ran == 0
    assert (again.parameters, again.losses) == (first.parameters, first.losses)
    assert len(trials_in(tmp_path)) == 3


def test_a_search_taken_up_again_goes_on_as_if_it_had_not_been_cut_off(
    parts: tuple[WindowSet, WindowSet], tiny: Experiment, tmp_path: Path
) -> None:
    whole = search_parameters("lstm", *parts, with_trials(tiny, 4), tmp_path / "whole")
    search_parameters("lstm", *parts, with_trials(tiny, 2), tmp_path / "cut")
    resumed = search_parameters("lstm", *parts, with_trials(tiny, 4), tmp_path / "cut")
    assert resumed.ran == 2
    assert resumed.losses == whole.losses
    assert resumed.parameters == whole.parameters


def test_a_trial_whose_loss_is_no_number_does_not_end_the_search(
    parts: tuple[WindowSet, WindowSet], tiny: Experiment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def diverge_once(*given: Any, watch: Any, **named: Any) -> Any:
        calls.append(1)
        if len(calls) == 2:
            watch(0, float("nan"))
        return fit_model(*given, watch=watch, **named)

    calls: list[int] = []
    monkeypatch.setattr("training.fit.search.fit_model", diverge_once)
    found = search_parameters("lstm", *parts, tiny, tmp_path)
    assert (found.trials, found.pruned) == (3, 1)
    assert found.losses[1] == float("inf")
    assert found.loss == min(found.losses)


def test_a_search_without_one_number_says_what_to_lower(
    parts: tuple[WindowSet, WindowSet], tiny: Experiment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("training.fit.search.fit_model", lambda *_, watch, **__: watch(0, float("nan")))
    with pytest.raises(ModelError, match=r"parameters\.lstm\.learning_rate"):
        search_parameters("lstm", *parts, tiny, tmp_path)


def test_a_trial_whose_forecasts_do_not_vary_never_wins(
    parts: tuple[WindowSet, WindowSet], tiny: Experiment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    two = with_trials(tiny, 2)  # both drawn before the search learns, so that neither depends on the other
    whole = search_parameters("lstm", *parts, two, tmp_path / "whole")
    best = whole.losses.index(whole.loss)
    real, said, measured = Fitted.variation, [], []

    def best_is_flat(fit: Fitted, x: Any) -> Variation:
        measured.append(fit)
        return FLAT if len(measured) == best + 1 else real(fit, x)

    monkeypatch.setattr(Fitted, "variation", best_is_flat)
    found = search_parameters("lstm", *parts, two, tmp_path / "flat", progress=said.append)
    assert (found.constant, found.losses) == (1, whole.losses)
    assert found.loss == max(whole.losses) > whole.loss
    assert "refused, its forecasts do not vary (median 0.0000, width 0.0000, skew 0.0000)" in said[best]


def test_where_no_trial_varies_the_declared_parameters_stay(
    parts: tuple[WindowSet, WindowSet], tiny: Experiment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Fitted, "variation", lambda *_: FLAT)
    found = search_parameters("lstm", *parts, with_trials(tiny, 2), tmp_path)
    assert (found.constant, found.pruned) == (2, 2)
    assert found.parameters == tiny.parameters_of("lstm")
    assert found.loss == found.first_loss


def test_poor_trials_are_pruned(parts: tuple[WindowSet, WindowSet], tiny: Experiment, tmp_path: Path) -> None:
    plan = with_trials(tiny, 8, epochs=4, prune_after_epochs=1)
    found = search_parameters("lstm", *parts, plan, tmp_path)
    assert 1 <= found.pruned < 8
    assert found.loss == min(found.losses)


def test_networks_share_a_file_and_no_trials(
    parts: tuple[WindowSet, WindowSet], tiny: Experiment, tmp_path: Path
) -> None:
    short = with_trials(tiny, 1)
    assert [search_parameters(name, *parts, short, tmp_path).trials for name in ("lstm", "tft")] == [1, 1]


def test_what_has_nothing_to_search_is_refused(
    parts: tuple[WindowSet, WindowSet], tiny: Experiment, tmp_path: Path
) -> None:
    with pytest.raises(UnknownNameError, match="parameter search"):
        search_parameters("ridge", *parts, tiny, tmp_path)


def test_an_interrupted_trial_frees_its_slot_at_once(
    parts: tuple[WindowSet, WindowSet], tiny: Experiment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = search_parameters("lstm", *parts, tiny, tmp_path / "whole")

    def interrupt(*_: Any, **__: Any) -> Any:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("training.fit.search.fit_model", interrupt)
        with pytest.raises(KeyboardInterrupt):
            search_parameters("lstm", *parts, tiny, tmp_path / "cut")
    resumed = search_parameters("lstm", *parts, tiny, tmp_path / "cut")
    assert (resumed.losses, resumed.first_loss) == (whole.losses, whole.first_loss)


def test_the_trials_of_a_journal_of_an_earlier_version_are_taken_over(
    parts: tuple[WindowSet, WindowSet], tiny: Experiment, tmp_path: Path
) -> None:
    storage = optuna.storages.JournalStorage(JournalFileBackend(str(tmp_path / JOURNAL)))
    old = optuna.create_study(study_name="lstm", storage=storage)
    declared = {"hidden": 4, "dropout": 0.2, "learning_rate": 0.01, "weight_decay": 1e-3}
    old.enqueue_trial(declared)

    def objective(trial: optuna.Trial) -> float:
        trial.suggest_categorical("hidden", (4, 8))
        trial.suggest_float("dropout", 0.0, 0.4)
        trial.suggest_float("learning_rate", 3e-4, 1e-2, log=True)
        trial.suggest_float("weight_decay", 1e-5, 1e-1, log=True)
        return 0.25

    old.optimize(objective, n_trials=2)
    old.ask()  # cut off
    found = search_parameters("lstm", *parts, tiny, tmp_path)
    assert (found.trials, found.ran, found.losses[:2]) == (3, 1, [0.25, 0.25])
    assert trials_in(tmp_path)[0].params == declared
    assert len(old.trials) == 3


class Workers:
    """Processes on one study; a worker stops where the file `hold-<trial>` lies, until it is gone."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.processes: list[subprocess.Popen[str]] = []

    def start(self, trials: int, grace_seconds: int = 10) -> "subprocess.Popen[str]":
        paths = os.pathsep.join(map(str, (HERE.parents[1], HERE.parent)))
        process = subprocess.Popen(
            [sys.executable, str(WORKER), str(self.folder), str(trials), str(grace_seconds)],
            text=True,
            env=os.environ | {"PYTHONPATH": paths},
        )
        self.processes.append(process)
        return process

    def wait_until(self, what: Callable[[], object]) -> None:
        def is_there() -> object:
            assert not any(process.poll() for process in self.processes if process.poll() != -9), "a worker failed"
            return what()

        until(is_there, "the workers did not get there")

    def finish(self) -> None:
        for process in self.processes:
            process.wait(DEADLINE_SECONDS)

    def held(self) -> list[Path]:
        return sorted(self.folder.glob("held-*"))


@contextmanager
def workers_on(folder: Path) -> Iterator[Workers]:
    folder.mkdir()
    workers = Workers(folder)
    try:
        yield workers
    finally:
        for process in workers.processes:
            process.kill()
            process.wait()


def slots(folder: Path) -> list[int]:
    return sorted(trial.user_attrs["slot"] for trial in trials_in(folder) if trial.state.name in {"COMPLETE", "PRUNED"})


def test_two_workers_that_start_at_once_share_the_trials_and_lose_none(tmp_path: Path) -> None:
    with workers_on(tmp_path / "study") as workers:
        first, second = workers.start(6), workers.start(6)
        workers.finish()
        assert (first.returncode, second.returncode) == (0, 0)
        assert slots(workers.folder) == list(range(6))
        declared = [trial for trial in trials_in(workers.folder) if trial.user_attrs.get("slot") == 0]
        assert [trial.params["x"] for trial in declared] == [0.5]
        ran = [int((workers.folder / f"ran-{process.pid}").read_text()) for process in (first, second)]
        assert sum(ran) == 6


@pytest.mark.slow
def test_a_second_worker_leaves_the_running_trial_of_the_first_alone_and_takes_it_over_when_killed(
    tmp_path: Path,
) -> None:
    with workers_on(tmp_path / "study") as workers:
        (workers.folder / "hold").touch()
        first = workers.start(4)
        workers.wait_until(workers.held)  # the first one sits in its trial
        (held,) = workers.held()
        second = workers.start(4, grace_seconds=4)  # the first one beats every second, until it is killed
        workers.wait_until(lambda: len(workers.held()) == 2)
        running = [trial.user_attrs["slot"] for trial in trials_in(workers.folder) if trial.state.name == "RUNNING"]
        assert sorted(running) == [0, 1]
        first.kill()
        first.wait()
        (workers.folder / "hold").unlink()
        second.wait(DEADLINE_SECONDS)
        assert second.returncode == 0
        assert held.exists()
        assert slots(workers.folder) == [0, 1, 2, 3]
        assert int((workers.folder / f"ran-{second.pid}").read_text()) == 4


@pytest.mark.slow
def test_a_lone_worker_that_was_killed_is_taken_up_again_as_if_it_had_not_been(tmp_path: Path) -> None:
    with workers_on(tmp_path / "whole") as workers:
        workers.start(4)
        workers.finish()
        whole = [trial.value for trial in trials_in(workers.folder)]
    with workers_on(tmp_path / "killed") as workers:
        (workers.folder / "hold-2").touch()
        first = workers.start(4)
        workers.wait_until(workers.held)
        first.kill()
        first.wait()
        (workers.folder / "hold-2").unlink()
        workers.start(4).wait(DEADLINE_SECONDS)
        finished = [trial for trial in trials_in(workers.folder) if trial.state.name == "COMPLETE"]
        assert [trial.value for trial in finished] == whole
        assert [trial.state.name for trial in trials_in(workers.folder)].count("FAIL") == 1


def test_a_trial_that_finds_every_slot_taken_counts_for_nothing(tmp_path: Path) -> None:
    shared = SharedStudy("lstm", tmp_path, 1, {"x": 0.5}, seed=7, startup_trials=1, pruner=optuna.pruners.NopPruner())
    with shared.joined():
        assert shared.run_one(lambda trial: trial.suggest_float("x", 0.0, 1.0), lambda _: None)
        assert not shared.run_one(lambda _: 0.0, lambda _: None)
        with pytest.warns(UserWarning, match="Heartbeat"):
            late = shared.study.ask()  # as if the other worker had been quicker
        assert "slot" not in late.user_attrs
    assert [trial.params for trial in shared.finished()] == [{"x": 0.5}]


def test_a_trial_that_was_taken_for_dead_is_refused_and_its_slot_run_again(tmp_path: Path) -> None:
    shared = SharedStudy("lstm", tmp_path, 1, {"x": 0.5}, seed=7, startup_trials=1, pruner=optuna.pruners.NopPruner())
    values = iter((1.0, 2.0))

    def objective(trial: optuna.Trial) -> float:
        trial.suggest_float("x", 0.0, 1.0)
        value = next(values)
        if value == 1.0:
            shared.study.tell(trial.number, state=optuna.trial.TrialState.FAIL)  # as another worker would
        return value

    done: list[float | None] = []
    with shared.joined():
        while shared.run_one(objective, lambda trial: done.append(trial.value)):
            pass
    assert done == [trial.value for trial in shared.finished()] == [2.0]


def test_an_error_of_the_objective_is_raised_and_its_slot_free(tmp_path: Path) -> None:
    shared = SharedStudy("lstm", tmp_path, 1, {"x": 0.5}, seed=7, startup_trials=1, pruner=optuna.pruners.NopPruner())

    def objective(_: optuna.Trial) -> float:
        raise ValueError("a mistake")

    with shared.joined(), pytest.raises(ValueError, match="a mistake"):
        shared.run_one(objective, lambda _: None)
    assert not shared.others_run()
    assert shared.finished() == []
