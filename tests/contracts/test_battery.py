"""The battery S01 to S23: each connector has a test of each case, or a line that says why it cannot have it."""

import re
from collections.abc import Mapping
from pathlib import Path

import pytest

from lake.sources import CONNECTORS, SERIES
from support.vendors import VENDORS

CASES = tuple(f"S{number:02}" for number in range(1, 24))
NO_NETWORK = "a file is read from the disk, and nobody is asked"
CANNOT: Mapping[str, Mapping[str, str]] = {
    **{name: vendor.cannot for name, vendor in VENDORS.items()},
    "fred": {
        "S03": "a further page is asked for by its offset, and no answer names one",
        "S07": "it throttles by status alone",
    },
    "file": {
        "S02": "a file comes in one piece",
        "S03": "a file names no next page",
        **dict.fromkeys(("S05", "S06", "S07", "S08", "S21"), NO_NETWORK),
        "S22": "a file has no key",
    },
}
"""Cases that a connector cannot have, each with its reason."""
MODULES = {
    **dict.fromkeys(CONNECTORS, ("test_sources.py", "test_sources_stored.py")),
    **dict.fromkeys(SERIES, ("test_sources_series.py",)),
    "file": ("test_sources_files.py",),
}
"""Where the cases of each connector are; a vendor of bars is judged by tests that all of them share."""


def cases_in(module: str) -> set[str]:
    """Return the cases that the names of a module's tests say they are of."""
    names = re.findall(r"def test_(s\d\d(?:_and_s\d\d)*)_", (Path(__file__).parent / module).read_text())
    return {case.upper() for name in names for case in name.split("_and_")}


@pytest.mark.parametrize("connector", MODULES)
def test_every_connector_has_every_case_or_a_reason(connector: str) -> None:
    tested = set().union(*map(cases_in, MODULES[connector]))
    excused = CANNOT[connector]
    if connector not in CONNECTORS:
        assert not tested & {*excused}, "a case that is tested needs no reason"
    assert {*CASES} == tested | {*excused}
    assert all(len(reason.split()) > 3 for reason in excused.values())


def test_no_connector_is_without_its_battery() -> None:
    assert {*MODULES} == {*CONNECTORS, *SERIES, "file"} == {*CANNOT}
    answered = sum(len(CASES) - len(CANNOT[name]) for name in MODULES)
    assert (len(MODULES) * len(CASES), answered) == (115, 98)
