"""Commands of `quantlake sources`: which there are, what they need and allow, what is stored; and a pull by hand."""

import json
from collections import defaultdict
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table

from dagster_project.commands.shell import console, print_line, taking_turn
from dagster_project.plurals import counted

if TYPE_CHECKING:
    from collections.abc import Iterable

    from lake.sources import BarBatch, MacroBatch


app = typer.Typer(
    help="Sources of bars and economic series: list them, see what is stored, pull from one.", no_args_is_help=True
)

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for a program instead of a table.")]
KEY_WIDTH = 20
"""Columns for the name of a key: a name that is broken in two cannot be copied."""
REPLAYED = (
    "Real bars of the packaged market in the vendors' forms, over HTTP on this machine; no vendor was asked. In the "
    "last pull one bar came corrected. The connectors kept to the vendors' limits, and the waits passed on a clock of "
    "the replay."
)
STORED = """
    select source, count(*) as rows, count(distinct {subject}) as symbols, min(event_time) as first,
        max(event_time) as last, bool_or(licence = 'synthetic') as is_fixture
    from {table} group by source
"""


@app.command("list")
def list_sources(*, as_json: AsJson = False) -> None:
    """List every source: the tables it fills, its limits, where its key goes, what is stored, and its terms."""
    found = _sources()
    if as_json:
        console().print_json(json.dumps(found, default=str))
        return
    table = _table("source", "fills", "limits", "key", "stored")
    for each in found:
        key = each["key"] and f"{each['key']} ({'set' if each['has_key'] else 'not set'})"
        cells = (each["source"], each["fills"], each["limits"], key, each["stored"])
        table.add_row(*(escape(cell or "-") for cell in cells))
    console().print(table)
    print_line("")
    for each in found:
        if each["terms"]:
            console().print(f"{each['source']}: {each['terms']}", highlight=False, markup=False)


@app.command()
def status(*, as_json: AsJson = False) -> None:
    """Show what each source has stored, how much of its limits is used now, and what it was asked last."""
    stored, used, last = _stored(), _used(), _last_deliveries()
    found = [
        {"source": name, **{part: stored.get(name, {}).get(part) for part in ("rows", "symbols", "first", "last")}}
        | {"used": used.get(name, ""), "last_delivery": last.get(name)}
        for name in sorted({*stored, *used, *last})
    ]
    if as_json:
        console().print_json(json.dumps(found, default=str))
        return
    table = _table("source", "rows", "symbols", "first", "last", "requests used")
    for each in found:
        days = (f"{each[part]:%Y-%m-%d}" if each[part] else "-" for part in ("first", "last"))
        counts = (f"{each[part]:,}" if each[part] else "-" for part in ("rows", "symbols"))
        table.add_row(escape(str(each["source"])), *counts, *days, str(each["used"] or "-"))
    console().print(table)
    if last:
        print_line("")
        console().print(_deliveries_table(last.values()))
    for each in last.values():
        if each["reason"]:
            print_line(f"{each['source']}: {each['reason']}")


@app.command()
def pull(
    source: Annotated[str, typer.Argument(help="Name of a vendor as `quantlake sources list` shows it.")],
    *,
    symbols: Annotated[str, typer.Option(help="Symbols as the vendor spells them, with commas between.")] = "",
    series: Annotated[str, typer.Option(help="Economic series instead, e.g. GDP,CPIAUCSL; every vintage comes.")] = "",
    since: Annotated[datetime | None, typer.Option(formats=["%Y-%m-%d"], help="First session of the history.")] = None,
    calendar: Annotated[str, typer.Option(help="Exchange whose sessions the bars belong to.")] = "XNYS",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what comes, and store nothing.")] = False,
) -> None:
    """Ask a vendor for what is new and store it as received.

    Bars: quantlake sources pull yahoo --symbols AAPL,MSFT. Series: quantlake sources pull fred --series GDP,CPIAUCSL.
    """
    from lake.calendars import FIRST_SESSION
    from lake.clock import SystemClock
    from lake.ingest import ingest_bars
    from lake.settings import settings
    from lake.sources import SERIES, OverheardSource, open_http_source
    from lake.store import Lake

    if source in SERIES or series:
        _pull_series(source, _names(series), dry_run=dry_run)
        return
    names = _names(symbols)
    first: date = since.date() if since else FIRST_SESSION
    vendor = OverheardSource(open_http_source(source, names, settings(), calendar, first=first))
    if dry_run:
        vendor.read(None, SystemClock().now())
        _show(vendor.batches)
        print_line("Nothing is stored: this was a dry run.")
        return
    with taking_turn("sources pull", makes_home=True):
        report = ingest_bars(Lake.open(), vendor, SystemClock())
    _show(vendor.batches)
    print_line(
        f"{counted(report.added, 'row')} stored in raw_bars. They become bars with the next run whose market has come "
        "to when they were known."
        if report.added
        else f"Nothing new was stored: {report.details.get('reason', 'every row was stored already')}."
    )


