import subprocess
import sys
from pathlib import Path

HEAVY = (
    "torch",
    "pytorch_lightning",
    "feast",
    "mlflow",
    "evidently",
    "great_expectations",
    "optuna",
    "bentoml",
    "polars",
)


def test_code_location_loads_without_heavy_libraries():
    code = (
        "import sys, dagster_project.definitions;"
        f"print([name for name in {HEAVY!r} if name in sys.modules and name != 'polars'])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_help_is_quick_because_it_imports_nothing_heavy():
    code = (
        "import sys\n"
        "from typer.testing import CliRunner\n"
        "from dagster_project.cli import app\n"
        "assert CliRunner().invoke(app, ['--help']).exit_code == 0\n"
        f"print([name for name in {(*HEAVY, 'dagster')!r} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_every_stage_is_a_group_and_flows_into_the_next():
    from dagster_project.definitions import defs

    graph = defs.resolve_asset_graph()
    groups = {graph.get(key).group_name for key in graph.get_all_asset_keys()}
    assert groups == {"sources", "lake", "quality", "features", "training", "serving", "feedback"}

    def upstream(name):
        import dagster as dg

        seen, todo = set(), [dg.AssetKey(name)]
        while todo:
            for parent in graph.get(todo.pop()).parent_keys:
                if parent not in seen:
                    seen.add(parent)
                    todo.append(parent)
        return {key.to_user_string() for key in seen}

    assert {"raw_bars", "bars", "forecasts", "selections", "served_models"} <= upstream("online_store")


def test_failing_expectations_block_everything_downstream():
    from dagster_project.checks.tables import table_checks

    assert all(spec.blocking for check in table_checks() for spec in check.check_specs)


def test_every_table_of_raw_bars_and_what_follows_from_it_has_a_gate():
    from dagster_project.checks.tables import table_checks

    gated = {(key.asset_key.to_user_string(), key.name) for check in table_checks() for key in check.check_keys}
    assert gated >= {(name, "one_row_per_key") for name in ("symbols", "universe", "outcomes", "actions")}
    assert ("raw_bars", "raw_actions_one_row_per_key") in gated


def test_workspace_points_at_the_definitions():
    import yaml

    root = Path(__file__).parents[2]
    (entry,) = yaml.safe_load((root / "workspace.yaml").read_text())["load_from"]
    assert entry["python_module"]["module_name"] == "dagster_project.definitions"


def test_daily_job_trains_nothing():
    from dagster_project.definitions import defs

    job = defs.resolve_job_def("daily_update")
    names = {key.to_user_string() for key in job.asset_layer.executable_asset_keys}
    assert {"forecasts", "online_store"} <= names
    assert not names & {"training_set", "tuned_parameters", "evaluations", "trained_models", "served_models"}
