"""A child ends with its parent, however the parent ends, and says by which signal."""

import subprocess
import sys

import pytest

CHILD = """
import os, signal, sys
from serving.processes.lifeline import end_with_parent

def told(*_):
    print("ended with its parent", flush=True)
    os._exit(0)

signal.signal(signal.SIGTERM, told)
signal.alarm(15)  # one that nobody ends goes by itself, and says nothing
end_with_parent()
print("up", flush=True)
while True:
    signal.pause()
"""
PARENT = """
import os, subprocess, sys
from serving.processes.lifeline import tied
subprocess.Popen([sys.executable, "-c", sys.argv[1]], start_new_session=True, **tied(os.environ))
sys.stdin.read()
"""


@pytest.mark.parametrize("how", ["killed", "ended"])
def test_a_child_ends_with_its_parent(how: str) -> None:
    command = [sys.executable, "-c", PARENT, CHILD]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        assert parent.stdout.readline() == "up\n"
        if how == "killed":
            parent.kill()
        said, _ = parent.communicate()
    assert said == "ended with its parent\n"
