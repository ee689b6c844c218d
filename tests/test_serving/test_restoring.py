"""Damaged files of models, and a damaged note of what is in service, come back from the registry."""

from collections.abc import Callable
from pathlib import Path

import pytest

from dagster_project.checks.health import examine
from lake.errors import ModelError
from serving.deployment import DeploymentContext, read_deployment, serving_file
from serving.deployment.registry import Registry
from serving.deployment.restoring import restore
from support.receipts import Home


@pytest.fixture
def mine(copy_home: Callable[..., Home], tmp_path: Path) -> Home:
    return copy_home(tmp_path / "home")


def context(home: Home) -> DeploymentContext:
    return DeploymentContext(lake=home.lake, configured=home.settings, clock=home.clock, who="test")


def findings(home: Home, *, is_deep: bool = False) -> list[tuple[str, Path, str]]:
    return [
        (one.kind, one.path, one.remedy)
        for done in examine(home.settings, is_deep=is_deep)
        for one in done.findings
        if done.name == "models"
    ]


def flip(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)


def test_a_flipped_bit_of_a_model_file_is_named_and_restored(mine: Home) -> None:
    before = read_deployment(mine.settings)
    folder = mine.settings.models / "ridge" / before.versions["ridge"]
    good = (folder / "model.onnx").read_bytes()
    assert findings(mine, is_deep=True) == []
    flip(folder / "model.onnx")
    assert findings(mine) == [("damaged model", folder, "quantlake models restore")]
    (said,) = restore(context(mine))
    assert "Version 1 of ridge was fetched from the registry again" in said
    assert (folder / "model.onnx").read_bytes() == good
    assert (findings(mine), read_deployment(mine.settings)) == ([], before)
    assert restore(context(mine)) == []


def test_a_deployment_that_cannot_be_read_is_written_anew_from_the_registry(mine: Home) -> None:
    path, before = serving_file(mine.settings), read_deployment(mine.settings)
    path.write_bytes(path.read_bytes()[:-20])
    assert findings(mine) == [("damaged deployment", path, "quantlake models restore")]
    restore(context(mine))
    assert findings(mine) == []
    assert read_deployment(mine.settings).champions == before.champions


def test_a_version_that_is_damaged_in_the_registry_as_well_is_left_and_said(mine: Home) -> None:
    folder = mine.settings.models / "ridge" / "1"
    with Registry(mine.settings).files("ridge", "1") as copy:
        damaged = bytearray((copy / "model.onnx").read_bytes())
        good = bytes(damaged)
        damaged[100] ^= 1
        (copy / "model.onnx").write_bytes(damaged)
        try:
            flip(folder / "model.onnx")
            with pytest.raises(ModelError):
                restore(context(mine))
        finally:
            (copy / "model.onnx").write_bytes(good)
    assert folder.is_dir()
    restore(context(mine))
    assert findings(mine) == []
