"""The checker checked: every planted leak is caught by the check that must, and no look-alike is flagged."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from feature_repo.leaks.comparing import ROW
from feature_repo.leaks.lookalikes import LOOKALIKES
from feature_repo.leaks.planted import LEAKS, PlantedLeak, as_subject
from feature_repo.leaks.report import LeakCheck
from feature_repo.leaks.subject import REPLAYED, LeakSubject, check
from feature_repo.leaks.world import trial_world


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

    def sentence(self) -> str:
        """Say it for a person."""
        leaks, clean = len(self.caught) + len(self.missed), len(self.flagged) + len(self.passed_over)
        summary = (
            f"Self-test: {len(self.caught)} of {leaks} planted leaks caught, {len(self.flagged)} of {clean} clean "
        )
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


def _subjects(planted: Sequence[PlantedLeak]) -> Iterator[LeakSubject]:
    """One subject for all that can share a frame, and leak for each that cannot."""
    together = [leak for leak in planted if not leak.is_alone]
    if together:
        yield as_subject("leaks" if together[0].how else "look-alikes", together)
    for leak in planted:
        if leak.is_alone:
            yield as_subject(leak.name, [leak])
