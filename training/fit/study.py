"""The study that several workers share: which trial is whose, and what becomes of a worker that dies.

A search of n trials has n slots. A trial takes the lowest free slot when it starts, and the slot decides its seed; slot
0 is the declared parameters. A slot is taken while its trial runs or once it is finished, so however many workers join,
and however many of them are killed, exactly n slots end with a result. Slots of dead workers become free

- at once, where the next worker finds that it is alone: each holds a file lock that the system lets go of at its death
- after `grace_seconds` without the heartbeat of Optuna's storage, where other workers are there, or on another machine

Import it only where a search runs: Optuna is slow to import.
"""

import fcntl
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import optuna
from filelock import FileLock
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler, TPESampler
from optuna.storages import JournalStorage, RDBStorage
from optuna.storages.journal import JournalFileBackend
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState

DATABASE = "search.sqlite"
"""File that holds the trials of every model of one training."""
JOURNAL = "search.journal"
"""Where earlier versions kept them; its finished trials are taken over."""
HEARTBEAT_SECONDS, GRACE_SECONDS = 15, 120
"""How often a worker says that it is alive, and how long after the last time it is taken for dead."""
BUSY_SECONDS = 120.0
SLOT = "slot"
FINISHED = (TrialState.COMPLETE, TrialState.PRUNED)


