"""The `quantlake` command, also as ``python -m dagster_project.cli``.

Each command calls plain functions and imports what is heavy itself, so that help is quick.
"""

import errno
import gc
import sys
from contextlib import suppress
from datetime import datetime
from typing import Annotated

import typer
from rich.text import Text

from dagster_project.commands import (
    alerts,
    audit,
    backtest,
    backup,
    desk,
    doctor,
    drift,
    explain,
    features,
    forecasts,
    importance,
    keys,
    leaks,
    ledger,
    market,
    models,
    portfolio,
    predict,
    quality,
    recommend,
    replay,
    risk,
    setting_list,
    sources,
    sql,
    update,
    user_data,
    words,
)
from dagster_project.commands import lake as lake_commands
from dagster_project.commands.shell import AsCsv, AsJson, in_market, stopped_sentence, taking_turn
from dagster_project.commands.shell import console as console_of
from lake.disk import close_home, close_new_files
from lake.errors import QuantlakeError, UnknownNameError, kind_of
from lake.settings import settings

app = typer.Typer(
    name="quantlake",
    help="A lakehouse for forecasting markets: from market data to a served forecast and a re-selected strategy.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
console = console_of(soft_wrap=True)
Plan = Annotated[bool, typer.Option("--plan", help="Say what a first run would train, and how long; run nothing.")]
STOPPED = 130
"""Exit code after Ctrl-C: 128 and the number of the signal."""
COLLECTED_AT = (10_000, 10, 10)
"""Thresholds of the garbage collector: at Python's own, a second of each command goes into walking imported modules."""
ANOTHER_HOME = "Let this user write there, or set QUANTLAKE_HOME to another folder."
NOT_OURS = {
    errno.EACCES: ANOTHER_HOME,
    errno.EPERM: ANOTHER_HOME,
    errno.EROFS: ANOTHER_HOME,
    errno.ENOSPC: "The disk is full: free some space and run the command again.",
}
"""What to do about errors of the file system that are no fault of the program, by number."""


@app.callback()
def close_to_others() -> None:
    """Close a home that other users of this machine may enter, before a verb reads or writes it."""
    try:
        home = settings().home
    except QuantlakeError as error:
        if isinstance(error, UnknownNameError) and error.kind == "setting" and "--help" not in sys.argv:
            raise  # also where the verb would not read the settings
        return  # the verb says it, and `--help` is answered all the same
    with suppress(OSError):  # a home on a disk that cannot be written to is looked at as it is
        if message := close_home(home):
            console_of(soft_wrap=True, stderr=True).print(message, highlight=False, markup=False)


@app.command()
def demo(*, is_planned: Plan = False, as_json: AsJson = False, as_csv: AsCsv = False) -> None:
    """Run the whole asset graph on the packaged real market and show the results."""
    from dagster_project.commands import demo, results
    from dagster_project.commands.plan import plan_of
    from dagster_project.commands.shell import require_experiment

    require_experiment(settings())
    if is_planned:
        results.show_plan("demo", plan_of(settings()), console, as_json=as_json, as_csv=as_csv)
        return
    with taking_turn("demo", makes_home=True):
        results.carry_out(
            lambda: demo.demo(settings(), console),
            lambda result: demo.show(result, settings(), console),
            settings(),
            as_json=as_json,
            as_csv=as_csv,
        )


@app.command()
def run(
    until: Annotated[
        datetime | None, typer.Option(formats=["%Y-%m-%d"], help="Replay the market up to the close of this day.")
    ] = None,
    *,
    is_planned: Plan = False,
    as_json: AsJson = False,
    as_csv: AsCsv = False,
) -> None:
    """Bring the market of QUANTLAKE_MARKET up to now: train the first time, take in what is new after that."""
    from dagster_project.commands import results, run
    from dagster_project.commands.plan import plan_of
    from dagster_project.commands.shell import require_experiment

    require_experiment(settings())
    day = until.date() if until else None
    if is_planned:
        at = run.decided_at(settings(), day) if day else None
        results.show_plan("run", plan_of(settings(), at), console, as_json=as_json, as_csv=as_csv)
        return
    with taking_turn("run", makes_home=True):
        results.carry_out(
            lambda: run.run(settings(), console, until=day),
            lambda result: run.show(result, settings(), console),
            settings(),
            as_json=as_json,
            as_csv=as_csv,
        )


@app.command()
def advance(
    sessions: Annotated[int, typer.Option(min=1, max=41, help="Number of sessions.")] = 1,
    *,
    as_json: AsJson = False,
    as_csv: AsCsv = False,
) -> None:
    """Let the next market sessions close, run the daily update, and show what changed."""
    from dagster_project.commands import advance, results

    with taking_turn("advance"):
        results.carry_out(
            lambda: advance.advance(settings(), console, sessions=sessions),
            lambda result: advance.show(result, settings(), console),
            settings(),
            as_json=as_json,
            as_csv=as_csv,
        )


@app.command()
def summary(*, as_json: AsJson = False, as_csv: AsCsv = False) -> None:
    """Show tables, refused rows, the model table, the strategies in force and drift."""
    from dagster_project.commands import summaries
    from dagster_project.commands.shell import require_lake

    require_lake(settings())
    if not summaries.show_values(settings(), as_json=as_json, as_csv=as_csv):
        summaries.show(settings(), console)


@app.command()
def serve(
    *, shows_key: Annotated[bool, typer.Option("--show-key", help="Print the key of this machine in full.")] = False
) -> None:
    """Serve forecasts on QUANTLAKE_PORT (3000) and the dashboard, with the embedded Redis unless REDIS_URL is set.

    It prints a question to paste that reads the key of this machine from its file.
    """
    from dagster_project import servers

    servers.serve(settings(), console, shows_key=shows_key)


@app.command()
def dashboard(
    *,
    is_link: Annotated[
        bool, typer.Option("--link", help="Show a new link for the dashboard that runs, and end.")
    ] = False,
) -> None:
    """Show the dashboard on QUANTLAKE_DASHBOARD_PORT (3002); `quantlake serve` does so too, beside the endpoint."""
    from dagster_project import servers

    if is_link:
        servers.print_link(settings(), console)
    else:
        servers.show_dashboard(settings(), console)


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


app.command()(predict.predict)
app.command()(recommend.recommend)
app.command()(explain.explain)
app.command()(words.words)
app.command()(sql.sql)
app.command("settings")(setting_list.show_settings)
app.command()(update.update)
app.command()(leaks.leaks)
app.command()(replay.replay)
app.command()(doctor.doctor)
app.command()(quality.quality)
app.command()(drift.drift)
app.command()(importance.importance)
app.command()(ledger.ledger)
app.add_typer(market.app, name="market")
app.add_typer(features.app, name="features")
app.add_typer(lake_commands.app, name="lake")
app.add_typer(sources.app, name="sources")
app.add_typer(backup.app, name="backup")
app.add_typer(forecasts.app, name="forecasts")
app.add_typer(backtest.app, name="backtest")
app.add_typer(models.app, name="models")
app.add_typer(portfolio.app, name="portfolio")
app.add_typer(keys.app, name="keys")
app.add_typer(audit.app, name="audit")
app.add_typer(desk.app, name="desk")
app.add_typer(risk.app, name="risk")
app.add_typer(alerts.app, name="alerts")
app.add_typer(user_data.app, name="user-data")


def main() -> None:
    """Run a verb; an error this project raises on purpose, or damage under the home, is one sentence, no traceback.

    What the verb and everything that it starts writes is closed to other users of the machine. The exit code is 1 after
    an error, 2 where the command line is not understood, and 130 after Ctrl-C.
    """
    close_new_files()
    gc.set_threshold(*COLLECTED_AT)
    try:
        code = app(standalone_mode=False, prog_name="quantlake")
    except KeyboardInterrupt:
        code = STOPPED
    except typer.Abort:
        code = 1  # a question was answered with no, and what it was about is not done
    except Exception as error:
        code = _told(error)
        if code is None:
            raise
    if code == STOPPED:
        console_of(soft_wrap=True, stderr=True).print(f"\n{stopped_sentence(sys.argv[1:])}", highlight=False)
    sys.exit(code)


def _told(error: Exception) -> int | None:
    """Print an error as one sentence and return the exit code; None where it is a fault of the program."""
    if isinstance(error, QuantlakeError):
        _refuse(kind_of(error), in_market(doctor.with_advice(error)))
        return 1
    if (code := getattr(error, "exit_code", None)) is not None:  # of the parser: an option or an argument is wrong
        command = error.ctx.command_path if getattr(error, "ctx", None) else "quantlake"  # type: ignore[attr-defined]  # set by the parser
        said = error.format_message().strip()  # type: ignore[attr-defined]  # as above
        end = "" if said.endswith((".", "?", "!")) else "."
        _refuse("UsageError", f"{said}{end} `{command} --help` shows what it takes.")
        return int(code)
    if (sentence := doctor.damage_behind(error)) is not None:
        _refuse(type(error).__name__, in_market(sentence))
        return 1
    if isinstance(error, OSError) and error.errno in NOT_OURS:
        _refuse("ConfigError", f"{error.filename or settings().home}: {error.strerror}. {NOT_OURS[error.errno]}")
        return 1
    return None


def _refuse(kind: str, sentence: str) -> None:
    message = Text.assemble((f"{kind}:", "red"), " ", sentence)
    console_of(soft_wrap=True, stderr=True).print(message, highlight=False)


if __name__ == "__main__":
    main()
