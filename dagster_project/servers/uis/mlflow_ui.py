"""MLflow's UI and API behind the gate: ``python -m dagster_project.servers.uis.mlflow_ui PORT``.

It serves the application that ``mlflow server`` serves, with one worker. The address of the tracking store may hold a
password, so it is handed over in the environment of this process and not in its arguments.
"""

import os
from typing import TYPE_CHECKING

from starlette.responses import PlainTextResponse

from dagster_project.servers.uis.serving import run, serve

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

    from lake.settings import Settings

QUIET = {"MLFLOW_DISABLE_TELEMETRY": "true", "DO_NOT_TRACK": "true"}
SAFE = {
    "MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false",
    "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
    "_MLFLOW_IN_JOB_EXECUTOR": "false",  # would let it rebuild code that a client sent
}
PROXIED = "mlflow-artifacts:/"
"""Where experiments that are made through this server keep their artefacts: with the server."""
ASSISTANT = "/ajax-api/3.0/mlflow/assistant"
"""Routes of MLflow's assistant, which runs shell commands on this machine."""


class WithoutAssistant:
    """ASGI middleware: answers 404 for MLflow's assistant, and passes everything else on.

    Parameters
    ----------
    app
        MLflow's application.
    """

    def __init__(self, app: "ASGIApp") -> None:
        self._app = app

    async def __call__(self, scope: "Scope", receive: "Receive", send: "Send") -> None:
        """Pass a request on, unless it is for the assistant."""
        is_refused = scope["type"] == "http" and scope["path"].startswith(ASSISTANT)
        answering = PlainTextResponse("MLflow's assistant is not served here.", 404) if is_refused else self._app
        await answering(scope, receive, send)


def main(settings: "Settings", port: int, secret: str) -> None:
    """Serve until SIGTERM."""
    import uvicorn  # noqa: F401 - MLflow looks whether a server has been imported before it says that it is one

    os.environ.update(QUIET | SAFE | {"_MLFLOW_SGI_NAME": "uvicorn"})
    from mlflow.server import constants as names
    from mlflow.server import handlers

    from training.tracking import localize

    localize(settings)
    os.environ.update(
        {
            names.BACKEND_STORE_URI_ENV_VAR: settings.tracking_uri,
            names.REGISTRY_STORE_URI_ENV_VAR: settings.tracking_uri,
            names.ARTIFACT_ROOT_ENV_VAR: PROXIED,
            names.SERVE_ARTIFACTS_ENV_VAR: "true",
            names.ARTIFACTS_DESTINATION_ENV_VAR: str(settings.mlflow / "artifacts"),
        }
    )
    handlers.initialize_backend_stores(settings.tracking_uri, settings.tracking_uri, PROXIED)
    from mlflow.server.fastapi_app import app  # built from the environment at its import

    serve(WithoutAssistant(app), settings, port, secret)


if __name__ == "__main__":
    run(main)
