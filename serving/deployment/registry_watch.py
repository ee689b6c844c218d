"""Registry watch: a small process beside the service that follows the registry's alias.

It is started as ``python -m serving.deployment.registry_watch PARENT``.

The service itself must not load MLflow. This process does: about once a second it looks whether the registry or the
deployment changed, and brings the two in line (`serving.deployment.following.RegistryFollower`).
"""

import logging
import os
import signal
import sys
import threading
import time
from typing import TYPE_CHECKING

from lake.disk import close_new_files, identity_of
from lake.settings import settings
from lake.store import Lake
from serving.deployment.confirmed import registry_files
from serving.deployment.following import RegistryFollower
from serving.deployment.moves import DeploymentContext
from serving.deployment.record import serving_file
from serving.processes import end_with_parent

if TYPE_CHECKING:
    from collections.abc import Callable

    from lake.settings import Settings

LOOK_SECONDS = 1.0
LONGEST_SECONDS = 15.0
"""Longest time between two looks where nothing seems to have changed."""

logger = logging.getLogger("quantlake.registry")


def follow(configured: "Settings", is_over: "Callable[[float], bool]") -> None:
    """Poll the registry until `is_over`.

    Parameters
    ----------
    is_over
        Waits so many seconds and says whether to stop.
    """
    context = DeploymentContext(
        lake=Lake.open(configured),
        configured=configured,
        clock=configured.clock,
        who="registry",
    )
    follower: RegistryFollower | None = None
    seen: object = None
    looked_at = -LONGEST_SECONDS
    last_error = ""
    while not is_over(LOOK_SECONDS):
        stamps = registry_stamps(configured)
        if stamps is not None and stamps == seen and time.monotonic() - looked_at < LONGEST_SECONDS:
            continue
        try:
            follower = follower or RegistryFollower(context)
            for sentence in follower.look():
                logger.info("%s", sentence)
            seen, last_error = stamps, ""
        except Exception as error:  # noqa: BLE001 - a registry that is away comes back; the service does not need it
            if str(error) != last_error:
                logger.warning("the registry cannot be followed: %s", error)
            seen, last_error = None, str(error)
        looked_at = time.monotonic()


def registry_stamps(configured: "Settings") -> object:
    """What changes with a registry in a file of this machine, and with the deployment; None for any other registry."""
    files = registry_files(configured)
    if files is None:
        return None
    return [identity_of(path, is_lenient=True) for path in (*files, serving_file(configured))]


def main() -> None:
    """Follow the registry until SIGTERM or SIGINT, or until the process that started this one is gone.

    The number of that process is the only argument, because it may be gone before this one has loaded its libraries.
    """
    end_with_parent()
    close_new_files()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s %(message)s")
    stop, parent = threading.Event(), int(sys.argv[1])
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    follow(settings(), lambda seconds: stop.wait(seconds) or os.getppid() != parent)


if __name__ == "__main__":
    main()
