"""Commands of `quantlake desk` about accounts on paper: start, decide, explain, replay, reconcile, export."""

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

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
    taking_turn,
)
from dagster_project.plurals import counted

if TYPE_CHECKING:
    from lake.settings import Settings
    from lake.store import Lake
    from serving.desk import DeskView, PaperDesk

DecisionId = Annotated[str, typer.Argument(help="Identifier, e.g. paper.20130102T2100.KO.")]
Day = Annotated[datetime | None, typer.Option(formats=["%Y-%m-%d"])]
DECIDED = (
    ShownColumn("symbol"),
    ShownColumn("action"),
    ShownColumn("quantity", shown=fixed(0)),
    ShownColumn("wanted", "votes %", shown=percent(2)),
    ShownColumn("target", "target %", shown=percent(2)),
    ShownColumn("equal_weight_target", "1/N %", shown=percent(2)),
    ShownColumn("decided_by", wraps=True),
    ShownColumn("decision_id", "id", rank=1),
)
VOTED = (
    ShownColumn("source", wraps=True),
    ShownColumn("vote", "vote %", shown=percent(2)),
    ShownColumn("weight", shown=fixed(3)),
    ShownColumn("confidence", shown=fixed(2), rank=1),
    ShownColumn("overruled_by", "overruled by", wraps=True),
    ShownColumn("reason", wraps=True, rank=2),
)
HELD = (
    "symbol",
    ShownColumn("quantity", shown=fixed(0)),
    ShownColumn("average_cost", shown=fixed(2)),
    ShownColumn("price", shown=fixed(2)),
    ShownColumn("unrealised", shown=fixed(0)),
)
EARNED = (ShownColumn("line", wraps=True), ShownColumn("gain", shown=fixed(2)))
COMPARED = (
    "kind",
    ShownColumn("about", wraps=True),
    ShownColumn("desk", wraps=True),
    ShownColumn("backtest", wraps=True),
)


def start(
    reason: Annotated[str, typer.Argument(help="Why it is opened; the audit trail keeps it.")],
    *,
    by: Annotated[str, typer.Option("--by", help="Name of the person who answers for it.")],
    capital: Annotated[float, typer.Option(min=1.0, help="Cash it begins with, in the market's currency.")] = 1e6,
    account: Annotated[str, typer.Option(help="Name of the account.")] = "paper",
) -> None:
    """Open an account on paper: quantlake desk start --by "A. Analyst" "three months beside the funds"."""
    from serving import audit
    from serving.desk import open_desk
    from serving.risk import read_latch

    configured, lake = _opened()
    now = configured.clock.now()
    opened = open_desk(configured, lake.market, now, by=by, capital=capital, name=account)
    details = {"account": opened.name, "capital": capital, "reason": reason}
    audit.record(lake, who=f"{by.strip()} ({audit.console()})", what="desk.start", details=details)
    print_line(
        f"The account '{opened.name}' is open with {capital:,.0f}, and 1/N beside it with as much. It decides with "
        f"each session (`{lake.market.next_run}`), or now with `{lake.market.command('desk decide')}`; its orders "
        "trade in the next session."
    )
    found = read_latch(configured.home)
    if found.state != "active":
        print_line(f"Trading is {found.state}: {found.problem or 'see quantlake desk status'}")
        print_line('`quantlake desk resume --by NAME "reason"` releases it; until then the desk decides to hold.')


def decide(
    *,
    is_preview: Annotated[
        bool, typer.Option("--preview", help="Show what would be decided; write nothing, send nothing.")
    ] = False,
    account: Annotated[str, typer.Option(help="Name of the account.")] = "paper",
    as_json: AsJson = False,
    as_csv: AsCsv = False,
) -> None:
    """Run the desk once for the newest close: take in fills, decide, and send what the risk gate lets through."""
    from lake.tables import DECISIONS
    from serving.desk import drain_desk, journal_of

    configured, lake = _opened()
    with taking_turn("desk"):
        desk = _desk(lake, configured, account)
        if is_preview:
            made = [_of_decision(each) for each in desk.preview()]
            _show_decisions(made, "Would be decided", as_json=as_json, as_csv=as_csv)
            return
        done = desk.run()
        drain_desk(lake, desk.journal)
    rows = [_of_row(row) for row in journal_of(configured).rows(DECISIONS, done.account, done.close)]
    if _show_decisions(rows, f"Decided at {done.close:%Y-%m-%d %H:%M} UTC", as_json=as_json, as_csv=as_csv):
        return
    if done.reason:
        print_line(f"Nothing was decided now: {done.reason}.")
    else:
        print_line(
            f"{counted(done.decisions, 'decision')}, {counted(done.orders, 'order')} sent, {done.stopped} kept back by "
            "the risk gate."
        )
    if done.without_advice:
        print_line(f"Advice did not vote: {done.without_advice}.")


