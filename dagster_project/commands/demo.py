"""`quantlake demo`: the whole asset graph on the packaged market, three served forecasts, and the results."""

import resource
import time
from typing import TYPE_CHECKING

from dagster_project.commands.shell import compile_missing_kernels
from lake.clock import ReplayClock

if TYPE_CHECKING:
    from rich.console import Console

    from lake.settings import Settings

DEMO_SYMBOLS = ("AAPL", "IBM", "XOM")
NEXT_STEPS = """\
[bold]Next[/bold] (quantlake is in .venv/bin; make serve, make ui, make mlflow, make lab and make advance do the same)
  quantlake serve    the forecast endpoint          http://127.0.0.1:3000   then: quantlake predict AAPL
  quantlake ui       runs, checks, lineage          http://127.0.0.1:3001
  quantlake mlflow   training runs and models       http://127.0.0.1:5000
  quantlake lab      notebooks over the same tables
  quantlake advance  the next market session
  quantlake sql "select symbol, p50, realised_return from forecasts join outcomes using (forecast_id) limit 5"
"""


def demo(settings: "Settings", console: "Console") -> None:
    """Run everything, serve three forecasts, and show the results."""
    from dagster_project import servers
    from dagster_project.commands import summaries
    from dagster_project.partitions import years_until
    from dagster_project.runs import run_selection
    from dagster_project.selections import EVERYTHING
    from feature_repo.online.redis_server import running_redis
    from serving.client import Client

    started = time.perf_counter()
    now = ReplayClock(settings.home / "clock.json").now()
    console.print(f"[bold]quantlake[/bold] real market data up to {now:%Y-%m-%d}, everything under {settings.home}\n")
    compile_missing_kernels(console)
    with running_redis(settings):
        run_selection(EVERYTHING, settings, years_until(now))
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
    console.print(f"\nDone in {time.perf_counter() - started:.0f} s, peak memory {_peak_gib():.1f} GiB.\n{NEXT_STEPS}")


def _peak_gib() -> float:
    """Peak memory of this process and of its largest child, in GiB."""
    own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    children = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    return (own + children) / 2**20
