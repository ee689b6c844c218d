"""The named selections of the asset graph, and how a run of one is timed, stopped and repeated."""

from datetime import datetime
from types import SimpleNamespace
from typing import Any

import pytest

from dagster_project.definitions import defs
from dagster_project.partitions import RANGE_END, RANGE_START, changed_years, recent_years, recorded_recently, years_of
from dagster_project.resources import GivenPlatform
from dagster_project.runs.timed import run_timed
from dagster_project.runs.updates import SERVED
from dagster_project.selections import DAILY_UPDATE, EVERYTHING, HISTORY, SELECTIONS, UPDATE, NamedSelection
from feature_repo.catalog import GROUPS
from lake.clock import DEMO_START, FixedClock
from lake.errors import SourceError
from lake.settings import Settings
from lake.sources import GeneratedMarket
from lake.store import Lake
from lake.tables import BARS, RAW_BARS
from serving.deployment import Champions

pytestmark = pytest.mark.filterwarnings("ignore::pydantic.warnings.PydanticDeprecatedSince20")
TABLES = {
    "raw_bars",
    "bars",
    "actions",
    "quarantine",
    "symbols",
    "universe",
    "labels",
    *(group.table.name for group in GROUPS),
}


class BrokenSource:
    """A source that does not answer."""

    name = "broken"

    def read(self, *_: datetime | None) -> object:
        raise SourceError("The source does not answer.")


@pytest.fixture
def platform(settings: Settings) -> GivenPlatform:
    source = GeneratedMarket.ending(2, 30)
    return GivenPlatform(settings, Lake.open(settings), FixedClock(DEMO_START), source, Champions(settings))


def assets_of(selection: NamedSelection) -> set[str]:
    job = defs.resolve_job_def(selection.name)
    return {key.to_user_string() for key in job.asset_layer.executable_asset_keys}


def test_a_selection_is_there_once_and_says_what_it_is_for() -> None:
    assert len({selection.name for selection in SELECTIONS}) == len(SELECTIONS)
    assert all(selection.purpose.endswith(".") and assets_of(selection) for selection in SELECTIONS)


def test_an_update_makes_what_is_served_and_every_table_of_features() -> None:
    assert assets_of(UPDATE) == TABLES | {"regimes", "model_windows", "forecasts", "online_store"}
    assert assets_of(HISTORY) == TABLES
    assert assets_of(UPDATE) < assets_of(DAILY_UPDATE) < assets_of(EVERYTHING)
    assert set(SERVED) < assets_of(UPDATE)


@pytest.mark.parametrize("selection", [UPDATE, HISTORY], ids=lambda selection: selection.name)
def test_what_must_be_quick_runs_no_checks(selection: NamedSelection) -> None:
    graph = defs.resolve_asset_graph()
    assert selection.assets.resolve_checks(graph) == set()
    assert EVERYTHING.assets.resolve_checks(graph)


def test_stages_come_in_the_order_of_the_graph_and_a_run_again_does_nothing(platform: GivenPlatform) -> None:
    heard: list[Any] = []
    stages = run_timed(HISTORY, platform, heard.append)
    names = [stage.name for stage in stages]
    assert heard == stages
    assert names[:3] == ["raw_bars", "bars", "features_technical"]
    assert set(names) == TABLES - {"actions", "quarantine", "symbols", "universe"}
    assert [stage.added for stage in stages[:2]] == [90, 90]  # the index is the third of them
    assert [stage.ended for stage in stages] == sorted(stage.ended for stage in stages)
    assert all(0 < stage.seconds <= stage.ended for stage in stages)
    again = run_timed(HISTORY, platform)
    assert [stage.name for stage in again if not stage.is_skipped] == []
    assert all(stage.reason for stage in again)


def test_a_stage_that_fails_stops_those_that_follow_with_its_own_error(
    platform: GivenPlatform, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise SourceError("The rows cannot be judged.")

    heard: list[Any] = []
    monkeypatch.setattr("lake.ingest.refine_to_lake", refuse)
    with pytest.raises(SourceError, match="cannot be judged"):
        run_timed(HISTORY, platform, heard.append)
    assert [stage.name for stage in heard] == ["raw_bars"]
    assert (platform.lake.exists(RAW_BARS), platform.lake.exists(BARS)) == (True, False)


def test_a_source_that_does_not_answer_leaves_nothing(settings: Settings, platform: GivenPlatform) -> None:
    broken = GivenPlatform(settings, platform.lake, platform.clock, BrokenSource(), platform.champions)  # type: ignore[arg-type]
    with pytest.raises(SourceError, match="does not answer"):
        run_timed(HISTORY, broken)
    assert not platform.lake.exists(RAW_BARS)


def test_a_run_of_years_keeps_to_them_and_a_run_of_what_changed_does_not() -> None:
    def asked(tags: dict[str, str]) -> tuple[int, ...]:
        context = SimpleNamespace(run=SimpleNamespace(tags=tags), partition_keys=["2011", "2012"])
        return years_of(context)  # type: ignore[arg-type]

    assert asked(recent_years(DEMO_START, first=2000)) == (2011, 2012)
    assert asked(changed_years(DEMO_START, first=2000)) == ()
    recorded = recorded_recently(DEMO_START, first=2000)
    assert asked(recorded) == tuple(range(2000, 2013))
    assert (recorded[RANGE_START], recorded[RANGE_END]) == ("2011", "2012"), "what Dagster stores events of"
