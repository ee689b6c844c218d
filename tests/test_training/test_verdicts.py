"""Each model is held against the best baseline, and p-values allow for how many were compared."""

from datetime import UTC, datetime
from statistics import mean, stdev
from typing import Any

import numpy as np
import polars as pl
import pytest
from statsmodels.stats.multitest import multipletests

from feature_repo.targets import FORECAST_V2, HORIZONS, QUANTILES
from lake.tables import VERDICTS
from training.data import WindowSet
from training.judge import (
    FoldForecast,
    ModelComparison,
    adjusted,
    compare_with_best_baseline,
    pinball_loss,
    score_folds,
    verdict_table,
)


@pytest.fixture(scope="module")
def truth(make_windows: Any) -> WindowSet:
    return make_windows(symbols=5, seed=4)


def forecast(
    truth: WindowSet, model: str, width: float, *, sway: float = 0.0, fold: str = "2008", seed: int | None = None
) -> FoldForecast:
    """Bands of one width in units of the true deviation, every second one wider by a share, for every horizon."""
    sigma = truth.x[:, -1, FORECAST_V2.features.index("volatility_20d"), None] * np.sqrt(
        np.array(HORIZONS) / 252
    )  # [window, horizon]
    levels = np.array([-1.2816, 0.0, 1.2816]) * width * (1 + sway * (np.arange(len(truth)) % 2))[:, None, None]
    return FoldForecast(model, fold, truth, (sigma[..., None] * levels).astype(np.float32), seed=seed)


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
    between = [forecast(truth, "naive", 2.5), forecast(truth, "garch", 1.0), forecast(truth, "ridge", 1.5, sway=0.03)]
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


NOW = datetime(2012, 12, 31, 21, tzinfo=UTC)


def table_of(forecasts: list[FoldForecast]) -> pl.DataFrame:
    return VERDICTS.conform(verdict_table(forecasts, experiment="tiny@0", known_time=NOW))


def row_of(forecasts: list[FoldForecast], model: str, horizon: int = 1) -> dict[str, Any]:
    found = table_of(forecasts).filter((pl.col("model") == model) & (pl.col("horizon_sessions") == horizon))
    return found.row(0, named=True)


def test_the_table_holds_every_model_and_no_baseline_beats_anything(truth: WindowSet) -> None:
    forecasts = [
        forecast(truth, name, width, sway=0.03) for name, width in (("naive", 2.5), ("garch", 1.5), ("ridge", 1.0))
    ]
    table = table_of(forecasts)
    assert table.select("model", "horizon_sessions").rows() == [
        (name, horizon) for name in ("ridge", "naive", "garch") for horizon in HORIZONS
    ]
    assert set(table["best_baseline"]) == {"garch"}
    assert table.filter(pl.col("beats_best_baseline"))["model"].to_list() == ["ridge"] * 2
    baselines = table.filter(pl.col("is_baseline"))
    assert baselines["p_value"].null_count() == baselines.height == 4
    assert (baselines.filter(pl.col("model") == "garch")["gain"] > 0).all()
    assert (baselines.filter(pl.col("model") == "naive")["gain"] == 0).all()
    scores = score_folds(forecasts, experiment="tiny@0", known_time=NOW).filter(pl.col("fold") == "overall")
    both = table.join(scores, on=["experiment", "model", "horizon_sessions"], suffix="_of_score")
    assert both.height == table.height
    for column in ("event_time", "pinball_loss", "hit_rate"):
        assert both[column].equals(both[f"{column}_of_score"], check_names=False), column


def test_the_base_rate_is_the_hit_rate_of_always_saying_up(truth: WindowSet) -> None:
    up = forecast(truth, "ridge", 1.0, sway=0.03)
    up.quantiles[...] += np.float32(1.0)
    for horizon in HORIZONS:
        row = row_of([forecast(truth, "naive", 1.0), up], "ridge", horizon)
        assert row["hit_rate"] == row["base_rate"]
        assert 0.4 < row["base_rate"] < 0.6
    assert row_of([forecast(truth, "naive", 1.0), up], "naive")["hit_rate"] is None


