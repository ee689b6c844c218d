"""Maintenance deletes what nobody uses, and nothing else: forty days of it, and every version in use is whole."""

import hashlib
import json
import os
import shutil
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest
from deltalake import DeltaTable

from lake.care import clean_log, difference, history, maintenance, pin, pins, pins_in_use, set_pins, unpin, vacuum
from lake.errors import NotReadyError, TableNotFoundError
from lake.spec import Column, TableSpec
from lake.store import Lake, delta_log
from support.facts import FACTS

START = datetime(2020, 12, 1, 21, tzinfo=UTC)
SAYINGS = TableSpec(
    name="sayings",
    layer="decisions",
    meaning="What was said from facts.",
    key=("symbol", "event_time"),
    columns=(*FACTS.columns[:3], Column("feature_table_versions", pl.String(), "", "what it was said from")),
)
DAY = timedelta(days=1)
Maintenance = Callable[[Lake, datetime], None]


def session(day: int) -> pl.DataFrame:
    """The facts of one day, and the one of the day before yesterday restated."""
    at = START + day * DAY
    rows = [(symbol, at, at, day + number / 4) for number, symbol in enumerate("ABC")]
    rows += [("A", at - 2 * DAY, at, -float(day))] if day >= 2 else []
    return pl.DataFrame(rows, schema=FACTS.schema, orient="row")


def say(lake: Lake, day: int) -> None:
    at, versions = START + day * DAY, json.dumps(lake.versions([FACTS]))
    lake.merge(SAYINGS, pl.DataFrame([("A", at, at, versions)], schema=SAYINGS.schema, orient="row"))


def digest(lake: Lake, version: int | None = None) -> str:
    rows = lake.read(FACTS, version=version).sort(FACTS.names)
    return hashlib.sha256(rows.write_csv().encode()).hexdigest()


def age(lake: Lake, seen: set[Path], day: int) -> None:
    """Give every file that was written since the last call the time of that day."""
    stamp = (START + day * DAY).timestamp()
    for file in {path for path in lake.root.rglob("*") if path.is_file()} - seen:
        os.utime(file, (stamp, stamp))
        seen.add(file)


def maintain_tables(lake: Lake, now: datetime) -> None:
    lake.compact(FACTS, at_least=3)
    clean_log(lake, FACTS, keep=3 * DAY, now=now)
    vacuum(lake, FACTS, keep=3 * DAY, now=now)


def forty_days(lake: Lake, maintain: Maintenance) -> dict[int, str]:
    """Merge, forecast and maintain day by day; return what each version in use held when it was used."""
    used: dict[int, str] = {}
    seen: set[Path] = set()
    for day in range(40):
        version = lake.merge(FACTS, session(day)).version or 0
        if day >= 8 and day % 5 == 0:
            say(lake, day)
            used[version] = digest(lake)
        if day == 13:
            pin(lake, "model:seven", lake.versions([FACTS]))
            used[version] = digest(lake)
        age(lake, seen, day)
        maintain(lake, START + day * DAY)
        age(lake, seen, day)
    return used


def lost(lake: Lake, used: dict[int, str]) -> list[int]:
    """Versions in use that cannot be read any more, or read otherwise."""

    def is_whole(version: int) -> bool:
        try:
            return digest(lake, version) == used[version]
        except (NotReadyError, pl.exceptions.PolarsError, OSError):
            return False

    return [version for version in used if not is_whole(version)]


def test_after_forty_days_every_version_in_use_reads_the_same(lake: Lake) -> None:
    used = forty_days(lake, maintain_tables)
    assert len(used) == 7
    assert lost(lake, used) == []
    everything = pl.concat([session(day) for day in range(40)]).sort(FACTS.names)
    assert lake.read(FACTS).sort(FACTS.names).equals(everything)
    assert len(lake.files(FACTS)) <= 6
    # It did take away what nobody uses: the first days' log, and the files of versions between.
    there = delta_log.readable(lake.path(FACTS))
    assert 0 < there[0] <= min(used)
    between = max(
        version for version in there if version < max(used) and version not in used and version + 9 < there[-1]
    )
    assert not all(Path(file).exists() for file in lake.files(FACTS, version=between))
    for day in range(0, 40, 8):
        assert lake.merge(FACTS, session(day)).skipped


