"""No listener of any command obeys a stranger: each socket is declared, and another user is refused on each."""

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import urllib.request
import uuid
from contextlib import contextmanager
from pathlib import Path

import pytest

from dagster_project.servers import listeners
from dagster_project.servers.listeners import LISTENERS, declared
from dagster_project.servers.open_sockets import OpenSocket, open_sockets, processes_of
from lake.settings import Settings
from serving.access import WEBSOCKET
from serving.access.policy import RULES
from serving.pages.policy import RULES as PAGES
from support.ports import free_port
from support.waiting import until

HERE = Path(__file__).parent
MARK = "MARK_OF_A_QUANTLAKE_TEST"
NOBODY = 65_534
START_SECONDS = 600.0
PARAMETER = re.compile(r"\{[^}]+\}")
REFUSED = {401, 403, "login"}
ASKED = {
    "endpoint": [
        (rule.method, PARAMETER.sub("AAPL", rule.path))
        for rule in RULES
        if rule.needs not in {"open", "local"} and rule.method != WEBSOCKET
    ],
    "dashboard": [
        (rule.method, PARAMETER.sub("AAPL", rule.path)) for rule in PAGES if rule.needs not in {"open", "local"}
    ],
    "ui": [
        ("GET", "/"),
        ("GET", "/graphql?query=mutation%7BreloadWorkspace%7B__typename%7D%7D"),
        ("POST", "/graphql"),
        ("POST", "/report_asset_materialization/bars"),
        ("GET", "/logs/a/b.err"),
        ("GET", "/server_info"),
    ],
    "mlflow": [
        ("GET", "/"),
        ("GET", "/health"),
        ("POST", "/api/2.0/mlflow/experiments/create"),
        ("GET", "/ajax-api/2.0/mlflow/experiments/search"),
        ("GET", "/get-artifact?path=a&run_uuid=b"),
    ],
    "lab": [
        ("GET", "/api/contents"),
        ("GET", "/api/kernels"),
        ("POST", "/api/kernels"),
        ("POST", "/api/terminals"),
        ("GET", "/files/a"),
    ],
}
"""What a stranger asks of each: everything that shows data or changes something."""

only_linux = pytest.mark.skipif(not Path("/proc/net/tcp").exists(), reason="sockets are listed as Linux does it")
only_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can act as another user")


class Started:
    """A verb that runs, and what it opened."""

    def __init__(self, verb, settings, process, mark, log):
        self.verb, self.settings = verb, settings
        self.process, self._mark, self.log = process, mark, log

    def sockets(self):
        return open_sockets(processes_of(MARK, self._mark, self.settings.home))


@contextmanager
def running(verb, home):
    """Start a verb on a home and free ports, and wait until it is up."""
    mark, port = uuid.uuid4().hex, free_port()
    ports = {"port" if verb in {"serve", "demo"} else f"{verb}_port": port}
    settings = Settings(home=home, **({"port": free_port(), "dashboard_port": free_port()} | ports))
    log = home / "said"
    home.mkdir(parents=True, exist_ok=True)
    environment = os.environ | {
        MARK: mark,
        "QUANTLAKE_HOME": str(home),
        "QUANTLAKE_PORT": str(settings.port),
        "QUANTLAKE_DASHBOARD_PORT": str(settings.dashboard_port),
        "QUANTLAKE_WORKERS": "1",
    }
    command = [sys.executable, str(HERE / "verbs_of_tests.py"), verb, str(port)]
    with log.open("wb") as output:
        process = subprocess.Popen(command, env=environment, stdout=output, stderr=output, start_new_session=True)
    try:
        until(lambda: b"Ctrl-C" in log.read_bytes() or process.poll() is not None, "it is not up", START_SECONDS)
        assert process.poll() is None, log.read_text()
        yield Started(verb, settings, process, mark, log)
    finally:
        process.terminate()
        try:
            process.wait(120)
        finally:
            process.kill()


def complaints(started):
    """What is wrong with the sockets of a verb: those that are not declared, and those that obey a stranger."""
    found = started.sockets()
    assert found, "a verb that listens nowhere was not started"
    places = {one: declared(one, started.verb, started.settings) for one in found}
    wrong = [f"not declared: {one}" for one, listener in places.items() if listener is None]
    targets = [(one, ASKED.get(listener.place, [])) for one, listener in places.items() if listener is not None]
    return wrong + obeying(targets)


def obeying(targets):
    """Which sockets give another user anything but a refusal."""
    answers = as_nobody([[one.kind, one.address, one.port, requests] for one, requests in targets])
    wrong = []
    for (one, requests), answer in zip(targets, answers, strict=True):
        if one.kind == "unix" and answer not in {"PermissionError", "FileNotFoundError"}:
            wrong.append(f"another user reached {one}: {answer}")
        if one.kind == "tcp" and (isinstance(answer, str) or not set(answer) <= REFUSED):
            wrong.append(f"another user was not refused by {one}: {list(zip(requests, answer, strict=False))}")
    return wrong