@pytest.mark.parametrize("sway", [0.0, 0.009, 0.03])
def test_a_model_whose_forecasts_do_not_vary_beats_nothing(truth: WindowSet, sway: float) -> None:
    lucky = [forecast(truth, "naive", 2.5), forecast(truth, "tft", 1.0, sway=sway)]  # its deviation is half the sway
    row = row_of(lucky, "tft")
    (said, _) = map(str, compare_with_best_baseline(lucky))
    assert row["gain"] > 0.1
    assert row["p_value"] < 0.001
    assert (row["is_constant"], row["beats_best_baseline"]) == (sway < 0.01, sway > 0.01)
    assert said.startswith("tft does not beat naive" if sway < 0.01 else "tft beats naive")
    assert ("1 of 1 fits are constant" in said) is (sway < 0.01)


def test_constant_fits_of_some_folds_and_seeds_are_counted(truth: WindowSet) -> None:
    def walked(constant: int) -> list[FoldForecast]:
        fits = [(fold, seed) for fold in ("2008", "2009") for seed in (7, 17)]
        ours = [
            forecast(truth, "tft", 1.0 + 0.1 * number, sway=0.0 if number < constant else 0.03, fold=fold, seed=seed)
            for number, (fold, seed) in enumerate(fits)
        ]
        return [*(forecast(truth, "naive", 2.5, fold=fold) for fold in ("2008", "2009")), *ours]

    assert [row_of(walked(constant), "tft")["is_constant"] for constant in range(5)] == [False, False, True, True, True]
    assert "2 of 4 fits are constant" in str(compare_with_best_baseline(walked(2))[0])


def test_losses_of_seeds_are_averaged_and_their_spread_said(truth: WindowSet) -> None:
    widths = {7: 1.0, 17: 1.4, 27: 1.8}
    ours = [forecast(truth, "lstm", width, sway=0.03, seed=seed) for seed, width in widths.items()]
    losses = [pinball_loss(truth.y[:, 0], one.quantiles[:, 0], QUANTILES) for one in ours]
    row = row_of([forecast(truth, "naive", 2.5), *ours], "lstm")
    assert row["seeds"] == 3
    assert row["pinball_loss"] == pytest.approx(mean(filter(None, losses)))
    assert row["loss_spread"] == pytest.approx(stdev(filter(None, losses)))
    assert (row["folds"], row["folds_won"]) == (1, 1)
    alone = row_of([forecast(truth, "naive", 2.5), ours[1]], "lstm")
    assert (alone["seeds"], alone["loss_spread"]) == (1, None)
    assert "mean of 3 seeds" in str(compare_with_best_baseline([forecast(truth, "naive", 2.5), *ours])[0])


def test_seeds_do_not_make_an_advantage_surer(truth: WindowSet) -> None:
    """Forecasts of several seeds share their outcomes: the same ones five times over prove no more than once."""
    naive, once = forecast(truth, "naive", 1.3), forecast(truth, "lstm", 1.0, sway=0.03)
    many = [forecast(truth, "lstm", 1.0, sway=0.03, seed=seed) for seed in range(5)]
    alone, together = row_of([naive, once], "lstm"), row_of([naive, *many], "lstm")
    assert together["gain_t"] == pytest.approx(alone["gain_t"])
    assert together["p_value"] == pytest.approx(alone["p_value"])
    scores = [score_folds([naive, *each], experiment="a", known_time=NOW) for each in ([once], many)]
    numbers = ["rows", "pinball_loss", "advantage_t", "coverage", "hit_rate", "information_coefficient_t"]
    ours = [one.filter(pl.col("model") == "lstm").select(numbers) for one in scores]
    for column in numbers:
        assert ours[0][column].to_list() == pytest.approx(ours[1][column].to_list()), column


def test_the_table_allows_for_how_many_models_it_holds(truth: WindowSet) -> None:
    pair = [forecast(truth, "naive", 1.2), forecast(truth, "ridge", 1.0, sway=0.03)]
    others = [forecast(truth, name, 1.3, sway=0.03) for name in ("lightgbm", "lstm", "tft")]
    alone, among = row_of(pair, "ridge"), row_of([*pair, *others], "ridge")
    assert among["gain_t"] == alone["gain_t"]
    assert among["p_value"] > alone["p_value"] > 0
