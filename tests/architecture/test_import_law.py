"""The import law of `pyproject.toml` catches what it is there to catch."""

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
    "feature_repo/retrieval.py": "import feast\nimport lake.store",
    "training/tracking.py": "import mlflow\nimport torch\nimport feature_repo.retrieval",
    "serving/deployment/registry.py": "import mlflow\nimport training.tracking",
    "serving/predict/predictor.py": "import feature_repo.retrieval",
    "serving/service.py": "import serving.predict.predictor",
    "dagster_project/definitions.py": "import dagster\nimport serving.deployment.registry\nimport lake.frames",
    "dagster_project/commands/uis/__init__.py": "",
    "dagster_project/commands/uis/mlflow_ui.py": "import mlflow",
    "lake/frames.py": "import polars",
}
CRIMES = {
    "rooms": ("lake/frames.py", "import training.tracking"),
    "deltalake": ("feature_repo/retrieval.py", "import deltalake"),
    "feast": ("serving/predict/predictor.py", "import feast"),
    "mlflow": ("training/tuning.py", "import mlflow"),
    "dagster": ("training/tuning.py", "import dagster"),
    "thin-orchestration": ("dagster_project/definitions.py", "import polars"),
    "light-service": ("serving/predict/predictor.py", "import training.tracking"),
    "serving-folders": ("serving/receipts/writing.py", "import serving.predict.predictor"),
}


def contracts() -> list[dict[str, Any]]:
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"]["contracts"]
    return list(declared)


def layered(contract: str) -> dict[str, str]:
    """An empty module for each layer of a contract between the folders of a room; none for other contracts."""
    (declared,) = (one for one in contracts() if one["id"] == contract)
    names = [name.strip(" ()") for layer in declared.get("layers", ()) for name in layer.split("|")]
    return {f"{room}/{name}/__init__.py": "" for room in declared.get("containers", ()) for name in names}


def lint(folder: Path, contract: str) -> subprocess.CompletedProcess[str]:
    for room in ROOMS:
        (folder / room).mkdir(exist_ok=True)
        (folder / room / "__init__.py").touch()
    code = (
        f"import sys; sys.path.insert(0, {str(folder)!r}); from importlinter.cli import lint_imports_command as c; c()"
    )
    arguments = ["--config", str(ROOT / "pyproject.toml"), "--no-cache", "--no-logo", "--contract", contract]
    return subprocess.run(
        [sys.executable, "-c", code, *arguments], cwd=folder, capture_output=True, text=True, check=False, timeout=60
    )


def write(folder: Path, files: dict[str, str]) -> None:
    for name, content in files.items():
        package = (folder / name).parent
        package.mkdir(parents=True, exist_ok=True)
        for parent in (package, *package.parents[: len(Path(name).parts) - 2]):
            (parent / "__init__.py").touch()
        (folder / name).write_text(content + "\n", encoding="utf-8")


@pytest.mark.parametrize("contract", CRIMES)
def test_a_forbidden_import_is_caught_and_a_lawful_one_is_not(contract: str, tmp_path: Path) -> None:
    layers = layered(contract)
    write(tmp_path, layers | {name: text for name, text in LAWFUL.items() if f"{name[:-3]}/__init__.py" not in layers})
    lawful = lint(tmp_path, contract)
    assert (lawful.returncode, "1 kept, 0 broken" in lawful.stdout) == (0, True), lawful.stdout + lawful.stderr
    name, line = CRIMES[contract]
    write(tmp_path, {name: f"{LAWFUL.get(name, '')}\n{line}"})
    unlawful = lint(tmp_path, contract)
    assert (unlawful.returncode, "0 kept, 1 broken" in unlawful.stdout) == (1, True), unlawful.stdout + unlawful.stderr


def test_every_contract_has_its_crime() -> None:
    assert {contract["id"] for contract in contracts()} == set(CRIMES)
