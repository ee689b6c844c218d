"""Which worker of a run gets which tests, and in which order: the hooks of `tests/conftest.py` that decide it."""

from typing import Any

import pytest

ONE_WORKER = {"end to end": ("test_demo.py", "test_notebooks.py")}
"""Files that one worker runs, one after the other: they share a fixture that takes longer than their tests."""
FIRST = (
    "test_demo",
    "test_notebooks",
    "test_receipts_proof",
    "test_added_feature_group",
    "test_stages",
    "test_models",
    "test_search",
    "test_doctor_command",
    "test_failures_",
    "test_service",
    "test_access_matrix",
)
"""How the names of files begin that take longest; they are begun first, so that no worker is left alone with one."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with what takes longest."""
    items.sort(key=lambda item: _rank(item.path.name))


def _rank(file: str) -> int:
    return next((rank for rank, name in enumerate(FIRST) if file.startswith(name)), len(FIRST))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Let workers share the tests by file, but for those that belong together.

    The marks that xdist has for it do nothing beside pytest 9.2, which keeps the id of a test elsewhere than xdist 3.8
    writes the group to: every test went to whichever worker was free, and each made the fixtures of every file.
    """
    if config.getvalue("dist") != "loadgroup":
        return None
    from xdist.scheduler import LoadScopeScheduling

    class ByGroup(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return group_of(nodeid.partition("::")[0].rpartition("/")[2])

    config.option.loadscopereorder = False  # xdist's own order is by number of tests, ours by how long they take
    return ByGroup(config, log)


def group_of(file: str) -> str:
    """Return what one worker runs together with a file; its own name where it belongs to none."""
    return next((group for group, files in ONE_WORKER.items() if file in files), file)
