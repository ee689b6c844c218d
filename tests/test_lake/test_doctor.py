"""What is broken is named, and repair goes back to the last good version: it deletes nothing and says what is lost."""

import dataclasses
import shutil
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest
from deltalake import DeltaTable

from lake.care import examine, history, pin, pins_in_use, repair, vacuum
from lake.care.doctor import DAMAGED
from lake.disk import durable
from lake.errors import DamagedTableError, NotReadyError, TableNotFoundError
from lake.store import Lake, delta_log
from support.facts import FACTS

START = datetime(2020, 3, 2, 21, tzinfo=UTC)
DAYS = 5


def session(day: int) -> pl.DataFrame:
    at = START + timedelta(days=day)
    return pl.DataFrame([(s, at, at, day + n / 4) for n, s in enumerate("ABC")], schema=FACTS.schema, orient="row")


def sessions(days: int) -> pl.DataFrame:
    return pl.concat([session(day) for day in range(days)]).sort(FACTS.names)


@pytest.fixture
def broken(lake: Lake) -> Lake:
    """Return a lake of five sessions, one a version, that each test breaks in its own way."""
    for day in range(DAYS):
        lake.append(FACTS, session(day), batch_id=f"day {day}")
    return lake


def content(lake: Lake) -> pl.DataFrame:
    return lake.read(FACTS).sort(FACTS.names)


def newest_file(lake: Lake) -> Path:
    folder = lake.path(FACTS)
    return next(iter(delta_log.added_files(folder, delta_log.actions(folder, lake.version(FACTS)))))


def entry(lake: Lake, version: int) -> Path:
    return delta_log.entry(lake.path(FACTS), version)


def halve(file: Path) -> None:
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


def empty(file: Path) -> None:
    file.write_bytes(b"")


def zero(file: Path) -> None:
    file.write_bytes(bytes(file.stat().st_size))


def kinds(lake: Lake) -> list[str]:
    return [finding.kind for finding in examine(lake, FACTS)]


def damaged(lake: Lake) -> set[str]:
    return {path.name for path in (lake.path(FACTS) / DAMAGED).rglob("*") if path.is_file()}


def is_good_from_now_on(lake: Lake) -> None:
    """Rows can be merged again, the last session and one more, and nothing is found to be wrong."""
    assert examine(lake, FACTS) == []
    lake.merge(FACTS, sessions(DAYS + 1))
    assert content(lake).equals(sessions(DAYS + 1))
    assert repair(lake, FACTS).moved_to is None


def test_a_healthy_table_has_no_findings_and_nothing_to_repair(broken: Lake) -> None:
    version = broken.version(FACTS)
    assert examine(broken, FACTS) == []
    done = repair(broken, FACTS)
    assert (done.findings, done.version, done.moved_to, done.lost) == ((), version, None, ())


@pytest.mark.parametrize(
    ("harm", "kind"), [(halve, "torn log entry"), (zero, "torn log entry"), (empty, "empty log entry")]
)
def test_a_torn_newest_entry_goes_back_one_version(broken: Lake, harm: Callable[[Path], None], kind: str) -> None:
    newest = broken.version(FACTS)
    harm(entry(broken, newest))
    with pytest.raises(DamagedTableError, match=r"(damaged|is empty).*`quantlake lake repair facts`"):
        broken.read(FACTS)
    assert kinds(broken) == [kind]
    done = repair(broken, FACTS)
    assert f"Versions {newest} to {newest} are gone" in done.lost[0]
    assert f"as it was at version {newest - 1}" in done.lost[0]
    assert content(broken).equals(sessions(DAYS - 1))
    assert entry(broken, newest).name in damaged(broken)
    assert broken.append(FACTS, session(DAYS - 1), batch_id=f"day {DAYS - 1}").added == 3
    is_good_from_now_on(broken)


def test_a_torn_entry_in_the_middle_takes_what_came_after_it_and_keeps_the_files(broken: Lake) -> None:
    newest = broken.version(FACTS)
    pin(broken, "model:a", {"facts": newest - 1})
    halve(entry(broken, newest - 2))
    done = repair(broken, FACTS)
    assert content(broken).equals(sessions(DAYS - 3))
    assert "9 rows of 3 files are out of the table" in " ".join(done.lost)
    assert f"Version {newest - 1}, in use by model:a" in " ".join(done.lost)
    assert done.moved_to is not None
    kept = [pl.read_parquet(file, glob=False, hive_partitioning=False) for file in done.moved_to.rglob("*.parquet")]
    assert pl.concat(kept).sort(FACTS.names).equals(pl.concat([session(2), session(3), session(4)]).sort(FACTS.names))
    is_good_from_now_on(broken)


def test_no_version_number_stands_for_two_things_after_a_repair(broken: Lake) -> None:
    newest = broken.version(FACTS)
    halve(entry(broken, newest))
    assert repair(broken, FACTS).version == newest + 1
    assert broken.changes(FACTS, newest - 1) is None
    assert broken.changes(FACTS, newest) is None


