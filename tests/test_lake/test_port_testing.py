import fcntl
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from lake.errors import ConfigError
from support import ports
from support.ports import FIRST, LAST, free_port

ASK = "from support import ports; ports._candidates = lambda: iter({ports!r}); print(ports.free_port())"


def let_go(*claimed):
    for port in claimed:
        fcntl.lockf(ports._claims(), fcntl.LOCK_UN, 1, port)


def test_no_port_is_given_twice():
    ports = [free_port() for _ in range(20)]
    assert len(set(ports)) == 20
    assert all(FIRST <= port < LAST for port in ports)


def test_another_process_is_given_another_one():
    first, other = free_port(), free_port()
    let_go(other)
    answer = subprocess.run(
        [sys.executable, "-c", ASK.format(ports=[first, other])],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(__file__).parents[1],
    )
    assert int(answer.stdout) == other


def test_where_somebody_listens_is_passed_over(monkeypatch):
    taken, other = free_port(), free_port()
    let_go(taken, other)
    monkeypatch.setattr(ports, "_candidates", lambda: iter([taken, other]))
    with socket.create_server(("127.0.0.1", taken)):
        assert free_port() == other


def test_when_none_is_left_it_says_so(monkeypatch):
    monkeypatch.setattr(ports, "_candidates", lambda: iter([]))
    with pytest.raises(ConfigError, match="No port between"):
        free_port()
