"""The switch: a file that every process sees, that survives what happens to it, and that halts when in doubt."""

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from filelock import FileLock

from lake.errors import ConfigError, UnknownNameError
from lake.settings import Settings
from lake.store import Lake
from lake.tables import RISK_EVENTS
from serving import audit
from serving.risk import Scope, read_latch, restrict, resume, settle
from serving.risk.latch import FOLDER, LOCK, latch_path
from support.killing import KilledError, killed

KO = Scope("symbol", "KO")


@pytest.fixture
def home(tmp_path: Path) -> Path:
    resume(tmp_path, by="A. Reviewer", reason="first start")
    return tmp_path


def test_a_home_without_a_latch_is_halted_until_a_named_person_resumes(tmp_path):
    assert (read_latch(tmp_path).state, read_latch(tmp_path).is_new) == ("halted", True)
    assert resume(tmp_path, by="A. Reviewer", reason="first start").state == "active"


def test_a_halt_is_of_its_scope_alone_and_everything_is_of_every_scope(home):
    found = restrict(home, "halted", by="tests", reason="wrong quotes", scope=KO)
    assert (found.state, found.worst) == ("active", "halted")
    assert found.state_of("paper", "trend", "KO") == "halted"
    assert found.state_of("paper", "trend", "PG") == "active"
    found = restrict(home, "reducing", by="tests", reason="careful")
    assert found.state_of("paper", "trend", "PG") == "reducing"
    assert found.state_of("paper", "trend", "KO") == "halted"
    assert resume(home, by="A. Reviewer", reason="mended").state_of("paper", "trend", "KO") == "halted"


def test_reducing_never_loosens_a_halt(home):
    restrict(home, "halted", by="tests", reason="first")
    assert restrict(home, "reducing", by="tests", reason="second").state == "halted"


@pytest.mark.parametrize(
    "said", [{"by": "", "reason": "x"}, {"by": "A. Reviewer", "reason": " "}, {"by": "a\nb", "reason": "x"}]
)
def test_resuming_needs_a_name_and_a_reason(home, said):
    restrict(home, "halted", by="tests", reason="wrong quotes")
    with pytest.raises(ConfigError):
        resume(home, **said)
    assert read_latch(home).state == "halted"


def test_what_is_not_restricted_cannot_be_resumed_and_scopes_are_known(home):
    with pytest.raises(ConfigError, match="symbol:KO is not restricted"):
        resume(home, by="A. Reviewer", reason="x", scope=KO)
    with pytest.raises(UnknownNameError, match="account"):
        Scope.parse("desk:1")


def rename(path: Path) -> Path:
    return path.rename(path.with_name("moved"))


DAMAGES = {
    "torn": lambda path: path.write_text(path.read_text()[:100]),
    "empty": lambda path: path.write_text(""),
    "edited": lambda path: path.write_text(path.read_text().replace("first start", "any start")),
    "gone": lambda path: path.unlink(),
    "binary": lambda path: path.write_bytes(b"\xff\xfe\x00"),
    "deep": lambda path: path.write_text("[" * 100_000),
    "folder": lambda path: (path.unlink(), path.mkdir()),
    "pipe": lambda path: (path.unlink(), os.mkfifo(path, 0o600)),
    "link": lambda path: path.symlink_to(rename(path)),
    "open": lambda path: path.chmod(0o644),
    "open folder": lambda path: path.parent.chmod(0o777),
    "moved folder": lambda path: rename(path.parent),
    "linked folder": lambda path: path.parent.symlink_to(rename(path.parent)),
    "touched halt": lambda path: path.with_name("halt").touch(),
}


@pytest.mark.parametrize("how", list(DAMAGES))
def test_a_latch_that_cannot_be_believed_is_halted(home, how):
    DAMAGES[how](latch_path(home))
    found = read_latch(home)
    assert found.state_of("paper", "trend", "KO") == "halted"
    assert found.problem