def explain(decision_id: DecisionId, *, as_json: AsJson = False, as_csv: AsCsv = False) -> None:
    """Show one decision: every vote with its weight, who overruled whom, and what became of its order."""
    from lake.settings import settings
    from serving.api import ADVICE_DISCLAIMER
    from serving.desk import explained

    found = explained(settings(), decision_id)
    row = {name: value for name, value in found.decision.items() if name != "content"}
    answer: dict[str, Any] = {"decision": row, "votes": found.votes, "orders": found.orders, "fills": found.fills}
    table = DataTable.of(f"Votes on {row['symbol']}", VOTED, found.votes)
    if is_for_program(answer, table, as_json=as_json, as_csv=as_csv):
        return
    print_line(
        f"{row['action']} {abs(row['quantity']):,.0f} {row['symbol']} at the close of "
        f"{row['event_time']:%Y-%m-%d %H:%M} UTC, decided by {row['decided_by']}: {row['reason']}"
    )
    print_line(
        f"The votes ask for {row['wanted']:+.2%} of equity, {row['target']:+.2%} is the target, 1/N would hold "
        f"{row['equal_weight_target']:+.2%}."
    )
    console().print(table)
    for order in found.orders:
        why = f": {order['reason']}" if order["reason"] else "."
        print_line(f"{order['event_time']:%Y-%m-%d %H:%M} UTC: {order['status']}, {order['quantity']:g} shares{why}")
    for fill in found.fills:
        costs = sum(fill[name] for name in ("fee", "spread", "slippage", "impact"))
        print_line(f"Filled {fill['quantity']:g} at {fill['price']:g}, costs {costs:.2f}.")
    print_line(f"Receipt: sealed {row['seal'][:12]}; `quantlake desk replay {decision_id}` makes it again.")
    print_line(ADVICE_DISCLAIMER)


def replay(decision_id: DecisionId, *, as_json: AsJson = False, as_csv: AsCsv = False) -> None:
    """Make a decision again from its receipt and compare bit by bit; the exit code is 1 if it is not equal."""
    from dataclasses import asdict

    from lake.settings import settings
    from serving.desk import replay_decision

    found = replay_decision(settings(), decision_id)
    values = asdict(found)
    if not is_for_program(values, DataTable.of_records([values]), as_json=as_json, as_csv=as_csv):
        means = {
            "equal": "equal, to the last bit",
            "altered": "its receipt is not what was sealed",
            "different": "its inputs give another result now",
        }
        code = "the same code" if found.is_same_code else "code that has changed since"
        print_line(f"{decision_id}: {means[found.verdict]}, by {code}.")
    if found.verdict != "equal":
        raise typer.Exit(1)


def reconcile(*, as_json: AsJson = False, as_csv: AsCsv = False) -> None:
    """Compare the desk with a back-test over its paper period, fill by fill; the exit code is 1 if one differs."""
    from dataclasses import asdict

    from serving.desk import journal_of, reconcile_desk

    configured, lake = _opened()
    accounts = journal_of(configured).accounts() or _no_desk()
    found = [reconcile_desk(lake, configured, configured.clock, each, with_tables=True) for each in accounts]
    values = [asdict(each) for each in found]
    rows = [asdict(difference) for each in found for difference in each.differences]
    table = DataTable.of("Differences", COMPARED, rows)
    if not is_for_program(values, table, as_json=as_json, as_csv=as_csv):
        for each in found:
            verdict = "equal, to the last bit" if each.is_equal else counted(len(each.differences), "difference")
            print_line(
                f"{each.account}: {counted(each.fills, 'fill')}, {counted(each.decisions, 'decision')} and "
                f"{counted(each.sessions, 'session')} compared with a back-test: {verdict}."
            )
            for sentence in each.restated:
                print_line(f"Restated since: {sentence}")
        if rows:
            console().print(table)
    if rows:
        raise typer.Exit(1)


