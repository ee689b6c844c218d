"""What the Dagster UI shows of assets, schedules, sensors and runs of commands."""

from pathlib import Path

import dagster as dg
import pytest

from dagster_project.definitions import defs
from dagster_project.runs import run_selection
from dagster_project.selections import WEEKLY_MAINTENANCE
from feature_repo.catalog import GROUPS, SPECS
from lake.settings import settings

GRAPH = defs.resolve_asset_graph()
TABLES = {spec.name: spec for spec in SPECS}
ASSETS = sorted(key.to_user_string() for key in GRAPH.get_all_asset_keys())

TIMELINE = """
query { runsOrError(filter: {}) { ... on Runs { results {
    jobName status repositoryOrigin { repositoryLocationName repositoryName } } } } }
"""
"""What the timeline of the UI asks; it leaves out a run without an origin."""


def node(name):
    return GRAPH.get(dg.AssetKey(name))


@pytest.mark.parametrize("name", ASSETS)
def test_an_asset_has_an_owner_a_description_and_its_place_in_the_source(name):
    asset = node(name)
    assert asset.owners
    assert asset.description
    for reference in asset.metadata["dagster/code_references"].code_references:
        lines = Path(reference.file_path).read_text(encoding="utf-8").splitlines()
        assert "def " in "".join(lines[reference.line_number - 1 : reference.line_number + 10])


@pytest.mark.parametrize("name", ASSETS)
def test_what_has_partitions_says_why_one_may_be_missing(name):
    asset = node(name)
    assert ("a year that the market's clock has not reached is missing" in asset.description) is asset.is_partitioned


@pytest.mark.parametrize("name", [name for name in ASSETS if name in TABLES])
def test_a_table_has_the_columns_of_its_spec(name):
    spec, shown = TABLES[name], node(name).metadata["dagster/column_schema"].columns
    assert [column.name for column in shown] == spec.names
    for column, declared in zip(shown, spec.columns, strict=True):
        assert column.description.startswith(declared.meaning)
        assert declared.unit in column.description
        assert column.constraints.nullable == (declared.nullable and declared.name not in spec.key)


def test_every_feature_says_which_columns_of_bars_it_is_computed_from():
    bars = set(TABLES["bars"].names)
    for group in GROUPS:
        lineage = node(group.table.name).metadata["dagster/column_lineage"].deps_by_column
        assert list(lineage) == [feature.name for feature in group]
        for parents in lineage.values():
            assert {parent.column_name for parent in parents} <= bars
            assert {parent.asset_key.to_user_string() for parent in parents} <= {"bars"}
    technical = node("features_technical").metadata["dagster/column_lineage"].deps_by_column
    assert [parent.column_name for parent in technical["return_1d"]] == ["close"]


def test_schedules_and_sensors_say_what_they_do_in_a_replayed_market():
    repository = defs.get_repository_def()
    for each in (*repository.schedule_defs, *repository.sensor_defs):
        assert "replayed market" in (each.description or ""), each.name


@pytest.mark.usefixtures("home_of_environment")
def test_the_run_of_a_command_is_on_the_timeline():
    from dagster._core.workspace.context import WorkspaceProcessContext
    from dagster._core.workspace.load_target import EmptyWorkspaceTarget
    from dagster_graphql.cli import execute_query

    run_selection(WEEKLY_MAINTENANCE, settings(), {})
    with (
        dg.DagsterInstance.get() as instance,
        WorkspaceProcessContext(instance, workspace_load_target=EmptyWorkspaceTarget()) as context,
    ):
        found = execute_query(context, TIMELINE)
    [run] = found["data"]["runsOrError"]["results"]
    assert (run["jobName"], run["status"]) == ("weekly_maintenance", "SUCCESS")
    assert run["repositoryOrigin"]["repositoryLocationName"] == "quantlake"
    assert run["repositoryOrigin"]["repositoryName"] == defs.get_repository_def().name
