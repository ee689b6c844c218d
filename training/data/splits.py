"""Purged walk-forward splits: training ends, in time, before the first thing it is tested on begins.

A row at session t carries a label that is only known at its `label_end`, five sessions later. A row close before a
cut therefore knows part of the test. Rows are removed by that *time*, over all symbols at once: counting rows instead
would leave almost every overlap of a panel in place (López de Prado, Advances in Financial Machine Learning, 7.4).
"""

from datetime import datetime, timedelta

import numpy as np
import polars as pl

from lake.calendars import close_before, closes, session_closes
from lake.errors import LookAheadError, NotReadyError
from training.data.dataset import END
from training.data.split import Split
from training.experiments import Experiment, TestInterval

CHAMPION = "champion"
"""Name of the split that the served models are fitted on."""

INSTANT = timedelta(microseconds=1)
"""Least difference of two instants: before ``end + INSTANT`` is up to and with ``end``."""

MINIMUM_ROWS = 2
"""Fewer rows than this in any part of a split judge nothing."""


def walk_forward(keys: pl.DataFrame, experiment: Experiment) -> list[Split]:
    """Return one purged and embargoed split per test interval, in order of time.

    Parameters
    ----------
    keys
        ``symbol``, ``event_time`` (close the window ends on) and ``label_end`` (close at which its longest label is
        known), both UTC, and ``label_end_<bars>`` of each horizon where there are several; any order.

    Returns
    -------
    list[Split]
        In each, every training label ends before the validation starts and every validation label before the test
        starts, `embargo_sessions` earlier still; every test label ends by the end of knowledge.

    Raises
    ------
    NotReadyError
        If a part of a split is empty.

    Examples
    --------
    >>> from datetime import UTC
    >>> sessions = session_closes(datetime(2005, 1, 1, tzinfo=UTC), datetime(2011, 12, 31, tzinfo=UTC))
    >>> keys = pl.DataFrame({"symbol": "A", "event_time": sessions[:-5], "label_end": sessions[5:]})
    >>> first = walk_forward(keys, Experiment())[0]
    >>> first.name, f"{first.valid_start:%Y-%m-%d}", f"{first.test_start:%Y-%m-%d}"
    ('2009', '2007-12-26', '2009-01-02')
    """
    return [_fold(keys, experiment, interval) for interval in experiment.test_intervals]


def champion_split(keys: pl.DataFrame, experiment: Experiment) -> Split:
    """Return the split that the served models are fitted on: all that is known at the end of knowledge, and no test."""
    end = experiment.knowledge_end
    after = end + INSTANT
    return _inner(
        CHAMPION, keys, experiment, (_first_end(keys) < after, end, after), (np.zeros(0, dtype=np.int64), end)
    )


def assert_no_overlap(split: Split, train: pl.DataFrame, valid: pl.DataFrame) -> None:
    """Raise where a label of an earlier part ends at or after the start of a later one.

    This looks at the result alone and shares no code with the purge, so that it can convict it.

    Parameters
    ----------
    train, valid
        Keys of the windows that are learnt from, as `WindowSet.parts_of` gives them: ``label_end`` is the end of the
        last label of each that is not masked.

    Raises
    ------
    LookAheadError
        Naming the parts, the number of rows, and the first of them.
    """
    later = [("train", train, "validation", split.valid_start)]
    if len(split.test):
        later += [(name, rows, "test", split.test_start) for name, rows in (("train", train), ("valid", valid))]
    for name, rows, of, start in later:
        leaks = rows.filter(pl.col("label_end") >= start)
        if leaks.height:
            first = leaks.row(0, named=True)
            raise LookAheadError(
                f"Split {split.name}: {leaks.height} of {len(rows)} {name} labels end at or after the {of} starts at "
                f"{start:%Y-%m-%d}; the first is {first['symbol']} of {first['event_time']:%Y-%m-%d}, which ends "
                f"on {first['label_end']:%Y-%m-%d}. Purge by label_end over all symbols."
            )


def assert_learnt_before(split: Split, learnt_until: datetime | None) -> None:
    """Raise where a model has learnt from a label that was not known when its forecasts begin.

    This looks at what was learnt, whoever chose the windows: the training interval alone, or its validation tail too.

    Parameters
    ----------
    learnt_until
        Latest end of a label that was learnt from; None where there was nothing to learn.

    Raises
    ------
    LookAheadError
        If it lies at or after the start of the test or, in the split that has none, after the end of knowledge.
    """
    if learnt_until is None:
        return
    is_champion = split.name == CHAMPION
    if learnt_until > split.test_start or (learnt_until == split.test_start and not is_champion):
        raise LookAheadError(
            f"Split {split.name}: a model learnt from a label that ends on {learnt_until:%Y-%m-%d}, expected none "
            f"{'after' if is_champion else 'at or after'} {split.test_start:%Y-%m-%d}. "
            "Fit on the windows of the split only."
        )


