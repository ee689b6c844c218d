"""Commands of `quantlake portfolio`: what each declared portfolio holds, beside 1/N."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from dagster_project.commands.shell import (
    AsCsv,
    AsJson,
    DataTable,
    ShownColumn,
    console,
    day_of,
    fixed,
    is_for_program,
    percent,
    print_line,
    require_lake,
)
from dagster_project.plurals import counted

if TYPE_CHECKING:
    from datetime import datetime

    from serving.api import PortfolioAnswer
    from serving.history import KnownTables

app = typer.Typer(
    help="Portfolios: what declared methods hold beside 1/N, and the evidence for them.", no_args_is_help=True
)
AsOf = Annotated[str | None, typer.Option("--as-of", help="A day, or an instant with its zone; by default now.")]
Name = Annotated[str, typer.Argument(help="Portfolio, as `quantlake portfolio list` names it.")]
LEAST_SHOWN = 0.0005
"""Weight from which on a symbol has a line in the terminal."""
LIST = (
    ShownColumn("portfolio"),
    ShownColumn("used", "in force", wraps=True, rank=3),
    ShownColumn("volatility", "vol.", shown=percent(1)),
    ShownColumn("equal_volatility", "1/N vol.", shown=percent(1), rank=2),
    ShownColumn("net_return", "net", shown="{:+.1%}".format),
    ShownColumn("equal_net_return", "1/N", shown="{:+.1%}".format),
    ShownColumn("e_value", "e-value", shown=fixed(2), rank=1),
    ShownColumn("verdict", wraps=True),
)
POSITIONS = (
    ShownColumn("symbol"),
    ShownColumn("weight", shown="{:.1%}".format),
    ShownColumn("equal_weight", "1/N", shown="{:.1%}".format),
    ShownColumn("target", shown="{:.1%}".format, rank=1),
    ShownColumn("trade", shown="{:+.1%}".format),
    ShownColumn("risk_share", "risk", shown="{:.1%}".format),
    ShownColumn("band", "no-trade band", rank=2),
    ShownColumn("expected_return", "expected", shown="{:+.2%}".format, rank=3),
)


@app.command("list")
def list_portfolios(*, as_of: AsOf = None, as_json: AsJson = False, as_csv: AsCsv = False) -> None:
    """Show every portfolio: what it earned beside 1/N, net of cost, and whether that is evidence."""
    from lake.errors import NotReadyError
    from serving.history import portfolios_of

    tables, at = _asked(as_of)
    found = [each.model_dump() for each in portfolios_of(tables, at)]
    if not found:
        raise NotReadyError(
            f"No portfolio had weights by {at:%Y-%m-%d}. `{tables.market.next_run}` makes them with the next session."
        )
    if is_for_program(found, DataTable.of_records(found), as_json=as_json, as_csv=as_csv):
        return
    newest = max(row["event_time"] for row in found)
    console().print(DataTable.of(f"Portfolios at the close of {day_of(newest)}", LIST, found))
    print_line(
        "vol.: volatility per year of what is held; net: since the first purchase, cost included; e-value: evidence of "
        "earning more than 1/N, 20 is enough. No portfolio is chosen by what it earned."
    )
    _print_fallbacks([row for row in found if row["fallback_reason"]])


@app.command()
def show(name: Name, *, as_of: AsOf = None, as_json: AsJson = False, as_csv: AsCsv = False) -> None:
    """Show what a portfolio holds beside 1/N, and why it traded or did not."""
    from serving.history import portfolio_of

    tables, at = _asked(as_of)
    found = portfolio_of(tables, name, at)
    rows = [each.model_dump() for each in found.positions]
    if not is_for_program(found.model_dump(mode="json"), DataTable.of_records(rows), as_json=as_json, as_csv=as_csv):
        _show(found, rows)


def _asked(as_of: str | None) -> "tuple[KnownTables, datetime]":
    from lake.settings import settings
    from lake.store import LakeReader
    from serving.history import KnownTables, instant_as_of, read_moment

    configured = settings()
    require_lake(configured)
    tables = KnownTables(LakeReader.open(configured))
    asked = None if as_of is None else read_moment(as_of)
    return tables, instant_as_of(tables.market, asked, configured.clock.now())


def _show(found: "PortfolioAnswer", rows: list[dict[str, Any]]) -> None:
    summary = found.summary
    print_line(
        f"{found.portfolio} from the close of {day_of(found.event_time)}: {found.reason} Net {summary.net_return:+.1%} "
        f"since the first purchase, 1/N {summary.equal_net_return:+.1%}, over {counted(summary.sessions, 'bar')}: "
        f"{summary.verdict} (e-value {summary.e_value:.2f} of {found.evidence_needed:g} needed)."
    )
    if summary.fallback_reason:
        _print_fallbacks([summary.model_dump()])
    shown = [row | {"band": _band(row)} for row in rows if row["weight"] >= LEAST_SHOWN or row["trade"]]
    console().print(DataTable.of(f"Weights of {found.portfolio}", POSITIONS, shown))
    gain = "" if found.expected_gain is None else f", expected to gain {found.expected_gain:.4%} until the next review"
    if found.bought or found.sold:
        print_line(f"Traded: {found.bought:.1%} bought, {found.sold:.1%} sold, for {found.cost:.4%} of equity{gain}.")
    if found.market_weights:
        print_line(f"Market weights: {found.market_weights}. Views: {counted(found.views, 'forecast')}.")
    if found.left_out:
        print_line(f"Left out, with too few bars: {', '.join(found.left_out)}.")
    if found.next_review:
        print_line(f"Next review by the calendar: {day_of(found.next_review)}.")
    print_line(found.past_performance)


def _band(row: dict[str, Any]) -> str | None:
    low, high = row["band_low"], row["band_high"]
    return None if low is None or high is None else f"{low:.1%} to {high:.1%}"


def _print_fallbacks(rows: list[dict[str, Any]]) -> None:
    for row in rows:
        print_line(f"Fallback: {row['portfolio']} holds {row['used'].replace('_', ' ')}: {row['fallback_reason']}.")
