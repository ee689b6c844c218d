"""Experiments that fit a market's history: as many folds, and as long ones, as there are sessions for."""

from datetime import datetime, timedelta

import polars as pl
import yaml

from lake.calendars import close_of, closes, count_closes, is_daily, session_closes, session_of
from lake.clock import Clock
from lake.disk import write_durably
from lake.errors import NotReadyError
from lake.market import DEMO, Market
from lake.settings import Settings
from lake.store import Lake
from lake.tables import BARS
from training.experiments.config import Experiment, load_experiment

FOLDER = "experiments"
WARM_UP = 90
"""Sessions before the first window: those that its scale needs, and those that it spans."""
LEAST = 260
"""Fewest sessions of the index that an experiment is fitted to: the regime of a session needs 200 before it, and
something has to be left to learn from, to test on and to forecast."""
LEAST_TRADED = 170
"""The same of the symbols, where the index begins earlier: a fold and a validation tail of ten sessions each."""
LEAST_WINDOWS, LEARNT = 1_000, 0.75
"""Fewest training windows: an exported model is proved on as many. A quarter of a history comes after training."""
WALKED, FOLDS, YEAR = 250, 3, 252
MOST_BARS, LEARNT_BARS = 5_000, 10_000
"""Of bars of minutes: most that a fold is tested on, and about how many of each symbol are learnt from."""
LONG = 2_000
"""Sessions from which on an experiment strides over its training windows; a shorter history is learnt from whole."""


def experiment_of(settings: Settings, lake: Lake, clock: Clock) -> Experiment:
    """Return the experiment that the settings name, as it fits the market of the lake.

    The dates in the files are those of the packaged market `demo`. For any other market an experiment is fitted once to
    the bars that are known, named after the market, and kept in the home as ``experiments/<name>.yaml``: what is
    trained does not change with every new session. Delete that file, or edit it, to train anew. One that was fitted
    before under the name of the declared experiment keeps that name, and is not trained anew.

    Raises
    ------
    NotReadyError
        If the market has no bars yet, or too few.
    """
    declared = load_experiment(settings.experiment)
    if lake.market.name == DEMO.name:
        return declared
    folder, name = settings.home / FOLDER, fitted_name(lake.market, declared.name)
    for fitted_before in (name, declared.name):
        if (folder / f"{fitted_before}.yaml").is_file():
            return load_experiment(fitted_before, folder)
    if not lake.exists(BARS):
        raise NotReadyError(f"The market '{lake.market.name}' has no bars yet. Run `{lake.market.first_run}`.")
    known = lake.scan(BARS).filter(pl.col("known_time") <= clock.now())
    if known.head(1).collect().is_empty():
        raise NotReadyError(f"No bar of the market '{lake.market.name}' is known at {clock.now():%Y-%m-%d %H:%M} UTC.")
    fitted = fit_to_bars(declared, lake.market, known)
    fitted = fitted.model_copy(update={"name": name})
    folder.mkdir(parents=True, exist_ok=True)
    differences = fitted.model_dump(mode="json", exclude={"name"}, exclude_defaults=True)
    write_durably(folder / f"{name}.yaml", yaml.safe_dump(differences, sort_keys=False))
    return fitted


def fit_to_bars(declared: Experiment, market: Market, bars: pl.LazyFrame) -> Experiment:
    """Return an experiment fitted to the bars of a market, with columns ``symbol`` and ``event_time``.

    Raises
    ------
    NotReadyError
        If there are too few sessions or windows, or no bar of a symbol besides the index.
    """
    is_index = pl.col("symbol") == market.index
    spans = {"first": pl.col("event_time").min(), "last": pl.col("event_time").max(), "rows": pl.len()}
    every = bars.group_by("symbol").agg(**spans).collect()
    symbols = every.filter(~is_index)
    if symbols.is_empty():
        raise NotReadyError(f"There is no bar of a symbol of the market '{market.name}', only of its index.")
    first: datetime = symbols.sort("first")["first"][symbols.height // 2]  # from when on half of the symbols are there
    last: datetime = symbols.select(pl.col("last").max()).item()
    windows = int(LEARNT * sum(max(0, rows - WARM_UP) for rows in symbols["rows"]))
    if windows < LEAST_WINDOWS:
        raise NotReadyError(
            f"The {symbols.height} symbols of the market '{market.name}' have about {windows:,} windows to learn "
            f"from, and models need {LEAST_WINDOWS:,}: more symbols or a longer history."
        )
    index_first: datetime = every.filter(is_index).select(pl.col("first").min()).item() or first
    return fit_to_history(declared, market.grid, first, last, index_first=min(first, index_first))


def fitted_name(market: Market, declared: str) -> str:
    """Name of an experiment fitted to a market: what tables, runs and the tracking store list it under.

    Examples
    --------
    >>> fitted_name(Market("desk"), "demo"), fitted_name(Market("desk"), "full")
    ('desk', 'desk-full')
    """
    return market.name if declared == DEMO.name else f"{market.name}-{declared}"


def fit_to_history(
    declared: Experiment, calendar: str, first: datetime, last: datetime, *, index_first: datetime | None = None
) -> Experiment:
    """Return an experiment whose training, validation and test intervals lie within a history.

    A quarter of the usable sessions, 250 at most, stays after the end of knowledge: they are forecast walk-forward, and
    their outcomes weigh models and strategies. Of the rest a sixth, a year at most, is each fold and the validation
    tail. A short history has fewer folds.

    Parameters
    ----------
    calendar
        Grid of the bars: a calendar for daily ones.
    first, last
        Closes of the first and last bar of the symbols, UTC.
    index_first
        Close of the first session with a bar of the index, by default `first`.

    Raises
    ------
    NotReadyError
        If there are fewer than `LEAST` sessions of the index, or than `LEAST_TRADED` of the symbols.

    Examples
    --------
    >>> from datetime import UTC
    >>> start, end = datetime(2022, 1, 3, 21, tzinfo=UTC), datetime(2024, 6, 28, 20, tzinfo=UTC)
    >>> fitted = fit_to_history(Experiment(), "XNYS", start, end)
    >>> f"{fitted.train_until}", [each.name for each in fitted.test_intervals]
    ('2023-12-15', ['2023-03-02', '2023-06-07', '2023-09-13'])
    """
    bars, is_day = session_closes(first - timedelta(microseconds=1), last, calendar), is_daily(calendar)
    with_index = len(bars) + count_closes(index_first or first, first, calendar)
    if with_index < LEAST or len(bars) < LEAST_TRADED:
        raise NotReadyError(
            f"There are bars of {len(bars)} sessions of {calendar}, {first:%Y-%m-%d} to {last:%Y-%m-%d}, and models "
            f"need {LEAST} at least: 200 until the market's regime is known, the rest to learn from and to test on. "
            f"Where the index begins earlier, {LEAST_TRADED} of the symbols are enough."
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
