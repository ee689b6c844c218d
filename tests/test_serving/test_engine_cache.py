"""The engines that forecasts are made again by."""

import shutil
from collections.abc import Mapping
from pathlib import Path

from lake.settings import Settings
from serving.engines import Bundle, OnnxEngine
from serving.receipts import EngineSettings, ModelUse
from serving.replay.engine_cache import EngineCache

ENGINE = EngineSettings(device="cpu", provider="CPUExecutionProvider", threads=1)


def test_versions_of_one_file_are_told_apart(exports: Mapping[str, Bundle], tmp_path: Path) -> None:
    """A model that was trained again to the same bits has the digest of the version before."""
    settings, bundle = Settings(home=tmp_path), exports["ridge"]
    for version in ("1", "3"):
        shutil.copytree(bundle.folder, settings.models / "ridge" / version)
    engines = EngineCache(settings)
    uses = [
        ModelUse(name="ridge", version=version, digest=bundle.digest, weight=1.0, engine=ENGINE) for version in "131"
    ]
    taken = [engines.take(use) for use in uses]
    assert [engine.version for engine in taken if isinstance(engine, OnnxEngine)] == ["1", "3", "1"]
    assert taken[0] is taken[2], "each is loaded once"
