"""Commands of `quantlake sources`: which there are, what they need and allow, what is stored; and a pull by hand."""

from collections import defaultdict
from datetime import date, datetime
from pathlib import Path
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
    print_line,
    taking_turn,
)
from dagster_project.plurals import counted

if TYPE_CHECKING:
    from collections.abc import Iterable

    from lake.sources import BarBatch, MacroBatch


app = typer.Typer(
    help="Sources of bars and economic series: list them, see what is stored, pull from one.", no_args_is_help=True
)

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
def list_sources(*, as_json: AsJson = False, as_csv: AsCsv = False) -> None:
    """List every source: the tables it fills, its limits, where its key goes, what is stored, and its terms."""
    found = _sources()
    columns = (
        "source",
        ShownColumn("fills", rank=1),
        ShownColumn("limits", wraps=True),
        "key",
        ShownColumn("stored", wraps=True),
    )
    if is_for_program(found, DataTable.of_records(found), as_json=as_json, as_csv=as_csv):
        return
    console().print(DataTable.of("", columns, map(_listed, found)))
    print_line("")
    for each in found:
        if each["terms"]:
            console().print(f"{each['source']}: {each['terms']}", highlight=False, markup=False)


def _listed(source: dict[str, Any]) -> dict[str, Any]:
    """A source as a person reads it: its key with whether it is set, and nothing where there is nothing to say."""
    key = source["key"] and f"{source['key']} ({'set' if source['has_key'] else 'not set'})"
    return {name: value or None for name, value in (source | {"key": key}).items()}


@app.command()
def status(*, as_json: AsJson = False, as_csv: AsCsv = False) -> None:
    """Show what each source has stored, how much of its limits is used now, and what it was asked last."""
    stored, used, last = _stored(), _used(), _last_deliveries()
    found = [
        {"source": name, **{part: stored.get(name, {}).get(part) for part in ("rows", "symbols", "first", "last")}}
        | {"used": used.get(name, ""), "last_delivery": last.get(name)}
        for name in sorted({*stored, *used, *last})
    ]
    spans = (ShownColumn(part, shown=day_of, rank=2) for part in ("first", "last"))
    columns = (ShownColumn("source"), ShownColumn("rows"), ShownColumn("symbols", rank=1), *spans)
    table = DataTable.of("", (*columns, ShownColumn("used", "requests used", wraps=True)), found)
    if is_for_program(found, table, as_json=as_json, as_csv=as_csv):
        return
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
    as_json: AsJson = False,
    as_csv: AsCsv = False,
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
        _pull_series(source, _names(series), dry_run=dry_run, as_json=as_json, as_csv=as_csv)
        return
    names = _names(symbols)
    first: date = since.date() if since else FIRST_SESSION
    vendor = OverheardSource(open_http_source(source, names, settings(), calendar, first=first))
    if dry_run:
        vendor.read(None, SystemClock().now())
        added, sentence = 0, "Nothing is stored: this was a dry run."
    else:
        with taking_turn("sources pull", makes_home=True):
            report = ingest_bars(Lake.open(), vendor, SystemClock())
        added = report.added
        sentence = (
            f"{counted(added, 'row')} stored in raw_bars. They become bars with the next run whose market has come to "
            "when they were known."
            if added
            else f"Nothing new was stored: {report.details.get('reason', 'every row was stored already')}."
        )
    table = _delivered(vendor.batches)
    failures = [
        {"symbol": failure.symbol, "kind": failure.kind, "reason": failure.reason}
        for batch in vendor.batches
        for failure in batch.failures
    ]
    document = {"symbols": table.records(), "failures": failures, "added": added, "sentence": sentence}
    if is_for_program(document, table, as_json=as_json, as_csv=as_csv):
        return
    _show(vendor.batches, table)
    print_line(sentence)


def _names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()]


def _pull_series(source: str, series: list[str], *, dry_run: bool, as_json: bool, as_csv: bool) -> None:
    """Ask a vendor for every vintage of some series; store what is new, and refine what the market knows by its now."""
    from lake.ingest import pull_macro, refine_macro_to_lake
    from lake.settings import settings
    from lake.sources import pull_series
    from lake.store import Lake

    def ask() -> "MacroBatch":
        return pull_series(source, series, settings())

    if dry_run:
        added, sentence, table = 0, "Nothing is stored: this was a dry run.", _delivered_series(ask())
    else:
        with taking_turn("sources pull", makes_home=True):
            lake, clock = Lake.open(), settings().clock
            batch, raw = pull_macro(lake, source, ask, clock)
            macro = refine_macro_to_lake(lake, clock)
        added, table = raw.added, _delivered_series(batch)
        sentence = (
            f"{counted(added, 'row')} stored in raw_macro, {counted(macro.added, 'row')} in macro: what is known by "
            f"{clock.now():%Y-%m-%d}, where the market stands. Later vintages follow with it."
            if added
            else f"Nothing new was stored: {raw.details.get('reason', 'every value was stored already')}."
        )
    document = {"series": table.records(), "added": added, "sentence": sentence}
    if is_for_program(document, table, as_json=as_json, as_csv=as_csv):
        return
    console().print(table)
    print_line(sentence)


