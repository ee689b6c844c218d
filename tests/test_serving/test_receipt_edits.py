"""What an edit after the fact shows: in the log, in the receipt, in the model input that a forecast names."""

import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from typing import Any

import pytest

from feature_repo.online import BlendWeights
from feature_repo.targets import FORECAST_V2, window_hash
from lake.settings import Settings
from lake.sources import tiny_market
from lake.store import Lake
from lake.tables import BARS, BLEND_WEIGHTS, MODEL_WINDOWS, REGIMES, STRATEGY_ASSIGNMENTS
from lake.universe import MARKET
from serving.forecast_log import ForecastLog, LogEntry, row_as_json
from serving.receipts import EngineSettings, ModelUse, Receipt, StrategyInForce, digest_of, row_digest, running_code
from serving.receipts.receipt import Online
from serving.receipts.seals import sealed
from serving.replay import Replayed, replay
from support.log import forecast_row
from support.online import AT, store_generation, window_of

ANSWER = '{"p50": 0.1}'
ENGINE = EngineSettings(device="cpu", provider="CPUExecutionProvider", threads=1)


@pytest.fixture
def lake(settings: Settings) -> Lake:
    """Return a lake with the windows, regime and strategies of one market day."""
    made = Lake.open(settings)
    store_generation(made, 0)
    made.merge(BARS, tiny_market(["S0", MARKET], sessions=3, seed=1))
    return made


def log_forecast(
    settings: Settings,
    lake: Lake,
    edit: Callable[[str], str] = str,
    *,
    strategy: StrategyInForce | None = None,
    blend: BlendWeights | None = None,
    **change: Any,
) -> str:
    """Log a forecast of S0 with its receipt, which may be edited after it was sealed; return its id."""
    names = (BARS, MODEL_WINDOWS, REGIMES, STRATEGY_ASSIGNMENTS, BLEND_WEIGHTS)
    tables = {spec.name: lake.version(spec) for spec in names}
    said = {
        "symbol": "S0", "event_time": AT, "known_time": AT, "reference_price": 1.0,
        "feature_hash": window_hash(window_of(0, 0).reshape(FORECAST_V2.shape)),
        "regime": "low_volatility_downtrend", "feature_table_versions": json.dumps(tables),
    }  # fmt: skip
    row = forecast_row(**said | change)
    receipt = Receipt(
        forecast_id=row["forecast_id"],
        row=row_digest(row),
        answer=digest_of(ANSWER),
        window_known_time=AT,
        tables=tables,
        online=Online(generation=1, until=AT, source="redis"),
        strategy=strategy,
        blend=None if blend is None else blend.to_dict(),
        models=(ModelUse(name="lstm", version="1", digest=row["model_digest"], weight=1.0, engine=ENGINE),),
        code=running_code(),
    )
    log = ForecastLog.open(settings)
    log.write([LogEntry(row, ANSWER, edit(sealed(receipt.model_dump_json())))])
    log.close()
    return str(row["forecast_id"])


def edit_row(settings: Settings, forecast_id: str, column: str, text: str) -> None:
    with closing(sqlite3.connect(next(settings.home.glob("forecast_log*.sqlite*")))) as log, log:
        log.execute(f"UPDATE forecasts SET {column} = ? WHERE forecast_id = ?", (text, forecast_id))


def told(settings: Settings, lake: Lake, forecast_id: str) -> list[str]:
    """Say what a replay finds; the models are not there, which is another matter."""
    (found,) = replay(lake, settings, [forecast_id])
    assert isinstance(found, Replayed)
    return [str(finding) for finding in found.findings]


def test_what_nobody_edited_is_as_it_was(settings: Settings, lake: Lake) -> None:
    said = told(settings, lake, log_forecast(settings, lake))
    assert not [one for one in said if "altered" in one or "is not the" in one], said


def test_an_edited_receipt_no_longer_has_its_seal(settings: Settings, lake: Lake) -> None:
    forecast_id = log_forecast(settings, lake, lambda text: text.replace('"threads":1', '"threads":2'))
    said = told(settings, lake, forecast_id)
    assert any("it was altered after it was sealed" in one for one in said), said


def test_an_edited_row_is_not_the_one_that_was_sealed(settings: Settings, lake: Lake) -> None:
    forecast_id = log_forecast(settings, lake)
    row = forecast_row(forecast_id, symbol="S0", p50=0.25, event_time=AT, known_time=AT)
    edit_row(settings, forecast_id, "row", row_as_json(row))
    said = told(settings, lake, forecast_id)
    assert any("it is not the row that was sealed when it was made" in one for one in said), said


def test_an_edited_answer_is_not_the_one_that_was_sent(settings: Settings, lake: Lake) -> None:
    forecast_id = log_forecast(settings, lake)
    edit_row(settings, forecast_id, "answer", '{"p50": 0.2}')
    said = told(settings, lake, forecast_id)
    assert any("it is not the answer that was sent" in one for one in said), said


def test_a_forecast_from_another_input_than_the_stored_one_is_found(settings: Settings, lake: Lake) -> None:
    forecast_id = log_forecast(settings, lake, feature_hash=window_hash(window_of(0, 1).reshape(FORECAST_V2.shape)))
    said = told(settings, lake, forecast_id)
    assert any("the window in it is not the one that was forecast from" in one for one in said), said


NOT_FOLLOWING = "the models' weights do not follow from the"


@pytest.mark.parametrize(("name", "follows"), [("lstm", True), ("ridge", False), ("buy_and_hold", False)])
def test_without_weights_of_models_the_strategy_says_them(
    settings: Settings, lake: Lake, name: str, follows: bool
) -> None:
    """A receipt from before there were weights of models; the model that took part is the LSTM."""
    in_force = StrategyInForce(selected=name, strategies=(name,), weights=(1.0,), confidence=0.5)
    said = told(settings, lake, log_forecast(settings, lake, strategy=in_force))
    assert any(f"{NOT_FOLLOWING} strategy" in one for one in said) is not follows, said


@pytest.mark.parametrize(("model", "follows"), [("lstm", True), ("naive", False)])
def test_the_weights_of_models_say_who_took_part(settings: Settings, lake: Lake, model: str, follows: bool) -> None:
    """Whatever the strategy in force is."""
    in_force = StrategyInForce(selected="ridge", strategies=("ridge",), weights=(1.0,), confidence=0.5)
    blend = BlendWeights(AT, (1, 5), (model, model), (1.0, 1.0))
    said = told(settings, lake, log_forecast(settings, lake, strategy=in_force, blend=blend))
    assert any(f"{NOT_FOLLOWING} weights of models" in one for one in said) is not follows, said
    is_stored = model == "naive"  # by `store_generation`
    assert any("the weights of models in it are not those" in one for one in said) is not is_stored, said
