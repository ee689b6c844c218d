"""Experiments that fit a market's history: as many folds, and as long ones, as there are sessions for."""

from datetime import datetime, timedelta

import polars as pl
import yaml

from lake.calendars import close_of, closes, is_daily, session_closes, session_of
from lake.clock import Clock
from lake.disk import write_durably
from lake.errors import NotReadyError
from lake.market import DEMO
from lake.settings import Settings
from lake.store import Lake
from lake.tables import BARS
from training.experiments.config import Experiment, load_experiment

FOLDER = "experiments"
WARM_UP = 90
"""Sessions before the first window: those that its scale needs, and those that it spans."""
LEAST = 260
"""Fewest sessions that an experiment is fitted to: the regime of a session needs 200 before it, and something has to be
left to learn from, to test on and to forecast."""
LEAST_WINDOWS, LEARNT = 1_000, 0.75
"""Fewest training windows: an exported model is proved on as many. A quarter of a history comes after training."""
WALKED, FOLDS, YEAR = 250, 3, 252
MOST_BARS, LEARNT_BARS = 5_000, 10_000
"""Of bars of minutes: most that a fold is tested on, and about how many of each symbol are learnt from."""
LONG = 2_000
"""Sessions from which on an experiment strides over its training windows; a shorter history is learnt from whole."""


def experiment_of(settings: Settings, lake: Lake, clock: Clock) -> Experiment:
    """Return the experiment that the settings name, as it fits the market of the lake.

    That of the packaged default is as its file says. For any other market it is fitted once to the bars that are known,
    and kept in the home as ``experiments/<name>.yaml``: what is trained does not change with every new session. Delete
    that file, or edit it, to train anew.

    Raises
    ------
    NotReadyError
        If the market has no bars yet, or too few.
    """
    declared = load_experiment(settings.experiment)
    if lake.market == DEMO:
        return declared
    path = settings.home / FOLDER / f"{declared.name}.yaml"
    if path.is_file():
        return load_experiment(declared.name, path.parent)
    if not lake.exists(BARS):
        raise NotReadyError(f"The market '{lake.market.name}' has no bars yet. Run `quantlake run`.")
    is_own = (pl.col("known_time") <= clock.now()) & (pl.col("symbol") != lake.market.index)
    spans = {"first": pl.col("event_time").min(), "last": pl.col("event_time").max(), "rows": pl.len()}
    symbols = lake.scan(BARS).filter(is_own).group_by("symbol").agg(**spans).collect()
    if symbols.is_empty():
        raise NotReadyError(f"No bar of the market '{lake.market.name}' is known at {clock.now():%Y-%m-%d %H:%M} UTC.")
    first: datetime = symbols.sort("first")["first"][symbols.height // 2]  # from when on half of the symbols are there
    last: datetime = symbols.select(pl.col("last").max()).item()
    windows = int(LEARNT * sum(max(0, rows - WARM_UP) for rows in symbols["rows"]))
    if windows < LEAST_WINDOWS:
        raise NotReadyError(
            f"The {symbols.height} symbols of the market '{lake.market.name}' have about {windows:,} windows to learn "
            f"from, and models need {LEAST_WINDOWS:,}: more symbols or a longer history."
        )
    fitted = fit_to_history(declared, lake.market.grid, first, last)
    path.parent.mkdir(parents=True, exist_ok=True)
    differences = fitted.model_dump(mode="json", exclude={"name"}, exclude_defaults=True)
    write_durably(path, yaml.safe_dump(differences, sort_keys=False))
    return fitted


def fit_to_history(declared: Experiment, calendar: str, first: datetime, last: datetime) -> Experiment:
    """Return an experiment whose training, validation and test intervals lie within a history.

    A quarter of the usable sessions, 250 at most, stays after the end of knowledge: they are forecast walk-forward, and
    their outcomes weigh models and strategies. Of the rest a sixth, a year at most, is each fold and the validation
    tail. A short history has fewer folds.

    Parameters
    ----------
    calendar
        Grid of the bars: a calendar for daily ones.
    first, last
        Closes of the first and last bar, UTC.

    Raises
    ------
    NotReadyError
        If there are fewer than `LEAST` sessions.

    Examples
    --------
    >>> from datetime import UTC
    >>> start, end = datetime(2022, 1, 3, 21, tzinfo=UTC), datetime(2024, 6, 28, 20, tzinfo=UTC)
    >>> fitted = fit_to_history(Experiment(), "XNYS", start, end)
    >>> f"{fitted.train_until}", [each.name for each in fitted.test_intervals]
    ('2023-12-15', ['2023-03-02', '2023-06-07', '2023-09-13'])
    """
    bars, is_day = session_closes(first - timedelta(microseconds=1), last, calendar), is_daily(calendar)
    if len(bars) < LEAST:
        raise NotReadyError(
            f"There are bars of {len(bars)} sessions of {calendar}, {first:%Y-%m-%d} to {last:%Y-%m-%d}, and models "
            f"need {LEAST} at least: 200 until the market's regime is known, the rest to learn from and to test on."
        )
    usable = len(bars) - WARM_UP
    walked = min(WALKED, usable // 4)
    rest = usable - walked
    span = min(YEAR if is_day else MOST_BARS, rest // 6)
    folds = FOLDS if rest >= 6 * 40 else 2 if rest >= 6 * 30 else 1
    end = len(bars) - 1 - walked
    starts = {session_of(bars[end - span * (fold + 1) + 1], calendar) for fold in range(folds)}
    strided = declared.splits.train_stride_sessions if len(bars) >= LONG else 1
    plan = declared.splits.model_copy(
        update={
            "test_starts": tuple(sorted(starts)),
            "validation_sessions": max(10, min(declared.splits.validation_sessions, span)) if is_day else span,
            "train_stride_sessions": strided if is_day else max(1, len(bars) // LEARNT_BARS),
        }
    )
    until = session_of(bars[end], calendar)
    if not is_day and close_of(until, calendar) > bars[end]:  # as many bars stay to be forecast as of days
        until = max(day for day in closes(calendar)["session"].to_list() if day < until)
    values = declared.model_dump() | {"train_until": until, "calendar": calendar, "splits": plan.model_dump()}
    return Experiment.model_validate(values)
