"""One thing that must not look ahead, and every check of it."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

import polars as pl

from feature_repo.leaks import counterfactuals
from feature_repo.leaks.counterfactuals import Answers, Counterfactual, compare, in_this_process
from feature_repo.leaks.report import LeakCheck
from feature_repo.leaks.world import World, trial_world

Kind = Literal["feature", "label", "regime", "scaler", "split", "user", "planted", "clean"]

REPLAYED = 400
"""Sessions that are replayed one by one."""
CUTS = (0.3, 0.5, 0.7, 0.9)
"""Where the future becomes another one, as parts of the sessions."""
SHORT_HISTORY = 0.94
"""Where a history that began later is compared with the full one: before the trial market's first symbol ends."""


def _nothing() -> None:
    """Prepare nothing."""


@dataclass(frozen=True)
class LeakSubject:
    """One computation whose rows must follow from what was known when they claim to be.

    Parameters
    ----------
    kind, name
        As the report tells them.
    compute
        World to a frame with the key, `time` and any other columns; one row per key.
    time
        Column from when on a row claims to be known: its close, or for a label the end of its horizon.
    sessions
        Length of the history it needs to have values.
    warm_ups
        Bars after which a shorter history gives the same value, by column; only those named are verified.
    levels
        Columns that are meant to be in units of price, so that a later split changes them.
    instants
        When it is replayed, by default at each of the last sessions.
    prepare
        Imports and compiles what `compute` needs, so that a process forked afterwards need not. It computes nothing.
    """

    kind: Kind
    name: str
    compute: Callable[[World], pl.DataFrame]
    key: tuple[str, ...] = ("symbol", "event_time")
    time: str = "event_time"
    sessions: int = 0
    warm_ups: Mapping[str, int] = field(default_factory=dict)
    levels: frozenset[str] = frozenset()
    instants: Callable[[World], list[datetime]] | None = None
    prepare: Callable[[], None] = _nothing


def check(
    subject: LeakSubject, world: World | None = None, *, replayed: int | None = None, answers: Answers | None = None
) -> LeakCheck:
    """Replay a subject, give it other futures, restate and rescale its past, and begin its history later.

    Parameters
    ----------
    world
        By default a trial market long enough for the subject.
    replayed
        How many of the last sessions are replayed one by one, by default `REPLAYED`.
    answers
        Where it is computed: by default in this process, which sees no state that is kept between calls. Fresh
        processes do, see `feature_repo.leaks.FreshProcesses`.

    Returns
    -------
    LeakCheck
        What was checked and every leak found.
    """
    started = time.perf_counter()
    world = trial_world(max(REPLAYED, subject.sessions)) if world is None else world
    others = worlds_of(subject, world, replayed)
    answers = in_this_process(subject.compute) if answers is None else answers
    full, leaks = compare(others, world, answers, key=subject.key, time=subject.time)
    return LeakCheck(
        kind=subject.kind,
        name=subject.name,
        columns=tuple(name for name in full.columns if name not in {*subject.key, subject.time, "known_time"}),
        rows=full.height,
        replayed=len(others[0].parts),
        leaks=tuple(leaks),
        seconds=time.perf_counter() - started,
    )


def worlds_of(subject: LeakSubject, world: World, replayed: int | None = None) -> list[Counterfactual]:
    """Return the other worlds that a subject is computed in, the replay first; the options are those of `check`."""
    sessions = world.sessions
    at = subject.instants(world) if subject.instants else sessions[-(REPLAYED if replayed is None else replayed) :]
    cuts = [sessions[int(part * len(sessions))] for part in CUTS]
    begun = sessions[int(SHORT_HISTORY * len(sessions))]
    return [
        counterfactuals.replayed(world, at, subject.time),
        *counterfactuals.other_futures(world, cuts, time=subject.time),
        counterfactuals.restated(world, cuts[-2]),
        counterfactuals.rescaled(world, cuts[-1], subject.time, subject.levels),
        *counterfactuals.warmed_up(world, begun, subject.warm_ups),
    ]
