import re
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from feature_repo.targets import QUANTILES
from lake.errors import LookAheadError
from lake.ledger import TrialLedger
from lake.store import Lake
from lake.tables import EVALUATIONS
from training.data import Split, WindowSet, walk_forward
from training.experiments import Experiment
from training.judge import (
    OVERALL,
    FoldForecast,
    compare_with_best_baseline,
    evaluate,
    forecast_folds,
    measures_of,
    pinball_loss,
    plot_calibration,
    plot_forecast_against_truth,
    score_folds,
)

NOW = datetime(2012, 12, 31, 21, tzinfo=UTC)


@pytest.fixture(scope="module")
def market(make_windows: Any) -> WindowSet:
    return make_windows(
        symbols=4, start=datetime(2007, 6, 1, tzinfo=UTC), end=datetime(2011, 12, 31, tzinfo=UTC), signal=1.0, seed=3
    )


@pytest.fixture(scope="module")
def quick(tiny: Experiment) -> Experiment:
    return tiny.model_copy(update={"models": ("naive", "ridge")})


@pytest.fixture(scope="module")
def forecasts(market: WindowSet, quick: Experiment, tmp_path_factory: pytest.TempPathFactory) -> list[FoldForecast]:
    ledger = TrialLedger(Lake(tmp_path_factory.mktemp("judged")), NOW)
    return forecast_folds(market, quick, {}, ledger=ledger)


def table_of(forecasts: list[FoldForecast], stride: int = 10) -> pl.DataFrame:
    return score_folds(forecasts, experiment="tiny@0", known_time=NOW, stride_sessions=stride)


def said(truth: WindowSet, model: str, width: float, *, shift: float = 0.0, fold: str = "2009") -> FoldForecast:
    """Return forecasts that know the outcome up to a shift, in a band of a given width."""
    median = truth.y + shift
    quantiles = np.stack([median - width, median, median + width], axis=-1).astype(np.float32)
    return FoldForecast(model, fold, truth, quantiles)


def test_every_model_is_judged_on_every_fold_and_horizon_and_over_all(forecasts: list[FoldForecast]) -> None:
    table = table_of(forecasts)
    assert EVALUATIONS.conform(table).height == 2 * 4 * 2
    assert set(table["fold"]) == {"2009", "2010", "2011", OVERALL}
    sums = table.filter(pl.col("fold") != OVERALL).group_by("model", "horizon_sessions").agg(pl.col("rows").sum())
    assert sums.sort("model", "horizon_sessions")["rows"].to_list() == (
        table.filter(pl.col("fold") == OVERALL).sort("model", "horizon_sessions")["rows"].to_list()
    )
    assert set(table["known_time"]) == {NOW}
    assert table["event_time"].max() <= datetime(2011, 12, 30, 21, tzinfo=UTC)


def test_a_planted_signal_beats_naive_and_the_table_says_so(forecasts: list[FoldForecast]) -> None:
    table = table_of(forecasts)
    assert table.filter(pl.col("model") == "ridge")["beats_naive"].all()
    assert not table.filter(pl.col("model") == "naive")["beats_naive"].any()
    sentences = list(map(str, compare_with_best_baseline(forecasts, stride_sessions=10)))
    assert len(sentences) == 2
    assert all(text.startswith("ridge beats naive") and "3 of 3 folds" in text for text in sentences)
    strength = table.filter((pl.col("model") == "ridge") & (pl.col("fold") == OVERALL))
    assert strength["information_coefficient"].min() > 0.3
    assert strength["information_coefficient_t"].min() > 5
    assert strength["advantage_t"].min() > 5
    assert not any("chance" in text for text in sentences)
    assert strength["hit_rate"].min() > 0.7


def test_a_model_worse_than_naive_is_called_worse(market: WindowSet) -> None:
    truth = market.take(np.arange(400))
    both = [said(truth, "naive", 0.02, shift=0.01), said(truth, "lstm", 0.02, shift=0.05)]
    table = table_of(both)
    assert table.filter(pl.col("model") == "lstm")["advantage_t"].max() < -2
    assert not table["beats_naive"].any()
    for one in compare_with_best_baseline(both, stride_sessions=10):
        assert (one.gain < 0, one.won, one.folds, one.p_value) == (True, 0, 1, 1.0)
        assert str(one).startswith("lstm does not beat naive, the best baseline")


def test_as_good_as_naive_does_not_beat_it(market: WindowSet) -> None:
    truth = market.take(np.arange(40))
    table = table_of([said(truth, "naive", 0.02), said(truth, "tft", 0.02)])
    assert not table["beats_naive"].any()


def test_an_advantage_that_chance_explains_is_said_to_be_one(market: WindowSet) -> None:
    truth = market.take(np.arange(400))
    noise = np.repeat(np.random.default_rng(0).uniform(-0.002, 0.002, 100), 4)  # one number per session
    small = said(truth, "lstm", 0.02, shift=0.01 - 1e-5)
    noisy = small.quantiles + (noise - noise.mean())[:, None, None].astype(np.float32)
    naive = said(truth, "naive", 0.02, shift=0.01)
    three = [naive, FoldForecast("lstm", "2009", truth, noisy), said(truth, "tft", 0.02, shift=0.009)]
    table = table_of(three)
    sentences = list(map(str, compare_with_best_baseline(three, stride_sessions=10)))
    assert table.filter(pl.col("model") != "naive")["beats_naive"].all()
    assert [("chance alone could explain it" in text) for text in sentences] == [True, True, False, False]
    assert table.filter(pl.col("model") == "naive")["advantage_t"].null_count() == 4


