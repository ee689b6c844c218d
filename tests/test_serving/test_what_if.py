"""Forecasts of changed inputs by the real engines: the unchanged one is the served one, bit for bit."""

from typing import Any

import numpy as np
import pytest

from lake.errors import ImpossibleChangeError, UnknownNameError
from serving.api.explanations import Change, CounterfactualRequest, FlipSearch, Sweep
from serving.deployment import Champions
from serving.explain import Explainer, ExplanationKey, counterfactual_answer
from serving.explain.what_if import GRID, find_flip, sweep, with_changes
from serving.predict import Predictor
from support.receipts import Home


@pytest.fixture(scope="module")
def mine(copy_home: Any, tmp_path_factory: pytest.TempPathFactory) -> Home:
    """A home in which forecasts over both horizons were answered."""
    made: Home = copy_home(tmp_path_factory.mktemp("mine") / "home")
    return made


@pytest.fixture(scope="module")
def answered(mine: Home) -> dict[int, list[str]]:
    """Ids of answered forecasts by horizon."""
    predictor = Predictor.open(mine.settings)
    try:
        symbols = predictor.online.symbols()
        texts = {horizon: predictor.predict(symbols, horizon).entries for horizon in (1, 5)}
        return {horizon: [entry.row["forecast_id"] for entry in entries] for horizon, entries in texts.items()}
    finally:
        predictor.close()


@pytest.fixture(scope="module")
def explainer(mine: Home) -> Explainer:
    return Explainer(mine.lake, Champions(mine.settings))


def numbers(read: Any) -> tuple[float, float, float]:
    return read.p10, read.p50, read.p90


@pytest.mark.parametrize("horizon", [1, 5])
@pytest.mark.parametrize("at", ["last", "window"])
def test_the_true_values_give_the_served_numbers_to_the_last_bit(
    explainer: Explainer, answered: dict[int, list[str]], horizon: int, at: Any
) -> None:
    for forecast_id in answered[horizon][:6]:
        forecast = explainer.forecast(forecast_id)
        names, last = forecast.inputs.spec.features, forecast.inputs.window[-1].tolist()
        true = {
            n: Change(to=v) if at == "last" else Change(by=0.0)
            for n, v in zip(names, last, strict=True)
            if not np.isnan(v)
        }
        found = with_changes(forecast, true, at)
        row = forecast.inputs.row
        assert numbers(found.changed) == (row["p10"], row["p50"], row["p90"])
        assert found.changed == found.stored
        assert all(moved.before == moved.after for moved in found.moved)


def test_a_changed_volatility_widens_the_band_and_the_answer_says_by_how_much(
    explainer: Explainer, answered: dict[int, list[str]], mine: Home
) -> None:
    question = CounterfactualRequest(prediction_id=answered[1][0], changes={"volatility_garch": Change(by=0.05)})
    answer = counterfactual_answer(explainer.what_if(question), mine.lake.market, is_cached=False)
    assert answer.changed is not None
    assert answer.delta is not None
    assert answer.changed.p90 - answer.changed.p10 > answer.stored.p90 - answer.stored.p10
    assert answer.stored.p90 + answer.delta.p90 == pytest.approx(answer.changed.p90, abs=1e-15)
    assert answer.delta.target_price == pytest.approx(answer.changed.target_price - answer.stored.target_price)
    (moved,) = answer.moved
    assert moved.after == pytest.approx(moved.before + 0.05, abs=1e-6)
    assert moved.percentile_after > moved.percentile_before
    assert set(answer.engine.digests) == {"lstm", "naive", "ridge"}


def test_a_change_over_the_window_is_another_than_of_the_last_session(
    explainer: Explainer, answered: dict[int, list[str]]
) -> None:
    forecast = explainer.forecast(answered[1][0])
    change = {"return_5d": Change(by=0.1)}
    last, window = with_changes(forecast, change, "last"), with_changes(forecast, change, "window")
    assert last.moved[0].after == window.moved[0].after
    assert numbers(last.changed) != numbers(window.changed), "the network reads every session"


def test_a_value_outside_of_training_is_said_to_be(explainer: Explainer, answered: dict[int, list[str]]) -> None:
    forecast = explainer.forecast(answered[1][0])
    low, high = forecast.models[0].require_background().range_of("return_20d")
    inside = with_changes(forecast, {"return_20d": Change(to=high)}, "last").moved[0]
    outside = with_changes(forecast, {"return_20d": Change(to=high + 0.01)}, "last").moved[0]
    assert inside.is_inside_range
    assert not outside.is_inside_range
    assert outside.percentile_after > 99 >= inside.percentile_after - 1e-3
    assert not with_changes(forecast, {"return_20d": Change(to=low - 0.01)}, "window").moved[0].is_inside_range


