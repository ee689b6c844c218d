"""Pages of the programming interface, one per folder: what its face names, with the docstrings of the code."""

import ast
import importlib
import inspect
from functools import cache
from itertools import zip_longest
from pathlib import Path
from types import ModuleType

ROOT = Path(__file__).parents[2]
ROOMS = ("lake", "feature_repo", "training", "serving", "dagster_project")
"""Packages of the platform, in the order in which data flows through them."""
PROGRAMS = {"cli", "definitions", "document", "service"}
"""Modules of a room that are started and not imported."""
NO_INDEX = "   :no-index:\n"
"""Option of an entry whose name has another one in the index."""


def api_pages() -> dict[str, str]:
    """Return every page of the interface by its name, as Markdown: one per room, and one per folder with a face."""
    return {name: _page(name) for room in ROOMS for name in (room, *folders(room))}


def folders(room: str) -> list[str]:
    """Names of the folders below a room that have a face: an ``__init__`` with ``__all__``."""
    inits = sorted((ROOT / room).rglob("__init__.py"))
    names = [".".join(init.parent.relative_to(ROOT).parts) for init in inits]
    return [name for name in names if name != room and public_names(name)]


def public_names(name: str) -> list[str]:
    """What a face names; of a room its modules that are no programs."""
    if name in ROOMS:
        modules = sorted((ROOT / name).glob("[!_]*.py"))
        return [module.stem for module in modules if module.stem not in PROGRAMS]
    return list(getattr(importlib.import_module(name), "__all__", []))


def _page(name: str) -> str:
    about = inspect.getdoc(importlib.import_module(name)) or ""
    entries = "\n".join(_entry(name, public) for public in public_names(name))
    below = folders(name) if name in ROOMS else []
    contents = "\n".join(["```{toctree}", ":maxdepth: 1", "", *below, "```", ""]) if below else ""
    return f"# {name}\n\n{about}\n\n{contents}\n```{{eval-rst}}\n{entries}\n```\n"


def _entry(face: str, public: str, options: str = "") -> str:
    """One name as Sphinx's directive; what a face names of a module is indexed under the name of the face only."""
    found, name = _value(face, public), f"{face}.{public}"
    if isinstance(found, ModuleType) and public_names(name):
        return f"The folder ``{name}`` has a page of its own.\n"
    if isinstance(found, ModuleType):
        inside = "" if face in ROOMS else NO_INDEX
        return "\n".join([f".. automodule:: {name}\n", *(_entry(name, each, inside) for each in _defined(found))])
    if inspect.isclass(found):
        indexed = options or ("" if _owner(found) == face else NO_INDEX)
        return f".. autoclass:: {name}\n{indexed}   :members:\n"
    if inspect.isroutine(found):
        return f".. autofunction:: {name}\n{options}"
    return f".. py:data:: {name}\n{options}\n   {' '.join(meaning(face, public).split())}\n"


def _owner(found: type) -> str:
    """The innermost folder of a class whose face names it, or else its module."""
    parts = found.__module__.split(".")
    inner = [".".join(parts[:length]) for length in range(len(parts) - 1, 0, -1)]
    return next((face for face in inner if found.__name__ in public_names(face)), found.__module__)


def _value(face: str, public: str) -> object:
    """The value of a public name; a module that its face does not load is imported."""
    module = importlib.import_module(face)
    return getattr(module, public) if hasattr(module, public) else importlib.import_module(f"{face}.{public}")


def _defined(module: ModuleType) -> list[str]:
    """Public names that a module itself defines, in its order; of constants those with a text."""
    names = [name for statement in _body(module.__name__) for name in _names(statement)]
    return [name for name in dict.fromkeys(names) if name[0] != "_" and meaning(module.__name__, name)]


def meaning(module: str, name: str) -> str:
    """Return the docstring of a definition, or the text below an assignment, wherever faces have the name from."""
    body = _body(module)
    for statement, after in zip_longest(body, body[1:]):
        if isinstance(statement, ast.ImportFrom) and statement.module:
            for alias in statement.names:
                if (alias.asname or alias.name) == name:
                    return meaning(statement.module, alias.name)
        if name not in _names(statement):
            continue
        if isinstance(statement, ast.FunctionDef | ast.ClassDef):
            return ast.get_docstring(statement) or ""
        if isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant):
            return str(after.value.value)
    return ""


@cache
def _body(module: str) -> list[ast.stmt]:
    """Statements of a module of the platform; none of another's."""
    place = ROOT.joinpath(*module.split("."))
    file = place / "__init__.py" if place.is_dir() else place.with_suffix(".py")
    return ast.parse(file.read_text(encoding="utf-8")).body if file.is_file() else []


def _names(statement: ast.stmt) -> set[str]:
    """Names that a statement defines."""
    if isinstance(statement, ast.FunctionDef | ast.ClassDef):
        return {statement.name}
    targets = statement.targets if isinstance(statement, ast.Assign) else [getattr(statement, "target", ast.Pass())]
    return {node.id for target in targets for node in ast.walk(target) if isinstance(node, ast.Name)}
