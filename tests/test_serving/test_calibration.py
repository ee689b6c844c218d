"""What is answered is corrected by the calibration in force, and says so; without one it is as the models say."""

import json
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from feature_repo.online import OnlineCalibration, OnlineReader
from serving.deployment import Champions
from serving.forecast_log import ForecastLog, LogReader
from serving.forecasts import COVERAGE_TARGET, Calibration, calibrate, confidence, sign_probability, trust_of
from serving.predict import Predictor

AT = datetime(2012, 12, 31, 21, tzinfo=UTC)
REGIME = "low_volatility_uptrend"
IN_FORCE = Calibration(AT, REGIME, (1, 5), (0.5, 2.0), (1.5, 1.0), (0.25, 1.0), (250.0, 246.0))

HELD = OnlineCalibration(
    as_of=AT,
    regimes=("high_volatility_downtrend", "high_volatility_downtrend", REGIME, REGIME),
    horizons=(1, 5, 1, 5),
    lower=(9.0, 9.0, 0.5, 2.0),
    upper=(9.0, 9.0, 1.5, 1.0),
    trust=(0.0, 0.0, 0.25, 1.0),
    sessions=(3.0, 3.0, 250.0, 246.0),
)

ordered = arrays(np.float64, (4, 2, 3), elements=st.floats(-0.9, 0.9)).map(lambda drawn: np.sort(drawn, axis=-1))
factor = st.floats(0.1, 10.0)


@given(ordered, st.tuples(factor, factor), st.tuples(factor, factor))
def test_ordered_quantiles_stay_ordered_and_the_median_stays(quantiles, lower, upper):
    calibration = replace(IN_FORCE, lower=lower, upper=upper)
    said = calibrate(quantiles, (1, 5), [calibration, None, calibration, None])
    assert (np.diff(said, axis=-1) >= 0).all()
    assert np.array_equal(said[..., 1], quantiles[..., 1])
    assert np.array_equal(said[[1, 3]], quantiles[[1, 3]]), "a row without a calibration keeps every bit"


def test_each_side_of_the_band_has_its_factor_by_horizon_in_whatever_order():
    quantiles = np.array([[[-0.1, 0.0, 0.2], [-0.2, 0.1, 0.3], [-0.5, 0.0, 0.5]]])
    said = calibrate(quantiles, (5, 1, 20), [IN_FORCE])
    assert np.allclose(said, [[[-0.2, 0.0, 0.2], [-0.05, 0.1, 0.4], [-0.5, 0.0, 0.5]]])


def test_a_row_of_a_regime_takes_the_entries_of_that_regime():
    assert Calibration.of(HELD, REGIME) == IN_FORCE
    assert Calibration.of(HELD, "low_volatility_downtrend") is None
    assert Calibration.of(None, REGIME) is None


def test_a_calibration_comes_back_from_json_to_the_last_bit():
    third = replace(IN_FORCE, lower=(1 / 3, 0.1 + 0.2))
    assert Calibration.from_dict(json.loads(json.dumps(third.to_dict()))) == third


@given(st.floats(0, 2), st.tuples(*[st.floats(-0.9, 0.9)] * 3).map(sorted))
def test_confidence_is_a_probability_of_at_least_a_half_that_grows_with_trust(trust, quantiles):
    said = confidence(*quantiles, trust=trust)
    assert 0.5 <= said <= 1
    assert said <= max(sign_probability(*quantiles), confidence(*quantiles, trust=2.0))


def test_without_trust_nothing_is_believed_and_without_a_calibration_everything():
    assert confidence(-0.01, 0.02, 0.05, trust=0.0) == 0.5
    assert trust_of(None, 1) == trust_of(IN_FORCE, 20) == 1.0
    assert trust_of(IN_FORCE, 1) == 0.25


class InForce:
    """The real reader of the home, as if a calibration had been materialised."""

    def __init__(self, reader, held):
        self._reader, self._held = reader, held

    def symbols(self):
        return self._reader.symbols()

    def assigned_symbols(self):
        return self._reader.assigned_symbols()

    def read(self, symbols):
        return replace(self._reader.read(symbols), calibration=self._held)

    def close(self):
        self._reader.close()


@pytest.fixture
def predictor(home, tmp_path):
    """A predictor with a log of its own on the running home."""
    apart = home.settings.model_copy(update={"home": tmp_path})
    reader, log = OnlineReader(home.settings), ForecastLog.open(apart)
    made = Predictor(InForce(reader, None), Champions(home.settings), log, LogReader(apart), home.clock)
    yield made
    made.close()


def test_an_answer_says_whether_it_is_calibrated_and_is_corrected_by_the_row_in_force(home, predictor):
    raw = {horizon: said_of(predictor, horizon) for horizon in (1, 5)}
    assert not raw[1]["is_calibrated"]
    assert raw[1]["coverage_target"] == COVERAGE_TARGET
    reader = OnlineReader(home.settings)
    regime = reader.read(["KO"]).regime
    predictor.online = InForce(reader, replace(HELD, regimes=(*HELD.regimes[:2], regime, regime)))
    for horizon, (lower, upper, trust) in {1: (0.5, 1.5, 0.25), 5: (2.0, 1.0, 1.0)}.items():
        said, plain = said_of(predictor, horizon), raw[horizon]
        assert said["is_calibrated"]
        assert said["p50"] == plain["p50"]
        assert said["p50"] - said["p10"] == pytest.approx(lower * (plain["p50"] - plain["p10"]))
        assert said["p90"] - said["p50"] == pytest.approx(upper * (plain["p90"] - plain["p50"]))
        assert said["confidence"] == confidence(said["p10"], said["p50"], said["p90"], trust=trust)


def test_a_calibration_that_knows_neither_the_regime_nor_the_horizon_leaves_the_forecast_as_it_is(predictor):
    raw = said_of(predictor, 1)
    for held in (replace(HELD, regimes=("another",) * 4), replace(HELD, horizons=(5, 20, 5, 20))):
        predictor.online = InForce(predictor.online, held)
        assert said_of(predictor, 1) == raw


def said_of(predictor, horizon):
    return json.loads(predictor.predict(["KO"], horizon).texts[0])["prediction"]
