"""A changed bit in a data file or in the log, and a log that lost its end, are noticed before a row is used."""

import math
import os
import shutil
import struct
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest
from hypothesis import HealthCheck, given
from hypothesis import strategies as st

from lake.care import examine, maintenance, repair, undigested
from lake.errors import DamagedTableError
from lake.store import Lake, commits, delta_log, digests
from support.facts import FACTS
from support.properties import examples

START = datetime(2020, 3, 2, 21, tzinfo=UTC)
DAYS = 4


def session(day: int) -> pl.DataFrame:
    at = START + timedelta(days=day)
    return pl.DataFrame([(s, at, at, day + n / 4) for n, s in enumerate("ABC")], schema=FACTS.schema, orient="row")


@pytest.fixture
def filled(lake: Lake) -> Lake:
    for day in range(DAYS):
        lake.append(FACTS, session(day), batch_id=f"day {day}")
    return lake


def flip(file: Path, bit: int) -> None:
    content = bytearray(file.read_bytes())
    content[bit // 8 % len(content)] ^= 1 << bit % 8
    file.write_bytes(content)


def newest_file(lake: Lake) -> Path:
    folder = lake.path(FACTS)
    return next(iter(delta_log.added_files(folder, delta_log.actions(folder, lake.version(FACTS)))))


def reads(lake: Lake) -> list[Callable[[], object]]:
    now = START + timedelta(days=99)
    return [
        lambda: lake.read(FACTS),
        lambda: lake.read(FACTS, version=lake.version(FACTS)),
        lambda: lake.read_as_of(FACTS, now),
        lambda: lake.scan(FACTS),
        lambda: lake.changes(FACTS, 0),
        lambda: lake.files(FACTS),
        lambda: lake.merge(FACTS, session(DAYS - 1)),
        lambda: lake.compact(FACTS, at_least=2),
    ]


@examples(15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(bit=st.integers(min_value=0, max_value=1 << 20))
def test_any_flipped_bit_of_a_data_file_is_refused(filled: Lake, bit: int) -> None:
    file = newest_file(filled)
    whole = file.read_bytes()
    try:
        flip(file, bit)
        with pytest.raises(DamagedTableError, match=rf"{file.name} changed since.*`quantlake lake repair facts`"):
            filled.read(FACTS)
    finally:
        file.write_bytes(whole)
    assert filled.read(FACTS).height == 3 * DAYS


def test_every_way_to_read_refuses_a_flipped_bit(filled: Lake) -> None:
    flip(newest_file(filled), 999)
    for read in reads(filled):
        with pytest.raises(DamagedTableError, match="changed since they were written"):
            read()


def test_a_store_that_does_not_verify_answers_with_the_flipped_bit(
    filled: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    filled.append(FACTS, session(9).with_columns(value=pl.Series([math.pi, math.e, math.sqrt(2)])), batch_id="nine")
    file, good = newest_file(filled), filled.read(FACTS)
    content = file.read_bytes()
    mantissa = struct.pack("<d", math.pi)[:6]  # compression leaves what has no pattern as it is
    for place in [at for at in range(len(content)) if content.startswith(mantissa, at)]:
        flip(file, (place + 5) * 8)
    with pytest.raises(DamagedTableError, match="changed since"):
        filled.read(FACTS)
    monkeypatch.setattr("lake.store.reading.require_intact", lambda *_: None)
    assert filled.read(FACTS).shape == good.shape
    assert filled.read(FACTS)["value"].sum() != good["value"].sum()


def test_a_verified_file_is_not_hashed_again_until_it_changes_or_is_forgotten(
    filled: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    hashed, digest_of_file = list[str](), digests.digest_of_file

    def counted(path: str) -> str:
        hashed.append(path)
        return digest_of_file(path)

    monkeypatch.setattr(digests, "digest_of_file", counted)
    filled.read(FACTS)
    assert hashed == []  # this process wrote them
    digests.forget_verified_files()
    for _ in range(2):
        filled.read(FACTS)
    assert len(hashed) == DAYS
    os.utime(newest_file(filled))
    filled.read(FACTS)
    assert len(hashed) == DAYS + 1


def test_doctor_names_the_file_and_repair_takes_only_its_rows(filled: Lake) -> None:
    file = newest_file(filled)
    flip(file, 999)
    assert [(one.kind, one.path) for one in examine(filled, FACTS)] == [("altered data file", file)]
    assert "it held 3 rows" in repair(filled, FACTS).lost[0]
    assert examine(filled, FACTS) == []
    assert filled.read(FACTS).height == 3 * (DAYS - 1)
    filled.merge(FACTS, session(DAYS - 1))
    assert filled.read(FACTS).height == 3 * DAYS


def test_a_flipped_bit_of_a_compacted_file_costs_nothing(filled: Lake) -> None:
    filled.compact(FACTS, at_least=2)
    flip(newest_file(filled), 999)
    assert repair(filled, FACTS).lost == ()
    assert filled.read(FACTS).height == 3 * DAYS


def test_a_file_without_a_digest_in_its_name_is_read_counted_and_rewritten(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lake.store.files.digest_of", lambda _: "before")
    for day in range(DAYS):
        lake.append(FACTS, session(day), batch_id=f"day {day}")
    monkeypatch.undo()
    assert lake.read(FACTS).height == 3 * DAYS
    assert (examine(lake, FACTS), undigested(lake, FACTS)) == ([], DAYS)
    lake.compact(FACTS, at_least=2)
    assert undigested(lake, FACTS) == 0


def test_a_log_that_lost_its_newest_entry_is_refused_and_named(filled: Lake) -> None:
    newest = filled.version(FACTS)
    lost = delta_log.entry(filled.path(FACTS), newest)
    lost.unlink()

    def append() -> object:
        return filled.append(FACTS, session(9), batch_id="nine")

    for read in [*reads(filled), append]:
        with pytest.raises(DamagedTableError, match=rf"{lost.name} of its log is missing; version {newest} was comm"):
            read()
    assert [(one.kind, one.path) for one in examine(filled, FACTS)] == [("missing log entry", lost)]
    done = repair(filled, FACTS)
    assert "3 rows of 1 files are out of the table" in " ".join(done.lost)
    assert done.version == newest + 1
    assert examine(filled, FACTS) == []
    filled.merge(FACTS, session(DAYS - 1))
    assert filled.read(FACTS).height == 3 * DAYS


def test_a_process_that_never_saw_the_table_notices_as_well(filled: Lake, tmp_path: Path) -> None:
    delta_log.entry(filled.path(FACTS), filled.version(FACTS)).unlink()
    other = Lake(shutil.copytree(filled.root, tmp_path / "copy"))
    with pytest.raises(DamagedTableError, match="is missing"):
        other.read(FACTS)


def test_a_flipped_bit_of_the_log_is_refused_and_repaired(filled: Lake, tmp_path: Path) -> None:
    entry = delta_log.entry(filled.path(FACTS), filled.version(FACTS))
    text = entry.read_text(encoding="utf-8")
    entry.write_text(text.replace("2020-03-05", "2020-03-04"), encoding="utf-8")  # a bound that hides the rows
    assert entry.read_text(encoding="utf-8") != text
    for lake in (filled, Lake(shutil.copytree(filled.root, tmp_path / "copy"))):
        with pytest.raises(DamagedTableError, match=rf"{entry.name} changed since they were written"):
            lake.read(FACTS)
    assert [one.kind for one in examine(filled, FACTS)] == ["altered log entry"]
    repair(filled, FACTS)
    assert examine(filled, FACTS) == []
    assert filled.read(FACTS).height == 3 * (DAYS - 1)


def test_a_flipped_bit_of_a_checkpoint_is_refused_and_costs_nothing(filled: Lake, tmp_path: Path) -> None:
    filled.checkpoint(FACTS)
    flip(next((filled.path(FACTS) / "_delta_log").glob("*.checkpoint.parquet")), 999)
    other = Lake(shutil.copytree(filled.root, tmp_path / "copy"))
    with pytest.raises(DamagedTableError, match=r"checkpoint\.parquet changed|its log is damaged"):
        other.read(FACTS)
    assert "torn checkpoint" in [one.kind for one in examine(filled, FACTS)]
    assert repair(filled, FACTS).lost == ()
    assert (examine(filled, FACTS), filled.read(FACTS).height) == ([], 3 * DAYS)


def test_the_ledger_lags_after_a_kill_and_the_next_writer_catches_up(
    filled: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    def die(folder: Path, version: int) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(commits, "record", die)
        with pytest.raises(KeyboardInterrupt):
            filled.append(FACTS, session(9), batch_id="nine")
    newest = filled.version(FACTS)
    assert commits.read(filled.path(FACTS)).newest == newest - 1
    assert (examine(filled, FACTS), filled.read(FACTS).height) == ([], 3 * (DAYS + 1))
    assert filled.append(FACTS, session(9), batch_id="nine").skipped
    assert commits.read(filled.path(FACTS)).newest == newest


@pytest.mark.parametrize("cut", range(1, 90, 11))
def test_a_ledger_cut_anywhere_only_lags(filled: Lake, cut: int) -> None:
    ledger = filled.path(FACTS) / commits.FILE
    ledger.write_bytes(ledger.read_bytes()[:-cut])
    assert (examine(filled, FACTS), filled.read(FACTS).height) == ([], 3 * DAYS)
    filled.append(FACTS, session(9), batch_id="nine")
    assert examine(filled, FACTS) == []
    assert commits.read(filled.path(FACTS)).newest == filled.version(FACTS)


def test_a_damaged_ledger_is_named_and_repaired_and_loses_nothing(filled: Lake) -> None:
    ledger = filled.path(FACTS) / commits.FILE
    flip(ledger, 8 * 40)
    assert [(one.kind, one.path) for one in examine(filled, FACTS)] == [("damaged ledger of commits", ledger)]
    assert repair(filled, FACTS).lost == ()
    assert (examine(filled, FACTS), filled.read(FACTS).height) == ([], 3 * DAYS)


def test_a_table_without_a_ledger_is_read_and_gets_one(filled: Lake, tmp_path: Path) -> None:
    (filled.path(FACTS) / commits.FILE).unlink()
    other = Lake(shutil.copytree(filled.root, tmp_path / "copy"))
    assert (examine(other, FACTS), other.read(FACTS).height) == ([], 3 * DAYS)
    other.append(FACTS, session(9), batch_id="nine")
    assert commits.read(other.path(FACTS)).newest == other.version(FACTS)


def test_cleaning_the_log_keeps_the_ledger_as_short_as_the_log(filled: Lake) -> None:
    before = len(commits.read(filled.path(FACTS)).digests)
    maintenance.clean_log(filled, FACTS, keep=timedelta(0))
    names = set(commits.read(filled.path(FACTS)).digests)
    assert len(names) < before
    assert names == {path.name for path in (filled.path(FACTS) / "_delta_log").iterdir() if path.name[:20].isdigit()}
    assert (examine(filled, FACTS), filled.read(FACTS).height) == ([], 3 * DAYS)
