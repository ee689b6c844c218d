"""Another user of the machine who takes the endpoint's port first is sent no key, and is not taken for the endpoint."""

import os
import socket
import subprocess
import sys
from contextlib import contextmanager

import pytest

from dagster_project.servers.endpoint import running_server
from lake.errors import ConfigError
from lake.settings import Settings
from serving.access import local_key
from serving.client import Client
from serving.processes.sockets import require_own
from support.ports import free_port

STRANGER = 65_534
SQUAT = """
import os, socket, sys
os.setgroups([]); os.setgid(int(sys.argv[1])); os.setuid(int(sys.argv[1]))
squatting = socket.create_server(("127.0.0.1", int(sys.argv[2])))
print("listening", flush=True)
while True:
    connection, _ = squatting.accept()
    print(connection.recv(4_096), flush=True)
    connection.sendall(b"HTTP/1.1 200 OK\\r\\ncontent-length: 2\\r\\nconnection: close\\r\\n\\r\\n{}")
    connection.close()
"""
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can act as another user")


@contextmanager
def squatter(port):
    """A program of another user on a port; what it heard is on its output."""
    command = [sys.executable, "-c", SQUAT, str(STRANGER), str(port)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout.readline() == "listening\n"
            yield process
        finally:
            process.kill()


@needs_root
def test_a_squatter_is_sent_no_key(tmp_path):
    settings = Settings(home=tmp_path, port=free_port())
    key = local_key(settings)
    with squatter(settings.port) as process:
        with pytest.raises(ConfigError, match=rf"belongs to user {STRANGER}.*QUANTLAKE_PORT"), Client.local(settings):
            pass
        process.kill()
        assert key not in process.stdout.read()


@needs_root
def test_a_squatter_who_was_faster_than_the_server_is_not_taken_for_it(tmp_path):
    """The port is free when the verb looks, and taken when the server would."""
    settings = Settings(home=tmp_path, port=free_port())
    command = [sys.executable, "-c", SQUAT, str(STRANGER), str(settings.port)]
    starting = running_server("endpoint", command, {}, settings, settings.port, "/readyz")
    with pytest.raises(ConfigError, match=f"belongs to user {STRANGER}"), starting:
        pytest.fail("it was taken for the server")


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux says whose a socket is")
@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0", "::1", "::"])
def test_whose_a_socket_is_is_seen_at_each_kind_of_address(host, monkeypatch):
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.create_server((host, 0), family=family) as listening:
        port = listening.getsockname()[1]
        address = f"http://[::1]:{port}" if ":" in host else f"http://127.0.0.1:{port}"
        require_own(address)
        monkeypatch.setattr(os, "geteuid", lambda: STRANGER)
        with pytest.raises(ConfigError, match=f":{port} belongs to user"):
            require_own(address)
        require_own(f"http://127.0.0.2:{port}" if host == "127.0.0.1" else f"http://127.0.0.1:{free_port()}")
