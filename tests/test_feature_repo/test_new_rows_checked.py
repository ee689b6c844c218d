"""A table that passed is checked for what is new only; nothing new, changed or damaged gets by."""

import re
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import NoReturn

import polars as pl
import pytest
from deltalake import write_deltalake

from feature_repo.materialize import expectations
from feature_repo.materialize.expectations import check_features, check_new_rows
from lake.clock import DEMO_START
from lake.errors import DamagedTableError
from lake.quality import forget_passes
from lake.sources import tiny_market
from lake.spec import TableSpec
from lake.store import YEAR, Lake
from lake.tables import BARS

LATER = DEMO_START + timedelta(days=1)
BAD = {"volume": -1.0}


def rows(first: int, count: int, **values: float) -> pl.DataFrame:
    """Some sessions of a market of one symbol, known at their close."""
    bars = tiny_market(["AAA"], sessions=6, seed=3).sort("event_time")[first : first + count]
    return bars.with_columns(pl.lit(value).alias(name) for name, value in values.items())


@pytest.fixture
def passed(lake: Lake) -> Lake:
    """A lake whose four bars passed the check."""
    lake.merge(BARS, rows(0, 4))
    assert check_new_rows(lake, BARS, DEMO_START).scope == "all 4 rows"
    return lake


@pytest.fixture
def looks_at_all(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the tables that are checked as a whole from here on."""
    looked: list[str] = []

    def check(lake: Lake, spec: TableSpec, at: object) -> object:
        looked.append(spec.name)
        return check_features(lake, spec, at)  # type: ignore[arg-type] # passed on as it came

    monkeypatch.setattr(expectations, "check_features", check)
    return looked


def test_nothing_new_is_said_with_version_and_time(passed: Lake, looks_at_all: list[str]) -> None:
    said = check_new_rows(passed, BARS, DEMO_START)
    assert said.report.success
    assert re.fullmatch(r"unchanged since version 1, last passed \d{4}-\d\d-\d\d \d\d:\d\d UTC", said.scope), said.scope
    assert looks_at_all == []


def test_new_rows_are_looked_at_alone(passed: Lake, looks_at_all: list[str]) -> None:
    passed.merge(BARS, rows(4, 2))
    said = check_new_rows(passed, BARS, DEMO_START)
    assert (said.report.success, said.report.rows) == (True, 2)
    assert said.scope.startswith("2 rows are new since version 1")
    assert check_new_rows(passed, BARS, DEMO_START).scope.startswith("unchanged since version 2")
    assert looks_at_all == []


def test_one_new_row_is_told_in_the_singular(passed: Lake) -> None:
    passed.merge(BARS, rows(4, 1))
    assert check_new_rows(passed, BARS, DEMO_START).scope.startswith("1 row is new since version 1")


def test_a_new_row_that_breaks_a_rule_is_found_until_it_is_mended(passed: Lake, looks_at_all: list[str]) -> None:
    passed.merge(BARS, rows(4, 1, **BAD))
    for _ in range(2):
        (failed,) = check_new_rows(passed, BARS, DEMO_START).report.failed
        assert (failed.columns, failed.unexpected, failed.rule) == (("volume",), 1, "volume >= 0")
        assert failed.examples[0].endswith(" UTC, volume -1 < 0")
    assert looks_at_all == ["bars", "bars"]
    passed.merge(BARS, rows(4, 1).with_columns(known_time=pl.lit(LATER)))
    assert check_new_rows(passed, BARS, LATER).report.success


def test_a_restatement_that_breaks_a_rule_is_found(passed: Lake) -> None:
    passed.merge(BARS, rows(1, 1, **BAD).with_columns(known_time=pl.lit(LATER)))
    assert check_new_rows(passed, BARS, DEMO_START).report.success, "not known yet"
    assert not check_new_rows(passed, BARS, LATER).report.success, "stored before, known since"


def test_a_new_row_that_doubles_the_key_of_an_old_one_is_found(passed: Lake) -> None:
    """`append` stores what was received and looks at no key, as `merge` does."""
    passed.append(BARS, rows(0, 1), batch_id="again")
    (failed,) = check_new_rows(passed, BARS, DEMO_START).report.failed
    assert (failed.columns, failed.unexpected) == (("symbol", "event_time"), 2)


def write_by_hand(lake: Lake, bars: pl.DataFrame) -> None:
    """Append rows as another program would: no digest in the file's name, and no look at what is stored."""
    by_year = bars.with_columns(pl.col("event_time").dt.year().cast(pl.Int32).alias(YEAR))
    write_deltalake(str(lake.path(BARS)), by_year.to_arrow(), mode="append")


def test_rows_that_another_program_wrote_are_found(passed: Lake) -> None:
    """Doubled keys too: the writer of the lake would refuse them."""
    write_by_hand(passed, rows(0, 1))
    found = check_new_rows(passed, BARS, DEMO_START).report
    assert [failed.columns for failed in found.failed] == [("symbol", "event_time")]


def test_a_file_without_a_digest_is_read_every_time(passed: Lake, looks_at_all: list[str]) -> None:
    write_by_hand(passed, rows(4, 1))
    assert check_new_rows(passed, BARS, DEMO_START).report.success
    assert check_new_rows(passed, BARS, DEMO_START).report.success
    assert looks_at_all == ["bars", "bars"]


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize("new", [0, 1])
@pytest.mark.parametrize("damage", [flip, Path.unlink])
def test_a_file_damaged_between_two_days_is_found(passed: Lake, damage: Callable[[Path], object], new: int) -> None:
    """Also where no row is new, and so none is read."""
    (path,) = map(Path, passed.contents(BARS).paths)
    passed.merge(BARS, rows(4, new))
    damage(path)
    with pytest.raises((DamagedTableError, FileNotFoundError)):
        check_new_rows(passed, BARS, DEMO_START)


def test_a_changed_rule_is_applied_to_every_row(passed: Lake, looks_at_all: list[str]) -> None:
    columns = tuple(replace(c, maximum=1e-6) if c.name == "close" else c for c in BARS.columns)
    assert not check_new_rows(passed, replace(BARS, columns=columns), DEMO_START).report.success
    assert looks_at_all == ["bars"]


def test_changed_code_of_a_rule_is_applied_to_every_row(
    passed: Lake, looks_at_all: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    read = Path.read_bytes
    monkeypatch.setattr(Path, "read_bytes", lambda path: read(path) + b"# changed" * (path.name == "rules.py"))
    assert check_new_rows(passed, BARS, DEMO_START).scope == "all 4 rows"
    assert looks_at_all == ["bars"]


def test_all_is_looked_at_again_on_demand_and_where_the_record_is_torn(passed: Lake) -> None:
    forget_passes(passed)
    assert check_new_rows(passed, BARS, DEMO_START).scope == "all 4 rows"
    (record,) = (passed.root / ".stamps").glob("check-*.json")
    record.write_text("{torn", encoding="utf-8")
    assert check_new_rows(passed, BARS, DEMO_START).scope == "all 4 rows"


def test_great_expectations_is_not_imported_for_what_is_new(passed: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> NoReturn:
        raise AssertionError("a whole table was checked")

    monkeypatch.setattr("lake.quality.suites._context", refuse)
    passed.merge(BARS, rows(4, 2))
    assert check_new_rows(passed, BARS, DEMO_START).report.success
