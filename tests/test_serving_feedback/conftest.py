"""A small market with features, labels and regimes, and engines that really compute, without a trained model."""

import hashlib
import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest

from feature_repo.materialize import update_labels, update_regimes, update_technical
from feature_repo.targets import FORECAST_V2, HORIZONS, QUANTILES
from lake.calendars import session_closes
from lake.clock import DEMO_START, FixedClock
from lake.sources import tiny_market
from lake.store import Lake
from lake.tables import BARS
from lake.universe import MARKET
from serving.engines.signature import Signature

SYMBOLS = ("AAA", "BBB", "CCC", "DDD")
LIVED = 30
"""Sessions the tests live through."""


@dataclass(frozen=True)
class RuleEngine:
    """An engine that computes its forecast from the window by a rule: drift x horizon around a band of volatility."""

    name: str
    slope: float
    train_until: datetime
    version: str = "1"
    device: str = "numpy"
    asked: list[int] = field(default_factory=list)

    @property
    def bundle(self) -> None:
        return None

    @property
    def digest(self) -> str:
        return hashlib.sha256(json.dumps([self.name, self.slope, self.version]).encode()).hexdigest()

    @property
    def signature(self) -> Signature:
        return Signature(
            name=self.name,
            window_spec=FORECAST_V2.name,
            features=FORECAST_V2.features,
            sessions=FORECAST_V2.sessions,
            horizons=HORIZONS,
            quantiles=QUANTILES,
            scaler="none",
            table_versions={},
            code_version="0",
            digest=self.digest,
            train_until=self.train_until,
        )

    def predict(self, x: np.ndarray) -> np.ndarray:
        self.asked.append(len(x))
        volatility = x[:, -1, FORECAST_V2.scale_indices[0]] / np.sqrt(252)  # [batch]
        drift = self.slope * x[:, -5:, FORECAST_V2.features.index("return_1d")].mean(axis=1)
        horizons = np.array(HORIZONS, dtype=np.float32)
        middle = drift[:, None] * horizons  # [batch, horizon]
        band = 1.2816 * volatility[:, None] * np.sqrt(horizons)
        return np.stack([middle - band, middle, middle + band], axis=-1).astype(np.float32)


@pytest.fixture(scope="session")
def closes() -> list[datetime]:
    """Closes of the small market, the last one its now."""
    return session_closes(datetime(2010, 1, 1, tzinfo=DEMO_START.tzinfo), DEMO_START)[-700:]


@pytest.fixture(scope="session")
def engines(closes: list[datetime]) -> dict[str, RuleEngine]:
    """Two models whose knowledge ends before the sessions that are lived through."""
    until = closes[-LIVED - 1]
    return {"naive": RuleEngine("naive", 0.0, until), "ridge": RuleEngine("ridge", 0.5, until)}


@pytest.fixture(scope="session")
def made_market(made_once: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> Lake:
    """Return the small market; to read only."""

    def make(folder: Path) -> None:
        lake, clock = Lake(folder), FixedClock(DEMO_START)
        lake.merge(BARS, tiny_market([*SYMBOLS, MARKET], sessions=700, seed=5))
        for update in (update_technical, update_labels, update_regimes):
            update(lake, clock)

    return Lake(Path(shutil.copytree(made_once("feedback", make), tmp_path_factory.mktemp("feedback") / "tables")))


@pytest.fixture
def market(made_market: Lake, tmp_path: Path, copy_lake: Callable[[Lake, Path], Lake]) -> Lake:
    """Return a copy of the small market that a test may write to."""
    return copy_lake(made_market, tmp_path / "market" / "tables")


@pytest.fixture(scope="session")
def copy_lake() -> Callable[[Lake, Path], Lake]:
    """Return a function that copies a lake to a folder."""
    return lambda source, target: Lake(Path(shutil.copytree(source.root, target)))