class SharedStudy:
    """A study with a fixed number of slots.

    Parameters
    ----------
    name
        Name of the study: the model.
    folder
        Where database and locks lie; every worker of the study is given the same.
    slots
        Number of trials in all.
    declared
        Parameters of slot 0.
    seed, startup_trials
        Slot k draws from seed + k; so many trials are drawn at random before the sampler learns.
    pruner
        Ends poor trials; it never ends slot 0.
    heartbeat_seconds, grace_seconds
        As `HEARTBEAT_SECONDS` and `GRACE_SECONDS`.
    """

    def __init__(
        self,
        name: str,
        folder: Path,
        slots: int,
        declared: Mapping[str, Any],
        *,
        seed: int,
        startup_trials: int,
        pruner: optuna.pruners.BasePruner,
        heartbeat_seconds: int = HEARTBEAT_SECONDS,
        grace_seconds: int = GRACE_SECONDS,
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.slots, self._declared = slots, declared
        self._seed, self._startup_trials = seed, startup_trials
        self._name, self._folder = name, folder
        self._lock = FileLock(folder / f"search-{name}.lock")
        with FileLock(folder / "search.lock"), warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)  # the heartbeat; Optuna is pinned
            self._storage = RDBStorage(
                f"sqlite:///{folder.absolute() / DATABASE}",
                engine_kwargs={"connect_args": {"timeout": BUSY_SECONDS}},
                heartbeat_interval=heartbeat_seconds,
                grace_period=grace_seconds,
            )
            self.study: Study = optuna.create_study(
                study_name=name,
                storage=self._storage,
                load_if_exists=True,
                direction="minimize",
                sampler=_SlotSampler(self),
                pruner=pruner,
            )
        self._id = self._storage.get_study_id_from_name(name)

    @contextmanager
    def joined(self) -> Iterator[None]:
        """Register a worker of the study for the block; a worker that is alone frees the slots of dead ones."""
        with (self._folder / f"search-{self._name}.workers.lock").open("w") as workers:
            try:
                fcntl.flock(workers, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                fcntl.flock(workers, fcntl.LOCK_SH)  # waits only while another frees slots
            else:
                self._take_over_journal()
                for trial in self._trials(TrialState.RUNNING):
                    self.study.tell(trial.number, state=TrialState.FAIL)
                fcntl.flock(workers, fcntl.LOCK_SH)
            yield

    def run_one(self, objective: Callable[[optuna.Trial], float], done: Callable[[FrozenTrial], None]) -> bool:
        """Run the trial of the lowest free slot, and return whether there was one."""
        if not self._free_slots():
            return False
        attempt = _Attempt(objective)

        def finished(_: Study, trial: FrozenTrial) -> None:
            if trial.state in FINISHED:
                done(trial)

        try:
            self.study.optimize(attempt, n_trials=1, catch=(_NoSlotError,), callbacks=[finished])
        except (ValueError, AssertionError) as error:  # both come from Optuna 5.0, by what the objective did last
            if error is attempt.error or attempt.trial is None:
                raise
            # The trial was taken for dead, e.g. while this machine slept, so its result is refused; its slot is free.
        except BaseException:
            if attempt.trial is not None:
                self._release(attempt.trial)
            raise
        return True

    def others_run(self) -> bool:
        """Whether a slot is held by a trial that runs; those whose worker has died are freed first."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            optuna.storages.fail_stale_trials(self.study)
        return bool(self._trials(TrialState.RUNNING))

    def finished(self) -> list[FrozenTrial]:
        """Return the finished trials in the order of their slots."""
        return sorted(self._trials(*FINISHED), key=lambda trial: trial.user_attrs[SLOT])

    def claim_slot(self, trial: FrozenTrial) -> int | None:
        """Give a trial that has just started the lowest free slot, and return it; None if all are taken."""
        with self._lock:
            free = self._free_slots()
            if not free:
                return None
            number = self._storage.get_trial_id_from_study_id_trial_number(self._id, trial.number)
            self._storage.record_heartbeat(number)  # a slot without a heartbeat would never be found stale
            self._storage.set_trial_user_attr(number, SLOT, free[0])
        trial.set_user_attr(SLOT, free[0])
        return free[0]

    def sampler_of(self, slot: int) -> TPESampler:
        """Return the sampler of a slot: it learns from the trials finished so far, and draws from the slot's seed."""
        return TPESampler(seed=self._seed + slot, n_startup_trials=self._startup_trials)

    def declared(self, parameter: str) -> Any:
        """Return the value of a parameter in slot 0."""
        return self._declared[parameter]

    def _free_slots(self) -> list[int]:
        taken = {trial.user_attrs[SLOT] for trial in self._trials(*FINISHED, TrialState.RUNNING)}
        return [slot for slot in range(self.slots) if slot not in taken]

    def _trials(self, *states: TrialState) -> list[FrozenTrial]:
        """Return the trials in some states that have a slot; one that started when all were taken has none."""
        trials: list[FrozenTrial] = self.study.get_trials(deepcopy=False, states=states)
        return [trial for trial in trials if SLOT in trial.user_attrs]

    def _release(self, trial: optuna.Trial) -> None:
        """Free the slot of a trial that its worker leaves."""
        if self.study.trials[trial.number].state == TrialState.RUNNING:
            self.study.tell(trial.number, state=TrialState.FAIL)

    def _take_over_journal(self) -> None:
        """Copy the finished trials of a journal of an earlier version, once; the journal stays."""
        journal = self._folder / JOURNAL
        if not journal.is_file() or self.study.get_trials(deepcopy=False):
            return
        storage = JournalStorage(JournalFileBackend(str(journal)))
        if self._name not in optuna.get_all_study_names(storage):
            return
        trials = optuna.load_study(study_name=self._name, storage=storage).get_trials(states=FINISHED)
        for slot, trial in enumerate(trials):
            trial.set_user_attr(SLOT, slot)
            self.study.add_trial(trial)


class _NoSlotError(Exception):
    """A trial started when every slot had just been taken."""


class _Attempt:
    """The objective of one trial, with the trial and the error that it raised."""

    def __init__(self, objective: Callable[[optuna.Trial], float]) -> None:
        self._objective = objective
        self.trial: optuna.Trial | None = None
        self.error: Exception | None = None

    def __call__(self, trial: optuna.Trial) -> float:
        self.trial = trial
        if SLOT not in trial.user_attrs:
            raise _NoSlotError
        try:
            return self._objective(trial)
        except Exception as error:
            self.error = error
            raise


class _SlotSampler(BaseSampler):
    """Gives each trial its slot when it starts, and draws its parameters by the slot's own sampler."""

    def __init__(self, shared: SharedStudy) -> None:
        self._shared = shared
        self._slot: int | None = None
        self._sampler = TPESampler()

    def before_trial(self, study: Study, trial: FrozenTrial) -> None:
        """Claim a slot."""
        self._slot = self._shared.claim_slot(trial)
        self._sampler = self._shared.sampler_of(self._slot or 0)
        self._sampler.before_trial(study, trial)

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        """Return what is drawn jointly."""
        if self._slot == 0:
            return {}
        space: dict[str, BaseDistribution] = self._sampler.infer_relative_search_space(study, trial)
        return space

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """Draw jointly."""
        drawn: dict[str, Any] = self._sampler.sample_relative(study, trial, search_space)
        return drawn

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        """Return the declared value in slot 0, and draw it in any other."""
        if self._slot == 0:
            return self._shared.declared(param_name)
        return self._sampler.sample_independent(study, trial, param_name, param_distribution)

    def after_trial(self, study: Study, trial: FrozenTrial, state: TrialState, values: Any) -> None:
        """Let the slot's sampler end the trial."""
        self._sampler.after_trial(study, trial, state, values)
