"""The time to answer over the last day of answers, as a table: forecasts in, quantiles out."""

from datetime import timedelta

import polars as pl
import pytest

from lake.store import Lake
from lake.tables import FORECASTS
from serving.api import HistoryLatency
from serving.history import KnownTables, latency_of
from support.log import CLOSE, MADE_AT, forecast_row

DAY = timedelta(days=1)
MOMENT = timedelta(microseconds=1)


@pytest.fixture
def told(tmp_path):
    """Tell the time to answer of some forecasts as it was known at their close."""
    lake = Lake(tmp_path)

    def of(*rows):
        if rows:
            lake.merge(FORECASTS, pl.DataFrame(rows, schema=FORECASTS.schema))
        return latency_of(KnownTables(lake), CLOSE)

    return of


def test_quantiles_of_each_kind_of_answer(told):
    served = [forecast_row(latency_ms=float(one), made_at=MADE_AT - one * MOMENT) for one in range(1, 102)]
    scheduled = forecast_row(kind="scheduled", latency_ms=7.5)
    assert told(*served, scheduled) == [
        HistoryLatency(kind="scheduled", forecasts=1, median_ms=7.5, p95_ms=7.5, last_made_at=MADE_AT),
        HistoryLatency(kind="served", forecasts=101, median_ms=51.0, p95_ms=96.0, last_made_at=MADE_AT - MOMENT),
    ]


@pytest.mark.parametrize(
    "other",
    [
        {"made_at": MADE_AT - DAY},
        {"known_time": CLOSE + MOMENT},
        {"latency_ms": None},
        {"kind": "shadow"},
        {"kind": "replay"},
    ],
    ids=str,
)
def test_what_is_older_known_later_untimed_or_no_answer_does_not_count(told, other):
    (found,) = told(forecast_row(), forecast_row(made_at=MADE_AT - DAY + MOMENT), forecast_row(latency_ms=90.0) | other)
    assert (found.forecasts, found.p95_ms) == (2, 1.25)


def test_without_an_answer_there_is_nothing_to_tell(told):
    assert told() == []
    assert told(forecast_row(kind="trial")) == []
