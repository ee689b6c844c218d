"""The checker checked: every planted leak is caught by the check that must, and no look-alike is flagged."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

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

WATCHED = (MARKET, "AAPL", "KO")
"""Symbols at whose largest moves each run looks on real bars; the slow tests look at those of all."""
OF_UNITS = {"rescaled"}
"""Checks that convict a unit; the planted files hold look-ahead, and must be caught as such."""


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
    leaks: Sequence[PlantedLeak] = LEAKS, clean: Sequence[PlantedLeak] = LOOKALIKES, *, sessions: int = REPLAYED
) -> SelfTest:
    """Check every planted leak and every look-alike, over so many sessions, as any other computation is checked."""
    world = trial_world(sessions)
    checked = tuple(check(subject, world) for planted in (leaks, clean) for subject in _subjects(planted))
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


def self_test_of_files(real: RealBars, leaking: Iterable[Path] = LEAKING, *, is_full: bool = False) -> SelfTest:
    """Check planted files as a user's file is checked: every function of some leaks, none of the honest ones does.

    Parameters
    ----------
    real
        The packaged market: some leaks act for its symbols only.
    is_full
        Replay every session, and look at real bars for every file. Otherwise the eventful sessions are replayed, and
        real bars are for the leaks that happen nowhere else and for the honest functions, at a few large moves.
    """
    few = real if is_full else real.at_moves_of(WATCHED)
    instants = None if is_full else eventful_sessions
    leaks = [
        one for path in leaking for one in check_file(path, few if is_full or path == RARE else None, instants=instants)
    ]
    clean = check_file(HONEST, few, instants=instants)
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
