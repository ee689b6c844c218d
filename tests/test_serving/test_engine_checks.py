"""What no engine may take or give, whatever computes."""

import numpy as np
import pytest

from lake.clock import DEMO_START
from lake.errors import EngineError
from serving.engines.base import require_input, require_output
from serving.engines.signature import Signature

SIGNATURE = Signature(
    name="ridge",
    window_spec="forecast_v2",
    features=("return_1d", "volatility_20d"),
    sessions=3,
    horizons=(1, 5),
    quantiles=(0.1, 0.5, 0.9),
    scaler="none",
    table_versions={},
    train_until=DEMO_START,
    code_version="0",
    digest="0" * 64,
)


@pytest.mark.parametrize("number", [np.nan, np.inf, -np.inf])
def test_a_number_that_is_not_finite_never_reaches_a_model(number: float) -> None:
    window = np.zeros((2, 3, 4), np.float32)
    require_input(window, SIGNATURE)
    window[1, 2, 1] = number
    with pytest.raises(EngineError, match="at window 1, session 2, value of 'volatility_20d'"):
        require_input(window, SIGNATURE)


@pytest.mark.parametrize("number", [np.nan, np.inf, -np.inf])
def test_an_answer_that_is_not_finite_is_no_forecast(number: float) -> None:
    answer = np.tile(np.array([-1, 0, 1], np.float32), (2, 2, 1))
    require_output(answer, SIGNATURE, 2)
    answer[1, 0, 2] = number
    with pytest.raises(EngineError, match=r"for window 1, horizon 1, quantile 0\.9"):
        require_output(answer, SIGNATURE, 2)


def test_quantiles_out_of_order_are_no_forecast() -> None:
    answer = np.tile(np.array([-1, 0, 1], np.float32), (2, 2, 1))
    answer[0, 1] = [-1, 1, 0.5]
    with pytest.raises(EngineError, match="out of order for window 0, horizon 5"):
        require_output(answer, SIGNATURE, 2)
