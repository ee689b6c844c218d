"""Each folder of the room has a face: what it names exists, others import nothing else of it, and it is quick."""

import ast
import importlib
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ROOM = ROOT / "training"
FOLDERS = sorted(path.parent.name for path in ROOM.glob("*/__init__.py"))
ROOMS = ("training", "serving", "dagster_project", "benchmarks")
HEAVY = ("torch", "pytorch_lightning", "optuna", "mlflow", "lightgbm", "matplotlib")
LIGHT = ("training.experiments", "training.models", "training.data", "training.judge", "training.tracking")


def public(folder: str) -> list[str]:
    return list(importlib.import_module(f"training.{folder}").__all__)


def foreign_imports() -> list[str]:
    """Imports of a folder of this room by a file outside it, that are not of its face."""
    found = []
    for path in [file for room in ROOMS for file in sorted((ROOT / room).rglob("*.py"))]:
        own = path.relative_to(ROOM).parts[0] if path.is_relative_to(ROOM) else None
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            modules = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            modules += [node.module] if isinstance(node, ast.ImportFrom) and node.module else []
            for module in modules:
                room, folder, *rest = [*module.split("."), "", ""][:3]
                if room != "training" or folder in {"", own} or folder not in FOLDERS:
                    continue
                names = [alias.name for alias in node.names] if isinstance(node, ast.ImportFrom) else []
                private = [name for name in names if name not in public(folder)]
                if rest != [""] or private:
                    found.append(f"{path.relative_to(ROOT)}: {module} {private}")
    return found


@pytest.mark.parametrize("folder", FOLDERS)
def test_a_face_names_what_exists_and_its_docstring_says_it(folder: str) -> None:
    face = importlib.import_module(f"training.{folder}")
    assert len(set(face.__all__)) == len(face.__all__)
    for name in face.__all__:
        assert hasattr(face, name) or importlib.import_module(f"training.{folder}.{name}")
        assert f"`{name}`" in (face.__doc__ or ""), f"training/{folder}/__init__.py does not tell of {name}"


def test_others_import_the_face_only() -> None:
    assert foreign_imports() == []


def test_a_face_is_imported_without_anything_heavy() -> None:
    code = (
        "import sys\n"
        f"for face in {LIGHT}: __import__(face)\n"
        "import training.stages\n"
        f"print([name for name in {HEAVY} if name in sys.modules])"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert said.stdout.strip() == "[]"
