"""The `quantlake` command, also as ``python -m dagster_project.cli``.

Each command calls plain functions and imports what is heavy itself, so that help is quick.
"""

import json
import sys
from datetime import datetime
from typing import Annotated

import typer
from rich.console import Console
from rich.text import Text

from dagster_project.commands import (
    audit,
    backup,
    doctor,
    drift,
    features,
    forecasts,
    keys,
    leaks,
    market,
    models,
    quality,
    replay,
    sources,
    update,
    user_data,
)
from dagster_project.commands import lake as lake_commands
from dagster_project.commands.shell import console as console_of
from dagster_project.commands.shell import taking_turn
from lake.disk import close_home, close_new_files
from lake.errors import QuantlakeError
from lake.settings import settings

app = typer.Typer(
    name="quantlake",
    help="A lakehouse for forecasting markets: from market data to a served forecast and a re-selected strategy.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
console = console_of(soft_wrap=True)


@app.callback()
def close_to_others() -> None:
    """Close a home that other users of this machine may enter, before a verb reads or writes it."""
    try:
        home = settings().home
    except QuantlakeError:
        return  # the verb says it, and `--help` is answered all the same
    if message := close_home(home):
        Console(stderr=True, soft_wrap=True).print(message, highlight=False, markup=False)


@app.command()
def demo() -> None:
    """Run the whole asset graph on the packaged real market and show the results."""
    from dagster_project.commands.demo import demo
    from dagster_project.commands.shell import require_experiment

    require_experiment(settings())
    with taking_turn("demo", makes_home=True):
        demo(settings(), console)


@app.command()
def run(
    until: Annotated[
        datetime | None, typer.Option(formats=["%Y-%m-%d"], help="Replay the market up to the close of this day.")
    ] = None,
) -> None:
    """Bring the market of QUANTLAKE_MARKET up to now: train the first time, take in what is new after that."""
    from dagster_project.commands.run import run
    from dagster_project.commands.shell import require_experiment

    require_experiment(settings())
    with taking_turn("run", makes_home=True):
        run(settings(), console, until=until.date() if until else None)


@app.command()
def advance(sessions: Annotated[int, typer.Option(min=1, max=41, help="Number of sessions.")] = 1) -> None:
    """Let the next market sessions close, run the daily update, and show what changed."""
    from dagster_project.commands.advance import advance

    with taking_turn("advance"):
        advance(settings(), console, sessions=sessions)


@app.command()
def summary() -> None:
    """Show tables, refused rows, the model table, the strategies in force and drift."""
    from dagster_project.commands import summaries
    from dagster_project.commands.shell import require_lake

    require_lake(settings())
    summaries.show(settings(), console)


@app.command()
def sql(query: Annotated[str, typer.Argument(help="A DuckDB query; every table is a view.")]) -> None:
    """Ask the lake in SQL: quantlake sql "select * from bars limit 5"."""
    import duckdb

    from dagster_project.commands.shell import require_lake
    from lake.sql import connect

    require_lake(settings())
    try:
        with connect() as connection:
            answer = connection.sql(query)
            if answer is None:
                raise QuantlakeError("That gives no rows to show. Ask with select or from, e.g. from bars limit 5.")
            console.print(answer)
    except duckdb.Error as error:
        raise QuantlakeError(f"The query cannot be answered: {error}") from error


@app.command()
def predict(
    symbol: Annotated[str, typer.Argument(help="Symbol, e.g. AAPL.")],
    horizon: Annotated[int, typer.Option(help="Sessions ahead: 1 or 5.")] = 1,
) -> None:
    """Ask the running service for a forecast. A former name of a symbol will do, and lower case."""
    from serving.client import Client

    with Client.local(settings()) as client:
        forecast = forecasts.ask(client, symbol, horizon)
    if forecast.asked is not None:
        Console(stderr=True, soft_wrap=True).print(forecast.asked.sentence, highlight=False, markup=False)
    console.print_json(json.dumps(forecast.model_dump(mode="json")))


@app.command()
def serve() -> None:
    """Serve forecasts on QUANTLAKE_PORT (3000), with the embedded Redis unless REDIS_URL is set."""
    from dagster_project import servers

    servers.serve(settings(), console)


@app.command()
def ui() -> None:
    """Show the Dagster UI on QUANTLAKE_UI_PORT (3001), with schedules, sensors and backfills."""
    from dagster_project import servers

    servers.show_dagster(settings(), console)


@app.command()
def mlflow() -> None:
    """Show MLflow's tracking UI on QUANTLAKE_MLFLOW_PORT (5000)."""
    from dagster_project import servers

    servers.show_mlflow(settings(), console)


@app.command()
def lab() -> None:
    """Open Jupyter with the notebooks on QUANTLAKE_LAB_PORT (8888)."""
    from dagster_project import servers

    servers.show_jupyter(settings(), console)


app.command()(update.update)
app.command()(leaks.leaks)
app.command()(replay.replay)
app.command()(doctor.doctor)
app.command()(quality.quality)
app.command()(drift.drift)
app.add_typer(market.app, name="market")
app.add_typer(features.app, name="features")
app.add_typer(lake_commands.app, name="lake")
app.add_typer(sources.app, name="sources")
app.add_typer(backup.app, name="backup")
app.add_typer(forecasts.app, name="forecasts")
app.add_typer(models.app, name="models")
app.add_typer(keys.app, name="keys")
app.add_typer(audit.app, name="audit")
app.add_typer(user_data.app, name="user-data")


def main() -> None:
    """Run a verb; an error this project raises on purpose, or damage under the home, is one sentence, no traceback.

    What the verb and everything that it starts writes is closed to other users of the machine.
    """
    close_new_files()
    try:
        app()
    except QuantlakeError as error:
        _refuse(type(error).__name__, doctor.with_advice(error))
    except Exception as error:
        if (sentence := doctor.damage_behind(error)) is None:
            raise
        _refuse(type(error).__name__, sentence)


def _refuse(kind: str, sentence: str) -> None:
    message = Text.assemble((kind, "red"), " ", sentence)
    Console(stderr=True, soft_wrap=True).print(message, highlight=False)
    sys.exit(1)


if __name__ == "__main__":
    main()
