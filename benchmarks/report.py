"""One table per topic, printed and kept, with the machine and the versions it was measured on."""

import os
import platform
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

RESULTS = Path(__file__).parent / "results.md"
DOCS = Path(__file__).parents[1] / "docs"
HEAD = (
    "# Benchmarks\n\nMade by `make bench`. Absolute times depend on the machine and its neighbours; compare ratios.\n"
)
RATIO = ("what", "rival", "ours", "ratio", "must / aim", "met")
"""Header of a table that sets figures beside a rival's, measured in the same run."""
QUOTE = re.compile(r"(<!-- results: (.+?) -->)\n.*?(<!-- end of results -->)", re.DOTALL)
PACKAGES = ("numpy", "polars", "deltalake", "numba", "onnxruntime", "feast", "redis", "bentoml")


@dataclass(frozen=True)
class Figure:
    """A rival's figure and ours, and what is asked of their ratio.

    Parameters
    ----------
    rival, ours
        In the unit; or, in words, why there is no such figure.
    must, aim
        Bounds of the ratio; none where nothing is asked of it.
    more_is_better
        Whether the ratio is to be at least `must`, and not at most.
    is_speed_up
        Whether the ratio is rival / ours; else it is ours / rival.
    unit
        Of both figures.
    """

    what: str
    rival: float | str
    ours: float | str
    must: float | None = None
    aim: float | None = None
    more_is_better: bool = False
    is_speed_up: bool = False
    unit: str = "ms"

    @property
    def ratio(self) -> float | None:
        """What the goal is about; None where a figure is missing."""
        if isinstance(self.rival, str) or isinstance(self.ours, str):
            return None
        return self.rival / self.ours if self.is_speed_up else self.ours / self.rival

    @property
    def goal(self) -> str:
        """What is asked of the ratio, in signs."""
        if self.must is None:
            return ""
        return f"{'>=' if self._has_more else '<='} {self.must:g}" + (f" / {self.aim:g}" if self.aim else "")

    @property
    def met(self) -> str:
        """Which of the bounds the ratio keeps."""
        if self.ratio is None:
            return "not measured"
        if self.must is None:
            return ""
        if self.aim and self._keeps(self.aim):
            return "aim"
        return "no" if not self._keeps(self.must) else "must" if self.aim else "yes"

    @property
    def _has_more(self) -> bool:
        return self.more_is_better or self.is_speed_up

    def _keeps(self, bound: float) -> bool:
        ratio = self.ratio or 0.0
        return ratio >= bound if self._has_more else ratio <= bound

    def to_row(self) -> tuple[str, ...]:
        """A line of a table with the header `RATIO`."""
        measured = (each if isinstance(each, str) else f"{each:.2f} {self.unit}" for each in (self.rival, self.ours))
        return self.what, *measured, "" if self.ratio is None else f"{self.ratio:.2f}", self.goal, self.met


@dataclass(frozen=True)
class Topic:
    """One benchmark's figures.

    Parameters
    ----------
    title, text
        What was measured, and how.
    header, rows
        The table; every row as long as the header.
    notes
        Sentences below the table.
    """

    title: str
    text: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    notes: tuple[str, ...] = ()

    def to_markdown(self) -> str:
        """The topic as a section of a page."""
        lines = [f"## {self.title}", "", self.text, "", machine(), ""]
        lines += [_line(self.header), _line(["---"] + ["---:"] * (len(self.header) - 1))]
        lines += [_line(row) for row in self.rows]
        lines += ["", *(f"- {note}" for note in self.notes)]
        return "\n".join(lines).rstrip() + "\n"


def write_results(topic: Topic, path: Path = RESULTS) -> Path:
    """Print a topic and put it in its place on the results page; the other topics keep what they say."""
    section = topic.to_markdown()
    print(f"\n{section}")
    page = path.read_text(encoding="utf-8") if path.exists() else ""
    sections = {part.splitlines()[0]: part for part in re.split(r"^(?=## )", page, flags=re.MULTILINE)[1:]}
    sections[f"## {topic.title}"] = section
    path.write_text("\n".join([HEAD, *(f"{part.rstrip()}\n" for part in sections.values())]), encoding="utf-8")
    for document in sorted(DOCS.glob("*.md")):
        before = document.read_text(encoding="utf-8")
        if (after := with_quotes(before, path)) != before:
            document.write_text(after, encoding="utf-8")
    return path


def with_quotes(page: str, path: Path = RESULTS) -> str:
    """Return a page on which each quoted topic says what the results page says; one that is not there yet stays.

    A quote stands between ``<!-- results: Title -->`` and ``<!-- end of results -->``: the topic without its heading.
    """
    results = path.read_text(encoding="utf-8")
    sections = {part.partition("\n")[0]: part.partition("\n")[2].strip() for part in results.split("\n## ")[1:]}
    return QUOTE.sub(
        lambda found: f"{found[1]}\n\n{sections[found[2]]}\n\n{found[3]}" if found[2] in sections else found[0], page
    )


def machine() -> str:
    """The machine, its load and the versions, in one sentence."""
    versions = ", ".join(f"{name} {version(name)}" for name in PACKAGES)
    load = os.getloadavg()[0]
    return (
        f"{datetime.now(UTC):%Y-%m-%d}: {os.cpu_count()} cores of {_processor()}, {platform.system()}, "
        f"Python {platform.python_version()}, {versions}; load average {load:.1f} at the end."
    )


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"
