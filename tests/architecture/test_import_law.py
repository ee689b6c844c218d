"""The import law of `pyproject.toml` catches what it is there to catch."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
ROOMS = ("lake", "feature_repo", "training", "serving", "dagster_project")
LAWFUL = {
    "lake/store/delta.py": "import deltalake",
    "lake/store/delta_schema.py": "import deltalake",
    "lake/store/files.py": "import deltalake",
    "lake/store/snapshots.py": "import deltalake",
    "feature_repo/retrieval.py": "import lake.store\nimport feature_repo.online",
    "feature_repo/feast_store/views.py": "import feast\nimport feature_repo.online",
    "training/tracking/__init__.py": "import mlflow\nimport torch\nimport feature_repo.retrieval",
    "training/models/__init__.py": "import training.tracking",
    "training/experiments/__init__.py": "import training.models",
    "training/data/__init__.py": "import training.experiments",
    "training/fit/__init__.py": "import training.data\nimport training.models",
    "training/judge/__init__.py": "import training.fit",
    "training/stages.py": "import training.judge",
    "serving/deployment/registry.py": "import mlflow\nimport training.tracking",
    "serving/predict/predictor.py": "import feature_repo.retrieval",
    "serving/service.py": "import serving.predict.predictor\nimport serving.pages.app",
    "serving/pages/app.py": "import serving.client",
    "dagster_project/definitions.py": "import dagster\nimport serving.deployment.registry\nimport lake.spec",
    "dagster_project/servers/uis/__init__.py": "",
    "dagster_project/servers/uis/mlflow_ui.py": "import mlflow",
    "lake/spec.py": "import polars",
    "lake/sources/http/__init__.py": "import httpx\nimport lake.sources.base",
    "lake/sources/yahoo.py": "import lake.sources.http",
    "lake/execution/__init__.py": "import lake.settings",
}
CRIMES = {
    "rooms": ("lake/spec.py", "import training.tracking"),
    "lake-folders": ("lake/store/delta.py", "import lake.care"),
    "lake-sources-files": ("lake/sources/files/mapping.py", "import lake.sources.files.rows"),
    "lake-sources-packaged": ("lake/sources/packaged/segments.py", "import lake.sources.packaged.market"),
    "dagster_project-folders": ("dagster_project/reports.py", "import dagster_project.definitions"),
    "deltalake": ("feature_repo/retrieval.py", "import deltalake"),
    "httpx": ("lake/sources/yahoo.py", "import httpx"),
    "light-execution": ("lake/execution/__init__.py", "import polars"),
    "lake-sources": ("lake/sources/http/__init__.py", "import lake.sources.yahoo"),
    "feast": ("feature_repo/retrieval.py", "import feast"),
    "training": ("training/models/__init__.py", "import training.fit"),
    "mlflow": ("training/fit/__init__.py", "import mlflow"),
    "dagster": ("training/fit/__init__.py", "import dagster"),
    "thin-orchestration": ("dagster_project/definitions.py", "import polars"),
    "feature_repo-folders": ("feature_repo/online/__init__.py", "import feature_repo.feast_store.views"),
    "light-pages": ("serving/pages/app.py", "import training.tracking"),
    "light-service": ("serving/predict/predictor.py", "import training.tracking"),
    "serving-folders": ("serving/receipts/writing.py", "import serving.predict.predictor"),
}


def contracts() -> list[dict[str, Any]]:
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    found: list[dict[str, Any]] = declared["tool"]["importlinter"]["contracts"]
    return found


def make_layers(folder: Path) -> None:
    """Make an empty module for each layer of a room that the example does not have; a contract asks for all of them."""
    declared = [(room, contract["layers"]) for contract in contracts() for room in contract.get("containers", [])]
    for room, layers in sorted(declared, key=lambda each: -each[0].count(".")):  # the folders within rooms first
        package = folder / room.replace(".", "/")
        package.mkdir(parents=True, exist_ok=True)
        (package / "__init__.py").touch()
        for name in re.findall(r"\w+", " ".join(layers)):
            if not (package / name).is_dir():
                (package / f"{name}.py").touch()


def lint(folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    for room in ROOMS:
        (folder / room).mkdir(exist_ok=True)
        for package in (folder / room, *(path for path in (folder / room).rglob("*") if path.is_dir())):
            (package / "__init__.py").touch()
    make_layers(folder)
    code = (
        f"import sys; sys.path.insert(0, {str(folder)!r}); from importlinter.cli import lint_imports_command as c; c()"
    )
    arguments = ["--config", str(ROOT / "pyproject.toml"), "--no-cache", "--no-logo", *options]
    return subprocess.run(
        [sys.executable, "-c", code, *arguments], cwd=folder, capture_output=True, text=True, check=False
    )


def write(folder: Path, files: dict[str, str]) -> None:
    for name, content in files.items():
        package = (folder / name).parent
        package.mkdir(parents=True, exist_ok=True)
        for parent in (package, *package.parents[: len(Path(name).parts) - 2]):
            (parent / "__init__.py").touch()
        (folder / name).write_text(content + "\n", encoding="utf-8")
        for parent in [*(folder / name).relative_to(folder).parents][:-1]:
            (folder / parent / "__init__.py").touch()


def test_lawful_imports_break_no_contract(tmp_path: Path) -> None:
    write(tmp_path, LAWFUL)
    lawful = lint(tmp_path)
    assert (lawful.returncode, f"{len(CRIMES)} kept, 0 broken" in lawful.stdout) == (0, True), lawful.stdout


@pytest.mark.parametrize("contract", CRIMES)
def test_a_forbidden_import_is_caught(contract: str, tmp_path: Path) -> None:
    name, line = CRIMES[contract]
    write(tmp_path, LAWFUL | {name: f"{LAWFUL.get(name, '')}\n{line}"})
    unlawful = lint(tmp_path, "--contract", contract)
    assert (unlawful.returncode, "0 kept, 1 broken" in unlawful.stdout) == (1, True), unlawful.stdout + unlawful.stderr


def test_every_contract_has_its_crime() -> None:
    assert {contract["id"] for contract in contracts()} == set(CRIMES)


def test_a_folder_that_no_layer_names_is_caught(tmp_path: Path) -> None:
    """Layers are exhaustive: a new folder of a room has to say between which others it lies."""
    write(tmp_path, {"feature_repo/unnamed/__init__.py": ""})
    assert lint(tmp_path, "--contract", "feature_repo-folders").returncode == 1
