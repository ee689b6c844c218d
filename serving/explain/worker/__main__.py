"""``python -m serving.explain.worker``: computes the explanations of one endpoint, in a process that gives way to it.

The supervisor starts it, and it ends with the supervisor. It listens once its models are loaded, and computes with the
lowest priority; it starts with the usual one, or on a busy machine it would not come up.
"""

import asyncio
import os
import sys
from contextlib import closing, suppress

import psutil

from lake.disk import close_new_files
from lake.errors import ModelError
from lake.settings import settings
from lake.store import Lake
from serving.deployment import Champions
from serving.explain.explainer import Explainer
from serving.explain.gradients import GradientExplanations
from serving.explain.worker.explanations import LocalExplanations
from serving.explain.worker.server import answer_until_ended, socket_path
from serving.explain.worker.turns import NICENESS
from serving.monitoring import json_logs
from serving.processes import end_with_parent

ONE_THREAD = {"engine_threads": 1}
"""Of the engines in service here, however many they have where forecasts are made."""


def give_way() -> None:
    """Give every thread of this process the lowest priority; threads that they start inherit it."""
    # Linux has a priority for each thread; elsewhere it is the process's.
    threads = [each.id for each in psutil.Process().threads()] if sys.platform == "linux" else [0]
    for thread in threads:
        with suppress(ProcessLookupError):  # it has ended meanwhile
            os.setpriority(os.PRIO_PROCESS, thread, NICENESS)


def main() -> None:
    """Answer until the process is asked to end, or its parent ends."""
    end_with_parent()
    close_new_files()
    configured = settings().model_copy(update=ONE_THREAD)
    json_logs.install(configured)
    champions = Champions(configured).watch()
    with closing(champions):
        with suppress(ModelError):  # it is answered to every question until there is one
            champions.current()
        give_way()
        gradients = GradientExplanations(configured)
        explainer = Explainer(Lake(configured.tables), champions, gradients.explain)
        with closing(LocalExplanations(explainer, configured.declared_market)) as explanations:
            asyncio.run(answer_until_ended(explanations, socket_path(configured)))


if __name__ == "__main__":
    main()