@pytest.mark.slow
def test_maintenance_that_knows_of_no_use_would_lose_them(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(maintenance, "pins_in_use", lambda _: {})
    assert len(lost(lake, forty_days(lake, maintain_tables))) >= 4


@pytest.mark.slow
def test_the_writers_own_clean_up_would_lose_them(lake: Lake) -> None:
    """Delta's own: files by age, and log entries before the newest checkpoint by age, whoever uses them."""

    def keep_house_blindly(lake: Lake, now: datetime) -> None:
        lake.compact(FACTS, at_least=3)
        table = DeltaTable(str(lake.path(FACTS)))
        table.create_checkpoint()
        table.cleanup_metadata()
        table.vacuum(retention_hours=0, dry_run=False, enforce_retention_duration=False)

    assert len(lost(lake, forty_days(lake, keep_house_blindly))) >= 4


def test_who_uses_which_version_is_known(lake: Lake) -> None:
    lake.merge(FACTS, session(0))
    say(lake, 0)
    lake.merge(FACTS, session(1))
    pin(lake, "model:a", lake.versions([FACTS, SAYINGS]))
    pin(lake, "model:a", {"facts": 1})
    pin(lake, "training:b", lake.versions([FACTS]))
    both = {1: {"rows of sayings", "model:a"}, 2: {"model:a", "training:b"}}
    assert pins_in_use(lake) == {"facts": both, "sayings": {1: {"model:a"}}}
    unpin(lake, "model:a")
    unpin(lake, "model:never there")
    assert pins_in_use(lake) == {"facts": {1: {"rows of sayings"}, 2: {"training:b"}}}


def test_a_holder_that_moves_on_lets_go_of_what_it_held(lake: Lake) -> None:
    for day in range(4):
        lake.merge(FACTS, session(day))
    set_pins(lake, "online", [{FACTS.name: 1}, {FACTS.name: 2}])
    assert pins_in_use(lake)[FACTS.name] == {1: {"online"}, 2: {"online"}}
    set_pins(lake, "online", [{FACTS.name: 3}, {FACTS.name: 2}, {FACTS.name: 99, "another": 0}])
    assert pins_in_use(lake) == {FACTS.name: {2: {"online"}, 3: {"online"}}}


def test_a_version_that_is_not_there_cannot_be_pinned(lake: Lake) -> None:
    lake.merge(FACTS, session(0))
    with pytest.raises(NotReadyError, match=r"version 7 of table 'facts'.* the lake has versions 0 to 1"):
        pin(lake, "model:a", {"facts": 7})
    with pytest.raises(NotReadyError, match=r"table 'nothing'.* there is no such table"):
        pin(lake, "model:a", {"facts": 1, "nothing": 0})
    assert pins_in_use(lake) == {}


def test_a_version_whose_files_were_vacuumed_is_neither_pinned_nor_listed(lake: Lake) -> None:
    for day in range(3):
        lake.merge(FACTS, session(day))
    before = lake.version(FACTS)
    lake.compact(FACTS, at_least=2)
    late = datetime.now(UTC) + DAY
    assert vacuum(lake, FACTS, keep=timedelta(0), now=late).details["files_deleted"] == 3
    with pytest.raises(NotReadyError, match=r"3 of its 3 data files are gone; `vacuum` may have taken them"):
        pin(lake, "model:a", {"facts": before})
    assert pins_in_use(lake) == {}
    assert [commit.version for commit in history(lake, FACTS)] == [before + 1, 0]
    say(lake, 0)
    named = json.dumps({"facts": before})
    at = START + DAY
    lake.merge(SAYINGS, pl.DataFrame([("B", at, at, named)], schema=SAYINGS.schema, orient="row"))
    assert "is in use by rows of sayings, but was gone before" in vacuum(lake, FACTS).warnings[0]


@pytest.mark.parametrize("version", [-1, 9])
def test_a_version_that_never_was_is_no_damage(lake: Lake, version: int) -> None:
    lake.merge(FACTS, session(0))
    with pytest.raises(NotReadyError, match=rf"Version {version} of table 'facts'.*has versions 0 to 1"):
        difference(lake, FACTS, version, 1)


def test_a_list_of_pins_that_cannot_be_read_stops_the_clean_up(lake: Lake) -> None:
    lake.merge(FACTS, session(0))
    pin(lake, "model:a", lake.versions([FACTS]))
    next((lake.root / ".pins").glob("*.json")).write_text("{", encoding="utf-8")
    with pytest.raises(ValueError, match="Expecting"):
        vacuum(lake, FACTS, keep=timedelta(0))


def test_compaction_keeps_rows_batches_and_versions(lake: Lake) -> None:
    for day in range(6):
        lake.append(FACTS, session(day), batch_id=f"day {day}")
    before, newest = digest(lake), lake.version(FACTS)
    assert lake.compact(FACTS).details["reason"] == "no year has 16 small files"
    report = lake.compact(FACTS, at_least=3)
    assert (report.details["files_joined"], report.details["files_written"], report.rows) == (6, 1, 22)
    assert digest(lake) == before == digest(lake, newest)
    assert lake.compact(FACTS, at_least=3).version == report.version
    assert all(lake.append(FACTS, session(day), batch_id=f"day {day}").skipped for day in range(6))
    assert lake.changes(FACTS, newest) is not None
    assert lake.merge(FACTS, session(3)).skipped
    clean_log(lake, FACTS, keep=timedelta(0))
    assert all(lake.append(FACTS, session(day), batch_id=f"day {day}").skipped for day in range(6))


def test_a_file_of_the_target_size_is_left_alone(lake: Lake) -> None:
    for day in range(6):
        lake.merge(FACTS, session(day))
    size = max(Path(file).stat().st_size for file in lake.files(FACTS))
    assert lake.compact(FACTS, at_least=2, target_bytes=size // 2).skipped
    assert len(lake.files(FACTS)) == 6
    lake.compact(FACTS, at_least=2, target_bytes=size * 3)
    assert len(lake.files(FACTS)) in {2, 3}


def test_what_a_killed_writer_left_goes_once_it_is_old_and_other_files_stay(lake: Lake) -> None:
    lake.merge(FACTS, session(0))
    folder = lake.path(FACTS)
    stray = folder / "year=2020" / "part-never-committed.parquet"
    (folder / ".damaged").mkdir()
    others = [folder / "notes.txt", folder / ".damaged" / "part.parquet"]
    for file in (stray, *others):
        file.write_bytes(b"half")
    assert vacuum(lake, FACTS, keep=DAY).details["files_deleted"] == 0
    assert stray.exists()
    assert vacuum(lake, FACTS, keep=DAY, now=datetime.now(UTC) + 2 * DAY).details["files_deleted"] == 1
    assert not stray.exists()
    assert all(file.exists() for file in others)
    assert digest(lake) == digest(lake, 1)


def test_maintenance_makes_no_table(lake: Lake) -> None:
    for keep in (vacuum, clean_log, Lake.compact):
        with pytest.raises(TableNotFoundError):
            keep(lake, FACTS) if keep is not Lake.compact else lake.compact(FACTS)
    assert not lake.root.exists() or not list(lake.root.iterdir())


def test_two_versions_differ_by_what_was_added_and_restated(lake: Lake) -> None:
    first = lake.merge(FACTS, session(0)).version or 0
    lake.merge(FACTS, session(1))
    last = lake.merge(FACTS, session(2)).version or 0
    found = difference(lake, FACTS, first, last)
    assert found.added["event_time"].to_list() == [START + DAY, START + 2 * DAY] * 3
    assert found.changed.rows() == [("A", START, START + 2 * DAY, -2.0)]
    assert found.removed.is_empty()
    back = difference(lake, FACTS, last, first)
    assert (back.removed.height, back.added.height, back.changed.height) == (6, 0, 1)


def test_the_example_of_pins_survives_a_copy_of_the_lake(lake: Lake, tmp_path: Path) -> None:
    lake.merge(FACTS, session(0))
    pin(lake, "model:a", lake.versions([FACTS]))
    other = Lake(shutil.copytree(lake.root, tmp_path / "copy"))
    assert pins.pins_in_use(other) == pins_in_use(lake)


def test_a_table_made_without_it_gets_deltas_own_clean_up_turned_off(lake: Lake) -> None:
    lake.merge(FACTS, session(0))
    DeltaTable(str(lake.path(FACTS))).alter.set_table_properties({"delta.enableExpiredLogCleanup": "true"})
    version, seen = lake.version(FACTS), set[Path]()
    age(lake, seen, -4_000)
    lake.checkpoint(FACTS)
    assert DeltaTable(str(lake.path(FACTS))).metadata().configuration["delta.enableExpiredLogCleanup"] == "false"
    assert lake.read(FACTS, version=version).height == 3
