"""Commands of `quantlake alerts`: what is wrong, who takes it over, and whether messages arrive."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from dagster_project.commands.shell import (
    AsCsv,
    AsJson,
    DataTable,
    ShownColumn,
    console,
    is_for_program,
    minute_of,
    print_line,
)
from dagster_project.plurals import counted

if TYPE_CHECKING:
    from serving.alerting import AlertChannel, AlertRecord

app = typer.Typer(
    help="Alerts of the platform: list, acknowledge, and test how they are delivered.", no_args_is_help=True
)

LISTED = (
    ShownColumn("id"),
    ShownColumn("state"),
    ShownColumn("severity", rank=2),
    ShownColumn("name", rank=3),
    ShownColumn("since", shown=minute_of, rank=1),
    ShownColumn("summary", wraps=True),
    ShownColumn("delivered", wraps=True),
)
NO_CHANNEL = (
    "No channel is declared, so alerts are kept here and delivered nowhere: set QUANTLAKE_ALERT_SMTP_URL and "
    "QUANTLAKE_ALERT_EMAIL_TO, QUANTLAKE_ALERT_SLACK_URL or QUANTLAKE_ALERT_WEBHOOK_URL (docs/risk.md)."
)


@app.command("list")
def list_alerts(
    *,
    is_all: Annotated[bool, typer.Option("--all", help="Also those that have ended.")] = False,
    as_json: AsJson = False,
    as_csv: AsCsv = False,
) -> None:
    """List alerts that last, whether somebody took them over, and whether they were delivered."""
    from lake.settings import settings
    from serving.alerting import channels_of, read_alerts
    from serving.risk import raise_switch_alerts

    raise_switch_alerts(settings().home)
    found = [each for each in read_alerts(settings().home) if is_all or each.state != "resolved"]
    rows = [_row(each) for each in found]
    table = DataTable.of(counted(len(rows), "alert"), LISTED, rows)
    if is_for_program(rows, table, as_json=as_json, as_csv=as_csv):
        return
    if rows:
        console().print(table)
    else:
        print_line("No alert lasts." if not is_all else "There has been no alert.")
    if not channels_of(settings()):
        print_line(NO_CHANNEL)


@app.command()
def ack(
    alert: Annotated[str, typer.Argument(help="Id of an alert as `quantlake alerts list` shows it.")],
    *,
    by: Annotated[str, typer.Option("--by", help="Name of the person who takes it over.")],
) -> None:
    """Take an alert over, so that it no longer repeats until it ends and comes again."""
    from lake.settings import settings
    from serving.alerting import acknowledge
    from serving.audit import console as who

    done = acknowledge(settings(), alert, by=by, who=who())
    print_line(f"{done.alert.name} ({alert}) is taken over by {done.acknowledged_by} and no longer repeats.")


@app.command()
def deliver() -> None:
    """Send what is due once; `quantlake serve` does so every two seconds."""
    from lake.settings import settings
    from serving.risk import deliver_round

    done = deliver_round(settings(), _channels())
    print_line(f"{counted(done.sent, 'message')} arrived, {done.failed} did not.")
    if done.failed:
        print_line("`quantlake alerts list` says why; they are tried again.")
        raise typer.Exit(1)


@app.command()
def test() -> None:
    """Send a test message on each declared channel; the exit code is 1 if one does not arrive."""
    from serving.alerting import check_channels

    found = check_channels(_channels())
    for name, problem in found.items():
        print_line(f"{name}: {problem or 'arrived'}")
    if any(found.values()):
        raise typer.Exit(1)


def _channels() -> "tuple[AlertChannel, ...]":
    from lake.errors import ConfigError
    from lake.settings import settings
    from serving.alerting import channels_of

    found = channels_of(settings())
    if not found:
        raise ConfigError(NO_CHANNEL)
    return found


def _row(record: "AlertRecord") -> dict[str, Any]:
    alert = record.alert
    delivered = [
        f"{name}: {each.error or ('nothing yet' if each.sent_at is None else each.sent_state)}"
        for name, each in record.deliveries.items()
    ]
    state = f"{record.state} by {record.acknowledged_by}" if record.state == "acknowledged" else record.state
    return {
        "id": alert.alert_id,
        "state": state,
        "severity": alert.severity,
        "name": alert.name,
        "since": alert.started_at,
        "summary": alert.summary,
        "delivered": "; ".join(delivered) or "not yet",
    }