def test_rows_whose_log_entry_is_torn_are_counted_and_outlive_a_vacuum(broken: Lake) -> None:
    halve(entry(broken, 1))  # the first rows; the file's name can no longer be read
    done = repair(broken, FACTS)
    assert "15 rows of 5 files are out of the table" in " ".join(done.lost)
    vacuum(broken, FACTS, keep=timedelta(0), now=datetime.now(UTC) + timedelta(days=99))
    assert done.moved_to is not None
    kept = [pl.read_parquet(file, glob=False, hive_partitioning=False) for file in done.moved_to.rglob("part*.parquet")]
    assert pl.concat(kept).sort(FACTS.names).equals(sessions(DAYS))


def test_a_lost_version_is_refused_and_called_repaired(broken: Lake) -> None:
    newest = broken.version(FACTS)
    halve(entry(broken, newest - 1))
    end = repair(broken, FACTS).version
    for version in (newest - 1, newest):
        with pytest.raises(NotReadyError, match=rf"Version {version} of table 'facts' was lost"):
            broken.read(FACTS, version=version)
    assert broken.read(FACTS, version=end).height == 3 * (DAYS - 2) == broken.read(FACTS, version=newest - 2).height
    halve(entry(broken, broken.append(FACTS, session(9), batch_id="nine").version or 0))
    repair(broken, FACTS)
    again = {commit.version: commit.kind for commit in history(broken, FACTS)}
    assert [version for version, kind in again.items() if kind == "repaired"] == [end + 1, newest, newest - 1]


@pytest.mark.parametrize("every", [4, pytest.param(1, marks=pytest.mark.slow)])
def test_a_repair_killed_anywhere_is_ended_by_the_next_and_reuses_no_version(
    broken: Lake, tmp_path: Path, every: int
) -> None:
    newest = broken.version(FACTS)
    halve(entry(broken, newest - 1))
    for steps in range(0, 200, every):
        other = Lake(shutil.copytree(broken.root, tmp_path / str(steps)))
        if not killed_after(steps, other):
            break
        if delta_log.unfinished(other.path(FACTS)).exists():
            assert "unfinished repair" in kinds(other)
            with pytest.raises(DamagedTableError, match=r"was cut off.*repair facts"):
                other.merge(FACTS, session(0))
        repair(other, FACTS)
        assert examine(other, FACTS) == []
        assert other.version(FACTS) == newest + 1
        assert content(other).equals(sessions(DAYS - 2))
        assert len(list((other.path(FACTS) / DAMAGED).rglob("*.parquet"))) == 2
        with pytest.raises(NotReadyError, match="was lost"):
            other.read(FACTS, version=newest)
    assert steps > 12


def killed_after(steps: int, lake: Lake) -> bool:
    """Whether a repair that dies at its nth flush dies at all."""
    left = iter(range(steps))

    def die(path: Path) -> None:
        if next(left, None) is None:
            raise KeyboardInterrupt
        durable.flush(path)

    with pytest.MonkeyPatch.context() as patched:
        for module in ("care.doctor", "store.delta"):
            patched.setattr(f"lake.{module}.flush", die)
        try:
            repair(lake, FACTS)
        except KeyboardInterrupt:
            return True
    return False


def test_a_neighbour_that_cannot_be_read_stops_no_repair_and_is_named(broken: Lake) -> None:
    other = dataclasses.replace(FACTS, name="others")
    halve(entry(broken, broken.version(FACTS)))
    broken.merge(other, session(0))
    halve(delta_log.entry(broken.path(other), 1))
    for act in (broken.stored, lambda: pins_in_use(broken)):
        with pytest.raises(DamagedTableError, match="cannot be"):
            act()
    assert "Table 'others' cannot be read, so its rows may use some of them." in repair(broken, FACTS).lost
    assert content(broken).equals(sessions(DAYS - 1))


def test_a_missing_newest_entry_is_known_by_who_uses_it(broken: Lake) -> None:
    newest = broken.version(FACTS)
    pin(broken, "model:a", {"facts": newest})
    entry(broken, newest).unlink()
    assert [(one.kind, one.path) for one in examine(broken, FACTS)] == [("missing log entry", entry(broken, newest))]
    done = repair(broken, FACTS)
    assert done.version == newest + 1
    assert "3 rows of 1 files" in " ".join(done.lost)
    assert f"Version {newest}, in use by model:a, was among them." in done.lost
    is_good_from_now_on(broken)


def test_data_without_a_log_is_a_finding(broken: Lake) -> None:
    shutil.rmtree(broken.path(FACTS) / "_delta_log")
    assert [(one.kind, one.meaning) for one in examine(broken, FACTS)] == [
        ("missing log", "no log names the 15 rows of 5 data files")
    ]
    with pytest.raises(NotReadyError, match="No version of table 'facts' can be read: missing log"):
        repair(broken, FACTS)


def test_a_missing_entry_is_named(broken: Lake) -> None:
    newest = broken.version(FACTS)
    entry(broken, newest - 1).unlink()
    assert kinds(broken) == ["missing log entry"]
    repair(broken, FACTS)
    assert content(broken).equals(sessions(DAYS - 2))
    is_good_from_now_on(broken)


