"""Forecast cache: a row gets the forecast that the models in service made of that very row, and no other."""

import gc
import weakref
from dataclasses import replace

import pytest

from serving.predict import Predictor, forecast
from serving.predict.forecast_cache import ForecastCache


@pytest.fixture
def keeping(rows, champions):
    """A cache that knows the first five rows: ``cache, forecasts``."""
    cache, made = ForecastCache(5), forecast(rows[:5], champions)
    forecasts = [made.of_row(place) for place in range(5)]
    cache.keep(rows[:5], champions, forecasts)
    return cache, forecasts


def test_a_row_that_was_forecast_is_known_with_its_own_forecast(keeping, rows, champions):
    cache, forecasts = keeping
    assert [cache.recall(row, champions) for row in rows[:5]] == forecasts
    assert all(cache.recall(replace(row), champions) is known for row, known in zip(rows[:5], forecasts, strict=True))
    assert cache.recall(rows[5], champions) is None


@pytest.mark.parametrize("place", [0, 1])
@pytest.mark.parametrize("byte", [40, -9])
def test_one_bit_of_window_or_strategy_makes_it_another_row(keeping, rows, champions, place, byte):
    cache, _ = keeping
    changed = [bytearray(part) for part in rows[0].packed]
    changed[place][byte] ^= 1
    assert cache.recall(replace(rows[0], packed=tuple(map(bytes, changed))), champions) is None


def test_another_regime_or_calibration_is_another_row_and_an_equal_set_of_models_another_set(keeping, rows, champions):
    cache, _ = keeping
    assert cache.recall(replace(rows[0], regime="another"), champions) is None
    corrected = rows[0].calibration
    other = None if corrected is not None else "any"
    assert cache.recall(replace(rows[0], calibration=other), champions) is None
    assert cache.recall(rows[0], replace(champions)) is None


def test_models_that_went_out_of_service_are_released_with_their_forecasts(keeping, rows, champions):
    cache, forecasts = keeping
    following = replace(champions)
    gone = weakref.ref(following)
    cache.keep(rows[:1], following, forecasts[:1])
    assert len(cache) == 1
    assert cache.recall(rows[1], champions) is None
    cache.keep(rows[1:2], champions, forecasts[1:2])
    del following
    gc.collect()
    assert gone() is None


def test_a_forgotten_symbol_is_computed_anew(keeping, rows, champions):
    cache, forecasts = keeping
    cache.forget(rows[0].symbol)
    cache.forget("never known")
    assert [cache.recall(row, champions) for row in rows[:2]] == [None, forecasts[1]]


def test_it_keeps_no_more_than_it_may_and_the_newest_of_each_symbol(keeping, rows, champions):
    cache, forecasts = keeping
    cache.keep(rows[4:7], champions, forecasts[:3])
    assert len(cache) == 5
    assert [cache.recall(row, champions) is None for row in rows[:7]] == [
        True,
        True,
        False,
        False,
        False,
        False,
        False,
    ]
    assert cache.recall(rows[4], champions) is forecasts[0]
    nothing = ForecastCache(0)
    nothing.keep(rows[:5], champions, forecasts)
    assert len(nothing) == 0


@pytest.fixture
def predictors(home):
    """One with a forecast cache, and one without."""
    made = [Predictor.open(home.settings.model_copy(update={"forecast_cache_symbols": kept})) for kept in (100, 0)]
    yield made
    for each in made:
        each.close()


def test_models_are_called_once_for_a_row_and_the_answer_has_the_same_bits(predictors, monkeypatch):
    asked, answered = [], []

    def counting(rows, champions):
        asked.append([row.symbol for row in rows])
        return forecast(rows, champions)

    monkeypatch.setattr("serving.predict.predictor.forecast", counting)
    symbols = predictors[0].online.symbols()
    for predictor in predictors:
        for part in (symbols[:4], symbols[2:6], symbols[:6]):
            entries = predictor.predict(part, 5).entries
            answered.append([[entry.row[name] for name in ("symbol", "p10", "p50", "p90")] for entry in entries])
    assert asked == [symbols[:4], symbols[4:6], symbols[:4], symbols[2:6], symbols[:6]]
    assert answered[:3] == answered[3:]
