"""`quantlake advance`: the next market sessions close, the daily update runs, and what changed is shown."""

import json
import time
from typing import TYPE_CHECKING, Any

from dagster_project.commands.run import shown_questions, shown_symbols
from dagster_project.commands.shell import compile_missing_kernels, require_lake
from lake.clock import ReplayClock
from lake.errors import NotReadyError, SourceError

if TYPE_CHECKING:
    from datetime import datetime

    from rich.console import Console

    from dagster_project.commands.results import RunResult
    from lake.market import Market
    from lake.settings import Settings


def advance(settings: "Settings", console: "Console", *, sessions: int) -> "RunResult":
    """Move the market's clock and run the daily job; the console is told the progress."""
    from dagster_project.commands import summaries
    from dagster_project.commands.results import RunResult
    from dagster_project.partitions import recent_years
    from dagster_project.runs import made_by, run_selection
    from dagster_project.selections import DAILY_UPDATE
    from feature_repo.online.redis_server import running_redis

    started, market, clock = time.perf_counter(), settings.declared_market, settings.clock
    if market.clock == "system" or not isinstance(clock, ReplayClock):
        raise NotReadyError(
            f"The market '{market.name}' is no replayed one, so there is nothing to advance. `{market.next_run}` takes "
            f"in what is new; `{market.command('run --until DATE')}` replays it."
        )
    require_lake(settings)
    before = _last_session_forecast(settings)
    old = summaries.selections(settings)
    if before + market.decided_after < clock.now():
        then = clock.now()
        console.print(f"The last run did not finish: it is taken up again, up to the close of {then:%Y-%m-%d}.\n")
    else:
        then = _close_after(market, before, sessions)
        clock.move_to(then + market.decided_after)
        console.print(f"The market moves from the close of {before:%Y-%m-%d} to the close of {then:%Y-%m-%d}.\n")
    compile_missing_kernels(console)
    with running_redis(settings):
        made = made_by(run_selection(DAILY_UPDATE, settings, recent_years(then, first=market.first_year)))
        answers = _forecasts_now(settings)
    matured = summaries.matured(settings, before, shown_symbols(settings))
    seconds = time.perf_counter() - started
    return RunResult("advance", before, False, made, answers, seconds, matured, old)  # noqa: FBT003 - trains nothing


def show(result: "RunResult", settings: "Settings", console: "Console") -> None:
    """Print what came of the forecasts before, how the strategies changed, and the new forecasts."""
    from dagster_project.commands import decisions, summaries

    console.print(result.matured)
    console.rule("Strategy weights before")
    console.print(result.selections_before)
    console.rule("Strategy weights now")
    console.print(summaries.model_weights(settings))
    console.print(summaries.selections(settings))
    console.print("\n".join(summaries.caveats(settings)), highlight=False, markup=False)
    console.print(summaries.forecasts(result.answers or []))
    decisions.show(settings, console)


def _last_session_forecast(settings: "Settings") -> "datetime":
    """Close of the newest session that was forecast, which is the market's now unless a run was cut off."""
    from lake.store import Lake
    from lake.tables import FORECASTS

    last = Lake.open(settings).last_event(FORECASTS)
    if last is None:
        raise NotReadyError(
            f"The first run in {settings.home} did not finish. Run `{settings.declared_market.first_run}` again."
        )
    return last


def _close_after(market: "Market", before: "datetime", sessions: int) -> "datetime":
    from lake import calendars

    then = calendars.next_closes(before, sessions, market.grid)[-1]
    if market.last_day is None:
        return then
    last = calendars.close_of(market.last_day, market.calendar)
    if then > last:
        left = len(calendars.session_closes(before, last, market.grid))
        raise SourceError(
            f"The market '{market.name}' ends on {market.last_day}: {left} sessions are left after "
            f"{before:%Y-%m-%d}, and {sessions} were asked for."
        )
    return then


def _forecasts_now(settings: "Settings") -> list[dict[str, Any]]:
    """Answers of the predictor that the service runs, asked in this process."""
    from serving.predict import Predictor

    predictor = Predictor.open(settings)
    try:
        batches = [
            predictor.predict([symbol], horizon.bars(settings.declared_market.interval))
            for symbol, horizon in shown_questions(settings)
        ]
    finally:
        predictor.close()
    return [json.loads(answer) for answers in batches for answer in answers.texts]
