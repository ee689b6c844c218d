"""The checker checked: every planted leak is caught by the check that must, and no look-alike is flagged."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from feature_repo.leaks.comparing import ROW
from feature_repo.leaks.lookalikes import LOOKALIKES
from feature_repo.leaks.planted import LEAKS, PlantedLeak, as_subject
from feature_repo.leaks.planted_files import HONEST, LEAKING, RARE
from feature_repo.leaks.real_bars import RealBars
from feature_repo.leaks.report import LeakCheck
from feature_repo.leaks.subject import REPLAYED, LeakSubject, check
from feature_repo.leaks.user_check import check_file
from feature_repo.leaks.world import eventful_sessions, trial_world
from lake.universe import MARKET

Item = TypeVar("Item")
WATCHED = (MARKET, "AAPL", "KO")
"""Symbols at whose largest moves each run looks on real bars; the slow tests look at those of all."""
OF_UNITS = {"rescaled"}
"""Checks that convict a unit; the planted files hold look-ahead, and must be caught as such."""


def _unshown(items: Iterable[Item], _total: int) -> Iterable[Item]:
    return items


@dataclass(frozen=True)
class SelfTest:
    """What became of the planted leaks and of the look-alikes.

    Parameters
    ----------
    caught, missed
        Names of planted leaks.
    flagged, passed_over
        Names of look-alikes; those flagged are false alarms.
    checked
        Every check, in order.
    """

    caught: tuple[str, ...]
    missed: tuple[str, ...]
    flagged: tuple[str, ...]
    passed_over: tuple[str, ...]
    checked: tuple[LeakCheck, ...]

    @property
    def passed(self) -> bool:
        """Whether all that leaks was caught and nothing else was."""
        return not self.missed and not self.flagged

    @property
    def seconds(self) -> float:
        """How long it took."""
        return sum(subject.seconds for subject in self.checked)

    def sentence(self, title: str = "Self-test") -> str:
        """Say it for a person."""
        leaks, clean = len(self.caught) + len(self.missed), len(self.flagged) + len(self.passed_over)
        summary = f"{title}: {len(self.caught)} of {leaks} planted leaks caught, {len(self.flagged)} of {clean} clean "
        summary += f"look-alikes flagged, {self.seconds:.1f} s."
        wrong = {"Missed": self.missed, "Wrongly flagged": self.flagged}
        return summary + "".join(f" {word}: {', '.join(names)}." for word, names in wrong.items() if names)


def self_test(
    leaks: Sequence[PlantedLeak] = LEAKS,
    clean: Sequence[PlantedLeak] = LOOKALIKES,
    *,
    sessions: int = REPLAYED,
    shown: Callable[[Iterable[LeakSubject], int], Iterable[LeakSubject]] = _unshown,
) -> SelfTest:
    """Check every planted leak and every look-alike, over so many sessions, as any other computation is checked.

    Parameters
    ----------
    shown
        Gets the subjects and how many there are, and passes them on: a bar, for instance.
    """
    world, subjects = trial_world(sessions), [subject for planted in (leaks, clean) for subject in _subjects(planted)]
    checked = tuple(check(subject, world) for subject in shown(subjects, len(subjects)))
    found: dict[str, set[str]] = {}
    for subject in checked:
        for leak in subject.leaks:
            name = subject.name if leak.column == ROW else leak.column
            found.setdefault(name, set()).add(leak.how)
    caught = {planted.name for planted in leaks if planted.how in found.get(planted.name, ())}
    return SelfTest(
        caught=tuple(planted.name for planted in leaks if planted.name in caught),
        missed=tuple(planted.name for planted in leaks if planted.name not in caught),
        flagged=tuple(planted.name for planted in clean if planted.name in found),
        passed_over=tuple(planted.name for planted in clean if planted.name not in found),
        checked=checked,
    )


def self_test_of_files(
    real: RealBars,
    leaking: Sequence[Path] = LEAKING,
    *,
    is_full: bool = False,
    shown: Callable[[Iterable[Path], int], Iterable[Path]] = _unshown,
) -> SelfTest:
    """Check planted files as a user's file is checked: every function of some leaks, none of the honest ones does.

    Parameters
    ----------
    real
        The packaged market: some leaks act for its symbols only.
    is_full
        Replay every session, and look at real bars for every file. Otherwise the eventful sessions are replayed, and
        real bars are for the leaks that happen nowhere else and for the honest functions, at a few large moves.
    shown
        Gets the files and how many there are, and passes them on: a bar, for instance.
    """
    few = real if is_full else real.at_moves_of(WATCHED)
    instants = None if is_full else eventful_sessions
    checked = {
        path: check_file(path, few if is_full or path in {RARE, HONEST} else None, instants=instants)
        for path in shown([*leaking, HONEST], len(leaking) + 1)
    }
    clean = checked.pop(HONEST)
    leaks = [one for found in checked.values() for one in found]
    caught = {one.name for one in leaks if any(leak.how not in OF_UNITS for leak in one.leaks)}
    return SelfTest(
        caught=tuple(one.name for one in leaks if one.name in caught),
        missed=tuple(one.name for one in leaks if one.name not in caught),
        flagged=tuple(one.name for one in clean if not one.passed),
        passed_over=tuple(one.name for one in clean if one.passed),
        checked=(*leaks, *clean),
    )


def _subjects(planted: Sequence[PlantedLeak]) -> Iterator[LeakSubject]:
    """One subject for all that can share a frame, and leak for each that cannot."""
    together = [leak for leak in planted if not leak.is_alone]
    if together:
        yield as_subject("leaks" if together[0].how else "look-alikes", together)
    for leak in planted:
        if leak.is_alone:
            yield as_subject(leak.name, [leak])
