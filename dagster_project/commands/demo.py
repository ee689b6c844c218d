"""`quantlake demo`: the whole asset graph on the packaged market, three served forecasts, and the results."""

import time
from typing import TYPE_CHECKING

from dagster_project.commands.plan import TIMED, plan_of
from dagster_project.commands.run import bring_up, peak_gib
from lake.errors import ConfigError

if TYPE_CHECKING:
    from rich.console import Console

    from dagster_project.commands.results import RunResult
    from lake.settings import Settings

NEXT_STEPS = """\
[bold]Next[/bold] (quantlake is in .venv/bin; make serve, make ui, make mlflow, make lab and make advance do the same)
  quantlake serve    the forecast endpoint          http://127.0.0.1:3000   then: quantlake predict AAPL
  quantlake ui       runs, checks, lineage          http://127.0.0.1:3001
  quantlake mlflow   training runs and models       http://127.0.0.1:5000
  quantlake lab      notebooks over the same tables
  quantlake advance  the next market session
  quantlake market   prices of your own: quantlake market new desk --from prices.csv
  quantlake sql "select symbol, p50, realised_return from forecasts join outcomes using (forecast_id) limit 5"
"""


def demo(settings: "Settings", console: "Console") -> "RunResult":
    """Run everything and serve three forecasts; the console is told the progress.

    Raises
    ------
    ConfigError
        If the market is not a packaged one.
    """
    from dagster_project.commands.results import RunResult
    from lake.market import DEMO, PACKAGED, declare_packaged
    from lake.store import Lake
    from lake.tables import FORECASTS
    from serving.deployment import serving_file

    market = settings.declared_market
    if market.name not in PACKAGED:
        raise ConfigError(
            f"The demo shows a packaged market, and this is the home of '{market.name}'. Use `{market.first_run}`."
        )
    started, now = time.perf_counter(), settings.clock.now()
    declare_packaged(settings.home)
    console.print(f"[bold]quantlake[/bold] real market data up to {now:%Y-%m-%d}, everything under {settings.home}\n")
    before, is_first = Lake.open(settings).last_event(FORECASTS), not serving_file(settings).exists()
    if is_first and (market.name, settings.experiment) != (DEMO.name, TIMED):
        console.print(plan_of(settings), highlight=False)
    made, answers = bring_up(settings, console, is_first=True)
    return RunResult("demo", before, is_first, made, answers, time.perf_counter() - started)


def show(result: "RunResult", settings: "Settings", console: "Console") -> None:
    """Print what is there now, the forecasts, and what a newcomer may do next."""
    from dagster_project.commands import decisions, summaries
    from lake.market import DEMO

    market = settings.declared_market
    console.print()
    if result.answers is None:
        console.print(summaries.standing(settings), highlight=False, markup=False)
    else:
        summaries.show(settings, console)
        console.print(summaries.forecasts(result.answers))
    decisions.show(settings, console)
    console.print(f"\nDone in {result.seconds:.0f} s, peak memory {peak_gib():.1f} GiB.\n{NEXT_STEPS}")
    if market.name != DEMO.name:
        console.print(f"Each with QUANTLAKE_MARKET={market.name} before it, or MARKET={market.name} behind make.")
