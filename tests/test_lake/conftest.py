"""A small home with every kind of file, for the tests of backups."""

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from lake.care import pin
from lake.care.backup.contents import LEFT_OUT
from lake.sources import tiny_market
from lake.store import Lake
from lake.tables import BARS

PRIVATE = 0o600


@pytest.fixture(scope="session")
def small_home_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with every kind of file."""
    home = tmp_path_factory.mktemp("template") / "home"
    lake, market = Lake(home / "tables"), tiny_market(["AAPL", "IBM"], sessions=40, seed=5)
    for part in range(4):
        lake.merge(BARS, market.slice(part * 20, 20))
    pin(lake, "model:1", {"bars": 2})
    written = {
        "clock.json": "{}",
        "access/keys.json": "[]",
        "models/serving.json": "{}",
        "models/lstm/1/model.onnx": "weights",
        "training/champions.json": "{}",
        "mlflow/artifacts/run/said.txt": "said",
        "reports/drift-2012-12-31.html": "page",
        "tables/.audit_head.json": "{}",
        "tables/bars/.damaged/20260101T000000/lost.parquet": "rows that a repair took away",
        "a folder of a later release/state.json": "{}",
        **{f"{name}/file" if "." not in name else name: "left out" for name in LEFT_OUT},
        "some.lock": "",
        "feast/registry.123.new": "half",
    }
    for name, text in written.items():
        (home / name).parent.mkdir(parents=True, exist_ok=True)
        (home / name).write_text(text)
    (home / "access" / "keys.json").chmod(PRIVATE)
    for name in ("forecast_log.sqlite", "mlflow/mlflow.db", "dagster/history/runs.db"):
        (home / name).parent.mkdir(parents=True, exist_ok=True)
        with closing(sqlite3.connect(home / name)) as database, database:
            database.execute("PRAGMA journal_mode = WAL")
            database.execute("CREATE TABLE facts (number INTEGER)")
            database.executemany("INSERT INTO facts VALUES (?)", [(number,) for number in range(500)])
    return home


@pytest.fixture
def small_home(small_home_template: Path, tmp_path: Path) -> Path:
    """A copy of it, to be spoilt."""
    return Path(shutil.copytree(small_home_template, tmp_path / "home"))
