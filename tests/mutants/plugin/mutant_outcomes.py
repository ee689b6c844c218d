"""A pytest plugin that writes what became of each test as one JSON line, for the runner of mutants."""

import importlib.util
import json
import os
from pathlib import Path
from typing import Any

import pytest

FILE = "MUTANT_OUTCOMES"
"""Environment variable with the path to write to."""
PACKAGE = "MUTANT_PACKAGE"
"""Environment variable with the package whose place is written first."""


def pytest_configure(config: pytest.Config) -> None:
    spec = importlib.util.find_spec(os.environ[PACKAGE])
    _write(config, {"place": spec.origin if spec and spec.origin else ""})
    config.pluginmanager.register(Outcomes(config), "mutant-outcomes")
    if config.pluginmanager.hasplugin("hypothesispytest"):
        _look_for_any_example()


def _look_for_any_example() -> None:
    """That an example fails is all that is asked; looking for the smallest one takes many times as long."""
    from hypothesis import Phase, settings

    settings.register_profile("mutants", settings(), phases=[Phase.explicit, Phase.generate])
    settings.load_profile("mutants")


class Outcomes:
    """Writes a line for each phase of a test that did not pass, and for each test that was called."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.when == "call" or report.failed:
            text = str(report.longrepr.reprcrash.message) if hasattr(report.longrepr, "reprcrash") else ""
            said = {"test": report.nodeid, "when": report.when, "outcome": report.outcome, "error": text[:500]}
            _write(self._config, said)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.failed:
            said = {"test": report.nodeid, "when": "collect", "outcome": "failed", "error": str(report.longrepr)[-500:]}
            _write(self._config, said)


def _write(config: pytest.Config, said: dict[str, Any]) -> None:
    if hasattr(config, "workerinput"):  # the process that started the workers hears of every test too
        return
    with Path(os.environ[FILE]).open("a", encoding="utf-8") as file:
        file.write(json.dumps(said) + "\n")
