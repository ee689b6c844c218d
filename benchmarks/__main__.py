"""``python -m benchmarks [topic ...]``: measure, print, and write ``benchmarks/results.md``."""

import sys
from importlib import import_module

from benchmarks.report import Topic, write_results

TOPICS = (
    "technical",
    "alpha158",
    "update",
    "point_in_time",
    "online",
    "storage",
    "spark",
    "serving",
    "explain",
    "words",
    "retrieval",
    "calibration",
    "forecasts",
    "seeds",
    "streams",
    "retention",
    "selection",
    "backtest",
    "drift",
    "canary",
    "shock",
    "history",
    "pages",
    "risk",
    "desk",
)
"""Modules of this folder; each has a function `measure` that returns a `Topic`, or several."""


def main(names: list[str]) -> None:
    """Run some benchmarks, by default every one; each result is kept as soon as it is there."""
    unknown = sorted(set(names) - set(TOPICS))
    if unknown:
        sys.exit(f"There is no benchmark {', '.join(unknown)}. Choose among {', '.join(TOPICS)}.")
    for name in names or TOPICS:
        print(f"measuring {name} ...", flush=True)
        measured = import_module(f"benchmarks.{name}").measure()
        for topic in (measured,) if isinstance(measured, Topic) else measured:
            path = write_results(topic)
            print(f"\nwritten to {path}\n", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
