"""Each folder of the room has a face: what it names exists, its docstring tells of it, and it is quick."""

import importlib
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ROOM = ROOT / "training"
FOLDERS = sorted(path.parent.name for path in ROOM.glob("*/__init__.py"))
HEAVY = ("torch", "pytorch_lightning", "optuna", "mlflow", "lightgbm", "matplotlib")
LIGHT = ("training.experiments", "training.models", "training.data", "training.judge", "training.tracking")


@pytest.mark.parametrize("folder", FOLDERS)
def test_a_face_names_what_exists_and_its_docstring_says_it(folder: str) -> None:
    face = importlib.import_module(f"training.{folder}")
    assert len(set(face.__all__)) == len(face.__all__)
    for name in face.__all__:
        assert hasattr(face, name) or importlib.import_module(f"training.{folder}.{name}")
        assert f"`{name}`" in (face.__doc__ or ""), f"training/{folder}/__init__.py does not tell of {name}"


def test_a_face_is_imported_without_anything_heavy() -> None:
    code = (
        "import sys\n"
        f"for face in {LIGHT}: __import__(face)\n"
        "import training.stages\n"
        f"print([name for name in {HEAVY} if name in sys.modules])"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert said.stdout.strip() == "[]"
