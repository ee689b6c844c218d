"""The audit trail: what was written is all there, and whatever is done to it afterwards is noticed."""

import json
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lake.errors import ConflictError, DamagedTableError
from lake.settings import Settings
from lake.store import Lake
from lake.tables import AUDIT
from serving import audit

ROWS = 5


@pytest.fixture(scope="module")
def written(tmp_path_factory) -> Lake:
    """A trail of five rows, to be copied by tests that spoil it."""
    lake = Lake(tmp_path_factory.mktemp("audit") / "tables")
    for n in range(ROWS):
        audit.record(lake, who="tests", what="model.promote", result="done", details={"version": n})
    return lake


@pytest.fixture
def trail(written: Lake, tmp_path: Path) -> Lake:
    return Lake(shutil.copytree(written.root, tmp_path / "tables"))


def rows_of(lake: Lake) -> list[dict]:
    return lake.read(AUDIT).sort("sequence").to_dicts()


def rewrite(lake: Lake, rows: list[dict]) -> None:
    """Put other rows in the place of the table, as somebody would who owns the folder of the tables."""
    shutil.rmtree(lake.path(AUDIT))
    if rows:
        lake.append(AUDIT, pl.DataFrame(rows, schema=AUDIT.schema), batch_id="forged")


def rehash(row: dict, **changes) -> dict:
    """A row changed together with its hash."""
    changed = {**row, **changes}
    return {**changed, "row_hash": audit.hash_of(changed)}


def test_a_row_says_who_what_when_and_what_came_of_it(trail):
    position = audit.record(trail, who="key:ab12", what="model.rollback", result="refused", details={"model": "lstm"})
    row = rows_of(trail)[-1]
    assert position == row["sequence"] == ROWS + 1
    assert (row["who"], row["what"], row["result"]) == ("key:ab12", "model.rollback", "refused")
    assert json.loads(row["details"]) == {"model": "lstm"}
    assert row["event_time"] == row["known_time"]
    assert audit.verify(trail) == []


def test_an_untouched_trail_has_no_findings(written, lake):
    assert audit.verify(written) == []
    assert audit.verify(lake) == []


MUTANTS = {
    "edited": lambda rows: [*rows[:1], {**rows[1], "result": "refused"}, *rows[2:]],
    "edited with its hash": lambda rows: [*rows[:1], rehash(rows[1], who="somebody else"), *rows[2:]],
    "the last edited with its hash": lambda rows: [*rows[:-1], rehash(rows[-1], details="{}")],
    "dated back with its hash": lambda rows: [*rows[:-1], rehash(rows[-1], event_time=rows[0]["event_time"])],
    "the first deleted": lambda rows: rows[1:],
    "one deleted": lambda rows: [*rows[:2], *rows[3:]],
    "one deleted and the rest renumbered": lambda rows: [
        *rows[:2],
        *(rehash(row, sequence=row["sequence"] - 1) for row in rows[3:]),
    ],
    "the last deleted": lambda rows: rows[:-1],
    "the last two deleted": lambda rows: rows[:-2],
    "all deleted": lambda rows: rows[:0],
    "one inserted at the end": lambda rows: [
        *rows,
        rehash(rows[-1], sequence=ROWS + 1, previous_hash=rows[-1]["row_hash"]),
    ],
    "one inserted between": lambda rows: [*rows, rehash(rows[2], who="somebody else")],
    "two reordered": lambda rows: [
        rows[0],
        rehash(rows[2], sequence=2),
        rehash(rows[1], sequence=3),
        *rows[3:],
    ],
    "two swapped with their hashes": lambda rows: [
        rows[0],
        {**rows[2], "sequence": 2},
        {**rows[1], "sequence": 3},
        *rows[3:],
    ],
    "written anew from the second row on": lambda rows: chained([rows[0], {**rows[1], "who": "x"}, *rows[2:]]),
}


def chained(rows: list[dict]) -> list[dict]:
    """Rows with hashes that fit each other, as someone would make them who knows how."""
    made, last = [], audit.ZEROS
    for row in rows:
        made.append(rehash(row, previous_hash=last))
        last = made[-1]["row_hash"]
    return made


@pytest.mark.parametrize("name", MUTANTS)
def test_whatever_is_done_to_the_rows_is_noticed(trail, name):
    rewrite(trail, MUTANTS[name](rows_of(trail)))
    findings = audit.verify(trail)
    assert findings, f"{name}: not noticed"
    assert all(finding.sequence >= 1 and finding.meaning for finding in findings)


def test_what_is_wrong_is_said_with_its_place(trail):
    rewrite(trail, MUTANTS["one deleted"](rows_of(trail)))
    assert [(one.sequence, one.meaning) for one in audit.verify(trail)] == [(3, "is missing")]
    rewrite(trail, MUTANTS["the last two deleted"](rows_of(trail)))
    assert (ROWS, "is missing: the newest rows were deleted") in [(f.sequence, f.meaning) for f in audit.verify(trail)]


@pytest.mark.parametrize("column", AUDIT.names)
def test_no_column_can_be_edited(trail, column):
    rows = rows_of(trail)
    other = rows[0][column] if rows[0][column] != rows[2][column] else "other"
    rewrite(trail, [*rows[:2], {**rows[2], column: other}, *rows[3:]])
    assert audit.verify(trail)


