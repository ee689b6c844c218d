"""How long the steps of a run are expected to take: as long as they took last time in this home."""

import json
from collections.abc import Iterable
from pathlib import Path
from statistics import median

from lake.disk import write_durably

FILE = "step_seconds.json"
INERTIA = 0.2
"""Share of all expected seconds that speaks for the pace of the run before: one short step says little."""
UNKNOWN_SECONDS = 1.0
"""Expected of a step where no step was ever timed."""


class ExpectedTimes:
    """Seconds of each step of the run before, and what is left of this one.

    Parameters
    ----------
    path
        File that keeps the seconds from run to run; a missing or torn one expects nothing.
    steps
        Steps of this run.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / FILE
    >>> times = ExpectedTimes(path, ["bars", "labels"])
    >>> times.left
    2.0
    >>> times.note("bars", 30.0)
    >>> times.keep()
    >>> ExpectedTimes(path, ["bars", "labels"]).left
    60.0
    """

    def __init__(self, path: Path, steps: Iterable[str]) -> None:
        self._path = path
        self._before = _read(path)
        usual = median(self._before.values()) if self._before else UNKNOWN_SECONDS
        self._waiting = {step: self._before.get(step, usual) for step in steps}
        self._expected = self._took = INERTIA * sum(self._waiting.values())
        self._now: dict[str, float] = {}
        self.total = len(self._waiting)

    @property
    def is_known(self) -> bool:
        """Whether any step was timed before, so that `left` rests on something."""
        return bool(self._before)

    @property
    def done(self) -> int:
        """Steps that are done."""
        return self.total - len(self._waiting)

    @property
    def left(self) -> float:
        """Seconds that the waiting steps are expected to take, at the pace of those that are done."""
        return sum(self._waiting.values()) * (self._took / self._expected if self._expected else 1.0)

    def note(self, step: str, seconds: float) -> None:
        """Take note that a step is done and how long it took."""
        self._now[step] = seconds
        expected = self._waiting.pop(step, None)
        if expected is not None and step in self._before:
            self._expected, self._took = self._expected + expected, self._took + seconds

    def keep(self) -> None:
        """Store the seconds of the steps of this run beside those of other runs."""
        write_durably(self._path, json.dumps(self._before | self._now))


def _read(path: Path) -> dict[str, float]:
    try:
        return {str(step): float(seconds) for step, seconds in json.loads(path.read_text(encoding="utf-8")).items()}
    except (OSError, ValueError, TypeError, AttributeError):
        return {}
