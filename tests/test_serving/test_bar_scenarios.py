"""Another last bar, by the real kernels and engines: the true one gives the served numbers, bit for bit."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from lake.errors import ImpossibleChangeError, NotReadyError
from lake.store import Lake
from serving.api.explanations import BarChange, CounterfactualRequest, Scenario
from serving.deployment import Champions
from serving.explain import Explainer, counterfactual_answer
from serving.explain.scenario import changed_bar, with_bar
from serving.predict import Predictor
from serving.replay import bars_of
from support.receipts import Home


@pytest.fixture(scope="module")
def mine(copy_home: Any, tmp_path_factory: pytest.TempPathFactory) -> Home:
    made: Home = copy_home(tmp_path_factory.mktemp("mine") / "home")
    return made


@pytest.fixture(scope="module")
def answered(mine: Home) -> dict[str, str]:
    """Id of an answered forecast by symbol."""
    predictor = Predictor.open(mine.settings)
    try:
        entries = predictor.predict(predictor.online.symbols(), 5).entries
        return {entry.row["symbol"]: entry.row["forecast_id"] for entry in entries}
    finally:
        predictor.close()


@pytest.fixture(scope="module")
def explainer(mine: Home) -> Explainer:
    return Explainer(mine.lake, Champions(mine.settings))


def asked(explainer: Explainer, prediction_id: str, **change: float) -> Any:
    scenario = Scenario(bar=BarChange(**change))
    return explainer.what_if(CounterfactualRequest(prediction_id=prediction_id, scenario=scenario))


def test_the_true_bar_gives_the_served_numbers_to_the_last_bit(explainer: Explainer, answered: dict[str, str]) -> None:
    for forecast_id in list(answered.values())[:6]:
        found = asked(explainer, forecast_id, close_change=0, volume_ratio=1, range_ratio=1)
        row = found.forecast.inputs.row
        assert (found.changed.p10, found.changed.p50, found.changed.p90) == (row["p10"], row["p50"], row["p90"])
        assert found.changed == found.stored
        assert found.moved == ()


def test_every_feature_that_reads_what_changed_moves_and_no_other(
    explainer: Explainer, answered: dict[str, str], mine: Home
) -> None:
    found = asked(explainer, answered["AAPL"], close_change=-0.03)
    moved = {each.feature: each for each in found.moved}
    last, before = bars_of(mine.lake, found.forecast.inputs).filter(symbol="AAPL")["close"].to_list()[-1:-3:-1]
    assert moved["return_1d"].after == pytest.approx(0.97 * last / before - 1, abs=1e-6)
    assert moved["return_1d"].percentile_after < moved["return_1d"].percentile_before
    assert {"return_252d", "volatility_20d", "rsi_14", "market_beta_252d", "volatility_garch"} & set(moved) >= {
        "return_252d", "volatility_20d", "rsi_14",
    }  # fmt: skip
    assert not {"volume_ratio_20d", "market_return", "market_volatility"} & set(moved)
    volume = asked(explainer, answered["AAPL"], volume_ratio=3.0)
    assert all("volume" in each.feature for each in volume.moved)
    assert volume.moved
    wide = asked(explainer, answered["AAPL"], range_ratio=2.0)
    assert {each.feature for each in wide.moved} == {"atr_relative"}


def test_the_answer_starts_from_the_changed_price_and_says_what_was_computed_again(
    explainer: Explainer, answered: dict[str, str], mine: Home
) -> None:
    forecast = explainer.forecast(answered["KO"])
    priced = replace(forecast, inputs=replace(forecast.inputs, row=forecast.inputs.row | {"reference_price": 40.0}))
    found = with_bar(priced, mine.lake, BarChange(close_change=0.1))
    answer = counterfactual_answer(found, mine.lake.market, is_cached=False)
    assert answer.stored.target_price == pytest.approx(40 * (1 + answer.stored.p50))
    assert answer.changed.target_price == pytest.approx(44 * (1 + answer.changed.p50))
    assert "computed again from the changed bar" in answer.note
    assert answer.is_inside_range == all(each.is_inside_range for each in answer.moved)


def test_only_the_bars_that_the_forecast_knew_are_read(
    explainer: Explainer, answered: dict[str, str], mine: Home, tmp_path: Any
) -> None:
    """At its table version, none later than its close and none that became known after its window."""
    inputs = explainer.forecast(answered["AAPL"]).inputs
    bars = bars_of(mine.lake, inputs)
    assert bars["event_time"].max() == inputs.row["event_time"]
    earlier = bars["event_time"].unique().sort()[-3]
    past = bars_of(mine.lake, replace(inputs, known_time=earlier))
    assert past["known_time"].max() == past["event_time"].max() == earlier


def test_features_that_the_bars_do_not_give_any_more_are_refused(
    explainer: Explainer, answered: dict[str, str], mine: Home
) -> None:
    forecast = explainer.forecast(answered["AAPL"])
    window = forecast.inputs.window.copy()
    window[-1, forecast.inputs.spec.features.index("rsi_14")] = 12.0
    other = replace(forecast, inputs=replace(forecast.inputs, window=window))
    with pytest.raises(NotReadyError, match=r"'rsi_14' comes out as .*, and 12 was forecast from"):
        with_bar(other, mine.lake, BarChange())


def test_nothing_is_written_to_the_lake(explainer: Explainer, answered: dict[str, str], mine: Home) -> None:
    def files(lake: Lake) -> dict[str, float]:
        return {str(path): path.stat().st_mtime_ns for path in lake.root.rglob("*") if path.is_file()}

    before = files(mine.lake)
    asked(explainer, answered["IBM"], close_change=0.02)
    assert files(mine.lake) == before


BAR = {"open": 10.0, "high": 12.0, "low": 9.0, "close": 11.0, "volume": 50.0}


def test_a_changed_bar_is_a_bar() -> None:
    random = np.random.default_rng(3)
    for _ in range(200):
        change = BarChange(
            close_change=random.uniform(-0.4, 1), volume_ratio=random.uniform(0, 9), range_ratio=random.uniform(0, 3)
        )
        bar = changed_bar(BAR, change)
        assert 0 < bar["low"] <= min(bar["open"], bar["close"]) <= max(bar["open"], bar["close"]) <= bar["high"]
    assert changed_bar(BAR, BarChange()) == BAR


def test_a_bar_that_cannot_be_is_refused() -> None:
    with pytest.raises(ImpossibleChangeError, match="a price lies above zero"):
        changed_bar(BAR, BarChange(range_ratio=50.0))
    with pytest.raises(ImpossibleChangeError, match="no volume that could change"):
        changed_bar(BAR | {"volume": None}, BarChange(volume_ratio=2.0))
    with pytest.raises(ImpossibleChangeError, match="no high and low"):
        changed_bar(BAR | {"open": None, "high": None, "low": None}, BarChange(range_ratio=2.0))
    with pytest.raises(ValueError, match="greater than -1"):
        BarChange(close_change=-1.0)