def export(
    folder: Annotated[Path, typer.Argument(help="Folder to write into; it is made.")],
    *,
    since: Annotated[datetime, typer.Option(formats=["%Y-%m-%d"], help="First day.")],
    until: Annotated[datetime, typer.Option(formats=["%Y-%m-%d"], help="Day after the last one.")],
    form: Annotated[Literal["csv", "parquet"], typer.Option("--format", help="Of the tables.")] = "csv",
    as_json: AsJson = False,
    as_csv: AsCsv = False,
) -> None:
    """Write decisions, votes, orders, fills, risk events and audit rows of a period, with a manifest of hashes."""
    from dataclasses import asdict

    from serving.desk import export_desk

    configured, lake = _opened()
    with taking_turn("desk"):
        files = export_desk(lake, configured, folder, since.replace(tzinfo=UTC), until.replace(tzinfo=UTC), form)
    rows = [asdict(each) for each in files]
    table = DataTable.of(f"Written to {folder}", ("name", "rows", "table_version", "digest"), rows)
    if not is_for_program(rows, table, as_json=as_json, as_csv=as_csv):
        console().print(table)
        print_line(f"{folder / 'manifest.json'} has their hashes.")


def views() -> "list[DeskView]":
    """Return every account as it stands; none where no account is open or there is no lake."""
    from lake.settings import settings
    from lake.store import Lake
    from serving.desk import desk_views, journal_of

    configured = settings()
    return desk_views(Lake.open(configured), configured) if journal_of(configured).accounts() else []


def view_values(view: "DeskView") -> dict[str, Any]:
    """Return an account as JSON holds it."""
    decisions = [{name: value for name, value in row.items() if name != "content"} for row in view.decisions]
    return {
        "account": view.account.name,
        "opened": view.account.opened,
        "capital": view.account.capital,
        "equity": view.equity,
        "positions": view.positions,
        "orders": view.orders,
        "fills": view.fills,
        "decisions": decisions,
        "attribution": view.attribution.to_dict(),
    }


def show_view(view: "DeskView") -> None:
    """Print an account: equity beside 1/N, positions, and what earned its result."""
    from serving.api import ADVICE_DISCLAIMER

    account, equity, earned = view.account, view.equity, view.attribution
    if equity is None:
        print_line(f"The account '{account.name}' has traded no session yet. `quantlake desk decide` runs its first.")
        return
    gain, null = float(earned.result) / account.capital, float(earned.equal_weight_result) / account.capital
    print_line(
        f"\nAccount '{account.name}' at {minute_of(equity['event_time'])}: equity {equity['equity']:,.2f} "
        f"({gain:+.2%} in {counted(earned.sessions, 'session')}); 1/N under the same costs "
        f"{equity['equal_weight_equity']:,.2f} ({null:+.2%})."
    )
    print_line(f"Gross {equity['gross']:.1%} of equity, drawdown {equity['drawdown']:.2%}.")
    if view.positions:
        console().print(DataTable.of("Positions", HELD, view.positions))
    else:
        print_line("It holds nothing.")
    lines = [{"line": name, "gain": float(value)} for name, value in earned.lines.items()]
    lines += [{"line": "costs", "gain": -float(earned.costs) or 0.0}, {"line": "result", "gain": float(earned.result)}]
    lines += [{"line": "1/N, costs deducted", "gain": float(earned.equal_weight_result)}]
    console().print(DataTable.of("What earned the result", EARNED, lines))
    changed = [_of_row(row) for row in view.decisions if row["action"] != "hold"]
    print_line(
        f"{counted(len(view.orders), 'order')} open; {len(changed)} of {len(view.decisions)} newest decisions trade."
    )
    print_line(ADVICE_DISCLAIMER)


def _show_decisions(rows: list[dict[str, Any]], title: str, *, as_json: bool, as_csv: bool) -> bool:
    table = DataTable.of(title, DECIDED, rows)
    if is_for_program(rows, table, as_json=as_json, as_csv=as_csv):
        return True
    if rows:
        console().print(table)
    return False


def _of_row(row: dict[str, Any]) -> dict[str, Any]:
    names = [column.name for column in DECIDED]
    return {name: row[name] for name in (*names, "reason")}


def _of_decision(decision: Any) -> dict[str, Any]:
    names = [column.name for column in DECIDED]
    return {name: getattr(decision, name) for name in (*names, "reason")}


def _opened() -> "tuple[Settings, Lake]":
    from lake.settings import settings
    from lake.store import Lake

    configured = settings()
    require_lake(configured)
    return configured, Lake.open(configured)


def _desk(lake: "Lake", configured: "Settings", name: str) -> "PaperDesk":
    from lake.errors import UnknownNameError
    from serving.desk import PaperDesk, journal_of

    accounts = {each.name: each for each in journal_of(configured).accounts() or _no_desk()}
    if name not in accounts:
        raise UnknownNameError("account of the desk", name, list(accounts))
    return PaperDesk(lake, configured, configured.clock, accounts[name])


def _no_desk() -> Any:
    from lake.errors import NotReadyError

    raise NotReadyError('No account is open yet. Open one: `quantlake desk start --by NAME "reason"`.')
