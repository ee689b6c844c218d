"""The command as a person meets it: every mistake is one sentence, never a traceback."""

import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from dagster_project.cli import main
from feature_repo.online.redis_server import ServerPaths
from feature_repo.online.redis_server.process import peer_pid
from lake.settings import Settings, settings
from lake.sources import tiny_market
from lake.store import Lake
from lake.tables import BARS
from support.ports import free_port
from support.waiting import until

Said = Callable[..., str]


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Said]:
    """What the command says about a mistake, asked in this process: ``said(home, *arguments, **environment)``."""

    def say(home: Path, *arguments: str, **environment: str) -> str:
        for name, value in {"QUANTLAKE_HOME": str(home), **environment}.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setattr(sys, "argv", ["quantlake", *arguments])
        settings.cache_clear()
        umask = os.umask(0o022)  # `main` closes new files for the rest of a process
        try:
            with pytest.raises(SystemExit) as ended:
                main()
        finally:
            os.umask(umask)
        assert ended.value.code == 1
        return capsys.readouterr().err

    yield say
    settings.cache_clear()


def test_a_mistake_ends_the_process_with_one_sentence_and_no_traceback(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "dagster_project.cli", "sql", "from bars"],
        env=os.environ | {"QUANTLAKE_HOME": str(tmp_path / "nothing")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1, done.stdout + done.stderr
    assert "There is no lake" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A home that holds one table."""
    Lake.open(Settings(home=tmp_path)).merge(BARS, tiny_market(["AAA"], sessions=5, seed=1))
    return tmp_path


@pytest.fixture
def stranger() -> Iterator[int]:
    """Port of a server that is not ours: it refuses questions in HTML."""

    class Refusing(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.send_error(501)

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Refusing) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join()


@pytest.mark.parametrize("arguments", [["summary"], ["sql", "from bars"], ["advance"]])
def test_without_a_lake_it_says_how_to_make_one(arguments: list[str], said: Said, tmp_path: Path):
    assert "There is no lake" in (message := said(tmp_path / "nothing", *arguments))
    assert "make demo" in message


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("", "That gives no rows to show"),
        ("select nothing from bars", "cannot be answered: Binder Error"),
        ("select [/red] from bars", "cannot be answered: Parser Error"),
    ],
)
def test_a_query_that_cannot_be_answered_says_why(query: str, message: str, said: Said, home: Path):
    assert message in said(home, "sql", query)


def test_an_unknown_experiment_is_said_before_anything_runs(said: Said, tmp_path: Path):
    assert "There is no experiment 'dmo'. Did you mean demo" in said(tmp_path, "demo", QUANTLAKE_EXPERIMENT="dmo")
    assert not any(tmp_path.iterdir())


def test_a_question_to_nobody_and_to_a_stranger(stranger: int, said: Said, tmp_path: Path):
    assert "Start it with `make serve`" in (message := said(tmp_path, "predict", "X", QUANTLAKE_PORT=str(free_port())))
    assert "urlopen" not in message
    assert "is not this service" in said(tmp_path, "predict", "X", QUANTLAKE_PORT=str(stranger))


def environments() -> list[tuple[str, str]]:
    """Return the environment of every process of ours that runs, by process id."""
    found = []
    for path in Path("/proc").glob("[0-9]*/environ"):
        with suppress(OSError):
            found.append((path.parent.name, path.read_text(errors="replace")))
    return found


def test_an_endpoint_that_is_ended_while_it_starts_leaves_nothing_running(tmp_path: Path):
    ports = {"QUANTLAKE_PORT": str(free_port()), "QUANTLAKE_DASHBOARD_PORT": str(free_port())}
    process = subprocess.Popen(
        [sys.executable, "-c", "from dagster_project.cli import main; main()", "serve"],
        env=os.environ | {"QUANTLAKE_HOME": str(tmp_path)} | ports,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    until((tmp_path / "logs" / "endpoint.log").exists)
    process.terminate()
    _, errors = process.communicate(timeout=120)
    assert "Traceback" not in errors
    assert peer_pid(ServerPaths.of(Settings(home=tmp_path)).socket) is None
    assert not [pid for pid, environment in environments() if str(tmp_path) in environment]