def _names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()]


def _pull_series(source: str, series: list[str], *, dry_run: bool) -> None:
    """Ask a vendor for every vintage of some series; store what is new, and refine what the market knows by its now."""
    from lake.ingest import refine_macro_to_lake, store_macro
    from lake.settings import settings
    from lake.sources import pull_series
    from lake.store import Lake

    batch = pull_series(source, series, settings())
    _show_series(batch)
    if dry_run:
        print_line("Nothing is stored: this was a dry run.")
        return
    with taking_turn("sources pull", makes_home=True):
        lake, clock = Lake.open(), settings().clock
        raw = store_macro(lake, batch)
        macro = refine_macro_to_lake(lake, clock)
    print_line(
        f"{counted(raw.added, 'row')} stored in raw_macro, {counted(macro.added, 'row')} in macro: what is known by "
        f"{clock.now():%Y-%m-%d}, where the market stands. Later vintages follow with it."
        if raw.added
        else f"Nothing new was stored: {raw.details.get('reason', 'every value was stored already')}."
    )


def _show_series(batch: "MacroBatch") -> None:
    """Print a line per series that was delivered."""
    vintages: dict[str, set[str]] = defaultdict(set)
    periods: dict[str, set[str]] = defaultdict(set)
    for name, period, vintage in batch.rows.select("series", "period", "vintage").iter_rows():
        periods[name].add(period)
        vintages[name].add(vintage)
    table = _table("series", "periods", "first", "last", "vintages")
    for name, days in sorted(periods.items()):
        table.add_row(escape(name), f"{len(days):,}", min(days), max(days), f"{len(vintages[name]):,}")
    console().print(table)


@app.command()
def replay(
    names: Annotated[list[str] | None, typer.Argument(help="Vendors, the preferred one first; all by default.")] = None,
    *,
    home: Annotated[Path | None, typer.Option(help="Folder to keep what is stored in; thrown away by default.")] = None,
) -> None:
    """Pull from vendors that are played on this machine: what a connector does, without a key and a network."""
    from tempfile import TemporaryDirectory

    from lake.ingest import replay_sources

    with TemporaryDirectory(prefix="quantlake-replay-") as scratch:
        folder = home.expanduser().absolute() if home else Path(scratch)
        table = _table("source", "pull", "requests", "waited", "new rows", "corrected")
        notes = []
        for each in replay_sources(folder, names or ()):
            if each.source:
                counts = (f"{each.requests}", f"{each.waited_seconds:.0f} s", f"{each.rows:,}", f"{each.corrected}")
                table.add_row(each.source, each.what, *counts)
            else:
                notes.append(f"They became {counted(each.rows, 'bar')}; {counted(each.refused, 'row')} refused.")
    console().print(table)
    print_line("")
    for note in notes:
        print_line(note)
    console().print(REPLAYED, highlight=False)
    if home:
        print_line(f"Kept in {folder}: QUANTLAKE_HOME={folder} quantlake sources status")


def _show(batches: "list[BarBatch]") -> None:
    """Print a line per symbol that was delivered, and one per symbol that failed."""
    stamps: dict[str, list[datetime]] = defaultdict(list)
    actions: dict[str, int] = defaultdict(int)
    for batch in batches:
        for symbol, at in batch.rows.select("symbol", "event_time").iter_rows():
            stamps[symbol].append(at)
        for symbol in batch.actions["symbol"]:
            actions[symbol] += 1
    table = _table("symbol", "bars", "first", "last", "splits and dividends")
    for symbol, times in sorted(stamps.items()):
        span = (f"{min(times):%Y-%m-%d}", f"{max(times):%Y-%m-%d}")
        table.add_row(escape(symbol), f"{len(times):,}", *span, str(actions[symbol]))
    if stamps:
        console().print(table)
    for batch in batches:
        for failure in batch.failures:
            print_line(f"{failure.symbol} failed, {failure.kind}: {failure.reason}")
        for note in batch.notes:
            print_line(note)


