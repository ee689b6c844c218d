"""Forecasts of before their prices were disclosed: verified, drained, answered and made again as they were."""

import json
from datetime import UTC, date, datetime
from typing import Any

import pytest

from lake.store import Lake
from lake.tables import FORECASTS
from serving.api import PredictAnswer
from serving.forecast_log import ForecastLog, LogEntry, drain, log_path, row_as_json, row_from_json
from serving.forecast_log.stored_forecasts import in_lake
from serving.forecast_log.verifying import Logged, verify_logged
from serving.forecasts import PRICED
from serving.receipts import Receipt, receipt_text, row_digest, running_code
from serving.replay.cases import Case
from serving.replay.findings import Replayed
from serving.replay.recompute import ReplayJob, compare_target, wrong_price
from serving.web.http.examples import examples
from support.log import forecast_row

CLOSE = datetime(2012, 12, 31, 21, tzinfo=UTC)
SHARED = '"tables":{}'
RECEIPT = Receipt(forecast_id="7b", tables={}, models=(), code=running_code())
DIGEST = "745f6db99de20489b781fd76fffa3f8314e36c55fc2f424eced18f5e748df14b"
"""Of `earlier()`, by the code of before `price_basis` was kept (commit 3f10226)."""


def earlier(**change: Any) -> dict[str, Any]:
    row = forecast_row("7b", made_at=CLOSE, **change)
    return {name: value for name, value in row.items() if name not in PRICED}


def logged(row: dict[str, Any]) -> Logged:
    answer = "{}"
    return Logged(1, row["forecast_id"], row_as_json(row), answer, receipt_text(SHARED, "", row, answer))


def test_a_row_of_before_keeps_the_digest_it_was_sealed_with() -> None:
    assert row_digest(earlier()) == DIGEST
    assert row_digest(earlier() | dict.fromkeys(PRICED)) == DIGEST  # as the lake gives it
    assert row_digest(row_from_json(row_as_json(earlier()))) == DIGEST


@pytest.mark.parametrize(
    "change",
    [
        {"price_basis": "split_adjusted"},
        {"currency": "EUR"},
        {"target_session": date(2013, 1, 3)},
        {"price_basis": None},
    ],
)
def test_what_is_said_of_prices_is_under_the_seal(change: dict[str, Any]) -> None:
    assert row_digest(forecast_row("7b") | change) != row_digest(forecast_row("7b"))
    assert row_digest(earlier() | {"price_basis": "as_traded", "currency": None, "target_session": None}) != DIGEST


def test_a_row_of_before_verifies_and_one_with_some_of_the_columns_does_not() -> None:
    verdict = verify_logged(logged(earlier()))
    assert verdict.fault == ""
    assert verdict.row is not None
    assert [verdict.row[name] for name in PRICED] == [None] * 3
    some = earlier() | {"price_basis": "as_traded"}
    text = json.dumps(json.loads(row_as_json(some)))
    assert "currency" in verify_logged(logged(earlier())._replace(row=text)).fault


def test_dates_that_are_none_are_refused() -> None:
    row = json.loads(row_as_json(forecast_row("7b"))) | {"target_session": "soon"}
    assert "no date" in verify_logged(logged(forecast_row("7b"))._replace(row=json.dumps(row))).fault


def test_a_log_of_before_drains_beside_new_rows_and_answers(settings, lake: Lake) -> None:
    rows = [earlier(), forecast_row("7c")]
    log = ForecastLog(log_path(settings))
    log.write([LogEntry(row, "{}", logged(row).receipt or "") for row in rows])
    log.close()
    report = drain(lake, settings)
    assert (report.added, report.details["quarantined"]) == (2, 0)
    old, new = (in_lake(lake, name) for name in ("7b", "7c"))
    assert old is not None
    assert new is not None
    assert (old.reference_price, old.target_price, old.price_basis, old.target_session) == (None, None, None, None)
    assert (old.confidence, old.outlook) == (None, None), "its receipt says too little"
    assert (new.price_basis, new.currency, new.target_session) == ("as_traded", "USD", date(2013, 1, 2))
    stored = lake.read(FORECASTS).sort("forecast_id")
    assert [row_digest(row) for row in stored.iter_rows(named=True)] == [row_digest(row) for row in rows]


def test_the_price_of_a_forecast_is_judged_by_the_rule_of_its_time() -> None:
    bar = {"reference_price": 12.26, "price_basis": "as_traded", "undisclosed_price": 0.3065}
    assert wrong_price(bar, {"reference_price": 0.3065, "price_basis": None}) == ""
    assert wrong_price(bar, {"reference_price": 12.26, "price_basis": "as_traded"}) == ""
    assert "0.3065, not 12.26" in wrong_price(bar, {"reference_price": 12.26, "price_basis": None})
    assert "12.26, not 0.3065" in wrong_price(bar, {"reference_price": 0.3065, "price_basis": "as_traded"})
    assert wrong_price(bar, {"reference_price": None, "price_basis": None}) == ""  # from a window of before
    unknown = {"reference_price": None, "price_basis": "adjusted_close_only", "undisclosed_price": 55.753}
    assert wrong_price(unknown, {"reference_price": None, "price_basis": "adjusted_close_only"}) == ""
    assert "basis" in wrong_price(unknown, {"reference_price": None, "price_basis": "split_adjusted"})


def test_a_replay_names_a_session_that_is_not_the_calendars() -> None:
    right = {"target_session": date(2013, 1, 2)}
    for row, found in [
        (forecast_row("7b"), 0),
        (forecast_row("7b", target_session=date(2013, 1, 1)), 1),
        (earlier(), 0),
    ]:
        result = Replayed("7b", "served", "AAPL", CLOSE)
        case = Case(dict.fromkeys(PRICED) | row, "lake")
        compare_target(ReplayJob(case, RECEIPT, result), right)
        assert len(result.findings) == found
        if found:
            assert "2013-01-02 by the calendar, not of 2013-01-01" in str(result.findings[0])


def test_an_answer_of_before_is_read_by_the_client_of_today() -> None:
    recorded = next(each for each in examples() if each.route.endswith("/predict")).answer
    prediction = {name: value for name, value in recorded["prediction"].items() if name not in PRICED}
    read = PredictAnswer.model_validate(recorded | {"prediction": prediction})
    assert read.prediction.reference_price == 532.1729
    assert (read.prediction.price_basis, read.prediction.currency, read.prediction.target_session) == (None,) * 3
    told = PredictAnswer.model_validate(recorded).prediction
    assert (told.price_basis, told.target_session) == ("as_traded", date(2013, 1, 2))
