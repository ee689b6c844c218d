"""How the service process is started: the command and the environment, for the command line and for tests."""

import os
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from lake.settings import Settings

KEPT_OUT = ("torch", "pytorch_lightning", "lightning", "optuna", "mlflow", "dagster")
"""What the service process must not load: none of it computes a forecast, and torch alone takes 300 MB."""


def serve_command(configured: "Settings") -> list[str]:
    """Return the command that serves forecasts at the settings' address until it is interrupted.

    Run it with `serve_environment`. The online store has to run already.

    Raises
    ------
    ConfigError
        If other machines could reach the address and keys or TLS are not there, or the hosts that it is to answer to
        cannot be used.
    """
    from serving.access.exposure import require_safe_address
    from serving.web.http.hosts import Hosts

    require_safe_address(configured)
    Hosts.of(configured)  # refuses names that cannot be used
    return [sys.executable, "-m", "serving.supervision"]


def bentoml_home(configured: "Settings") -> "Path":
    """Folder of BentoML's own, one for each port: the supervisor empties a part of it that running workers write to."""
    return configured.home / "bentoml" / str(configured.port)


def numbers_folder(configured: "Settings") -> "Path":
    """Folder in which the workers of one endpoint share their metrics; the supervisor empties it at its start."""
    return bentoml_home(configured) / "prometheus_multiproc_dir"


def follow_registry_command() -> list[str]:
    """Return the command of the process that brings the registry's alias and the service in line.

    Run it with `serve_environment`, beside the service, until it is ended; it ends by itself when this process does.
    """
    return [sys.executable, "-m", "serving.deployment.registry_watch", str(os.getpid())]


def serve_environment(configured: "Settings") -> dict[str, str]:
    """Return the environment of the service process: this one with exactly these settings, and telemetry off."""
    given = {
        field.validation_alias if isinstance(field.validation_alias, str) else f"QUANTLAKE_{name.upper()}": str(value)
        for name, field in type(configured).model_fields.items()
        if (value := getattr(configured, name)) is not None
    }
    return (
        os.environ
        | given
        | {
            "BENTOML_HOME": str(bentoml_home(configured)),
            "BENTOML_DO_NOT_TRACK": "true",
            "OMP_NUM_THREADS": str(configured.engine_threads),
        }
    )


def keep_out_training() -> None:
    """Make the training libraries unimportable in this process.

    Feast imports torch wherever it is installed, and does without where it is not; a None in ``sys.modules`` is
    Python's own way to say "not here" (https://docs.python.org/3/reference/import.html#the-module-cache).
    """
    for name in KEPT_OUT:
        sys.modules.setdefault(name, None)  # type: ignore[arg-type]