def test_what_a_feature_cannot_be_is_refused(explainer: Explainer, answered: dict[int, list[str]]) -> None:
    forecast = explainer.forecast(answered[1][0])
    with pytest.raises(ImpossibleChangeError, match=r"'rsi_14' would be 101, and it lies between 0 and 100"):
        with_changes(forecast, {"rsi_14": Change(to=101.0)}, "last")
    with pytest.raises(ImpossibleChangeError, match=r"'volatility_garch' would be -"):
        with_changes(forecast, {"volatility_garch": Change(by=-9.0)}, "last")
    with pytest.raises(ImpossibleChangeError, match=r"would be 1e\+300"):
        with_changes(forecast, {"return_5d": Change(to=1e300)}, "last")
    with pytest.raises(UnknownNameError, match="Did you mean return_5d"):
        with_changes(forecast, {"retrn_5d": Change(to=0.0)}, "last")
    with pytest.raises(UnknownNameError):
        sweep(forecast, ["no_feature"], "last")


def test_nothing_is_added_to_what_is_not_known(explainer: Explainer, answered: dict[int, list[str]]) -> None:
    made = (explainer.forecast(forecast_id) for forecast_id in answered[1])
    forecast = next(each for each in made if np.isnan(each.inputs.window[-1]).any())
    unknown = forecast.inputs.spec.features[int(np.isnan(forecast.inputs.window[-1]).argmax())]
    with pytest.raises(ImpossibleChangeError, match="is not known, so nothing can be added"):
        with_changes(forecast, {unknown: Change(by=0.1)}, "last")
    (moved,) = with_changes(forecast, {unknown: Change(to=1.0)}, "last").moved
    assert moved.before is None


@pytest.mark.parametrize("at", ["last", "window"])
def test_a_sweep_has_the_forecasts_that_single_changes_have(
    explainer: Explainer, answered: dict[int, list[str]], at: Any
) -> None:
    forecast = explainer.forecast(answered[5][0])
    (swept,) = sweep(forecast, ["rsi_14"], at).sweeps
    assert len(swept.points) == GRID
    assert (swept.points[0].to, swept.points[-1].to) == pytest.approx((swept.low, swept.high))
    assert np.allclose(np.diff([point.to for point in swept.points], 2), 0, atol=1e-4)
    if at == "last":
        for point in swept.points[::10]:
            single = with_changes(forecast, {"rsi_14": Change(to=point.to)}, at).changed
            assert numbers(point) == numbers(single)


def test_the_smallest_change_that_turns_a_forecast_turns_it(
    explainer: Explainer, answered: dict[int, list[str]]
) -> None:
    turned = 0
    for forecast_id in answered[1][:6] + answered[5][:6]:
        forecast = explainer.forecast(forecast_id)
        features = ["return_1d", "return_5d", "rsi_14", "market_return"]
        found = find_flip(forecast, features, "last")
        swept = sweep(forecast, features, "last").sweeps
        turning = {each.feature: [p.to for p in each.points if p.direction != found.stored.direction] for each in swept}
        assert found.is_found == any(turning.values())
        if not found.is_found:
            continue
        turned += 1
        (moved,) = found.moved
        assert found.changed.direction != found.stored.direction
        background = forecast.models[0].require_background()
        passed = abs(moved.percentile_after - moved.percentile_before)
        for each in swept:
            others = [abs(background.percentile_of(each.feature, to) - each.percentile) for to in turning[each.feature]]
            assert min(others, default=np.inf) >= passed
    assert turned, "the drawn ridge regression leans one way or the other"


def test_a_search_looks_at_what_contributes_most_unless_told(
    explainer: Explainer, answered: dict[int, list[str]]
) -> None:
    question = CounterfactualRequest(prediction_id=answered[1][1], find=FlipSearch(flip="direction"))
    found = explainer.what_if(question)
    largest = explainer.explain(ExplanationKey(answered[1][1])).largest("p50")
    names = [each.player for each in largest if each.value is not None][:8]
    assert found.is_found == find_flip(explainer.forecast(answered[1][1]), names, "last").is_found


def test_a_question_is_one_question() -> None:
    with pytest.raises(ValueError, match="ask one question"):
        CounterfactualRequest(prediction_id="0" * 32)
    with pytest.raises(ValueError, match="ask one question"):
        CounterfactualRequest(
            prediction_id="0" * 32, sweep=Sweep(features=["rsi_14"]), find=FlipSearch(flip="direction")
        )
    with pytest.raises(ValueError, match="either to"):
        Change(to=1.0, by=1.0)
    with pytest.raises(ValueError, match="at most 8"):
        Sweep(features=[str(number) for number in range(9)])
