"""Runs of commands are stored over kept connections, in files that Dagster's own storage reads and writes meanwhile."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest

from dagster_project.runs.dagster_home import COMMANDS, instance_of_commands, prepare_home
from dagster_project.runs.run_storage import KeptEventLog
from lake.settings import Settings

SCRIPT = """\
import os, signal, sys
from pathlib import Path

import dagster as dg

from dagster_project.runs.dagster_home import instance_of_commands
from lake.settings import Settings


@dg.asset
def made() -> None:
    pass


@dg.asset(deps=[made])
def killed() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


with instance_of_commands(Settings(home=Path(sys.argv[1]))) as instance:
    dg.materialize([made, killed], instance=instance)
"""


@dg.asset
def table() -> dg.MaterializeResult:
    return dg.MaterializeResult(metadata={"rows_added": 3})


@dg.asset_check(asset=table)
def holds() -> dg.AssetCheckResult:
    return dg.AssetCheckResult(passed=False, severity=dg.AssetCheckSeverity.WARN, description="3 rows do not hold")


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    settings = Settings(home=tmp_path)
    for name, value in prepare_home(settings).items():
        monkeypatch.setenv(name, value)
    return settings


@pytest.fixture
def of_dagster(home: Settings) -> Iterator[dg.DagsterInstance]:
    """The same home through Dagster's own storage, as the web UI opens it."""
    with dg.DagsterInstance.from_config(str(home.dagster)) as instance:
        yield instance


def test_a_run_of_a_command_reads_the_same_through_the_storage_of_dagster(
    home: Settings, of_dagster: dg.DagsterInstance
) -> None:
    with instance_of_commands(home) as instance:
        result = dg.materialize([table, holds], instance=instance)
    stored = [entry.dagster_event for entry in of_dagster.all_logs(result.run_id) if entry.dagster_event is not None]
    executed = [event.event_type_value for event in stored if event.step_key]
    assert [kind for kind in executed if not kind.endswith("_PLANNED")] == [
        event.event_type_value for event in result.all_events if event.step_key
    ]
    materialization = of_dagster.get_latest_materialization_event(table.key)
    assert materialization is not None
    assert materialization.run_id == result.run_id
    (checked,) = of_dagster.event_log_storage.get_asset_check_execution_history(holds.check_key, limit=5)
    assert checked.status.value == "FAILED"
    assert of_dagster.get_run_by_id(result.run_id).status == dg.DagsterRunStatus.SUCCESS  # type: ignore[union-attr]


def test_both_storages_see_what_the_other_wrote_while_both_are_open(
    home: Settings, of_dagster: dg.DagsterInstance
) -> None:
    with instance_of_commands(home) as instance:
        assert isinstance(instance.event_log_storage, KeptEventLog)
        for writer, reader in ((instance, of_dagster), (of_dagster, instance)) * 2:
            run_id = dg.materialize([table], instance=writer).run_id
            seen = reader.get_latest_materialization_event(table.key)
            assert seen is not None
            assert seen.run_id == run_id


def test_a_killed_command_loses_no_event(home: Settings, of_dagster: dg.DagsterInstance) -> None:
    command = [sys.executable, "-c", SCRIPT, str(home.home)]
    done = subprocess.run(command, check=False, env=os.environ, capture_output=True)
    assert done.returncode == -signal.SIGKILL, done.stderr
    (run,) = of_dagster.get_runs()
    events = [entry.dagster_event for entry in of_dagster.all_logs(run.run_id) if entry.dagster_event is not None]
    last = [(event.step_key, event.event_type_value) for event in events if event.step_key]
    assert last[-1] == ("killed", "STEP_START")
    assert ("made", "STEP_SUCCESS") in last


def test_the_file_of_an_earlier_release_is_brought_up_to_date(home: Settings) -> None:
    (home.dagster / COMMANDS).write_text("telemetry:\n  enabled: false\n", encoding="utf-8")
    with instance_of_commands(home) as instance:
        assert isinstance(instance.event_log_storage, KeptEventLog)


def test_a_file_is_opened_once_and_closed_with_the_instance(home: Settings) -> None:
    with instance_of_commands(home) as instance:
        dg.materialize([table], instance=instance)
        log = instance.event_log_storage
        assert isinstance(log, KeptEventLog)
        assert sum(engine.pool.checkedin() for engine in log._engines.values()) == len(log._engines) == 2
    assert log._engines == {}
