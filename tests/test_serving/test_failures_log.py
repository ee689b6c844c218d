"""The disk under the forecast log is full: nothing is answered that is not written, and it ends by itself."""

import errno
import os
import resource
import shutil
import signal
import subprocess
import sys
from contextlib import closing
from http.client import HTTPConnection
from pathlib import Path

import pytest

from lake.errors import LogError
from lake.universe import SYMBOLS
from serving.forecast_log import ForecastLog, LogReader, log_path, open_log
from serving.processes import metrics_folder
from serving.supervision import serve_environment
from support.clients import headers_of
from support.failures import Clients, Lives
from support.waiting import until

SCRIPT = Path(__file__).parent / "quick_service.py"
QUESTIONS = [(symbol, 1) for symbol in SYMBOLS[:10]]
UNLIMITED = resource.RLIM_INFINITY
OWN_NAMESPACE = ["unshare", "--user", "--map-root-user", "--mount"]
VOLUME = """
set -e
mount -t tmpfs -o size={megabytes}m none {there}
for name in tables models; do mkdir {there}/$name; mount --bind {home}/$name {there}/$name; done
cp {home}/*.json {home}/online.key {there}/
cp -r {home}/access {there}/
mkdir -p {numbers}
exec "$@"
"""


def can_mount():
    """Whether this machine lets a process have mounts of its own."""
    tried = subprocess.run([*OWN_NAMESPACE, "mount", "-t", "tmpfs", "none", "/mnt"], capture_output=True, check=False)
    return tried.returncode == 0


@pytest.fixture
def own(copy_home, tmp_path):
    """A home of its own, with its key made; the Redis is the shared one."""
    settings = copy_home(tmp_path / "home", queue_ms=20_000).settings
    headers_of(settings)
    return settings


def readiness(address):
    with closing(HTTPConnection(*address, timeout=120)) as connection:
        connection.request("GET", "/readyz")
        return connection.getresponse().status


def go_through_it(own, lives, fill, empty, written):
    """Ask while the volume fills up and is emptied again; what clients hold is written, and nothing else is."""
    with Clients(lives.address, headers_of(own), QUESTIONS, count=4) as clients:
        until(lambda: sum(one.status == 200 for one in clients.told) >= 20)
        assert readiness(lives.address) == 200
        fill()
        until(lambda: any(one.status == 503 for one in clients.told))
        refused = clients.wait_for(20, clients.mark())
        assert {one.status for one in refused} == {503}
        assert {one.said["type"] for one in refused} == {"/problems/forecast-log-not-available"}
        until(lambda: readiness(lives.address) == 503)
        empty()
        emptied = clients.mark()
        until(lambda: any(one.status == 200 for one in clients.since(emptied)))
        back = min(one.ended for one in clients.since(emptied) if one.status == 200)
        assert {one.status for one in clients.wait_for(20, back)} == {200}
        until(lambda: readiness(lives.address) == 200)
    ids = [one.said["prediction_id"] for one in clients.told if one.status == 200]
    assert len(set(ids)) == len(ids)
    assert set(ids) <= written()
    assert {one.status for one in clients.told} == {200, 503}


def has_no_room(file, size):
    """Write as long as it goes."""
    try:
        while True:
            file.write(bytes(size))
    except OSError as error:
        assert error.errno == errno.ENOSPC  # noqa: PT017 - the loop must end with it
        return True


def ids_in(path):
    with closing(open_log(path)) as connection:
        return {found for (found,) in connection.execute("SELECT forecast_id FROM forecasts")}


@pytest.mark.slow
def test_a_file_that_may_not_grow_is_503_until_it_may(own):
    """The kernel refuses to let the log grow, and later allows it again, while the service runs."""
    with Lives(SCRIPT, serve_environment(own)) as lives:
        pid = lives.start()

        def may_grow_to(size):
            resource.prlimit(pid, resource.RLIMIT_FSIZE, (size, UNLIMITED))

        go_through_it(
            own, lives, lambda: may_grow_to(4_096), lambda: may_grow_to(UNLIMITED), lambda: ids_in(log_path(own))
        )
        assert lives.end(signal.SIGTERM) in {0, -signal.SIGTERM}


@pytest.mark.slow
@pytest.mark.skipif(not can_mount(), reason="needs user namespaces, in which anyone may mount")
def test_a_volume_without_room_is_503_until_there_is_room(own, tmp_path):
    """A real volume of a few megabytes, filled up by another file, which is deleted later."""
    there = tmp_path / "volume"
    there.mkdir()
    prepare = tmp_path / "volume.sh"
    small = own.model_copy(update={"home": there})
    numbers = metrics_folder(small)
    prepare.write_text(VOLUME.format(megabytes=20, there=there, home=own.home, numbers=numbers))
    environment = serve_environment(small) | {"PROMETHEUS_MULTIPROC_DIR": str(numbers)}
    with Lives(SCRIPT, environment, [*OWN_NAMESPACE, "sh", str(prepare)]) as lives:
        seen = Path(f"/proc/{lives.start()}/root") / there.relative_to("/")
        other = seen / "other"

        def fill():
            with other.open("wb", buffering=0) as file:
                for size in (65_536, 4_096):
                    until(lambda size=size, file=file: has_no_room(file, size))

        def written():
            # SQLite follows every link in a path, and this one leads into a namespace that is not its own.
            for path in seen.glob("forecast_log.sqlite*"):
                shutil.copy(path, tmp_path)
            return ids_in(tmp_path / log_path(small).name)

        go_through_it(own, lives, fill, other.unlink, written)
        assert lives.end(signal.SIGTERM) in {0, -signal.SIGTERM}


COUNTING = """
import sys
from prometheus_client import mmap_dict, values
from serving.monitoring import metrics
if sys.argv[2] == "sparse":
    values.MmapedDict = mmap_dict.MmapedDict
    values.ValueClass = values.MultiProcessValue(lambda: 1)
with open(sys.argv[1] + "/other", "wb", buffering=0) as other:
    try:
        while True:
            other.write(bytes(4_096))
    except OSError:
        print("full", flush=True)
for number in range(600):
    metrics.PROBLEMS.labels(f"problem-{number}", "503").inc()
print("counted")
"""


@pytest.mark.skipif(not can_mount(), reason="needs user namespaces, in which anyone may mount")
@pytest.mark.parametrize(
    ("how", "end", "said"), [("reserved", 0, "full\ncounted\n"), ("sparse", -signal.SIGBUS, "full\n")]
)
def test_counting_on_a_volume_without_room_ends_no_worker(tmp_path, how, end, said):
    """The mutant maps files with holes."""
    mount = f'mount -t tmpfs -o size=8m none {tmp_path} && exec "$@"'
    counted = subprocess.run(
        [*OWN_NAMESPACE, "sh", "-c", mount, "sh", sys.executable, "-c", COUNTING, str(tmp_path), how],
        env=os.environ | {"PROMETHEUS_MULTIPROC_DIR": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (counted.returncode, counted.stdout) == (end, said), counted.stderr


def test_asking_whether_the_log_can_be_written_leaves_no_row(settings):
    log = ForecastLog.open(settings)
    for _ in range(3):
        log.require_writable()
    log.close()
    assert LogReader(settings).count() == 0


def test_a_log_that_cannot_be_written_says_so_before_a_forecast_needs_it(settings, monkeypatch):
    monkeypatch.setattr("serving.forecast_log.writing.PROBE", "INSERT INTO nowhere VALUES (1)")
    log = ForecastLog.open(settings)
    with pytest.raises(LogError, match="cannot be written"):
        log.require_writable()
    log.close()