def sessions_of(experiment: Experiment, first: datetime) -> list[datetime]:
    """Return the sessions after `first` at which a window of this experiment ends, for training or for a test.

    Examples
    --------
    >>> from datetime import UTC
    >>> from training.experiments import load_experiment
    >>> [f"{at:%Y-%m-%d}" for at in sessions_of(load_experiment("test"), datetime(2008, 6, 1, tzinfo=UTC))[:3]]
    ['2008-06-06', '2008-09-02', '2008-11-25']
    """
    plan, end = experiment.splits, experiment.knowledge_end
    tested = [at for interval in experiment.test_intervals for at in _tested(experiment, interval)]
    closes_after = session_closes(first, end, experiment.calendar)
    return sorted({*_on_stride(closes_after, plan.train_stride_sessions), *tested})


def _on_stride(sessions: list[datetime], stride: int) -> list[datetime]:
    """Return every `stride`-th session counted back from the last, so that the newest is always in."""
    return sessions[::-1][::stride][::-1]


def _tested(experiment: Experiment, interval: TestInterval) -> list[datetime]:
    """Sessions of a test interval at which a window is judged, counted from its first."""
    # By the date of the session: that of a market without pauses closes at 00:00 UTC of the day after.
    days, grid = closes(experiment.calendar), experiment.calendar
    ends = days.filter(pl.col("session").is_between(interval.first, interval.last))["event_time"]
    before = days.filter(pl.col("session") < interval.first)["event_time"]
    begin = before[-1] if len(before) else days["event_time"][0] - INSTANT
    sessions = session_closes(begin, min(ends[-1], experiment.knowledge_end), grid) if len(ends) else []
    if not sessions:
        raise NotReadyError(
            f"No session of {experiment.calendar} closes between {interval.first} and {interval.last}, which fold "
            f"{interval.name} is tested on. Choose other test_years or test_starts."
        )
    return sessions[:: experiment.splits.test_stride_sessions]


def _fold(keys: pl.DataFrame, experiment: Experiment, interval: TestInterval) -> Split:
    tested = _tested(experiment, interval)
    is_test = pl.col("event_time").is_in(tested) & (_first_end(keys) <= experiment.knowledge_end)
    cut = _sessions_before(tested[0], experiment.splits.embargo_sessions, experiment.calendar)
    before = _first_end(keys) < cut, cut, cut
    return _inner(interval.name, keys, experiment, before, (_rows(keys, is_test), tested[0]))


def _inner(
    name: str,
    keys: pl.DataFrame,
    experiment: Experiment,
    before: tuple[pl.Expr, datetime, datetime],
    after: tuple[np.ndarray, datetime],
) -> Split:
    """Cut what is known before the test into training and its validation tail, purged like the test itself."""
    plan, event_time = experiment.splits, pl.col("event_time")
    (known, end, valid_cut), (test, test_start) = before, after
    valid_start = _sessions_before(end, plan.validation_sessions, experiment.calendar)
    cut = _sessions_before(valid_start, plan.embargo_sessions, experiment.calendar)
    train = known & (_first_end(keys) < cut)
    if plan.scheme == "rolling":
        train &= event_time >= _sessions_before(cut, plan.rolling_sessions, experiment.calendar)
    first: datetime = keys["event_time"].min() or experiment.knowledge_end  # type: ignore[assignment]  # instants
    until_known = session_closes(first - INSTANT, experiment.knowledge_end, experiment.calendar)
    on_stride = event_time.is_in(_on_stride(until_known, plan.train_stride_sessions))
    valid = known & (event_time >= valid_start)
    cuts = cut, valid_cut, experiment.knowledge_end + INSTANT
    train_rows, valid_rows = _rows(keys, train & on_stride), _rows(keys, valid & on_stride)
    split = Split(name, train_rows, valid_rows, test, valid_start, test_start, cuts)
    parts = {"training": split.train, "validation": split.valid} | ({} if name == CHAMPION else {"test": split.test})
    short = [f"{len(rows)} {part} rows" for part, rows in parts.items() if len(rows) < MINIMUM_ROWS]
    if short:
        raise NotReadyError(
            f"Split {name} has {', '.join(short)}, expected {MINIMUM_ROWS} at least. {_span(keys)} "
            "Choose other test_years or fewer validation_sessions."
        )
    return split


def _first_end(keys: pl.DataFrame) -> pl.Expr:
    """End of the first label of each window: from then on something of it is known."""
    ends = [name for name in keys.columns if name.startswith(END)]
    return pl.min_horizontal(ends) if ends else pl.col("label_end")


def _rows(keys: pl.DataFrame, chosen: pl.Expr) -> np.ndarray:
    return keys.select(chosen.arg_true()).to_series().to_numpy().astype(np.int64)


def _sessions_before(at: datetime, count: int, calendar: str) -> datetime:
    """Return the close `count` sessions before one close."""
    if count == 0:
        return at
    earlier = close_before(at, count, calendar)
    if earlier is None:
        raise NotReadyError(
            f"The calendar {calendar} has fewer than {count} closes before {at:%Y-%m-%d}. Choose later test years."
        )
    return earlier


def _span(keys: pl.DataFrame) -> str:
    if keys.is_empty():
        return "There are no rows at all."
    first, last = keys.select(pl.col("event_time").min().alias("first"), pl.col("event_time").max().alias("last")).row(
        0
    )
    return f"The rows span {first:%Y-%m-%d} to {last:%Y-%m-%d}."