def as_nobody(targets):
    """What each socket gives a process of another user."""
    python = shutil.which("python3", path="/usr/bin:/bin:/usr/local/bin") or sys.executable
    done = subprocess.run(
        [python, "-I", "-c", (HERE / "stranger.py").read_text()],
        input=json.dumps(targets),
        capture_output=True,
        text=True,
        check=False,
        user=NOBODY,
        group=NOBODY,
        extra_groups=[],
        cwd="/",
        env={},
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def missing(started):
    """Declared listeners of a verb that it did not open; a row of the table must not promise what is not there."""
    opened = {declared(one, started.verb, started.settings) for one in started.sockets()}
    return [one.what for one in LISTENERS if started.verb in one.commands and one not in opened]


@only_linux
@only_root
def test_what_serve_listens_on_is_declared_and_refuses_strangers(tmp_path):
    with running("serve", tmp_path / "home") as serve:
        until(lambda: not missing(serve))
        assert complaints(serve) == []


@only_linux
@only_root
@pytest.mark.slow
@pytest.mark.parametrize("verb", ["demo", "dashboard", "ui", "mlflow", "lab"])
def test_what_each_command_listens_on_is_declared_and_refuses_strangers(tmp_path, verb):
    with running(verb, tmp_path / "home") as started:
        if verb == "lab":
            start_kernel(started)
        until(lambda: not missing(started))
        assert complaints(started) == []


def start_kernel(started):
    """Start a kernel as a notebook does, and wait until it listens."""
    token = re.search(r"token=([\w-]+)", started.log.read_text())[1]
    asked = urllib.request.Request(
        f"http://127.0.0.1:{started.settings.lab_port}/api/kernels",
        b'{"name": "python3"}',
        {"authorization": f"token {token}", "content-type": "application/json"},
    )
    with urllib.request.urlopen(asked, timeout=120) as answer:
        assert answer.status == 201
    until(lambda: "Jupyter kernels" not in missing(started))


OPENS = {
    "tcp": "s = socket.create_server(('127.0.0.1', 0))",
    "tcp on every address": "s = socket.create_server(('0.0.0.0', 0))",
    "udp": "s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.bind(('127.0.0.1', 0))",
    "abstract": "s = socket.socket(socket.AF_UNIX); s.bind(chr(0) + sys.argv[1][-50:]); s.listen()",
    "unix": "s = socket.socket(socket.AF_UNIX); s.bind(sys.argv[1][-90:]); s.listen()",
}


@only_linux
@pytest.mark.parametrize("what", OPENS)
def test_a_socket_that_is_not_declared_is_found(tmp_path, what):
    """The mutants: something opens one more."""
    mark, path = uuid.uuid4().hex, f"s{uuid.uuid4().hex}"
    code = f"import socket, sys; {OPENS[what]}; print(1, flush=True); input()"
    with subprocess.Popen(
        [sys.executable, "-c", code, path, "serving.supervision"],
        env=os.environ | {MARK: mark},
        cwd=tmp_path,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as opening:
        opening.stdout.readline()
        (found,) = open_sockets(processes_of(MARK, mark, tmp_path))
        assert declared(found, "serve", Settings(home=tmp_path)) is None
        opening.communicate(b"\n")


@only_linux
@only_root
@pytest.mark.parametrize("is_guarded", [True, False])
def test_a_listener_that_lets_strangers_in_is_noticed(tmp_path, is_guarded):
    """The mutant is the UI's application without the gate in front."""
    code = (HERE / "open_ui.py", "guarded" if is_guarded else "open")
    with subprocess.Popen([sys.executable, *map(str, code)], stdout=subprocess.PIPE, text=True) as process:
        try:
            port = int(process.stdout.readline())
            found = OpenSocket("tcp", "127.0.0.1", port, process.pid, "")
            assert bool(obeying([(found, ASKED["ui"])])) is not is_guarded
        finally:
            process.kill()


@only_linux
@only_root
def test_a_unix_socket_in_an_open_folder_is_noticed(tmp_path):
    folder = Path("/tmp") / f"quantlake-test-{uuid.uuid4().hex[:8]}"
    for mode, is_wrong in ((0o755, True), (0o700, False)):
        folder.mkdir(exist_ok=True)
        folder.chmod(mode)
        with socket.socket(socket.AF_UNIX) as one:
            one.bind(str(folder / "s"))
            (folder / "s").chmod(0o777)
            one.listen()
            assert bool(obeying([(OpenSocket("unix", str(folder / "s"), 0, 0, ""), [])])) is is_wrong
        shutil.rmtree(folder)


def test_the_table_of_listeners_is_up_to_date():
    text = listeners.PAGE.read_text(encoding="utf-8")
    assert listeners.page(text) == text, "run `python -m dagster_project.servers.listeners`"