def _delivered_series(batch: "MacroBatch") -> DataTable:
    """A line per series that was delivered."""
    vintages: dict[str, set[str]] = defaultdict(set)
    periods: dict[str, set[str]] = defaultdict(set)
    for name, period, vintage in batch.rows.select("series", "period", "vintage").iter_rows():
        periods[name].add(period)
        vintages[name].add(vintage)
    lines = ((name, len(days), min(days), max(days), len(vintages[name])) for name, days in sorted(periods.items()))
    return DataTable.of_tuples("", ("series", "periods", "first", "last", "vintages"), lines)


@app.command()
def replay(
    names: Annotated[list[str] | None, typer.Argument(help="Vendors, the preferred one first; all by default.")] = None,
    *,
    home: Annotated[Path | None, typer.Option(help="Folder to keep what is stored in; thrown away by default.")] = None,
    as_json: AsJson = False,
    as_csv: AsCsv = False,
) -> None:
    """Pull from vendors that are played on this machine: what a connector does, without a key and a network."""
    from tempfile import TemporaryDirectory

    from lake.ingest import replay_sources

    with TemporaryDirectory(prefix="quantlake-replay-") as scratch:
        folder = home.expanduser().absolute() if home else Path(scratch)
        lines, notes = [], []
        for each in replay_sources(folder, names or ()):
            if each.source:
                counts = (each.requests, each.waited_seconds, each.rows, each.corrected)
                lines.append((each.source, each.what, *counts))
            else:
                notes.append(f"They became {counted(each.rows, 'bar')}; {counted(each.refused, 'row')} refused.")
    waited = ShownColumn("waited", "waited, s", shown=fixed(0))
    columns = ("source", ShownColumn("pull", wraps=True), "requests", waited, "new rows", "corrected")
    table = DataTable.of_tuples("", columns, lines)
    if is_for_program({"pulls": table.records(), "notes": notes}, table, as_json=as_json, as_csv=as_csv):
        return
    console().print(table)
    print_line("")
    for note in notes:
        print_line(note)
    console().print(REPLAYED, highlight=False)
    if home:
        print_line(f"Kept in {folder}: QUANTLAKE_HOME={folder} quantlake sources status")


def _delivered(batches: "list[BarBatch]") -> DataTable:
    """A line per symbol that was delivered."""
    stamps: dict[str, list[datetime]] = defaultdict(list)
    actions: dict[str, int] = defaultdict(int)
    for batch in batches:
        for symbol, at in batch.rows.select("symbol", "event_time").iter_rows():
            stamps[symbol].append(at)
        for symbol in batch.actions["symbol"]:
            actions[symbol] += 1
    lines = ((symbol, len(times), min(times), max(times), actions[symbol]) for symbol, times in sorted(stamps.items()))
    spans = (ShownColumn(part, shown=day_of) for part in ("first", "last"))
    return DataTable.of_tuples("", ("symbol", "bars", *spans, "splits and dividends"), lines)


def _show(batches: "list[BarBatch]", delivered: DataTable) -> None:
    """Print the symbols that were delivered, and a line per symbol that failed."""
    if delivered.rows:
        console().print(delivered)
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


def _deliveries_table(deliveries: "Iterable[dict[str, Any]]") -> DataTable:
    """Newest delivery of each source: how long ago, what came, what of it was refused, and how it ended."""
    from lake.clock import SystemClock

    now = SystemClock().now()
    lines = []
    for each in deliveries:
        some = f", {each['failed']:,} of {each['subjects']:,}" if each["failed"] else ""
        counts = (each[part] for part in ("rows", "stored", "refused"))
        ago = _ago((now - each["received_at"]).total_seconds())
        outcome = each["outcome"].replace("_", " ") + some
        lines.append((each["source"], ago, each["until"], *counts, outcome))
    columns = ("last asked", ShownColumn("ago", rank=2), ShownColumn("up to", shown=day_of), "rows", "new", "refused")
    return DataTable.of_tuples("", (*columns, ShownColumn("outcome", wraps=True)), lines)


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
