"""What is remembered is what the engine would say, to the last bit, and nothing else."""

import numpy as np
import pytest

from feature_repo.online import OnlineReader
from lake.errors import EngineError
from serving.champions import Champions
from serving.forecasting import forecast
from serving.memory import Memory
from serving.rows import split_ready
from serving.runtime.onnx import OnnxEngine


class Counting:
    """A real engine that counts the windows it is asked for."""

    def __init__(self, bundle):
        self._engine, self.asked = OnnxEngine(bundle), []
        self.digest = self._engine.digest

    def predict(self, x):
        self.asked.append(len(x))
        return self._engine.predict(x)


@pytest.fixture
def engine(exports):
    return Counting(exports["lstm"])


def test_only_windows_that_are_new_are_computed_and_every_bit_is_the_engines(engine, exports, inputs):
    memory, bare = Memory(1_000), OnnxEngine(exports["lstm"])
    random = np.random.default_rng(7)
    for _ in range(30):
        x = inputs[random.integers(0, 60, random.integers(1, 40))]
        assert (memory.predict(engine, x) == bare.predict(x)).all()
    assert len(memory) <= 60
    assert sum(engine.asked) < 200


def test_a_window_that_differs_in_one_bit_is_another(engine, inputs):
    memory = Memory(10)
    x = inputs[:1].copy()
    memory.predict(engine, x)
    x[0, 3, 2] = np.nextafter(x[0, 3, 2], np.float32(9))
    memory.predict(engine, x)
    assert engine.asked == [1, 1]


def test_models_do_not_remember_for_each_other(exports, inputs):
    memory, engines = Memory(10), [Counting(exports[name]) for name in ("lstm", "ridge")]
    first, second = (memory.predict(each, inputs[:1]) for each in engines)
    assert (first != second).any()
    assert [each.asked for each in engines] == [[1], [1]]


def test_it_keeps_no_more_than_it_may(engine, inputs):
    memory = Memory(5)
    memory.predict(engine, inputs[:20])
    assert len(memory) == 5
    memory.predict(engine, inputs[15:20])
    assert engine.asked == [20]


def test_a_memory_of_nothing_asks_every_time(engine, inputs):
    memory = Memory(0)
    memory.predict(engine, inputs[:2])
    memory.predict(engine, inputs[:2])
    assert engine.asked == [2, 2]


def test_what_was_refused_is_refused_again(engine, inputs):
    memory = Memory(10)
    x = inputs[:2].copy()
    x[1, 0, 0] = np.inf
    for _ in range(2):
        with pytest.raises(EngineError):
            memory.predict(engine, x)
    with pytest.raises(EngineError, match="takes float32"):
        memory.predict(engine, inputs[:1].reshape(1, inputs.shape[2], inputs.shape[1]))


def test_an_empty_memory_is_filled_by_the_first_forecast_and_no_engine_is_asked_by_the_second(home, monkeypatch):
    reader, memory = OnlineReader(home.settings), Memory(100)
    rows, _ = split_ready(reader.read(["AAPL", "MSFT"]))
    reader.close()
    models = Champions(home.settings).current()
    first = forecast(rows, models, memory)
    assert len(memory) == sum(len(members) for members in first.members)

    def fail(self, x):
        raise AssertionError("asked again")

    monkeypatch.setattr(OnnxEngine, "predict", fail)
    second = forecast(rows, models, memory)
    assert np.array_equal(first.quantiles, second.quantiles)
    assert first.members == second.members
