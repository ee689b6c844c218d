"""One table per topic, printed and kept, with the machine and the versions it was measured on."""

import os
import platform
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

RESULTS = Path(__file__).parent / "results.md"
PACKAGES = ("bentoml", "fastapi", "uvicorn", "onnxruntime", "feast", "redis", "numpy")


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
        lines = [f"## {self.title}", "", self.text, ""]
        lines += [_line(self.header), _line(["---"] + ["---:"] * (len(self.header) - 1))]
        lines += [_line(row) for row in self.rows]
        lines += ["", *(f"- {note}" for note in self.notes)]
        return "\n".join(lines).rstrip() + "\n"


def write_results(topics: Sequence[Topic], path: Path = RESULTS) -> Path:
    """Print the topics and write them to the results page."""
    body = "\n".join(topic.to_markdown() for topic in topics)
    print(f"\n{body}")
    path.write_text(f"# Benchmarks\n\nMade by `make bench`. {machine()}\n\n{body}", encoding="utf-8")
    return path


def machine() -> str:
    """The machine, its load and the versions, in one sentence."""
    versions = ", ".join(f"{name} {version(name)}" for name in PACKAGES)
    load = os.getloadavg()[0]
    return (
        f"Measured on {datetime.now(UTC):%Y-%m-%d}: {os.cpu_count()} cores of {_processor()}, {platform.system()}, "
        f"Python {platform.python_version()}, {versions}; load average {load:.1f} when it was written. "
        "Absolute times depend on the machine and its neighbours; the ratios are what to compare."
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
