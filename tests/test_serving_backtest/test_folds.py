"""Folds: each scored session once, after what the models learnt from and the embargo."""

from datetime import UTC, datetime
from itertools import pairwise

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lake.calendars import count_closes, session_closes
from lake.errors import LookAheadError, NotReadyError
from serving.backtest.folds import first_session, folds_of, newest_labels
from serving.backtest.strategy_file import FoldPlan

CLOSES = session_closes(datetime(2011, 6, 1, tzinfo=UTC), datetime(2012, 12, 31, 22, tzinfo=UTC))
GRID = "XNYS"


@given(
    sessions=st.integers(2, 300), length=st.integers(5, 90), embargo=st.integers(0, 12), learnt=st.integers(0, 250),
    again=st.integers(0, 250),
)  # fmt: skip
def test_each_session_is_in_one_fold_and_none_is_scored_within_the_embargo(
    sessions: int, length: int, embargo: int, learnt: int, again: int
) -> None:
    """Two versions: the second one learnt further and forecasts from then on."""
    plan, offset = FoldPlan(sessions=length, embargo_sessions=embargo), 20
    every = CLOSES[offset : offset + sessions]
    first, second = sorted((learnt, again))
    newest = {
        at: CLOSES[max(offset - 1, 0)] if place <= first else CLOSES[min(offset + first, offset + place)]
        for place, at in enumerate(every)
    }
    folds = folds_of(every, newest, plan, GRID)
    places = [place for fold in folds for place in range(fold.first, fold.last + 1)]
    assert places == list(range(1, len(every))), "nothing was earned at the first close"
    assert all(fold.last + 1 == later.first for fold, later in pairwise(folds))
    for fold in folds:
        for place in fold.scored:
            until = newest[every[place - 1]]
            assert count_closes(until, every[place - 1], GRID) > embargo
        assert set(fold.scored) | set(fold.embargoed) == set(range(fold.first, fold.last + 1))
    assert second >= first


def test_the_purge_gap_counts_the_closes_between_the_newest_label_and_the_first_decision() -> None:
    """Learnt up to the close of 2011-12-30, the first decision at 2012-01-10: the five closes from 01-03 to 01-09."""
    learnt = datetime(2011, 12, 30, 21, tzinfo=UTC)
    after = [at for at in CLOSES if at > learnt]
    newest: dict[datetime, datetime | None] = dict.fromkeys(after, learnt)
    first = first_session(after, newest, FoldPlan(), GRID)
    assert f"{first:%Y-%m-%d}" == "2012-01-10"
    (fold, *_) = folds_of([at for at in after if at >= first], newest, FoldPlan(), GRID)
    assert (fold.name, fold.gap_sessions, fold.embargoed) == ("2012-01-11", 5, ())
    with pytest.raises(NotReadyError, match="embargo of 400 sessions"):
        first_session(after, newest, FoldPlan(embargo_sessions=400), GRID)


def test_a_forecast_of_a_session_that_its_model_learnt_from_is_refused() -> None:
    key = ("ridge", "1", "digest")
    rows = pl.DataFrame(
        {"event_time": CLOSES[:3], "model_name": key[0], "model_version": key[1], "model_digest": key[2]},
        schema_overrides={"event_time": pl.Datetime("us", "UTC")},
    )
    assert newest_labels(rows, {key: CLOSES[0]}) == dict.fromkeys(CLOSES[:3], CLOSES[0])
    assert newest_labels(rows, {key: None}) == dict.fromkeys(CLOSES[:3])
    with pytest.raises(LookAheadError, match="not out of sample"):
        newest_labels(rows, {key: CLOSES[1]})


def test_a_short_rest_joins_the_last_fold() -> None:
    known = dict.fromkeys(CLOSES)
    assert [fold.last - fold.first + 1 for fold in folds_of(CLOSES[:131], known, FoldPlan(sessions=63), GRID)] == [
        63,
        67,
    ]
    assert [fold.last - fold.first + 1 for fold in folds_of(CLOSES[:161], known, FoldPlan(sessions=63), GRID)] == [
        63,
        63,
        34,
    ]
    assert folds_of(CLOSES[:3], known, FoldPlan(), GRID)[0].gap_sessions is None