def test_a_head_that_is_gone_is_noticed_and_stays_noticed(trail):
    (trail.root / audit.HEAD_FILE).unlink()
    assert "cannot be known to be the newest" in audit.verify(trail)[0].meaning
    audit.record(trail, who="tests", what="model.promote")
    assert "was gone" in audit.verify(trail)[0].meaning
    assert [row["what"] for row in rows_of(trail)][-2:] == [audit.HEAD_LOST, "model.promote"]


def test_a_head_that_cannot_be_read_says_what_to_do(trail):
    (trail.root / audit.HEAD_FILE).write_text("{")
    with pytest.raises(DamagedTableError, match="Restore it from a backup, or move it away"):
        audit.record(trail, who="tests", what="x")


def test_a_forged_row_at_the_end_stops_the_trail(trail):
    rewrite(trail, MUTANTS["one inserted at the end"](rows_of(trail)))
    with pytest.raises(ConflictError, match="quantlake audit verify"):
        audit.record(trail, who="tests", what="x")


def test_a_row_cut_off_before_it_was_stored_is_finished_by_the_next(trail):
    rows = rows_of(trail)
    head = trail.root / audit.HEAD_FILE
    held = json.loads(head.read_text())
    rewrite(trail, rows[:-1])
    head.write_text(json.dumps({**held, "is_stored": False}))
    assert audit.verify(trail) == [], "a row that is still being written is not missing"
    audit.record(trail, who="tests", what="next")
    assert [row["sequence"] for row in rows_of(trail)] == [1, 2, 3, 4, 5, 6]
    assert audit.verify(trail) == []


KILLED = """
import os, sys
from pathlib import Path
from lake.store import Lake
from serving import audit
lake, step = Lake(Path(sys.argv[1])), int(sys.argv[2])
done = 0
def dying(function):
    def call(*args, **kwargs):
        global done
        done += 1
        if done == step:
            os._exit(9)
        return function(*args, **kwargs)
    return call
audit._write_head, audit._store = dying(audit._write_head), dying(audit._store)
audit.record(lake, who="tests", what="killed")
"""


@pytest.mark.parametrize("step", [1, 2, 3])
def test_a_writer_killed_at_any_step_leaves_a_trail_that_holds(trail, step):
    run = subprocess.run([sys.executable, "-c", KILLED, str(trail.root), str(step)], check=False)
    assert run.returncode == 9
    assert audit.verify(trail) == []
    audit.record(trail, who="tests", what="after")
    assert audit.verify(trail) == []
    assert [row["what"] for row in rows_of(trail)][ROWS:] == (["after"] if step == 1 else ["killed", "after"])


def test_eight_writers_at_once_make_one_chain(lake):
    with ThreadPoolExecutor(8) as pool:
        places = list(pool.map(lambda n: audit.record(lake, who=f"w{n}", what="x"), range(16)))
    assert sorted(places) == list(range(1, 17))
    assert audit.verify(lake) == []


def test_the_head_is_readable_by_its_owner_only(written):
    assert (written.root / audit.HEAD_FILE).stat().st_mode & 0o777 == 0o600


@given(st.lists(st.sampled_from(range(ROWS)), max_size=ROWS + 2))
def test_only_all_rows_once_each_pass(written, chosen):
    """Any other choice of the rows that were written, in any number, is noticed."""
    rows = rows_of(written)
    picked = [rows[n] for n in chosen]
    findings = list(audit._findings(sorted(picked, key=lambda row: row["sequence"]), audit._read_head(written)))
    assert (findings == []) == (sorted(chosen) == list(range(ROWS)))


def test_the_configuration_is_written_down_when_it_changes(lake, tmp_path):
    before = Settings(home=tmp_path, redis_url=None)
    first = audit.note_configuration(lake, before, who="tests")
    assert first["port"] == [None, "3000"]
    assert audit.note_configuration(lake, before, who="tests") == {}
    changed = audit.note_configuration(lake, before.model_copy(update={"port": 3999}), who="tests")
    assert changed == {"port": ["3000", "3999"]}
    assert audit.note_configuration(lake, before, who="tests") == {"port": ["3999", "3000"]}
    assert len(rows_of(lake)) == 3


@pytest.mark.parametrize(
    ("name", "address", "said"),
    [
        ("redis_url", "rediss://user:open-sesame@cache.example:6379/0", "rediss://***@cache.example:6379/0"),
        ("redis_url", "redis://:open-sesame@cache.example:6379/0", "redis://***@cache.example:6379/0"),
        ("redis_url", "redis://cache.example:6379/0?password=open-sesame", "redis://cache.example:6379/0"),
        ("spark_remote", "sc://spark.example:443/;token=open-sesame;use_ssl=true", "sc://spark.example:443/"),
        ("mlflow_tracking_uri", "postgresql://u:open-sesame@db.example/mlflow", "postgresql://***@db.example/mlflow"),
        ("mlflow_tracking_uri", "sqlite:///runs/mlflow.db", "sqlite:///runs/mlflow.db"),
    ],
)
def test_a_secret_in_an_address_is_never_written_down(lake, tmp_path, name, address, said):
    changed = audit.note_configuration(lake, Settings(home=tmp_path, **{name: address}), who="tests")
    assert changed[name] == [None, said]
    assert not any(b"open-sesame" in path.read_bytes() for path in lake.root.rglob("*") if path.is_file())


def test_a_command_is_said_to_come_from_the_console():
    assert audit.console().startswith("console:")
