"""Child processes that end with their parent, however the parent ends.

The parent holds the write end of a pipe and each child the read end. The kernel closes the write end with the parent,
also after ``kill -9``, and the child reads the end of the file. It works on Linux and macOS, needs no polling, and a
process id that was given away again cannot mislead it.
"""

import os
import signal
import threading
import time
from collections.abc import Mapping
from functools import cache
from typing import Any

VARIABLE = "QUANTLAKE_LIFELINE"
"""Environment variable with the number of the read end."""
GRACE_SECONDS = 1.0
"""How long a child may take to end in order once its parent is gone."""


def tied(environment: Mapping[str, str], *descriptors: int) -> dict[str, Any]:
    """Return options of `subprocess.Popen` for a child that is to end with this process.

    The child has to call `end_with_parent`.

    Parameters
    ----------
    environment
        Environment of the child.
    descriptors
        Further file descriptors that the child inherits.
    """
    read, _ = _pipe()
    return {"env": {**environment, VARIABLE: str(read)}, "pass_fds": (read, *descriptors)}


def end_with_parent(grace_seconds: float = GRACE_SECONDS) -> None:
    """End this process when its parent ends; no effect on a process that was started without `tied`.

    The process gets SIGTERM first, and SIGKILL after the grace. A session leader takes its process group with it, so
    that children which know nothing of lifelines end too.
    """
    number = os.environ.pop(VARIABLE, None)  # the children of this process do not hold that descriptor
    if number is None:
        return
    read = int(number)
    os.set_inheritable(read, False)  # noqa: FBT003 - the standard library takes it by position
    threading.Thread(target=_wait_for_end, args=(read, grace_seconds), name="lifeline", daemon=True).start()


@cache
def _pipe() -> tuple[int, int]:
    read, write = os.pipe()  # not inheritable: only `pass_fds` gives a child its read end
    os.register_at_fork(after_in_child=lambda: os.close(write))  # a fork must not hold the parent's end open
    return read, write


def _wait_for_end(read: int, grace_seconds: float) -> None:
    while os.read(read, 1):
        pass
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(grace_seconds)
    if os.getpgrp() == os.getpid():
        os.killpg(os.getpgrp(), signal.SIGKILL)
    os.kill(os.getpid(), signal.SIGKILL)
