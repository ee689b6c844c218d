"""An experiment fits the packaged markets: folds, validation and walk-forward sessions lie inside their history."""

from datetime import date

import pytest

from lake.calendars import close_of
from lake.errors import NotReadyError
from lake.market import DEMO, LONG, WIDE
from lake.settings import Settings
from lake.store import Lake
from training.experiments import experiment_of, fit_to_history, load_experiment

DECLARED = load_experiment("demo")
WIDE_BEGINS, INDEX_BEGINS = close_of(date(2009, 8, 21)), close_of(date(2008, 8, 21))


def test_a_long_history_gets_three_years_of_folds_and_one_of_forecasts() -> None:
    assert LONG.starts_at is not None
    fitted = fit_to_history(DECLARED, LONG.calendar, close_of(date(2000, 3, 1)), LONG.starts_at)
    assert [each.first.year for each in fitted.test_intervals] == [2018, 2019, 2020]
    assert fitted.train_until == date(2021, 1, 5)
    assert fitted.splits.train_stride_sessions == DECLARED.splits.train_stride_sessions


def test_a_year_of_symbols_is_enough_where_the_index_begins_earlier() -> None:
    assert WIDE.starts_at is not None
    fitted = fit_to_history(DECLARED, WIDE.calendar, WIDE_BEGINS, WIDE.starts_at, index_first=INDEX_BEGINS)
    (fold,) = fitted.test_intervals
    assert (fold.first, fold.last) == (date(2010, 4, 27), date(2010, 5, 17))
    assert fitted.splits.validation_sessions == 15
    with pytest.raises(NotReadyError, match=r"216 sessions of XNYS.*260 at least.*Where the index begins earlier, 170"):
        fit_to_history(DECLARED, WIDE.calendar, WIDE_BEGINS, WIDE.starts_at)
    with pytest.raises(NotReadyError, match="149 sessions of XNYS"):
        fit_to_history(DECLARED, WIDE.calendar, close_of(date(2009, 11, 25)), WIDE.starts_at, index_first=INDEX_BEGINS)


def test_the_dates_in_the_files_are_those_of_the_default_market_alone(settings: Settings) -> None:
    lake = Lake.open(settings)
    assert lake.market is DEMO
    assert experiment_of(settings, lake, settings.clock).train_until == date(2011, 12, 30)
    other = settings.model_copy(update={"home": settings.home / "markets" / "long"})
    with pytest.raises(NotReadyError, match="'long' has no bars yet"):
        experiment_of(other, Lake.open(other), other.clock)
