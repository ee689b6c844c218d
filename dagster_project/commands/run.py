"""`quantlake run`: a market from its bars to served forecasts, the first time and every time after.

`quantlake demo` is the same for the packaged market, with what a newcomer needs to know around it.
"""

import resource
import time
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from dagster_project.commands.plan import plan_of
from dagster_project.commands.shell import compile_missing_kernels
from lake.errors import ConfigError

if TYPE_CHECKING:
    from datetime import date, datetime

    from rich.console import Console

    from dagster_project.commands.results import RunResult
    from lake.horizons import Horizon
    from lake.settings import Settings

SHOWN = 3
"""Forecasts that are shown."""
A_MINUTE = timedelta(minutes=1)
SERVED_FROM = frozenset(
    {"bars", "features_technical", "model_windows", "served_models", "blend_weights", "calibrations"}
)
"""Assets from which the service answers: where none of them is new, neither are its answers."""


def run(settings: "Settings", console: "Console", *, until: "date | None" = None) -> "RunResult":
    """Bring a market up to its clock: train the first time, and take in what is new every time after.

    Parameters
    ----------
    until
        Replay the market up to the close of that session; without it its clock is the wall clock, or stays where a
        replayed market stands.
    """
    from dagster_project.commands import summaries
    from dagster_project.commands.results import RunResult
    from lake.market import declare_packaged
    from lake.sources import lookback_of, source_of
    from lake.store import Lake
    from lake.tables import FORECASTS
    from serving.deployment import serving_file

    started = time.perf_counter()
    declare_packaged(settings.home)
    now = set_clock(settings, console, until)
    console.print(
        f"[bold]{settings.declared_market.name}[/bold] up to {now:%Y-%m-%d %H:%M} UTC, everything under "
        f"{settings.home}\n"
    )
    lake = Lake.open(settings)
    before, is_first = lake.last_event(FORECASTS), not serving_file(settings).exists()
    if is_first and lookback_of(source_of(settings)) is None:  # a feed would be asked for everything twice
        console.print(plan_of(settings), highlight=False)
    made, answers = bring_up(settings, console, is_first=is_first)
    newest = lake.last_event(FORECASTS)
    has_closed = before is not None and newest is not None and newest > before
    matured = summaries.matured(settings, before, shown_symbols(settings)) if before and has_closed else None
    return RunResult("run", before, is_first, made, answers, time.perf_counter() - started, matured)


def show(result: "RunResult", settings: "Settings", console: "Console") -> None:
    """Print what came since the run before and what is in force now; after the first run everything."""
    from dagster_project.commands import decisions, summaries

    console.print()
    if result.answers is None:
        console.print(summaries.standing(settings), highlight=False, markup=False)
        return
    if result.is_first or result.before is None:
        summaries.show(settings, console)
    else:
        if result.matured is None:
            console.print(f"No session has closed since the run up to {result.before:%Y-%m-%d}.")
        else:
            console.print(result.matured)
        console.print(summaries.model_weights(settings))
        console.print(summaries.selections(settings))
        console.print("\n".join(summaries.caveats(settings)), highlight=False, markup=False)
    console.print(summaries.forecasts(result.answers))
    decisions.show(settings, console)


def bring_up(
    settings: "Settings", console: "Console", *, is_first: bool
) -> tuple[dict[str, int], list[dict[str, Any]] | None]:
    """Run the asset graph, whole or without training, and ask the service for forecasts.

    Parameters
    ----------
    is_first
        Whether models are to be trained and put in service.

    Returns
    -------
    made : dict[str, int]
        New rows by asset, see `dagster_project.runs.made_by`.
    answers : list[dict[str, Any]] | None
        Forecasts that the service gave; None where nothing is new that it answers from: it is not started then.
    """
    from dagster_project import servers
    from dagster_project.partitions import changed_years, recorded_recently, years_until
    from dagster_project.runs import made_by, run_selection
    from dagster_project.selections import DAILY_UPDATE, EVERYTHING
    from feature_repo.online.redis_server import running_redis
    from lake.market import PACKAGED
    from serving.client import Client
    from serving.deployment import serving_file

    now, first = settings.clock.now(), settings.declared_market.first_year
    compile_missing_kernels(console)
    with running_redis(settings):
        # Of a declared market whatever the source has, rows outside the declared years among it.
        is_by_year = is_first and settings.declared_market.name in PACKAGED
        by_year = recorded_recently if serving_file(settings).exists() else years_until
        years = by_year(now, first=first) if is_by_year else changed_years(now, first=first)
        made = made_by(run_selection(EVERYTHING if is_first else DAILY_UPDATE, settings, years))
        if SERVED_FROM.isdisjoint(made):
            return made, None
        console.print("\n  [bold]service[/bold] starting on a free port for three forecasts ...")
        apart = settings.model_copy(update={"port": servers.free_port()})
        with servers.forecast_service(apart), Client.local(apart) as client:
            return made, [
                client.predict(symbol, **{horizon.member: horizon.n}).model_dump(mode="json")
                for symbol, horizon in shown_questions(settings)
            ]


