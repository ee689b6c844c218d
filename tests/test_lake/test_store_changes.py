"""The rows added between two versions are told by the log, without reading the table."""

from datetime import timedelta
from pathlib import Path

import polars as pl
import pytest
from deltalake import CommitProperties, DeltaTable
from polars.testing import assert_frame_equal

from lake.errors import TableNotFoundError
from lake.sources import tiny_market
from lake.store import Lake, delta_log
from lake.tables import BARS

MARKET = tiny_market(["AAA", "BBB", "CCC"], sessions=260, seed=4)  # over the turn of a year
SESSIONS = MARKET["event_time"].unique().sort()


def session(number: int) -> pl.DataFrame:
    return MARKET.filter(pl.col("event_time") == SESSIONS[number])


def added(lake: Lake, since: int, until: int | None = None) -> pl.DataFrame:
    rows = lake.changes(BARS, since, until)
    assert rows is not None
    return rows.sort(*BARS.key, "known_time")


def compact(lake: Lake) -> None:
    assert DeltaTable(str(lake.path(BARS))).optimize.compact()["numFilesAdded"] > 0


def test_the_rows_between_any_two_versions_are_those_of_their_commits(lake: Lake) -> None:
    versions = [lake.merge(BARS, session(number)).version or 0 for number in range(4)]
    for first in range(4):
        for last in range(first, 4):
            expected = pl.concat([BARS.empty(), *(session(number) for number in range(first + 1, last + 1))])
            assert_frame_equal(added(lake, versions[first], versions[last]), expected.sort(*BARS.key, "known_time"))
    assert_frame_equal(added(lake, -1), lake.read(BARS).sort(*BARS.key, "known_time"))


def test_a_restatement_shows_and_a_repetition_does_not(lake: Lake) -> None:
    before = lake.merge(BARS, MARKET).version or 0
    restated = session(7).with_columns(pl.col("known_time") + timedelta(days=3), pl.col("volume") + 1)
    lake.merge(BARS, pl.concat([MARKET, restated]))
    assert_frame_equal(added(lake, before), restated)


def test_a_compaction_adds_nothing_and_hides_nothing(lake: Lake) -> None:
    start = lake.merge(BARS, session(0)).version or 0
    lake.merge(BARS, session(1))
    compact(lake)
    lake.merge(BARS, session(2))
    assert_frame_equal(added(lake, start), pl.concat([session(1), session(2)]).sort(*BARS.key, "known_time"))
    compacted = lake.version(BARS)
    compact(lake)
    assert added(lake, compacted).is_empty()


def test_counting_compacted_files_would_double_rows(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    start = lake.merge(BARS, session(0)).version or 0
    lake.merge(BARS, session(1))
    compact(lake)
    read_actions = delta_log.actions

    def all_change(*arguments: object) -> list[delta_log.Action]:
        done = read_actions(*arguments)
        return [{"add": {**action["add"], "dataChange": True}} for action in done if "add" in action]

    monkeypatch.setattr(delta_log, "actions", all_change)
    assert added(lake, start).height == session(1).height + 2 * session(0).height


def test_it_reads_no_file_but_those_added(lake: Lake) -> None:
    start = lake.merge(BARS, MARKET).version or 0
    old = lake.files(BARS)
    lake.merge(BARS, session(5).with_columns(pl.col("known_time") + timedelta(days=1), volume=pl.lit(1.0)))
    for file in old:
        Path(file).write_bytes(b"")  # reading it would fail
    assert added(lake, start).height == 3


def test_a_history_that_is_gone_or_changed_otherwise_is_not_told(lake: Lake) -> None:
    versions = [lake.merge(BARS, session(number)).version or 0 for number in range(5)]
    assert lake.changes(BARS, versions[-1] + 1) is None  # a version that is not there
    assert lake.changes(BARS, versions[2], versions[1]) is None
    DeltaTable(str(lake.path(BARS))).create_checkpoint()
    for version in range(versions[1] + 1):
        delta_log.entry(lake.path(BARS), version).unlink()
    assert lake.changes(BARS, versions[0]) is None
    assert added(lake, versions[1]).height == 9
    DeltaTable(str(lake.path(BARS))).alter.set_table_properties({"quantlake.repaired": "1"}, raise_if_not_exists=False)
    assert lake.changes(BARS, versions[-1]) is None
    altered = lake.version(BARS)
    DeltaTable(str(lake.path(BARS))).delete("symbol = 'AAA'", commit_properties=CommitProperties())
    assert lake.changes(BARS, altered) is None


def test_rows_whose_files_are_gone_are_not_told(lake: Lake) -> None:
    start = lake.merge(BARS, session(0)).version or 0
    lake.merge(BARS, session(1))
    for file in delta_log.files_of_new_rows(lake.path(BARS), start, start + 1) or []:
        file.unlink()
    assert lake.changes(BARS, start) is None


def test_a_table_that_is_not_there_is_said_to_be_missing(lake: Lake) -> None:
    with pytest.raises(TableNotFoundError):
        lake.changes(BARS, -1)
