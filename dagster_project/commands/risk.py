"""Commands of `quantlake risk`: limits and how much of each is used, exposures, value at risk and whether it held."""

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dagster_project.commands.shell import (
    AsCsv,
    AsJson,
    DataTable,
    ShownColumn,
    console,
    fixed,
    is_for_program,
    minute_of,
    percent,
    print_line,
    require_lake,
)

if TYPE_CHECKING:
    from serving.risk import RiskReport

app = typer.Typer(help="Risk: limits, exposures, value at risk, and what the switch did.", no_args_is_help=True)

LIMITS = (
    ShownColumn("name", "limit"),
    ShownColumn("used", shown=lambda value: f"{value:.4f}"),
    ShownColumn("soft", shown=lambda value: f"{value:g}", rank=1),
    ShownColumn("hard", shown=lambda value: f"{value:g}"),
    ShownColumn("ratio", "% of hard", shown=percent(1)),
)
WEIGHTS = (ShownColumn("symbol"), ShownColumn("weight", "of equity", shown=lambda value: f"{value:+.2%}"))
TAILS = (
    ShownColumn("book", wraps=True),
    ShownColumn("level", "%", shown=percent(0)),
    ShownColumn("value_at_risk", "VaR", shown=lambda value: f"{value:.2%}"),
    ShownColumn("expected_shortfall", "ES", shown=lambda value: f"{value:.2%}"),
    ShownColumn("exceedances", "exceeded"),
    ShownColumn("expected", shown=fixed(1)),
    ShownColumn("kupiec_p", "Kupiec p", shown=fixed(3)),
    ShownColumn("christoffersen_p", "Christoffersen p", shown=fixed(3), rank=2),
    ShownColumn("acerbi_szekely_p", "Acerbi-Szekely p", shown=fixed(3), rank=1),
)
EVENTS = (
    ShownColumn("event_time", "time", shown=minute_of),
    ShownColumn("kind"),
    ShownColumn("scope"),
    ShownColumn("state_after", "state"),
    ShownColumn("who", wraps=True, rank=1),
    ShownColumn("reason", wraps=True),
)
LEGEND = """
used: the largest position, gross, net and so on, as a share of equity; a dash where a portfolio on paper has none, e.g.
orders a second. VaR, ES: loss of one session that is exceeded in 5 % or 1 % of sessions, and the mean loss of those.
exceeded, expected: past sessions in which today's book, held as it is, would have lost more than the VaR of the day
before, and how many there should be; p below .05: the figure does not hold.
"""


@app.command()
def show(*, as_json: AsJson = False, as_csv: AsCsv = False) -> None:
    """Show limits and how much of each is used, exposures, and value at risk with how often it was exceeded."""
    from lake.settings import settings
    from lake.store import LakeReader
    from serving.risk import limits_of, read_latch, risk_report

    configured = settings()
    require_lake(configured)
    found = risk_report(LakeReader.open(configured), configured.clock.now(), limits_of(configured))
    state = read_latch(configured.home).state
    limits = [asdict(each) | {"ratio": each.ratio} for each in found.limits]
    answer = asdict(found) | {"limits": limits, "state": state}
    if is_for_program(answer, DataTable.of("", LIMITS, limits), as_json=as_json, as_csv=as_csv):
        return
    print_line(
        f"Of the {found.book}, of the strategies in force, {minute_of(found.at)} UTC; no desk holds positions yet."
    )
    _show(found, limits)
    print_line(LEGEND)
    print_line(f"Trading is {state}; `quantlake desk status` says why. Past performance says little about the next.")


@app.command()
def events(
    *,
    rows: Annotated[int, typer.Option(min=1, help="How many of the newest to show.")] = 30,
    as_json: AsJson = False,
    as_csv: AsCsv = False,
) -> None:
    """Show who stopped and resumed trading, and which limits tripped, the newest first."""
    from lake.settings import settings
    from lake.store import Lake
    from serving.risk import newest_events

    found = newest_events(Lake.open(settings()), rows)
    table = DataTable.of(f"The newest {len(found)} events", EVENTS, found)
    if is_for_program(None, table, as_json=as_json, as_csv=as_csv):
        return
    if found:
        console().print(table)
    else:
        print_line("Nothing was stopped or resumed yet.")


def _show(found: "RiskReport", limits: "list[dict[str, Any]]") -> None:
    weights = [{"symbol": symbol, "weight": weight} for symbol, weight in found.weights.items()]
    console().print(DataTable.of("Limits", LIMITS, limits))
    console().print(DataTable.of(f"The largest of {len(weights)} positions", WEIGHTS, weights[:10]))
    tails = [asdict(each) for each in found.tails]
    if tails:
        console().print(DataTable.of("Value at risk and expected shortfall of the next session", TAILS, tails))
    else:
        print_line("There is no value at risk yet: it needs 250 sessions of returns and more.")
