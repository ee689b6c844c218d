"""DAGSTER_HOME, made once and under a lock: several Dagster processes starting on an empty home would break it."""

import os

import dagster as dg
from filelock import FileLock

from lake.disk import write_durably
from lake.settings import Settings

CONFIGURATION = """\
telemetry:
  enabled: false
nux:
  enabled: false
concurrency:
  runs:
    max_concurrent_runs: 1
run_monitoring:
  enabled: true
"""
COMMANDS = "commands.yaml"
"""File of the configuration of the runs of commands."""
OF_COMMANDS = """\
storage:
  custom:
    module: dagster_project.runs.run_storage
    class: KeptStorage
    config:
      base_dir:
        env: DAGSTER_HOME
compute_logs:
  module: dagster._core.storage.noop_compute_log_manager
  class: NoOpComputeLogManager
"""


def instance_of_commands(settings: Settings) -> dg.DagsterInstance:
    """Return the instance of the home for a run whose steps print on the terminal of a command.

    Dagster keeps a copy of what a step prints by two child processes a step, which Ctrl-C would end with a traceback on
    the terminal. The event log of such a run is whole.
    """
    path = settings.dagster / COMMANDS
    configuration = CONFIGURATION + OF_COMMANDS
    if not path.exists() or path.read_text(encoding="utf-8") != configuration:
        write_durably(path, configuration)
    return dg.DagsterInstance.from_config(str(settings.dagster), COMMANDS)


def prepare_home(settings: Settings) -> dict[str, str]:
    """Make the Dagster home if it is not there, and return the variables that point every child process at it.

    The databases are created under a lock, by one process, before any other may open them.
    """
    home = settings.dagster
    home.mkdir(parents=True, exist_ok=True)
    environment = {
        "DAGSTER_HOME": str(home),
        "DAGSTER_TELEMETRY_ENABLED": "false",
        "QUANTLAKE_HOME": str(settings.home),
    }
    with FileLock(home / ".creation.lock", timeout=120):
        if not (home / "dagster.yaml").exists():
            os.environ.update(environment)
            fresh = home / "dagster.yaml.new"
            fresh.write_text(CONFIGURATION, encoding="utf-8")
            fresh.replace(home / "dagster.yaml")
            with dg.DagsterInstance.get() as instance:
                instance.get_run_records(limit=1)
    return environment
