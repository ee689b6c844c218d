"""The import law of `pyproject.toml` catches what it is there to catch."""

import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
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
    "feast": ("feature_repo/retrieval.py", "import feast"),
    "mlflow": ("training/tuning.py", "import mlflow"),
    "dagster": ("training/tuning.py", "import dagster"),
    "thin-orchestration": ("dagster_project/definitions.py", "import polars"),
    "feature_repo-folders": ("feature_repo/online/__init__.py", "import feature_repo.feast_store.views"),
    "light-service": ("serving/predict/predictor.py", "import training.tracking"),
}


def contracts() -> dict[str, dict[str, Any]]:
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"]["contracts"]
    return {contract["id"]: contract for contract in declared}


def layers_of(contract: str) -> Iterator[str]:
    """Folders and modules, as paths, that a contract about the layers of a room names."""
    declared = contracts()[contract]
    for room in declared.get("containers", ()):
        for layer in declared["layers"]:
            yield from (f"{room}/{name.strip(' ()')}" for name in re.split(r"[|:]", layer))


def lint(folder: Path, contract: str) -> subprocess.CompletedProcess[str]:
    for package in (*ROOMS, *layers_of(contract)):
        if not (folder / f"{package}.py").exists():
            (folder / package).mkdir(exist_ok=True)
            (folder / package / "__init__.py").touch()
    code = (
        f"import sys; sys.path.insert(0, {str(folder)!r}); from importlinter.cli import lint_imports_command as c; c()"
    )
    arguments = ["--config", str(ROOT / "pyproject.toml"), "--no-cache", "--no-logo", "--contract", contract]
    return subprocess.run(
        [sys.executable, "-c", code, *arguments], cwd=folder, capture_output=True, text=True, check=False, timeout=60
    )


def write(folder: Path, files: dict[str, str]) -> None:
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(content + "\n", encoding="utf-8")
        for parent in [*(folder / name).relative_to(folder).parents][:-1]:
            (folder / parent / "__init__.py").touch()


@pytest.mark.parametrize("contract", CRIMES)
def test_a_forbidden_import_is_caught_and_a_lawful_one_is_not(contract: str, tmp_path: Path) -> None:
    write(tmp_path, LAWFUL)
    lawful = lint(tmp_path, contract)
    assert (lawful.returncode, "1 kept, 0 broken" in lawful.stdout) == (0, True), lawful.stdout + lawful.stderr
    name, line = CRIMES[contract]
    write(tmp_path, {name: f"{LAWFUL.get(name, '')}\n{line}"})
    unlawful = lint(tmp_path, contract)
    assert (unlawful.returncode, "0 kept, 1 broken" in unlawful.stdout) == (1, True), unlawful.stdout + unlawful.stderr


def test_every_contract_has_its_crime() -> None:
    assert set(contracts()) == set(CRIMES)


def test_a_folder_that_no_layer_names_is_caught(tmp_path: Path) -> None:
    """Layers are exhaustive: a new folder of a room has to say between which others it lies."""
    write(tmp_path, {"feature_repo/unnamed/__init__.py": ""})
    assert lint(tmp_path, "feature_repo-folders").returncode == 1


def test_layers_that_an_import_passes_over_downwards_are_lawful(tmp_path: Path) -> None:
    write(tmp_path, {"feature_repo/feast_store/views.py": "import feature_repo.catalog"})
    assert lint(tmp_path, "feature_repo-folders").returncode == 0
