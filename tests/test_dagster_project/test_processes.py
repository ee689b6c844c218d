import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from rich.console import Console

from dagster_project.runs import prepare_home
from dagster_project.servers import endpoint
from dagster_project.servers.processes import ENDING, child, heed_signals, wait_until_up
from lake.errors import NotReadyError
from lake.settings import Settings
from support.ports import free_port
from support.waiting import PATIENCE_SECONDS, until

PARENT = """
import subprocess, sys, time
grandchild = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
print(grandchild.pid, flush=True)
time.sleep(600)
"""


def _is_running(pid: int) -> bool:
    stat = Path(f"/proc/{pid}/stat")
    return stat.exists() and stat.read_text().rsplit(")", 1)[1].split()[0] != "Z"


def test_a_child_ends_with_everything_it_started(tmp_path: Path):
    log = tmp_path / "child.log"
    with child([sys.executable, "-u", "-c", PARENT], {}, log) as process:
        grandchild = int(until(lambda: log.read_text().strip()))
        assert _is_running(grandchild)
    assert process.returncode is not None
    until(lambda: not _is_running(grandchild))


def test_a_signal_in_the_middle_of_a_start_leaves_no_orphan(tmp_path: Path, monkeypatch):
    started = []

    class Interrupted(subprocess.Popen):
        def __init__(self, *arguments, **options) -> None:
            super().__init__(*arguments, **options)
            started.append(self)
            signal.raise_signal(signal.SIGTERM)

    handlers = {number: signal.getsignal(number) for number in ENDING}
    monkeypatch.setattr(subprocess, "Popen", Interrupted)
    heed_signals()
    try:
        command = [sys.executable, "-c", "import time; time.sleep(600)"]
        with pytest.raises(KeyboardInterrupt), child(command, {}, tmp_path / "child.log"):
            pass
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
    assert [process.poll() is not None for process in started] == [True]


def test_a_signal_while_a_child_is_looked_at_waits_until_that_is_done(tmp_path: Path):
    """A signal inside `Popen.poll` would leave its lock taken, and the end of the child would be waited for in vain."""
    looked: list[str] = []

    class Child(subprocess.Popen):
        def poll(self):
            signal.raise_signal(signal.SIGTERM)
            looked.append("whole")
            return super().poll()

    before = {number: signal.getsignal(number) for number in ENDING}
    heed_signals()
    try:
        with Child([sys.executable, "-c", "import time; time.sleep(60)"], start_new_session=True) as process:
            with pytest.raises(KeyboardInterrupt):
                wait_until_up(f"http://127.0.0.1:{free_port()}", process, tmp_path / "log")
            assert looked == ["whole"]
            os.kill(process.pid, signal.SIGKILL)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def test_a_server_that_dies_says_what_its_log_says(tmp_path: Path):
    log = tmp_path / "server.log"
    with (
        child([sys.executable, "-c", "raise SystemExit('no licence to serve')"], {}, log) as process,
        pytest.raises(NotReadyError, match="no licence to serve"),
    ):
        wait_until_up(f"http://127.0.0.1:{free_port()}/", process, log, seconds=PATIENCE_SECONDS)


@pytest.mark.parametrize("processes", [2, pytest.param(6, marks=pytest.mark.slow)])
def test_many_processes_on_an_empty_home_do_not_break_it(tmp_path: Path, processes: int):
    code = (
        "from pathlib import Path; from lake.settings import Settings;"
        "from dagster_project.runs import prepare_home;"
        f"import os, dagster as dg; os.environ.update(prepare_home(Settings(home=Path({str(tmp_path)!r}))));"
        "i = dg.DagsterInstance.get(); print(len(i.get_run_records(limit=1)))"
    )

    def start(_: int) -> subprocess.CompletedProcess[str]:
        return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)

    with ThreadPoolExecutor(processes) as pool:
        done = list(pool.map(start, range(processes)))
    assert [d.returncode for d in done] == [0] * processes, done[0].stderr
    assert {d.stdout.strip() for d in done} == {"0"}


def test_home_has_telemetry_off(settings, monkeypatch):
    for name in ("DAGSTER_HOME", "DAGSTER_TELEMETRY_ENABLED", "QUANTLAKE_HOME"):
        monkeypatch.setenv(name, os.environ.get(name, ""))  # so that it is put back: a new home is made by this process
    environment = prepare_home(settings)
    assert environment["DAGSTER_TELEMETRY_ENABLED"] == "false"
    assert "telemetry:\n  enabled: false" in (settings.dagster / "dagster.yaml").read_text()


FOLLOWER = "import os, sys, time; open(sys.argv[1], 'a').write(f'{os.getpid()}\\n'); time.sleep(float(sys.argv[2]))"


@pytest.mark.parametrize("seconds", [600, 0])
def test_the_process_that_follows_the_registry_is_started_again_so_often(tmp_path: Path, monkeypatch, seconds):
    started, console = tmp_path / "started", Console(record=True, width=500)
    command = [sys.executable, "-c", FOLLOWER, str(started), str(seconds)]
    monkeypatch.setattr("serving.supervision.follow_registry_command", lambda: command)
    monkeypatch.setattr(endpoint, "REST_SECONDS", 0.01)

    def wait_for(starts: int) -> list[int]:
        until(lambda: started.exists() and len(started.read_text().split()) >= starts)
        return [int(pid) for pid in started.read_text().split()]

    with endpoint._following_registry(Settings(home=tmp_path), console):
        if seconds:
            os.kill(wait_for(1)[-1], signal.SIGKILL)
            pids = wait_for(2)
        else:
            pids = wait_for(endpoint.FOLLOWERS)
            until(lambda: "not taken up any more" in console.export_text(clear=False))
    assert not any(_is_running(pid) for pid in pids)
    assert len(started.read_text().split()) == (2 if seconds else endpoint.FOLLOWERS)
    assert "ended with -9" in (said := console.export_text()) or not seconds
    assert said.count("started again") == (1 if seconds else endpoint.FOLLOWERS - 1)
    assert ("not taken up any more" in said) == (not seconds)