@pytest.mark.parametrize("how", ["torn", "gone", "edited", "touched halt", "open folder"])
def test_a_halt_of_one_symbol_does_not_release_what_a_doubtful_latch_halts(home, how):
    DAMAGES[how](latch_path(home))
    assert restrict(home, "halted", by="tests", reason="x", scope=KO).state == "halted"
    assert restrict(home, "reducing", by="tests", reason="x").state == "halted"
    assert resume(home, by="A. Reviewer", reason="looked at").state == "active"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file to another user")
@pytest.mark.parametrize("is_folder", [True, False])
def test_a_latch_of_another_user_is_halted(home, is_folder):
    os.chown(latch_path(home).parent if is_folder else latch_path(home), 12_345, -1)
    assert "belongs to user 12345" in read_latch(home).problem


def test_a_latch_of_another_home_is_halted(home, tmp_path_factory):
    other = tmp_path_factory.mktemp("other")
    shutil.copytree(home / FOLDER, other / FOLDER)
    assert "moved or copied" in read_latch(other).problem


def test_a_halt_does_not_wait_for_a_process_that_holds_the_lock(home):
    with FileLock(home / FOLDER / LOCK):
        assert restrict(home, "halted", by="tests", reason="now").state == "halted"
    assert read_latch(home).state == "halted"
    assert resume(home, by="A. Reviewer", reason="lock is free").state == "active"


HALT_AND_DIE = """
import os, signal, sys
from pathlib import Path
from serving.risk import restrict
restrict(Path(sys.argv[1]), "halted", by="tests", reason="killed right after")
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_halt_is_seen_by_other_processes_at_once_and_survives_the_kill_of_its_own(home):
    done = subprocess.run([sys.executable, "-c", HALT_AND_DIE, str(home)], check=False)
    assert done.returncode == -signal.SIGKILL
    assert read_latch(home).state == "halted"


def test_a_writer_that_is_killed_before_the_rename_leaves_the_state_before(home, monkeypatch):
    restrict(home, "halted", by="tests", reason="wrong quotes")
    monkeypatch.setattr(Path, "replace", killed)
    with pytest.raises(KilledError):
        resume(home, by="A. Reviewer", reason="x")
    monkeypatch.undo()
    assert read_latch(home).state == "halted"


def test_each_change_is_a_row_of_the_table_and_of_the_audit_trail_once(home):
    restrict(home, "halted", by="tests", reason="wrong quotes", scope=KO)
    resume(home, by="A. Reviewer", reason="mended", scope=KO)
    configured = Settings(home=home)
    assert settle(configured) == 3
    assert settle(configured) == 0
    lake = Lake.open(configured)
    rows = lake.read(RISK_EVENTS).sort("event_time")
    assert rows.select("kind", "scope", "state_before", "state_after", "who").rows() == [
        ("resume", "account:*", "halted", "active", "A. Reviewer"),
        ("halt", "symbol:KO", "active", "halted", "tests"),
        ("resume", "symbol:KO", "halted", "active", "A. Reviewer"),
    ]
    assert [row["what"] for row in audit.newest(lake, 9, "risk.")] == ["risk.resume", "risk.halt", "risk.resume"]
    assert audit.verify(lake) == []


def test_a_settling_that_is_killed_is_done_once_all_the_same(home, monkeypatch):
    restrict(home, "halted", by="tests", reason="wrong quotes")
    configured = Settings(home=home)
    monkeypatch.setattr("serving.risk.events._forget", killed)
    with pytest.raises(KilledError):
        settle(configured)
    monkeypatch.undo()
    assert settle(configured) == 2
    assert len(audit.newest(Lake.open(configured), 9, "risk.")) == 2
    assert Lake.open(configured).read(RISK_EVENTS).height == 2


def test_the_latch_is_readable_json_for_people(home):
    assert json.loads(latch_path(home).read_text())["body"]["restrictions"] == []
    assert latch_path(home).stat().st_mode & 0o777 == 0o600
