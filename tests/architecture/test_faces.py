"""Walls inside the rooms: folders are entered by their faces, import each other one way, and each class has one name.

A folder's face is its `__init__`: what `__all__` names is public. A name in `__all__` that is a submodule is a public
module which the face does not load itself, because it needs a heavy library.
"""

import ast
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
ROOMS = ("lake", "feature_repo", "training", "serving", "dagster_project")
IMPORTERS = (*ROOMS, "benchmarks")


@dataclass(frozen=True)
class Import:
    """One imported name: where it stands, the module that is named, and the name."""

    file: Path
    line: int
    module: str
    name: str


def is_folder(root: Path, module: str) -> bool:
    return module.count(".") == 1 and (root / module.replace(".", "/") / "__init__.py").exists()


def is_module(root: Path, module: str) -> bool:
    path = root / module.replace(".", "/")
    return path.with_suffix(".py").exists() or (path / "__init__.py").exists()


def own_imports(root: Path) -> Iterator[Import]:
    for file in sorted(path for room in IMPORTERS for path in (root / room).rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and node.level == 0 and (node.module or "").split(".")[0] in ROOMS:
                yield from (Import(file.relative_to(root), node.lineno, node.module, each.name) for each in node.names)
            elif isinstance(node, ast.Import):
                yield from (
                    Import(file.relative_to(root), node.lineno, each.name, "")
                    for each in node.names
                    if each.name.split(".")[0] in ROOMS
                )


def folder_of(root: Path, imported: Import) -> str | None:
    """Return the folder that a name comes from, None for the top modules of a room."""
    for full in (imported.module, f"{imported.module}.{imported.name}"):
        folder = ".".join(full.split(".")[:2])
        if is_folder(root, folder):
            return folder
    return None


def public_names(root: Path, folder: str) -> set[str]:
    face = ast.parse((root / folder.replace(".", "/") / "__init__.py").read_text(encoding="utf-8"))
    for node in face.body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
            return set(ast.literal_eval(node.value))
    return set()


def behind_the_face(root: Path) -> list[str]:
    """Name each import that reaches past a folder's face from outside the folder."""
    found = []
    for imported in own_imports(root):
        folder = folder_of(root, imported)
        own = ".".join(imported.file.with_suffix("").parts[:2])
        if folder is None or folder == own:
            continue
        full = f"{imported.module}.{imported.name}".strip(".")
        if full == folder:
            continue
        name, *deeper = full.removeprefix(f"{folder}.").split(".")
        if name not in public_names(root, folder) or (deeper and not is_module(root, f"{folder}.{name}")):
            found.append(f"{imported.file}:{imported.line}: {full} is private to {folder}")
    return found


def test_other_folders_import_a_folders_face_only() -> None:
    found = behind_the_face(ROOT)
    assert not found, "\n".join(found)


def test_an_import_behind_a_face_is_caught(tmp_path: Path) -> None:
    for room in ROOMS:
        (tmp_path / room).mkdir()
    (tmp_path / "lake" / "store").mkdir()
    (tmp_path / "lake" / "store" / "__init__.py").write_text(
        'from lake.store.delta import Lake\n__all__ = ["Lake", "heavy"]\n'
    )
    (tmp_path / "lake" / "store" / "delta.py").write_text("class Lake: ...\n")
    (tmp_path / "lake" / "store" / "heavy.py").write_text("def compute(): ...\n")
    lawful = (
        "from lake.store import Lake\nfrom lake import store\nfrom lake.store import heavy\n"
        "from lake.store.heavy import compute\nimport lake.store\n"
    )  # fmt: skip
    (tmp_path / "lake" / "ingest.py").write_text(lawful)
    assert behind_the_face(tmp_path) == []
    for crime in ("from lake.store.delta import Lake", "from lake.store import delta", "import lake.store.delta"):
        (tmp_path / "lake" / "ingest.py").write_text(f"{lawful}{crime}\n")
        assert len(behind_the_face(tmp_path)) == 1, crime


def test_every_public_name_of_a_face_is_there() -> None:
    missing = []
    for room in ROOMS:
        for face in sorted((ROOT / room).glob("*/__init__.py")):
            folder = f"{room}.{face.parent.name}"
            tree = ast.parse(face.read_text(encoding="utf-8"))
            bound = {
                name.asname or name.name
                for node in tree.body
                if isinstance(node, ast.ImportFrom)
                for name in node.names
            }
            bound |= {node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.ClassDef)}
            bound |= {
                target.id
                for node in tree.body
                if isinstance(node, ast.Assign | ast.AnnAssign)
                for target in (node.targets if isinstance(node, ast.Assign) else [node.target])
                if isinstance(target, ast.Name)
            }
            missing += [
                f"{folder} names {name}, which is neither imported nor a submodule"
                for name in sorted(public_names(ROOT, folder) - bound)
                if not is_module(ROOT, f"{folder}.{name}")
            ]
    assert not missing, "\n".join(missing)


def classes(root: Path) -> dict[str, list[str]]:
    """Return where each public class of the product is defined."""
    found = defaultdict(list)
    for file in sorted(path for room in ROOMS for path in (root / room).rglob("*.py")):
        for node in ast.parse(file.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                found[node.name].append(f"{file.relative_to(root)}:{node.lineno}")
    return found


def test_each_class_name_is_used_once() -> None:
    twice = {name: places for name, places in classes(ROOT).items() if len(places) > 1}
    assert not twice, "\n".join(f"{name}: {', '.join(places)}" for name, places in sorted(twice.items()))


def test_a_class_name_used_twice_is_caught(tmp_path: Path) -> None:
    for room in ("lake", "serving"):
        (tmp_path / room).mkdir()
        (tmp_path / room / "rows.py").write_text("class Row: ...\n")
    assert classes(tmp_path) == {"Row": ["lake/rows.py:1", "serving/rows.py:1"]}
