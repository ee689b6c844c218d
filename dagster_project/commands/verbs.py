"""The verbs that make things happen: the demo, the next market day, one question to the service."""

import json
import resource
import time
from typing import TYPE_CHECKING, Any

from lake.clock import ReplayClock
from lake.errors import NotReadyError, SourceError

if TYPE_CHECKING:
    from datetime import datetime

    from rich.console import Console

    from lake.settings import Settings

DEMO_SYMBOLS = ("AAPL", "IBM", "XOM")
LOOK_FURTHER = """\
[bold]Look further[/bold]
  make serve    the forecast endpoint         http://127.0.0.1:3000   then: .venv/bin/quantlake predict AAPL
  make ui       runs, checks, lineage         http://127.0.0.1:3001
  make mlflow   training runs and models      http://127.0.0.1:5000
  make lab      notebooks over the same tables
  make advance  let the next market day happen
  .venv/bin/quantlake sql "select symbol, p50, realised_return from forecasts join outcomes using (forecast_id) limit 5"
"""


def demo(settings: "Settings", console: "Console") -> None:
    """Run everything, serve three forecasts, and say what came of it."""
    from dagster_project.commands import servers, summaries
    from dagster_project.commands.running import run_job
    from dagster_project.partitions import years_until
    from feature_repo.online.redis_server import running_redis
    from serving.client import Client

    started = time.perf_counter()
    now = ReplayClock(settings.home / "clock.json").now()
    console.print(f"[bold]quantlake[/bold] real market data up to {now:%Y-%m-%d}, everything under {settings.home}\n")
    with running_redis(settings):
        run_job("everything", settings, years_until(now))
        console.print("\n  [bold]service[/bold] starting on a free port for three forecasts ...")
        apart = settings.model_copy(update={"port": servers.free_port()})
        with servers.forecast_service(apart), Client.local(apart) as client:
            answers = [
                client.predict(symbol, horizon).model_dump(mode="json")
                for symbol, horizon in zip(DEMO_SYMBOLS, (1, 1, 5), strict=True)
            ]
    console.print()
    summaries.show(settings, console)
    console.print(summaries.forecasts(answers))
    console.print(
        f"\nDone in {time.perf_counter() - started:.0f} s, peak memory {_peak_gib():.1f} GiB.\n{LOOK_FURTHER}"
    )


def require_experiment(settings: "Settings") -> None:
    """Refuse an experiment that there is none of at once, before anything is made.

    Raises
    ------
    UnknownNameError
        With the nearest names.
    """
    from training.config import load

    load(settings.experiment)


def advance(settings: "Settings", console: "Console", *, sessions: int) -> None:
    """Move the market's clock, run the daily job, and show what changed."""
    from dagster_project.commands import summaries
    from dagster_project.commands.running import run_job
    from dagster_project.partitions import recent_years
    from feature_repo.online.redis_server import running_redis

    clock = ReplayClock(settings.home / "clock.json")
    require_lake(settings)
    before = _last_session_lived_through(settings)
    old = summaries.selections(settings)
    if before < clock.now():
        then = clock.now()
        console.print(f"The last run did not finish: it is taken up again, up to the close of {then:%Y-%m-%d}.\n")
    else:
        then = _close_after(before, sessions)
        clock.move_to(then)
        console.print(f"The market moves from the close of {before:%Y-%m-%d} to the close of {then:%Y-%m-%d}.\n")
    with running_redis(settings):
        run_job("daily_update", settings, recent_years(then))
        answers = _forecasts_now(settings)
    console.print(summaries.matured(settings, before))
    console.rule("Strategy weights before")
    console.print(old)
    console.rule("Strategy weights now")
    console.print(summaries.selections(settings))
    console.print(summaries.forecasts(answers))


def _last_session_lived_through(settings: "Settings") -> "datetime":
    """Close of the newest session that was forecast, which is the market's now unless a run was cut off."""
    from lake.store import Lake
    from lake.tables import FORECASTS

    lake = Lake.open(settings)
    last = lake.report(FORECASTS).last if lake.exists(FORECASTS) else None
    if last is None:
        raise NotReadyError(f"The first run in {settings.home} did not finish. Run `make demo` again.")
    return last


def _close_after(before: "datetime", sessions: int) -> "datetime":
    from lake import calendars
    from lake.sources.packaged import LAST

    then = calendars.next_closes(before, sessions)[-1]
    if then > calendars.close_of(LAST):
        left = len(calendars.session_closes(before, calendars.close_of(LAST)))
        raise SourceError(
            f"The packaged market ends on {LAST}: {left} sessions are left after {before:%Y-%m-%d}, "
            f"and {sessions} were asked for."
        )
    return then


def ask(settings: "Settings", symbol: str, horizon: int) -> dict[str, Any]:
    """Ask the running service for one forecast."""
    from serving.client import Client

    with Client.local(settings) as client:
        return client.predict(symbol, horizon).model_dump(mode="json")


def require_lake(settings: "Settings") -> None:
    """Refuse to go on without tables.

    Raises
    ------
    NotReadyError
        Naming the folder that was looked in.
    """
    if not (settings.tables / "bars").exists():  # the audit trail may be there before any market
        raise NotReadyError(f"There is no lake in {settings.home} yet. Run `make demo` first, or set QUANTLAKE_HOME.")


def _forecasts_now(settings: "Settings") -> list[dict[str, Any]]:
    """Answers of the predictor that the service runs, asked in this process."""
    from serving.predict import Predictor

    predictor = Predictor.open(settings)
    try:
        answered = [
            predictor.predict([symbol], horizon) for symbol, horizon in zip(DEMO_SYMBOLS, (1, 1, 5), strict=True)
        ]
    finally:
        predictor.close()
    return [json.loads(answer) for one in answered for answer in one.texts]


def _peak_gib() -> float:
    """Peak memory of this process and of its largest child, in GiB."""
    own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    children = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    return (own + children) / 2**20
