"""One function makes a row of the table `forecasts`, and one blends and calibrates; a second one is named here."""

import ast
from functools import cache
from pathlib import Path

import pytest

from lake.tables import FORECASTS

ROOT = Path(__file__).parents[2]
ROOMS = ("lake", "feature_repo", "training", "serving", "dagster_project")
MAKING = "serving/predict/making.py"
TELLING = {"p10", "p90", "model_digest", "feature_hash", "feature_table_versions", "latency_ms", "made_at", "degraded"}
"""Columns that no other table has together."""
ENOUGH = 4
CALLERS = {
    "forecast_row": {
        "serving/predict/response_template.py",
        "serving/backfill/walk_forward.py",
        "serving/replay/recompute.py",
    },
    "make_forecasts": {
        "serving/predict/forecasting.py",
        "serving/backfill/walk_forward.py",
        "serving/replay/recompute.py",
        "serving/explain/remaking.py",
        "serving/importance/subjects.py",
    },
    "blend": {MAKING},
    "calibrate": {MAKING},
}
"""Who may call what; the endpoint and the schedule come through the first, the scoring through the second."""


@cache
def sources() -> list[tuple[str, ast.Module]]:
    """Every file of the product, parsed once for all rules."""
    files = (path for room in ROOMS for path in sorted((ROOT / room).rglob("*.py")))
    return [(str(path.relative_to(ROOT)), ast.parse(path.read_text())) for path in files]


def named_columns(function: ast.AST) -> set[str]:
    """Columns that a function gives values to: keys of a dict, keywords, and names of series and expressions."""
    found: set[str] = set()
    for node in ast.walk(function):
        if isinstance(node, ast.Dict):
            found |= {key.value for key in node.keys if isinstance(key, ast.Constant) and isinstance(key.value, str)}
        elif isinstance(node, ast.Call):
            called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            if called in {"dict", "with_columns", "select"}:
                found |= {keyword.arg for keyword in node.keywords if keyword.arg}
            if called in {"alias", "Series"} and node.args and isinstance(node.args[0], ast.Constant):
                found.add(str(node.args[0].value))
    return found & set(FORECASTS.names)


def makers(tree: ast.Module) -> list[str]:
    functions = (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))
    return [function.name for function in functions if len(named_columns(function) & TELLING) >= ENOUGH]


def calls(tree: ast.Module, name: str) -> bool:
    """Whether a module calls a function by its name."""
    return any(isinstance(node, ast.Call) and getattr(node.func, "id", "") == name for node in ast.walk(tree))


def test_one_function_makes_a_forecast_row() -> None:
    found = [f"{path}: {name}" for path, tree in sources() for name in makers(tree)]
    assert found == [f"{MAKING}: forecast_row"], (
        f"`forecast_row` in {MAKING} alone makes a row of `forecasts`; call it instead of naming the columns again."
    )


@pytest.mark.parametrize("name", CALLERS)
def test_forecasts_come_by_one_path(name: str) -> None:
    assert {path for path, tree in sources() if calls(tree, name)} == CALLERS[name]


@pytest.mark.parametrize(
    "crime",
    [
        'def f(x): return {"made_at": 1, "p10": 2, "model_digest": 3, "degraded": x, "symbol": "A"}',
        "def f(x): return x.with_columns(made_at=1, p10=2, model_digest=3, latency_ms=4)",
        'def f(x): return x.with_columns(pl.lit(1).alias("p10"), lit.alias("p90"), pl.Series("made_at"), degraded=1)',
    ],
)
def test_a_second_maker_would_be_seen(crime: str) -> None:
    assert makers(ast.parse(crime)) == ["f"]
