"""What the operations page says of checks and runs is what Dagster tells of the same home."""

import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import pytest
from prometheus_client import REGISTRY

from dagster_project.runs.dagster_home import instance_of_commands, prepare_home
from lake.errors import DamagedFileError, NotReadyError
from lake.settings import Settings
from serving.monitoring.run_gauges import RunGauges
from serving.monitoring.run_history import SEVERITIES, run_history
from serving.pages.views.operations import checks_view

RULES_HOLD, IS_WHOLE = {"passes": False}, {"passes": True}


@dg.asset
def bars() -> None:
    pass


@dg.asset_check(asset=bars, blocking=False)
def rules_hold() -> dg.AssetCheckResult:
    description = "1 of 7 rows: close > high. Next: `quantlake quality` lists the rows. Then correct them."
    return dg.AssetCheckResult(passed=RULES_HOLD["passes"], description=description)


@dg.asset_check(asset=bars)
def is_whole() -> dg.AssetCheckResult:
    return dg.AssetCheckResult(
        passed=IS_WHOLE["passes"], severity=dg.AssetCheckSeverity.WARN, description="2 closes behind."
    )


CHECKS = [rules_hold, is_whole]


@dg.asset
def breaks() -> None:
    raise ValueError


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    settings = Settings(home=tmp_path)
    for name, value in prepare_home(settings).items():
        monkeypatch.setenv(name, value)
    return settings


def run(home: Settings, *, rules_pass: bool, whole_passes: bool) -> str:
    RULES_HOLD["passes"], IS_WHOLE["passes"] = rules_pass, whole_passes
    with instance_of_commands(home) as instance:
        return dg.materialize([bars, *CHECKS], instance=instance, raise_on_error=False).run_id


def test_failing_checks_are_the_last_results_that_dagster_tells(home: Settings) -> None:
    for outcomes in ((True, True), (False, False), (True, False), (False, True), (False, False)):
        run(home, rules_pass=outcomes[0], whole_passes=outcomes[1])
        found = run_history(home)
        with dg.DagsterInstance.from_config(str(home.dagster)) as instance:
            keys = [check.check_key for check in CHECKS]
            told = instance.event_log_storage.get_latest_asset_check_execution_by_key(keys)
        failed = {}
        for key, record in told.items():
            assert record.event is not None
            evaluation = record.event.get_dagster_event().asset_check_evaluation_data
            if not evaluation.passed:
                failed[key.asset_key.to_user_string(), key.name] = (
                    SEVERITIES[str(evaluation.severity)],
                    evaluation.description,
                    record.event.timestamp,
                )
        assert found.checks == len(CHECKS)
        assert {
            (each.table, each.check): (
                each.severity,
                f"{each.found} Next: {each.remedy}" if each.remedy else each.found,
                each.at.timestamp(),
            )
            for each in found.failing
        } == {name: (severity, said, pytest.approx(at)) for name, (severity, said, at) in failed.items()}
    assert [each.severity for each in found.failing] == ["error", "warning"]


def test_the_page_names_what_to_do_about_each(home: Settings) -> None:
    run(home, rules_pass=False, whole_passes=False)
    lines = checks_view(run_history(home), "quantlake ui").failing
    assert [(line.check, line.found, line.remedy) for line in lines] == [
        ("rules hold", "1 of 7 rows: close > high.", "`quantlake quality` lists the rows. Then correct them."),
        ("is whole", "2 closes behind.", "`quantlake ui` shows the run."),
    ]


def test_the_last_good_run_a_bad_one_since_and_what_waits(home: Settings) -> None:
    good = run(home, rules_pass=True, whole_passes=True)
    found = run_history(home)
    assert (found.last_good.run_id, found.last_bad, found.queue) == (good, None, ())  # type: ignore[union-attr]
    with instance_of_commands(home) as instance:
        bad = dg.materialize([breaks], instance=instance, raise_on_error=False).run_id
        job = dg.define_asset_job("later", [bars])
        waiting = instance.create_run_for_job(dg.Definitions([bars], jobs=[job]).resolve_job_def("later")).run_id
    found = run_history(home)
    assert found.last_good is not None
    assert found.last_bad is not None
    assert (found.last_good.run_id, found.last_bad.run_id) == (good, bad)
    assert [(each.run_id, each.job) for each in found.queue] == [(waiting, "later")]
    assert run(home, rules_pass=True, whole_passes=True)
    assert run_history(home).last_bad is None