@pytest.mark.parametrize(
    ("harm", "kind"),
    [
        (Path.unlink, "missing data file"),
        (empty, "empty data file"),
        (halve, "torn data file"),
        (zero, "torn data file"),
    ],
)
def test_a_damaged_data_file_takes_its_own_rows_only(broken: Lake, harm: Callable[[Path], None], kind: str) -> None:
    file = next(
        iter(
            delta_log.added_files(broken.path(FACTS), delta_log.actions(broken.path(FACTS), broken.version(FACTS) - 1))
        )
    )
    harm(file)
    found = examine(broken, FACTS)
    assert [(finding.kind, finding.path) for finding in found] == [(kind, file)]
    assert found[0].meaning == "it held 3 rows, of 2020-03-05 to 2020-03-05"
    done = repair(broken, FACTS)
    assert len(done.lost) == 1
    assert "it held 3 rows" in done.lost[0]
    assert (file.name in damaged(broken)) == (kind != "missing data file")
    assert content(broken).equals(pl.concat([sessions(3), session(4)]).sort(FACTS.names))
    assert broken.changes(FACTS, 2) is None
    is_good_from_now_on(broken)


@pytest.mark.parametrize("harm", [Path.unlink, empty, halve])
def test_a_damaged_file_of_the_newest_commit_is_repaired_by_a_process_that_never_saw_it(
    broken: Lake, tmp_path: Path, harm: Callable[[Path], None]
) -> None:
    harm(newest_file(broken))
    other = Lake(shutil.copytree(broken.root, tmp_path / "copy"))  # this process remembers nothing of the copy
    assert "it held 3 rows" in repair(other, FACTS).lost[0]
    assert content(other).equals(sessions(DAYS - 1))
    is_good_from_now_on(other)


def test_every_mark_of_a_repair_is_on_disk(broken: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    newest, flushed = broken.version(FACTS), set[Path]()
    halve(entry(broken, newest - 2))
    monkeypatch.setattr("lake.store.delta.flush", flushed.add)
    done = repair(broken, FACTS)
    assert {entry(broken, version) for version in range(newest - 2, done.version + 1)} <= flushed


def test_a_compacted_file_comes_back_from_the_files_it_was_made_of(broken: Lake) -> None:
    broken.compact(FACTS, at_least=2)
    before = broken.version(FACTS)
    halve(newest_file(broken))
    done = repair(broken, FACTS)
    assert (done.lost, [finding.kind for finding in done.findings]) == ((), ["torn data file"])
    assert content(broken).equals(sessions(DAYS))
    assert broken.changes(FACTS, before) is not None  # no row changed
    is_good_from_now_on(broken)


def test_a_damaged_checkpoint_or_pointer_costs_nothing_while_the_entries_are_there(broken: Lake) -> None:
    DeltaTable(str(broken.path(FACTS))).create_checkpoint()
    log = broken.path(FACTS) / "_delta_log"
    halve(next(log.glob("*.checkpoint.parquet")))
    assert kinds(broken) == ["torn checkpoint", "wrong checkpoint pointer"]
    assert repair(broken, FACTS).lost == ()
    assert content(broken).equals(sessions(DAYS))
    DeltaTable(str(broken.path(FACTS))).create_checkpoint()
    halve(log / "_last_checkpoint")
    assert kinds(broken) == ["torn checkpoint pointer"]
    assert repair(broken, FACTS).lost == ()
    is_good_from_now_on(broken)


def test_a_checkpoint_saves_a_table_whose_older_entry_is_torn(broken: Lake) -> None:
    DeltaTable(str(broken.path(FACTS))).create_checkpoint()
    halve(entry(broken, 2))
    assert kinds(broken) == ["torn log entry"]
    assert repair(broken, FACTS).lost == ()
    assert content(broken).equals(sessions(DAYS))
    is_good_from_now_on(broken)


def test_several_faults_at_once_are_all_named_and_repaired(broken: Lake) -> None:
    newest = broken.version(FACTS)
    first = next(iter(delta_log.added_files(broken.path(FACTS), delta_log.actions(broken.path(FACTS), 1))))
    halve(entry(broken, newest))
    empty(first)
    assert kinds(broken) == ["torn log entry", "empty data file"]
    assert len(repair(broken, FACTS).lost) == 3
    assert content(broken).equals(pl.concat([session(1), session(2), session(3)]).sort(FACTS.names))
    is_good_from_now_on(broken)


def test_where_no_version_can_be_read_nothing_is_moved(broken: Lake) -> None:
    halve(entry(broken, 0))
    with pytest.raises(NotReadyError, match=r"No version of table 'facts' can be read: torn log entry .*0\.json"):
        repair(broken, FACTS)
    assert damaged(broken) == set()


def test_a_table_that_is_not_there_is_said_to_be_missing(lake: Lake) -> None:
    for act in (examine, repair):
        with pytest.raises(TableNotFoundError):
            act(lake, FACTS)
