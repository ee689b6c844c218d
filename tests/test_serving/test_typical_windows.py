"""Typical windows of a training: real windows of each regime, the same for the same training, and checked when read."""

from datetime import UTC, datetime
from typing import Any

import numpy as np
import polars as pl
import pytest

from feature_repo.catalog import FEATURES_TECHNICAL
from feature_repo.targets import FORECAST_V2, build_windows, to_model_input
from lake.clock import DEMO_START
from lake.errors import ModelError
from lake.store import Lake
from lake.tables import REGIMES
from serving.engines import TYPICAL_WINDOWS, Background, choose_background
from serving.engines.background import ANY_REGIME
from serving.engines.typical_windows import medoids


@pytest.fixture(scope="module")
def windows(featured_lake: Lake) -> Any:
    return build_windows(featured_lake.read_as_of(FEATURES_TECHNICAL, DEMO_START), FORECAST_V2)


@pytest.fixture(scope="module")
def regimes(featured_lake: Lake) -> pl.DataFrame:
    return featured_lake.read_as_of(REGIMES, DEMO_START).select("event_time", "regime")


def test_typical_windows_are_windows_of_the_market_in_their_regime(
    background: Background, windows: Any, regimes: pl.DataFrame
) -> None:
    places = {key: place for place, key in enumerate(windows.keys.iter_rows())}
    named = dict(regimes.iter_rows())
    assert set(background.typical) == {ANY_REGIME, *regimes["regime"].unique()}
    for regime, typical in background.typical.items():
        held = background.windows_of(regime)
        assert len(typical) == TYPICAL_WINDOWS
        for window, values in zip(typical, held, strict=True):
            stored = windows.values[places[window.symbol, window.as_of]]
            assert np.array_equal(values, stored, equal_nan=True), "to the last bit"
            assert regime in {ANY_REGIME, named[window.as_of]}


def test_the_same_training_has_the_same_background(background: Background, windows: Any, regimes: pl.DataFrame) -> None:
    again = choose_background(to_model_input(windows.values), windows.keys, regimes, FORECAST_V2.features)
    assert again.digest == background.digest
    assert Background.from_bytes(background.to_bytes(), "ridge") == background


def test_percentiles_are_shares_of_the_training_windows(background: Background, windows: Any) -> None:
    last = windows.values[:, -1, FORECAST_V2.features.index("rsi_14")]
    last = last[~np.isnan(last)]
    for value in np.quantile(last, [0.02, 0.3, 0.77, 0.999]).tolist():
        assert background.percentile_of("rsi_14", value) == pytest.approx(100 * (last <= value).mean(), abs=0.6)
    low, high = background.range_of("rsi_14")
    assert 0.97 <= ((last >= low) & (last <= high)).mean() <= 0.99
    assert background.percentile_of("sma_50_200_cross", 1.0) == 100, "a flag that is at its largest value"


def test_a_regime_that_the_training_hardly_knew_takes_the_windows_of_all(windows: Any, regimes: pl.DataFrame) -> None:
    x = to_model_input(windows.values[:200])
    keys = windows.keys.head(200)
    rare = regimes.with_columns(
        pl.when(pl.col("event_time").is_in(keys["event_time"].head(TYPICAL_WINDOWS - 1).implode()))
        .then(pl.lit("rare"))
        .otherwise(pl.lit("usual"))
        .alias("regime")
    )
    found = choose_background(x, keys, rare, FORECAST_V2.features)
    assert set(found.typical) == {ANY_REGIME, "usual"}
    assert found.regime_of("rare") == ANY_REGIME
    assert np.array_equal(found.windows_of("rare"), found.windows_of(ANY_REGIME), equal_nan=True)


def test_medoids_are_nearest_to_all_others_together() -> None:
    random = np.random.default_rng(0)
    centres = np.array([[0.0, 0.0], [10.0, 0.0], [0.0, 10.0], [10.0, 10.0]])
    points = np.concatenate([centre + random.normal(size=(30, 2)) for centre in centres])
    chosen = medoids(points, 4)
    assert sorted(chosen // 30) == [0, 1, 2, 3], "one of each group"
    distances = np.linalg.norm(points[:, None] - points[None], axis=2)
    cost = distances[:, chosen].min(axis=1).sum()
    for _ in range(200):
        assert cost <= distances[:, random.choice(len(points), 4, replace=False)].min(axis=1).sum()


def test_medoids_of_equal_points_are_as_many_as_asked_for() -> None:
    assert len(set(medoids(np.zeros((6, 3)), 4).tolist())) == 4


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"typical": {}}, "all regimes together are missing"),
        ({"features": ("rsi_14",)}, "do not hold 1 features"),
        ({"percentiles": {}}, "not those of the features"),
        ({"format": 2}, "format"),
    ],
)
def test_a_file_that_is_no_background_is_refused(background: Background, change: dict[str, Any], said: str) -> None:
    broken = background.model_copy(update=change)
    with pytest.raises(ModelError, match=said):
        Background.from_bytes(broken.to_bytes(), "ridge")


def test_a_window_short_of_a_regime_is_no_set_of_four() -> None:
    window = {"symbol": "A", "as_of": datetime(2020, 1, 1, tzinfo=UTC), "values": [[0.0]]}
    with pytest.raises(ValueError, match="other than 4 typical windows"):
        Background(features=("a",), training_windows=9, typical={"any": [window] * 3}, percentiles={"a": range(101)})
