"""MLflow's UI and API behind the gate: ``python -m dagster_project.servers.uis.mlflow_ui PORT``.

It serves the application that ``mlflow server`` serves, with one worker. The address of the tracking store may hold a
password, so it is handed over in the environment of this process and not in its arguments.
"""

import os
from typing import TYPE_CHECKING

from dagster_project.servers.uis.serving import run, serve

if TYPE_CHECKING:
    from lake.settings import Settings

QUIET = {"MLFLOW_DISABLE_TELEMETRY": "true", "DO_NOT_TRACK": "true"}
SAFE = {
    "MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false",
    "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
    "_MLFLOW_IN_JOB_EXECUTOR": "false",  # would let it rebuild code that a client sent
}
PROXIED = "mlflow-artifacts:/"
"""Where experiments that are made through this server keep their artefacts: with the server."""


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

    serve(app, settings, port, secret)


if __name__ == "__main__":
    run(main)
