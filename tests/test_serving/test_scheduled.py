"""After each materialisation every symbol has a stored forecast: once, however often it is run or cut off."""

import json
from dataclasses import replace

import polars as pl
import pytest

from feature_repo.online import BlendWeights, OnlineReader
from feature_repo.online.redis_server import redis_url
from lake import calendars
from lake.clock import FixedClock
from lake.store import Lake
from lake.tables import FORECASTS
from lake.universe import SYMBOLS
from serving.deployment import Champions
from serving.forecast_log import ForecastLog, LogReader, LogTail
from serving.forecast_log.latest import LatestForecasts
from serving.predict import Predictor, forecasting, scheduled, store_scheduled
from serving.predict.scheduled import schedule

HORIZONS = (1, 5)


@pytest.fixture
def settings(home, tmp_path):
    """The home's Redis and models, with a lake of forecasts and a log of their own."""
    return home.settings.model_copy(update={"home": tmp_path, "redis_url": redis_url(home.settings)})


@pytest.fixture(scope="module")
def models(home):
    return OnlineReader(home.settings), Champions(home.settings)


def opened(settings, models, clock):
    return Predictor(*models, ForecastLog.open(settings), LogReader(settings), clock)


@pytest.fixture
def predictor(settings, models, home):
    made = opened(settings, models, home.clock)
    yield made
    made.log.close()


def run(settings, predictor):
    return schedule(Lake.open(settings), settings, predictor, lambda _: None)


def stored(settings):
    return Lake.open(settings).read(FORECASTS)


def test_every_symbol_and_horizon_is_stored_heard_of_and_answered(settings, predictor):
    tail = LogTail(settings)
    report = run(settings, predictor)
    assert report.added == len(SYMBOLS) * len(HORIZONS) == stored(settings).height
    assert set(stored(settings)["kind"]) == {"scheduled"}
    assert {(news.symbol, news.horizon_sessions) for news in tail.read()} == {(s, h) for s in SYMBOLS for h in HORIZONS}
    tail.close()
    latest = LatestForecasts(settings, LogReader(settings))
    for symbol in SYMBOLS:
        found = latest.newest(symbol, 5)
        assert found.source == "cache"
        assert json.loads(found.answer)["symbol"] == symbol
    latest.close()


def test_a_second_run_stores_nothing(settings, predictor):
    run(settings, predictor)
    before = stored(settings)
    again = run(settings, predictor)
    assert (again.skipped, again.added) == (True, 0)
    assert again.details["reason"] == "every symbol's forecast is stored already"
    assert stored(settings).equals(before)
    assert predictor.logged.count() == before.height


def test_symbols_that_lack_one_horizon_are_counted_apart_from_those_without_any(settings, predictor, monkeypatch):
    monkeypatch.setattr(forecasting, "_weights", forecasting._weights.__wrapped__)
    monkeypatch.setattr(BlendWeights, "of_horizon", lambda _, horizon: {"naive": 1.0} if horizon == 1 else {})
    report = run(settings, predictor)
    assert set(stored(settings)["horizon_sessions"]) == {1}
    assert (report.details["unavailable"], report.details["incomplete"]) == (0, len(SYMBOLS))


def test_without_the_look_at_what_is_stored_a_second_run_would_double_all(settings, predictor, monkeypatch):
    """The mutant of the test above."""
    run(settings, predictor)
    monkeypatch.setattr(scheduled, "_new", lambda _, made: made)
    run(settings, predictor)
    assert stored(settings).height == 2 * len(SYMBOLS) * len(HORIZONS)


def test_a_run_that_is_cut_off_after_logging_is_finished_by_the_next(settings, predictor, models, home, monkeypatch):
    drained = []

    def die_at_the_second(*given):
        drained.append(given)
        if len(drained) == 2:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(scheduled, "drain", die_at_the_second)
        with pytest.raises(KeyboardInterrupt):
            run(settings, predictor)
    assert not Lake.open(settings).exists(FORECASTS)
    other = opened(settings, models, home.clock)
    assert run(settings, other).skipped
    other.log.close()
    assert stored(settings).height == len(SYMBOLS) * len(HORIZONS)
    assert stored(settings)["forecast_id"].is_unique().all()


def test_the_same_forecasts_on_a_later_day_are_not_stored_again(settings, predictor, models, home):
    run(settings, predictor)
    later = opened(settings, models, FixedClock(calendars.next_closes(home.clock.now(), 1)[-1]))
    assert run(settings, later).skipped
    later.log.close()


def test_other_weights_are_another_forecast(settings, predictor, monkeypatch):
    run(settings, predictor)
    read = predictor.online.read

    def other(symbols):
        batch = read(symbols)
        return replace(batch, blend=replace(batch.blend, horizons=(1, 5), models=("ridge",) * 2, weights=(1.0, 1.0)))

    monkeypatch.setattr(predictor.online, "read", other)
    assert run(settings, predictor).added == len(SYMBOLS) * len(HORIZONS)
    newest = stored(settings).sort("made_at").tail(len(SYMBOLS) * len(HORIZONS))
    assert set(newest["model_name"]) == {"ridge"}


def test_an_empty_store_is_skipped_with_the_reason(settings, predictor, monkeypatch):
    monkeypatch.setattr(predictor.online, "symbols", list)
    assert run(settings, predictor).skipped


def test_it_runs_on_a_home_as_it_is(home):
    lake = home.lake
    report = store_scheduled(lake, home.settings, lambda _: None)
    mine = lake.read(FORECASTS, where=pl.col("kind") == "scheduled")
    assert report.rows == len(SYMBOLS) * len(HORIZONS)
    assert mine.height >= report.added
    assert store_scheduled(lake, home.settings, lambda _: None).skipped