def test_a_home_without_runs_says_what_makes_one_and_a_damaged_history_what_to_do(home: Settings) -> None:
    shutil.rmtree(home.dagster)
    with pytest.raises(NotReadyError, match="Nothing was run in this home, so no check has a result"):
        run_history(home)
    for name in ("runs.db", "runs/index.db"):
        path = home.dagster / "history" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"no database" * 100)
    with pytest.raises(DamagedFileError, match="`quantlake doctor` says what is damaged and what to do"):
        run_history(home)


def gauges(name: str) -> dict[tuple[str, ...], float]:
    """Values of a metric by its labels, as a scrape shows them."""
    return {
        tuple(one.labels.values()): one.value
        for family in REGISTRY.collect()
        for one in family.samples
        if one.name == name
    }


def test_ages_and_failing_checks_are_shown_as_dagster_has_them_and_a_check_that_passes_again_is_zero(
    home: Settings,
) -> None:
    run(home, rules_pass=False, whole_passes=False)
    look = RunGauges(home).look
    with instance_of_commands(home) as instance:
        job = dg.define_asset_job("daily_of_the_test", [bars]).resolve(
            asset_graph=dg.Definitions([bars]).resolve_asset_graph()
        )
        assert job.execute_in_process(instance=instance).success
        event = instance.get_latest_materialization_event(bars.key)
        assert event is not None
        (record,) = instance.get_run_records(dg.RunsFilter(job_name="daily_of_the_test"))
    assert record.end_time is not None
    now = datetime.fromtimestamp(event.timestamp, UTC) + timedelta(seconds=100)
    look(now)
    assert gauges("quantlake_asset_age_seconds")["bars",] == pytest.approx(100, abs=0.01)
    ended = now.timestamp() - record.end_time
    assert gauges("quantlake_job_age_seconds") == {("daily_of_the_test",): pytest.approx(ended, abs=0.01)}
    failed = gauges("quantlake_asset_checks_failed")
    assert (failed["bars", "error"], failed["bars", "warning"]) == (1, 1)
    assert gauges("quantlake_oldest_run_waiting_seconds") == {(): 0}
    run(home, rules_pass=True, whole_passes=True)
    look(now)
    failed = gauges("quantlake_asset_checks_failed")
    assert (failed["bars", "error"], failed["bars", "warning"]) == (0, 0)


def test_a_run_that_waits_is_told_with_its_age(home: Settings) -> None:
    with instance_of_commands(home) as instance:
        later = dg.Definitions([bars], jobs=[dg.define_asset_job("later", [bars])]).resolve_job_def("later")
        waiting = instance.create_run_for_job(later).run_id
        (record,) = instance.get_run_records(dg.RunsFilter(run_ids=[waiting]))
    run(home, rules_pass=True, whole_passes=True)
    RunGauges(home).look(record.create_timestamp + timedelta(hours=2))
    assert gauges("quantlake_oldest_run_waiting_seconds")[()] == pytest.approx(7_200, abs=1)


def test_a_damaged_history_is_told_once_and_leaves_the_gauges(home: Settings, caplog: pytest.LogCaptureFixture) -> None:
    shutil.rmtree(home.dagster)
    look = RunGauges(home)
    look.look(datetime.now(UTC))
    assert caplog.messages == []
    for name in ("runs.db", "runs/index.db"):
        path = home.dagster / "history" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"no database" * 100)
    for _ in range(3):
        look.look(datetime.now(UTC))
    assert caplog.messages == ["the run history cannot be shown as metrics"]
