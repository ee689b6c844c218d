"""A verb on ports of a test, as a process: ``verbs_of_tests.py serve|demo|dashboard|ui|mlflow|lab PORT``.

``demo`` is the part of the demo that listens: Redis, and the service on a port of its own, without the minutes of
training in front.
"""

import signal
import sys

from dagster_project import servers
from dagster_project.commands.shell import console
from lake.settings import settings


def main() -> None:
    verb, port = sys.argv[1], int(sys.argv[2])
    configured, said = settings(), console(soft_wrap=True)
    if verb == "serve":
        servers.serve(configured, said)
    elif verb == "demo":
        from feature_repo.online.redis_server import running_redis

        with running_redis(configured), servers.forecast_service(configured):
            said.print("Ctrl-C")
            signal.sigwait([signal.SIGINT, signal.SIGTERM])
    else:
        show = {
            "dashboard": servers.show_dashboard,
            "ui": servers.show_dagster,
            "mlflow": servers.show_mlflow,
            "lab": servers.show_jupyter,
        }[verb]
        show(configured.model_copy(update={f"{verb}_port": port}), said)


if __name__ == "__main__":
    main()
