"""What the endpoint says in prices: those of the market, in a currency, up to a session; or why there are none."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager

import pytest
from fastapi.testclient import TestClient

from lake.settings import Settings
from serving.predict import Predictor
from serving.web.app import build_app
from support.clients import client_of

BATCH = "/api/v1/public/predict/batch"
PRICED = ("reference_price", "target_price", "price_basis", "currency", "target_session")


@pytest.fixture(scope="module")
def client(
    predicting: Callable[[Settings], AbstractContextManager[Predictor]], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[TestClient]:
    with predicting(Settings(home=tmp_path_factory.mktemp("priced"))) as predictor:
        yield client_of(build_app(predictor))


@pytest.mark.parametrize(("horizon", "session"), [(1, "2013-01-02"), (5, "2013-01-08")])
def test_prices_are_those_of_the_market_and_end_in_a_session_of_its_calendar(
    client: TestClient, horizon: int, session: str
) -> None:
    """Stated in shares of 2025, NVIDIA's close would be 0.3065; Exxon's adjusted one, 55.753, was 86.55 on the day."""
    asked = {"symbols": ["NVDA", "AAPL", "XOM"], "horizon_sessions": horizon}
    answers = client.post(BATCH, json=asked).json()["predictions"]
    told = {answer["symbol"]: answer["prediction"] for answer in answers}
    for symbol, close in {"NVDA": 12.26, "AAPL": 532.1729}.items():
        assert told[symbol]["reference_price"] == pytest.approx(close, abs=0.0051)
        assert told[symbol]["target_price"] == told[symbol]["reference_price"] * (1.0 + told[symbol]["p50"])
        assert [told[symbol][name] for name in PRICED[2:]] == ["as_traded", "USD", session]
    assert [told["XOM"][name] for name in PRICED] == [None, None, "adjusted_close_only", "USD", session]
    assert told["XOM"]["p10"] < told["XOM"]["p90"]
