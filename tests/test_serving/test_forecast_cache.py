"""What is remembered of a row is what the models say of that very row, and nothing else."""

import gc
import weakref
from dataclasses import replace

import pytest

from serving.predict.forecast_cache import ForecastCache
from serving.predict.forecasting import forecast
from serving.predict.predictor import Predictor


@pytest.fixture
def keeping(rows, champions):
    """A memory that knows the first five rows: ``memory, forecasts``."""
    memory, said = ForecastCache(5), forecast(rows[:5], champions)
    forecasts = [said.of_row(place) for place in range(5)]
    memory.keep(rows[:5], champions, forecasts)
    return memory, forecasts


def test_a_row_that_was_forecast_is_remembered_with_its_own_forecast(keeping, rows, champions):
    memory, forecasts = keeping
    assert [memory.recall(row, champions) for row in rows[:5]] == forecasts
    assert all(memory.recall(replace(row), champions) is known for row, known in zip(rows[:5], forecasts, strict=True))
    assert memory.recall(rows[5], champions) is None


@pytest.mark.parametrize("place", [0, 1])
@pytest.mark.parametrize("byte", [40, -9])
def test_one_bit_of_window_or_strategy_makes_it_another_row(keeping, rows, champions, place, byte):
    memory, _ = keeping
    changed = [bytearray(part) for part in rows[0].packed]
    changed[place][byte] ^= 1
    assert memory.recall(replace(rows[0], packed=tuple(map(bytes, changed))), champions) is None


def test_another_regime_or_calibration_is_another_row_and_an_equal_set_of_models_another_set(keeping, rows, champions):
    memory, _ = keeping
    assert memory.recall(replace(rows[0], regime="another"), champions) is None
    corrected = rows[0].calibration
    other = None if corrected is not None else "any"
    assert memory.recall(replace(rows[0], calibration=other), champions) is None
    assert memory.recall(rows[0], replace(champions)) is None


def test_models_that_went_out_of_service_are_let_go_with_all_they_said(keeping, rows, champions):
    memory, forecasts = keeping
    following = replace(champions)
    gone = weakref.ref(following)
    memory.keep(rows[:1], following, forecasts[:1])
    assert len(memory) == 1
    assert memory.recall(rows[1], champions) is None
    memory.keep(rows[1:2], champions, forecasts[1:2])
    del following
    gc.collect()
    assert gone() is None


def test_what_is_forgotten_is_worked_out_anew(keeping, rows, champions):
    memory, forecasts = keeping
    memory.forget(rows[0].symbol)
    memory.forget("never known")
    assert [memory.recall(row, champions) for row in rows[:2]] == [None, forecasts[1]]


def test_it_keeps_no_more_than_it_may_and_the_newest_of_each_symbol(keeping, rows, champions):
    memory, forecasts = keeping
    memory.keep(rows[4:7], champions, forecasts[:3])
    assert len(memory) == 5
    assert [memory.recall(row, champions) is None for row in rows[:7]] == [
        True,
        True,
        False,
        False,
        False,
        False,
        False,
    ]
    assert memory.recall(rows[4], champions) is forecasts[0]
    nothing = ForecastCache(0)
    nothing.keep(rows[:5], champions, forecasts)
    assert len(nothing) == 0


@pytest.fixture
def predictors(home):
    """One that remembers, and one that does not."""
    made = [Predictor.open(home.settings.model_copy(update={"forecast_cache_symbols": kept})) for kept in (100, 0)]
    yield made
    for each in made:
        each.close()


def test_models_are_asked_once_for_a_row_and_what_is_said_is_the_same_to_the_last_bit(predictors, monkeypatch):
    asked, said = [], []

    def counting(rows, champions):
        asked.append([row.symbol for row in rows])
        return forecast(rows, champions)

    monkeypatch.setattr("serving.predict.predictor.forecast", counting)
    symbols = predictors[0].online.symbols()
    for predictor in predictors:
        for part in (symbols[:4], symbols[2:6], symbols[:6]):
            entries = predictor.predict(part, 5).entries
            said.append([[entry.row[name] for name in ("symbol", "p10", "p50", "p90")] for entry in entries])
    assert asked == [symbols[:4], symbols[4:6], symbols[:4], symbols[2:6], symbols[:6]]
    assert said[:3] == said[3:]
