"""The environment is read in one file, and no file knows the machine it was written on."""

import ast
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ROOMS = ("lake", "feature_repo", "training", "serving", "dagster_project")
PRODUCT = sorted(path for room in ROOMS for path in (ROOT / room).rglob("*.py"))
# Home folders, mounted work folders, scratch folders, Windows drives: what only one machine has.
MACHINE_PATH = re.compile(r"(?<![\w.:/])/(?:home|work|Users|root|mnt|tmp|opt|srv)/[\w.-]+|\b[A-Z]:\\\\?\w+")
TEXT = {".py", ".toml", ".yaml", ".yml", ".md", ".txt", ".cfg", ".ini", ".ipynb", ".sh", ""}


def environment_reads(source: str) -> list[str]:
    """Give line and text of each place that reads a variable; writing one for a tool is no configuration.

    A whole `os.environ` handed on (`{**os.environ, "X": "1"}`, `os.environ | {...}`) is a child's environment.
    """
    found = []
    for node in ast.walk(ast.parse(source)):
        text = ast.unparse(node) if isinstance(node, ast.Call | ast.Subscript | ast.Compare) else ""
        is_call = isinstance(node, ast.Call) and re.match(r"(os\.)?(environ\.(get|pop|setdefault)|getenv)\(", text)
        is_item = (
            isinstance(node, ast.Subscript) and isinstance(node.ctx, ast.Load) and re.match(r"(os\.)?environ\[", text)
        )
        is_test = isinstance(node, ast.Compare) and re.search(r" in (os\.)?environ$", text)
        is_write = is_call and re.match(r"(os\.)?environ\.(setdefault|pop)\(", text)
        if (is_call and not is_write) or is_item or is_test:
            found.append(f"{node.lineno}: {text}")
    return found


def tracked_text() -> list[Path]:
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split(
        "\n"
    )
    return [ROOT / name for name in listed if name and Path(name).suffix in TEXT and (ROOT / name).is_file()]


def test_only_settings_reads_the_environment() -> None:
    offenders = [
        f"{path.relative_to(ROOT)}:{read}" for path in PRODUCT for read in environment_reads(path.read_text("utf-8"))
    ]
    assert offenders == []


@pytest.mark.parametrize(
    "line",
    [
        "os.environ['X']",
        "os.environ.get('X')",
        "os.getenv('X', '')",
        "from os import environ\nenviron['X']",
        "'X' in os.environ",
    ],
)
def test_a_read_is_caught(line: str) -> None:
    assert environment_reads(line) != []


@pytest.mark.parametrize(
    "line", ["os.environ['X'] = '1'", "os.environ.setdefault('X', '1')", "run(env={**os.environ, 'X': '1'})"]
)
def test_setting_a_variable_for_a_tool_is_no_read(line: str) -> None:
    assert environment_reads(line) == []


def test_only_one_class_is_filled_from_the_environment() -> None:
    readers = [path.relative_to(ROOT).as_posix() for path in PRODUCT if "pydantic_settings" in path.read_text("utf-8")]
    assert readers == ["lake/settings.py"]


def test_no_file_names_a_path_of_one_machine() -> None:
    found = [
        f"{path.relative_to(ROOT)}: {match}"
        for path in tracked_text()
        if path.name != Path(__file__).name
        for match in MACHINE_PATH.findall(path.read_text(encoding="utf-8"))
    ]
    assert found == []


@pytest.mark.parametrize("text", ["/home/ann/lake", 'root = "/mnt/disk1"', r"C:\\data"])
def test_a_machine_path_is_caught(text: str) -> None:
    assert MACHINE_PATH.findall(text) != []


@pytest.mark.parametrize(
    "text", ["http://127.0.0.1:3000/home/x", "make PYTHON=/path/to/python3.11", "~/lake", "a/tmp/b"]
)
def test_an_address_is_no_machine_path(text: str) -> None:
    assert MACHINE_PATH.findall(text) == []
