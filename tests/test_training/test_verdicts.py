"""Each model is held against the best baseline, and p-values allow for how many were compared."""

from typing import Any

import numpy as np
import pytest
from statsmodels.stats.multitest import multipletests

from feature_repo.targets import FORECAST_V2, HORIZONS
from training.data import WindowSet
from training.judge import FoldForecast, ModelComparison, adjusted, compare_with_best_baseline


@pytest.fixture(scope="module")
def truth(make_windows: Any) -> WindowSet:
    return make_windows(symbols=5, seed=4)


def forecast(truth: WindowSet, model: str, width: float) -> FoldForecast:
    """Bands of one width in units of the true deviation, for every window and horizon."""
    sigma = truth.x[:, -1, FORECAST_V2.features.index("volatility_20d"), None] * np.sqrt(
        np.array(HORIZONS) / 252
    )  # [window, horizon]
    levels = np.array([-1.2816, 0.0, 1.2816]) * width
    return FoldForecast(model, "2008", truth, (sigma[..., None] * levels).astype(np.float32))


@pytest.mark.parametrize("best", ["naive", "ewma", "har", "garch"])
def test_the_opponent_is_the_baseline_with_the_lowest_loss(truth: WindowSet, best: str) -> None:
    baselines = [forecast(truth, name, 1.0 if name == best else 1.8) for name in ("naive", "ewma", "har", "garch")]
    found = compare_with_best_baseline([*baselines, forecast(truth, "lstm", 1.4), forecast(truth, "tft", 1.0)])
    assert {one.baseline for one in found} == {best}
    assert [(one.model, one.horizon_sessions) for one in found] == [
        (name, horizon) for name in ("lstm", "tft") for horizon in HORIZONS
    ]
    assert all(one.gain < 0 and not one.beats for one in found if one.model == "lstm")
    assert all((one.gain, one.t_value, one.p_value) == (0, None, 1) for one in found if one.model == "tft")


def test_one_that_beats_the_worst_baseline_alone_beats_none(truth: WindowSet) -> None:
    between = [forecast(truth, name, width) for name, width in (("naive", 2.5), ("garch", 1.0), ("ridge", 1.5))]
    assert all(
        not one.beats and str(one).startswith("ridge does not beat garch")
        for one in compare_with_best_baseline(between)
    )
    against_the_worst = [one for one in between if one.model != "garch"]
    assert all(
        one.beats and str(one).startswith("ridge beats naive") for one in compare_with_best_baseline(against_the_worst)
    )


@pytest.mark.parametrize("count", [1, 2, 5, 12])
def test_statsmodels_adjusts_the_same(count: int) -> None:
    values = np.random.default_rng(count).uniform(0, 1, count) ** 3
    values[count // 2] = values[0]  # equal ones share their place
    ours = adjusted([ModelComparison("a", "naive", 1, 0.1, 1, 1, None, float(value)) for value in values])
    expected = multipletests(values, method="holm")[1]  # 50 ms a call
    assert [one.p_value for one in ours] == pytest.approx(list(expected), abs=1e-12)
    assert all(one.p_value >= value for one, value in zip(ours, values, strict=True))


def test_chance_is_named_where_the_correction_leaves_nothing() -> None:
    (alone,) = adjusted([ModelComparison("a", "garch", 1, 0.01, 3, 3, 2.0, 0.02)])
    among = adjusted([ModelComparison("a", "garch", 1, 0.01, 3, 3, 2.0, 0.02)] * 8)[0]
    assert alone.beats
    assert "chance" not in str(alone)
    assert not among.beats
    assert str(among).endswith("adjusted p 0.16: chance alone could explain it)")
