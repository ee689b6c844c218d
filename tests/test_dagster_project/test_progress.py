"""A run says what each step made, how many steps there are, and about how long the others take."""

from pathlib import Path

import dagster as dg
import pytest

from dagster_project.execution import progress_logger
from dagster_project.execution.expected import FILE, UNKNOWN_SECONDS, ExpectedTimes
from dagster_project.reports import materialized
from dagster_project.runs import made_by
from lake.report import Report

pytestmark = pytest.mark.usefixtures("home_of_environment")


@dg.asset
def grown() -> dg.MaterializeResult:
    return materialized(Report("grown", rows=3, added=2, warnings=("One [row] is odd.", "Another is missing.")))


@dg.asset(deps=[grown])
def still() -> dg.MaterializeResult:
    return dg.MaterializeResult(metadata={"dagster/row_count": 3, "rows_added": 0, "skipped": True, "reason": "old"})


@dg.asset_check(asset=still)
def holds() -> dg.AssetCheckResult:
    return dg.AssetCheckResult(passed=True, description="unchanged since version 3")


def run() -> dg.ExecuteInProcessResult:
    job = dg.Definitions(
        assets=[grown, still],
        asset_checks=[holds],
        jobs=[dg.define_asset_job("both")],
        loggers={"progress": progress_logger},
    ).resolve_job_def("both")
    with dg.DagsterInstance.ephemeral() as instance:
        return job.execute_in_process(instance=instance, run_config={"loggers": {"progress": {}}})


def test_lines_in_a_pipe_count_the_steps_and_tell_the_time_left(capsys: pytest.CaptureFixture[str]) -> None:
    result = run()
    said = capsys.readouterr().out
    assert "grown ... 1 of 3 steps\n" in said
    assert "✓ grown: 3 rows, 2 new" in said
    assert "      ! One [row] is odd.\n      ! Another is missing.\n" in said
    assert "still: nothing to do, old" in said
    assert "✓ still: holds (unchanged since version 3)" in said
    assert made_by(result) == {"grown": 2}
    run()
    assert "grown ... 1 of 3 steps, about 0:00:0" in capsys.readouterr().out


def test_the_time_left_follows_the_pace_of_this_run(tmp_path: Path) -> None:
    path = tmp_path / FILE
    before = ExpectedTimes(path, ["a", "b", "c"])
    assert (before.is_known, before.left) == (False, 3 * UNKNOWN_SECONDS)
    for step, seconds in {"a": 1.0, "b": 10.0, "c": 4.0}.items():
        before.note(step, seconds)
    assert (before.done, before.left) == (3, 0.0)
    before.keep()
    now = ExpectedTimes(path, ["a", "b", "c", "added"])
    assert (now.is_known, now.left) == (True, 19.0)  # the added one as long as the middle one of the others
    now.note("a", 3.0)
    assert (now.done, now.total) == (1, 4)
    assert now.left == pytest.approx(18.0 * (3.0 + 3.8) / (1.0 + 3.8)), "slower than last time, by what one step says"


@pytest.mark.parametrize("content", ["{torn", "[1]", '{"a": "long"}'])
def test_a_torn_file_expects_nothing(tmp_path: Path, content: str) -> None:
    path = tmp_path / FILE
    path.write_text(content, encoding="utf-8")
    assert not ExpectedTimes(path, ["a"]).is_known
