"""A user's file checked: every function in fresh processes, on the trial market and on real bars."""

import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import polars as pl

from feature_repo.leaks.comparing import Leak, differences
from feature_repo.leaks.counterfactuals import Answers, Counterfactual, KeptRows, WorldPart, compare
from feature_repo.leaks.mixing import mixing_columns
from feature_repo.leaks.processes import FreshProcesses
from feature_repo.leaks.real_bars import RealBars
from feature_repo.leaks.report import LeakCheck
from feature_repo.leaks.subject import REPLAYED, LeakSubject, check, worlds_of
from feature_repo.leaks.user_files import KEY, subjects_of_file
from feature_repo.leaks.world import World, trial_world

EVERYTHING = KeptRows("event_time")
CALLED_AGAIN = "called again"


def check_file(
    path: Path,
    real: RealBars | None = None,
    *,
    world: World | None = None,
    replayed: int | None = None,
    instants: Callable[[World], list[datetime]] | None = None,
) -> tuple[LeakCheck, ...]:
    """Check every function, feature and feature group of a file.

    Any of them may keep state. Their worlds are computed in fresh processes, each of which imports the file anew: first
    those that end earliest, and the whole ones last.

    Parameters
    ----------
    real
        Real bars that the same is asked of; none when None.
    world
        By default the trial market.
    replayed
        How many of the last sessions of `world` are replayed one by one, by default `REPLAYED`.
    instants
        Which sessions are replayed instead.

    Returns
    -------
    tuple[LeakCheck, ...]
        In the order of the file, functions first.

    Raises
    ------
    ConfigError
        If the file cannot be imported, holds nothing to check, or a function fails.
    SchemaError
        If a function's answer is no frame of symbol, event_time and values.
    """
    subjects = [replace(subject, instants=instants) for subject in subjects_of_file(path)]
    functions = [subject for subject in subjects if subject.kind == "user"]
    with FreshProcesses(path) as processes:
        checked = _check_functions(processes, functions, real, world, replayed) if functions else []
        for subject in subjects:
            if subject.kind != "user":
                answers = processes.answers_of(subject.name)
                found = check(subject, world, replayed=replayed, answers=answers)
                checked.append(found if real is None else _with_real(found, subject, real, answers))
    return tuple(checked)


def _check_functions(
    processes: FreshProcesses,
    functions: Sequence[LeakSubject],
    real: RealBars | None,
    world: World | None,
    replayed: int | None,
) -> list[LeakCheck]:
    """Compute all functions of a file in the same processes: state that they share is of the same world."""
    started = time.perf_counter()
    names, by_name = [function.name for function in functions], {each.name: each for each in functions}
    world = trial_world(REPLAYED) if world is None else world
    others = worlds_of(functions[0], world, replayed)
    answered = [(one, processes.answers(names, one.parts)) for one in others]
    on_real = [(one, processes.answers(names, one.parts)) for one in (real.others() if real else ())]
    exchanged = processes.answers(names, [WorldPart(world.with_names_exchanged(), EVERYTHING)])
    full = processes.twice(names, WorldPart(world, EVERYTHING))
    whole = processes.answers(names, [WorldPart(real.world, EVERYTHING)]) if real else {}
    seconds = (time.perf_counter() - started) / len(names)
    checked = []
    for name in names:
        first, again = full[name]
        leaks = _judged(answered, first, name)
        leaks += _judged(on_real, whole[name], name) if real else []
        leaks += differences(first, again, CALLED_AGAIN, world.sessions[-1], KEY)
        columns = tuple(column for column in first.columns if column not in {*KEY, "known_time"})
        back = World(exchanged[name], world.releases).with_names_exchanged().bars
        mixed = {leak.column for leak in differences(first, back, "exchanged", world.sessions[-1], KEY)}
        found = LeakCheck("user", name, columns, first.height, len(others[0].parts), tuple(leaks), seconds)
        suspects = frozenset(mixed & {*found.leaking} - {leak.column for leak in leaks if leak.how == CALLED_AGAIN})
        mixing = mixing_columns(by_name[name], world, first, suspects) if suspects else frozenset()
        checked.append(replace(found, depend_on_order=frozenset(mixed & {*found.leaking}), mixing=mixing))
    return checked


def _judged(
    answered: Collection[tuple[Counterfactual, dict[str, pl.DataFrame]]], full: pl.DataFrame, name: str
) -> list[Leak]:
    found: dict[tuple[str, str], Leak] = {}
    for one, answers in answered:
        for leak in one.judge(full, answers[name], KEY, "event_time"):
            found.setdefault((leak.column, leak.how), leak)
    return [*found.values()]


def _with_real(checked: LeakCheck, subject: LeakSubject, real: RealBars, answers: Answers) -> LeakCheck:
    """Add what real bars show of features."""
    started = time.perf_counter()
    _, leaks = compare(real.others(), real.world, answers, key=subject.key)
    seconds = checked.seconds + time.perf_counter() - started
    return replace(checked, leaks=(*checked.leaks, *leaks), seconds=seconds)
