"""Fixtures of this room: the real market's bars and features, and small markets."""

from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

from feature_repo.engines.panel import compute_technical
from lake.clock import DEMO_START
from lake.sources import tiny_market
from lake.store import Lake
from lake.tables import BARS
from lake.universe import MARKET


@pytest.fixture(scope="session")
def real_bars(packaged_lake: Lake) -> pl.DataFrame:
    return packaged_lake.read_as_of(BARS, DEMO_START)


@pytest.fixture(scope="session")
def real_features(real_bars: pl.DataFrame) -> pl.DataFrame:
    return compute_technical(real_bars)


@pytest.fixture
def small_market() -> Callable[..., pl.DataFrame]:
    """Return a maker of bars for two symbols and the index."""

    def make(sessions: int = 320, seed: int = 7, symbols: tuple[str, ...] = ("AAA", "BBB")) -> pl.DataFrame:
        return tiny_market([*symbols, MARKET], sessions, seed)

    return make


@pytest.fixture
def make_lake(tmp_path: Path) -> Callable[[pl.DataFrame], Lake]:
    """Return a maker of lakes that hold given bars."""

    def make(bars: pl.DataFrame) -> Lake:
        lake = Lake(tmp_path / "made")
        lake.merge(BARS, bars)
        return lake

    return make