def test_the_figures_are_those_worked_by_hand(market: WindowSet) -> None:
    truth = market.take(np.arange(40))
    row = table_of([said(truth, "naive", 0.02, shift=0.01)]).row(0, named=True)
    assert row["mean_absolute_error"] == pytest.approx(0.01, rel=1e-4)
    # errors of p10, p50, p90: +0.01, -0.01, -0.03; pinball: 0.1 x 0.01, 0.5 x 0.01, 0.1 x 0.03
    assert row["pinball_loss"] == pytest.approx((0.001 + 0.005 + 0.003) / 3, rel=1e-4)
    assert row["coverage"] == 1.0
    assert row["information_coefficient"] == pytest.approx(1.0)
    assert row["rows"] == 40


def test_the_overall_row_scores_all_forecasts_together(forecasts: list[FoldForecast]) -> None:
    ours = [one for one in forecasts if one.model == "ridge"]
    truth = np.concatenate([one.truth.y[:, 1] for one in ours])
    quantiles = np.concatenate([one.quantiles[:, 1] for one in ours])
    overall = table_of(forecasts).filter(
        (pl.col("model") == "ridge") & (pl.col("fold") == OVERALL) & (pl.col("horizon_sessions") == 5)
    )
    assert overall["pinball_loss"].item() == pytest.approx(pinball_loss(truth, quantiles, QUANTILES))


def test_overlapping_outcomes_lower_the_t_value_of_long_horizons_only(forecasts: list[FoldForecast]) -> None:
    apart, beside = table_of(forecasts, stride=5), table_of(forecasts, stride=1)
    key = ["model", "fold", "horizon_sessions"]
    both = apart.join(beside, on=key, suffix="_beside").filter(pl.col("model") == "ridge")
    same = both["information_coefficient_t"] == both["information_coefficient_t_beside"]
    assert both.filter(same)["horizon_sessions"].unique().to_list() == [1]
    assert (both["information_coefficient"] == both["information_coefficient_beside"]).all()


def test_a_split_that_leaks_stops_the_judgement(
    market: WindowSet, quick: Experiment, ledger: TrialLedger, monkeypatch: pytest.MonkeyPatch
) -> None:
    def leaking(keys: pl.DataFrame, experiment: Experiment) -> list[Split]:
        split = walk_forward(keys, experiment)[0]
        return [replace(split, valid=split.test, cuts=(split.cuts[0], *split.cuts[2:] * 2))]

    monkeypatch.setattr(evaluate, "walk_forward", leaking)
    with pytest.raises(LookAheadError, match="valid labels end at or after the test"):
        forecast_folds(market, quick, {}, ledger=ledger)


def test_what_comes_after_a_fold_changes_nothing_said_in_it(
    market: WindowSet, quick: Experiment, forecasts: list[FoldForecast], ledger: TrialLedger
) -> None:
    later = (market.keys["event_time"] >= datetime(2010, 1, 1, tzinfo=UTC)).to_numpy()
    other = WindowSet(
        np.where(later[:, None, None], -market.x, market.x), np.where(later[:, None], 9, market.y), market.keys
    )
    again = forecast_folds(other, quick, {}, ledger=ledger)
    for before, after in zip(forecasts[:2], again[:2], strict=True):
        assert before.fold == after.fold == "2009"
        np.testing.assert_array_equal(before.quantiles, after.quantiles)
    assert not np.array_equal(forecasts[-1].quantiles, again[-1].quantiles)


def test_what_is_tracked_fits_on_the_charts(forecasts: list[FoldForecast]) -> None:
    measures = measures_of(table_of(forecasts).filter(pl.col("model") == "ridge"))
    keys = {one.key for one in measures}
    assert {"pinball_loss_1", "overall_pinball_loss_5", "hit_rate_1"} <= keys
    assert len(keys) <= 24
    assert {one.step for one in measures if not one.key.startswith("overall_")} == {2009, 2010, 2011}


def test_what_the_source_says_of_its_returns_stands_at_the_foot_of_their_picture(
    forecasts: list[FoldForecast], tmp_path: Path
) -> None:
    ours = [one for one in forecasts if one.model == "ridge"]
    paths = [
        plot_forecast_against_truth(ours, "XNYS", tmp_path / f"{len(said)}.png", caveats=said)
        for said in ((), ("Survivors.",), ("Survivors.", "Closes only."))
    ]
    heights = [int.from_bytes(path.read_bytes()[20:24], "big") for path in paths]  # of the PNG's header
    assert heights == [650, 670, 690]


@pytest.mark.parametrize("draw", [plot_forecast_against_truth, plot_calibration])
@pytest.mark.parametrize(
    ("grid", "named"), [("XNYS", ["1 session", "5 sessions"]), ("24/7@15m", ["15 minutes", "75 minutes"])]
)
def test_pictures_name_horizons_as_the_market_does(
    forecasts: list[FoldForecast], tmp_path: Path, draw: Any, grid: str, named: list[str]
) -> None:
    """An SVG file holds each text of the picture as a comment."""
    text = draw([one for one in forecasts if one.model == "ridge"], grid, tmp_path / "plot.svg").read_text()
    assert re.findall(r"<!-- ridge: return over (.+?) -->", text) == named