def shown_symbols(settings: "Settings") -> tuple[str, ...]:
    """Symbols that a reader is shown first: those that the market names, or the first three that can be forecast."""
    from feature_repo.retrieval import symbols_with_input
    from lake.store import Lake

    market = settings.declared_market
    return market.symbols or tuple(symbols_with_input(Lake.open(settings), settings.clock.now())[:SHOWN])


def shown_questions(settings: "Settings") -> "list[tuple[str, Horizon]]":
    """Symbols and horizons whose forecasts are shown: one bar ahead, and as far as the market looks.

    Two symbols over the first horizon and one over the last; every horizon where there are fewer symbols.
    """
    market, symbols = settings.declared_market, shown_symbols(settings)
    first, last = market.horizon_bars[0], market.horizon_bars[-1]
    asked = list(zip(symbols, (first, first, last), strict=False))
    if len(symbols) < SHOWN:
        asked = [(symbol, bars) for symbol in symbols for bars in market.horizon_bars][:SHOWN]
    return [(symbol, market.horizon_of(bars)) for symbol, bars in asked]


def peak_gib() -> float:
    """Peak memory of this process and of its largest child, in GiB."""
    own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    children = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    return (own + children) / 2**20


def set_clock(settings: "Settings", console: "Console", until: "date | None") -> "datetime":
    """Move a replayed market to when the close of a day is decided, or let a live one follow the wall clock again."""
    from lake.calendars import count_closes
    from lake.clock import SystemClock
    from lake.market import CLOCK_FILE

    market, path = settings.declared_market, settings.home / CLOCK_FILE
    if until is None and market.clock == "replay":
        return settings.clock.now()
    if until is None:
        ended = _end_of_source(settings)
        if ended is None:
            path.unlink(missing_ok=True)
            return settings.clock.now()
        console.print(
            f"What '{market.name}' is read from ends at the close of {ended:%Y-%m-%d}, "
            f"{count_closes(ended, SystemClock().now(), market.grid)} sessions ago: the market stands there.\n"
        )
        return _stand_at(settings, ended + market.decided_after)
    return _stand_at(settings, decided_at(settings, until))


def decided_at(settings: "Settings", until: "date") -> "datetime":
    """Return the instant up to which a market is replayed: when the close of a day is decided. Nothing is written.

    Raises
    ------
    ConfigError
        If the source or the market ends before that day, or the market has bars of later sessions.
    """
    from lake.calendars import close_of
    from lake.store import Lake
    from lake.tables import BARS

    market, at = settings.declared_market, close_of(until, settings.declared_market.calendar)
    _require_offered(settings, at, until)
    if market.last_day is not None and until > market.last_day:
        raise ConfigError(f"The market '{market.name}' ends on {market.last_day}, and {until} lies after it.")
    newest = Lake.open(settings).last_event(BARS)
    if newest is not None and at < newest:
        raise ConfigError(
            f"The market '{market.name}' has bars up to {newest:%Y-%m-%d} and cannot go back to {until}: what was "
            "known cannot be unlearned. Replay it in an empty QUANTLAKE_HOME."
        )
    return at + market.decided_after


def _stand_at(settings: "Settings", at: "datetime") -> "datetime":
    """Move the clock to an instant, or to a minute after where it stood and what is known where that is later.

    What a run takes in late is known from its now on: later than anything that an earlier run derived.
    """
    from lake.clock import ReplayClock
    from lake.market import CLOCK_FILE
    from lake.store import Lake
    from lake.tables import BARS

    market, known = settings.declared_market, Lake.open(settings).known_until(BARS)
    settings.home.mkdir(parents=True, exist_ok=True)
    clock = ReplayClock(settings.home / CLOCK_FILE, market.starts_at or at)
    before = [] if known is None else [known + A_MINUTE, clock.now() + A_MINUTE]
    clock.move_to(max([at, *before]))
    return clock.now()


def _require_offered(settings: "Settings", at: "datetime", until: "date") -> None:
    """Refuse a day after the last one of a source that is offered whole."""
    is_whole, newest = _offered(settings)
    if is_whole and (newest is None or at > newest):
        ends = "holds no bar" if newest is None else f"ends on {newest:%Y-%m-%d}"
        raise ConfigError(f"What '{settings.declared_market.name}' is read from {ends}, and {until} lies after it.")


def _end_of_source(settings: "Settings") -> "datetime | None":
    """Newest close that a source offered whole has, where that is longer ago than values stay valid; else None."""
    from feature_repo.online import A_WEEK, oldest_current
    from lake.clock import SystemClock

    _, newest = _offered(settings)
    if newest is None:
        return None
    return newest if newest <= oldest_current(A_WEEK, SystemClock().now(), settings.declared_market.calendar) else None


def _offered(settings: "Settings") -> "tuple[bool, datetime | None]":
    """Whether the source is offered whole, and then its newest close; no other is asked."""
    from lake.clock import SystemClock
    from lake.sources import lookback_of, source_of

    source = source_of(settings)
    is_whole = lookback_of(source) is None
    return is_whole, source.read(None, SystemClock().now()).last_close if is_whole else None
