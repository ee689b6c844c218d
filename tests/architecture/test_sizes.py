"""Files, functions and asset bodies stay small enough to be read in one go."""

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
ROOMS = ("lake", "feature_repo", "training", "serving", "dagster_project")
FILES = sorted(path for room in (*ROOMS, "tests", "benchmarks") for path in (ROOT / room).rglob("*.py"))
LONGEST_FILE, LONGEST_FUNCTION, LONGEST_ASSET = 400, 60, 15

Function = ast.FunctionDef | ast.AsyncFunctionDef


def functions(source: str) -> Iterator[Function]:
    return (node for node in ast.walk(ast.parse(source)) if isinstance(node, Function))


def length(function: Function) -> int:
    """Count the lines from `def` to the end; the docstring is the contract and is not counted."""
    assert function.end_lineno is not None
    return function.end_lineno - function.lineno + 1 - docstring_length(function)


def body_length(function: Function) -> int:
    """Count the lines of the body alone, without signature and docstring."""
    first = function.body[1] if docstring_length(function) and len(function.body) > 1 else function.body[0]
    assert function.end_lineno is not None
    return function.end_lineno - first.lineno + 1


def docstring_length(function: Function) -> int:
    first = function.body[0]
    is_text = (
        isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant) and isinstance(first.value.value, str)
    )
    return first.end_lineno - first.lineno + 1 if is_text and first.end_lineno else 0


def is_asset(function: Function) -> bool:
    names = {ast.unparse(d.func if isinstance(d, ast.Call) else d).split(".")[-1] for d in function.decorator_list}
    return bool(names & {"asset", "multi_asset", "asset_check", "multi_asset_check"})


def too_long(source: str) -> list[str]:
    """Name the line and the length of a file, and of each function in it, that is longer than its kind may be."""
    lines = len(source.splitlines())
    found = [f"1: the file has {lines} lines, {LONGEST_FILE} at most"] if lines > LONGEST_FILE else []
    for function in functions(source):
        at, name = function.lineno, function.name
        if length(function) > LONGEST_FUNCTION:
            found.append(f"{at}: {name} has {length(function)} lines, {LONGEST_FUNCTION} at most")
        if is_asset(function) and body_length(function) > LONGEST_ASSET:
            found.append(f"{at}: asset {name} has a body of {body_length(function)} lines, {LONGEST_ASSET} at most")
    return found


def test_the_search_finds_every_room() -> None:
    assert {path.relative_to(ROOT).parts[0] for path in FILES} >= {"lake", "tests"}


def test_files_and_functions_are_small() -> None:
    offenders = [f"{path.relative_to(ROOT)}:{what}" for path in FILES for what in too_long(path.read_text("utf-8"))]
    assert offenders == []


def test_a_long_file_is_caught() -> None:
    assert too_long("x = 1\n" * (LONGEST_FILE + 1)) == ["1: the file has 401 lines, 400 at most"]
    assert too_long("x = 1\n" * LONGEST_FILE) == []


def test_a_long_function_is_caught() -> None:
    lines = "\n".join(f"    x = {n}" for n in range(LONGEST_FUNCTION))
    assert too_long(f"def short():\n    pass\n\ndef long():\n{lines}\n") == ["4: long has 61 lines, 60 at most"]


def test_a_long_asset_is_caught() -> None:
    lines = "\n".join(f"    x = {n}" for n in range(LONGEST_ASSET + 1))
    source = f'@dg.asset(key="bars")\ndef bars(lake):\n    """Say what."""\n{lines}\n'
    assert too_long(source) == ["2: asset bars has a body of 16 lines, 15 at most"]
    assert too_long(source.replace("@dg.asset", "@plain")) == []