def _sources() -> list[dict[str, Any]]:
    from lake.settings import settings
    from lake.sources import CONNECTORS, MACRO_SOURCES, SERIES, SOURCES, connector_of, key_of

    stored = _stored()
    found: list[dict[str, Any]] = [
        {"source": name, "limits": "", "key": "", "has_key": None, "terms": ""} for name in [*SOURCES, *MACRO_SOURCES]
    ]
    for name in [*CONNECTORS, *SERIES]:
        connector = connector_of(name)
        found.append(
            {
                "source": name,
                "limits": ", ".join(map(str, connector.limits)),
                "key": connector.auth.variable if connector.auth else "",
                "has_key": key_of(connector, settings()) is not None if connector.auth else None,
                "terms": connector.terms.notice,
            }
        )
    return [
        each
        | {
            "fills": "raw_macro" if each["source"] in {*SERIES, *MACRO_SOURCES} else "raw_bars",
            "stored": _word(stored.get(each["source"])),
        }
        for each in found
    ]


def _word(stored: dict[str, Any] | None) -> str:
    """Say real, fixture or empty, with the span."""
    if stored is None:
        return "empty"
    kind = "fixture" if stored["is_fixture"] else "real"
    return f"{kind}, {stored['first']:%Y-%m-%d} to {stored['last']:%Y-%m-%d}"


def _stored() -> dict[str, dict[str, Any]]:
    """What the raw tables hold of each source; nothing of those that there are none of yet."""
    from lake.sql import connect
    from lake.store import Lake
    from lake.tables import RAW_BARS, RAW_MACRO

    found: dict[str, dict[str, Any]] = {}
    lake = Lake.open()
    subjects = {RAW_BARS: "symbol", RAW_MACRO: "series"}
    asked = [STORED.format(table=spec.name, subject=subject) for spec, subject in subjects.items() if lake.exists(spec)]
    if not asked:
        return {}
    with connect(history=True) as connection:
        for query in asked:
            answer = connection.sql(query)
            found |= {row[0]: dict(zip(answer.columns, row, strict=True)) for row in answer.fetchall()}
    return found


def _used() -> dict[str, str]:
    """Requests in the window of each limit now, by vendor."""
    from lake.clock import SystemClock
    from lake.settings import settings
    from lake.sources import CONNECTORS, SERIES, connector_of
    from lake.sources.http import RequestCount

    counts = {
        name: RequestCount(settings().sources, connector_of(name).limits, SystemClock())
        for name in (*CONNECTORS, *SERIES)
    }
    return {
        name: ", ".join(f"{used:,} of {limit}" for limit, used in count.used().items())
        for name, count in counts.items()
    }


def _last_deliveries() -> dict[str, dict[str, Any]]:
    from lake.ingest import last_deliveries
    from lake.store import Lake

    return {each["source"]: each for each in last_deliveries(Lake.open())}


def _deliveries_table(deliveries: "Iterable[dict[str, Any]]") -> Table:
    """Newest delivery of each source: how long ago, what came, what of it was refused, and how it ended."""
    from lake.clock import SystemClock

    now = SystemClock().now()
    table = _table("last asked", "ago", "up to", "rows", "new", "refused", "outcome")
    for each in deliveries:
        some = f", {each['failed']:,} of {each['subjects']:,}" if each["failed"] else ""
        counts = (f"{each[part]:,}" for part in ("rows", "stored", "refused"))
        ago = _ago((now - each["received_at"]).total_seconds())
        outcome = each["outcome"].replace("_", " ") + some
        table.add_row(escape(each["source"]), ago, f"{each['until']:%Y-%m-%d}", *counts, outcome)
    return table


def _ago(seconds: float) -> str:
    """Say how long ago in the largest unit that fits.

    Examples
    --------
    >>> _ago(40), _ago(7_300), _ago(200_000)
    ('40 s', '2 h', '2 d')
    """
    for unit, size in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= size:
            return f"{seconds // size:.0f} {unit}"
    return f"{max(seconds, 0):.0f} s"


def _table(*columns: str) -> Table:
    table = Table(header_style="", show_edge=False)
    for column in columns:
        table.add_column(column, overflow="fold", min_width=KEY_WIDTH if column == "key" else None)
    return table
