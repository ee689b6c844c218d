"""Command and environment of the service process, for the command line and for tests."""

import os
import sys
from typing import TYPE_CHECKING

from pydantic import SecretStr

from lake.errors import ConfigError
from serving.processes import bentoml_home

if TYPE_CHECKING:
    from lake.settings import Settings


def serve_command(configured: "Settings") -> list[str]:
    """Return the command that serves forecasts at the settings' address until it is interrupted.

    Run it with `serve_environment`. The online store has to run already.

    Raises
    ------
    ConfigError
        If other machines could reach the address and keys or TLS are not there, the hosts that it is to answer to
        cannot be used, or the dashboard is mounted in more than one worker.
    """
    from serving.access import require_safe_address
    from serving.web.http import Hosts

    require_safe_address(configured)
    Hosts.of(configured)  # refuses names that cannot be used
    if configured.dashboard == "mounted" and configured.workers > 1:
        raise ConfigError(
            f"QUANTLAKE_DASHBOARD=mounted was to be served by {configured.workers} workers, and whoever logged in is "
            "known to one of them. Set QUANTLAKE_WORKERS=1, or QUANTLAKE_DASHBOARD=own for a process of its own."
        )
    return [sys.executable, "-m", "serving.supervision"]


def follow_registry_command() -> list[str]:
    """Return the command of the process that brings the registry's alias and the service in line.

    Run it with `serve_environment`, beside the service, until it is ended; it ends by itself when this process does.
    """
    return [sys.executable, "-m", "serving.deployment.registry_watch", str(os.getpid())]


def deliver_alerts_command() -> list[str]:
    """Return the command of the process that delivers alerts, run beside the service as `follow_registry_command`."""
    return [sys.executable, "-m", "serving.supervision.alert_delivery", str(os.getpid())]


def serve_environment(configured: "Settings") -> dict[str, str]:
    """Return the environment of the service process: this one with exactly these settings, and telemetry off."""
    given = {
        field.validation_alias if isinstance(field.validation_alias, str) else f"QUANTLAKE_{name.upper()}": _text(value)
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


def _text(value: object) -> str:
    """Return a setting as the environment holds it: a secret as it is, since its mask would take its place."""
    return value.get_secret_value() if isinstance(value, SecretStr) else str(value)
