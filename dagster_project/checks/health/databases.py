"""Checks of the SQLite databases: model registry, Dagster's runs and schedules."""

from pathlib import Path

from dagster_project.checks.health.finding import HealthFinding, set_aside
from dagster_project.checks.health.sqlite import fault_of_sqlite
from lake.settings import Settings


def registry(configured: Settings, *, is_deep: bool = False) -> list[HealthFinding]:
    """Look at MLflow's database, where it is the one under the home."""
    path = configured.mlflow / "mlflow.db"
    fault = None if configured.mlflow_tracking_uri else fault_of_sqlite(path, is_deep=is_deep)
    if fault is None:
        return []
    meaning = f"{fault}. Training runs and registered versions cannot be read; the models in service go on answering"
    return [HealthFinding("damaged registry", path, meaning, set_aside(path))]


def dagster(configured: Settings, *, is_deep: bool = False) -> list[HealthFinding]:
    """Look at Dagster's runs, events and schedules."""
    if not configured.dagster.is_dir():
        return []
    return [
        HealthFinding(
            "damaged run history",
            path,
            f"{fault}. The Dagster UI and the next run stop at it; no table depends on it",
            set_aside(path),
        )
        for path in _databases(configured.dagster)
        if (fault := fault_of_sqlite(path, is_deep=is_deep))
    ]


def _databases(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*.db"))
