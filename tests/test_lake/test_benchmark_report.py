"""A figure beside its rival's says its ratio, what is asked of it, and whether that is met."""

import sys
from types import ModuleType

import pytest

from benchmarks import __main__ as command
from benchmarks.report import RATIO, Figure, Topic


@pytest.mark.parametrize(
    ("figure", "cells"),
    [
        (Figure("slower", 2.0, 5.0, 3, 2), ("2.00 ms", "5.00 ms", "2.50", "<= 3 / 2", "must")),
        (Figure("aim", 2.0, 4.0, 3, 2), ("2.00 ms", "4.00 ms", "2.00", "<= 3 / 2", "aim")),
        (Figure("too slow", 2.0, 7.0, 3, unit="s"), ("2.00 s", "7.00 s", "3.50", "<= 3", "no")),
        (Figure("faster", 6.0, 2.0, 3, is_speed_up=True), ("6.00 ms", "2.00 ms", "3.00", ">= 3", "yes")),
        (
            Figure("throughput", 4.0, 2.0, 0.5, 0.75, more_is_better=True, unit="/s"),
            ("4.00 /s", "2.00 /s", "0.50", ">= 0.5 / 0.75", "must"),
        ),
        (Figure("beside", 2.0, 4.0), ("2.00 ms", "4.00 ms", "2.00", "", "")),
        (Figure("absent", "no network", 4.0, 3, 2), ("no network", "4.00 ms", "", "<= 3 / 2", "not measured")),
    ],
    ids=lambda value: value.what if isinstance(value, Figure) else "",
)
def test_a_figure_says_its_ratio_and_what_it_meets(figure: Figure, cells: tuple[str, ...]) -> None:
    assert figure.to_row() == (figure.what, *cells)
    assert len(figure.to_row()) == len(RATIO)


@pytest.mark.parametrize("titles", [("one",), ("first", "second")])
def test_a_benchmark_of_one_or_several_topics_writes_each(
    monkeypatch: pytest.MonkeyPatch, titles: tuple[str, ...]
) -> None:
    topics = tuple(Topic(title, "", ("a",), (("1",),)) for title in titles)
    module = ModuleType("benchmarks.drift")
    module.measure = lambda: topics if len(topics) > 1 else topics[0]
    monkeypatch.setitem(sys.modules, "benchmarks.drift", module)
    written: list[str] = []
    monkeypatch.setattr(command, "write_results", lambda topic: written.append(topic.title))
    command.main(["drift"])
    assert written == list(titles)
