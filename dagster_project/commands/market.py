"""Commands of `quantlake market`: declare a market of one's own, dry run of its file, list and show them."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from dagster_project.commands.roster import roster_row, roster_table
from dagster_project.commands.shell import (
    AsCsv,
    AsJson,
    DataTable,
    ShownColumn,
    console,
    day_of,
    is_for_program,
    print_line,
    require_lake,
    taking_turn,
)
from dagster_project.plurals import counted
from lake.errors import ConfigError, NotReadyError, UnknownNameError
from lake.horizons import DAY, Interval, default_horizons
from lake.market import FILE, PACKAGED, Market, home_of, known_markets, market_of
from lake.settings import Settings, market_root, settings

if TYPE_CHECKING:
    from lake.sources.files import FileProposal

app = typer.Typer(
    help="Markets: prices of your own, from a file or a feed, beside the packaged one.", no_args_is_help=True
)
MOST_REASONS = 8
VENUE = "XNYS"
"""As in `lake.calendars`, which costs an import that `--help` should not wait for."""
OWN = ("calendar", "index_name", "interval")
"""Fields of a file's mapping that the market declares itself."""
FLAGS = {"true": True, "false": False}
OF_MARKET = {"decision_delay": "minutes", "delisted_after": "sessions"}
"""What --set may say of the market itself, and its unit."""
ASKED_FOR = timedelta(minutes=60)
"""After a vendor publishes a session, time within which its bars are asked for and stored; decisions come then."""

MarketName = Annotated[str, typer.Argument(help="Name of the market, e.g. desk.")]
Settled = Annotated[
    list[str] | None,
    typer.Option("--set", help="Settle a choice, e.g. --set day_first=true or --set calendar=XLON; may be repeated."),
]


@app.command()
def new(
    name: MarketName,
    *,
    file: Annotated[
        Path | None, typer.Option("--from", help="CSV, gzipped or not, or Parquet file with prices.")
    ] = None,
    source: Annotated[str | None, typer.Option(help="Feed to ask instead: a name of `quantlake sources list`.")] = None,
    symbols: Annotated[str, typer.Option(help="Symbols to ask a feed for, as it spells them, with commas.")] = "",
    index: Annotated[str, typer.Option(help="Symbol of a feed that stands for the whole market.")] = "^GSPC",
    calendar: Annotated[str, typer.Option(help="Sessions of a feed's symbols, e.g. XNYS or 24/7.")] = VENUE,
    since: Annotated[int, typer.Option(min=1998, help="First year to ask a feed for.")] = 2010,
    currency: Annotated[str | None, typer.Option(help="ISO code of what prices are in, e.g. USD.")] = None,
    settled: Settled = None,
    is_replaced: Annotated[
        bool, typer.Option("--replace", help="Declare a market anew that has no tables yet.")
    ] = False,
) -> None:
    """Declare a market of prices of your own, from a file or a feed.

    A file is looked at first: how it is read, what it gives, what is refused. Nothing is guessed: where it leaves
    something open, the question is asked, and --set answers it.
    """
    home = _home_of_new(name, may_replace=is_replaced)
    given = _given(settled or [])
    of_market = {field: given.pop(field) for field in OF_MARKET if field in given}
    if (file is None) == (source is None):
        raise ConfigError("Name either a file (--from prices.csv) or a feed (--source yahoo --symbols AAPL,MSFT).")
    if source is not None:
        if given:
            raise ConfigError(
                f"--set {next(iter(given))} is about a price file. Of a feed --set takes {', '.join(OF_MARKET)}."
            )
        asked = [each.strip() for each in symbols.split(",") if each.strip()]
        market = _market_of_feed(name, source, asked, index, calendar, since)
    else:
        assert file is not None
        horizons = tuple(each.strip() for each in given.pop("horizons", "").split(",") if each.strip())
        market = _market_of_file(name, _looked_at(file, given), horizons)
        print_line(f"Forecasts look ahead {' and '.join(market.horizons)}.")
    path = replace(market, currency=currency, **of_market).write(home)
    print_line(f"\nDeclared in {path}.")
    if source is None:
        print_line(f"Edit it to change how the file is read; `quantlake market check {name}` is a dry run.")
    print_line(f"Next: QUANTLAKE_MARKET={name} quantlake run")


@app.command()
def check(
    name: Annotated[str, typer.Argument(help="Name of a market, or the path of its market.yaml.")],
    *,
    as_json: AsJson = False,
    as_csv: AsCsv = False,
) -> None:
    """Say what the file of a market would load and refuse now, and write nothing."""
    from lake.sources import mapping_of
    from lake.sources.files import inspect_file

    market = _declared(name)
    if market.source != "file":
        raise ConfigError(f"The market '{market.name}' comes from the source '{market.source}', not from a file.")
    mapping = mapping_of(market)
    given = {field: value for field, value in mapping.to_dict().items() if field not in ("path", "package", "licence")}
    names = market.names if market.row_names == "as_traded" else None
    proposal = inspect_file(mapping.file, given=given, names=names)
    if is_for_program(proposal, _choices(proposal), as_json=as_json, as_csv=as_csv):
        return
    _show_proposal(proposal)
    print_line("Nothing was written.")


@app.command(name="list")
def list_markets(*, as_json: AsJson = False, as_csv: AsCsv = False) -> None:
    """List the packaged markets and those declared below QUANTLAKE_HOME, and what each holds."""
    markets = [(name, home, market_of(home)) for name, home in known_markets(market_root()).items()]
    table = DataTable.of_tuples(
        "",
        (
            "market",
            "source",
            ShownColumn("bars", rank=2),
            ShownColumn("index", rank=1),
            ShownColumn("bars_up_to", shown=day_of),
        ),
        ((name, each.source, each.grid, each.index, _newest_bar(home)) for name, home, each in markets),
    )
    if is_for_program(None, table, as_json=as_json, as_csv=as_csv):
        return
    console().print(table)
    print_line("QUANTLAKE_MARKET chooses one; `demo` when it is unset.")


@app.command()
def show(name: MarketName, *, as_json: AsJson = False, as_csv: AsCsv = False) -> None:
    """Show what is declared of a market, where its home is, and how it is known when its bars were known."""
    from lake.knowledge import known_bases
    from lake.market import open_clock
    from lake.store import LakeReader

    home = _home_named(name)
    market = market_of(home)
    described = market.described()
    lines = [
        each
        for field, value in described.items()
        for each in (
            [(f"{field}: {option}", given) for option, given in value.items()]
            if isinstance(value, dict)
            else [(field, [_in_a_row(part) for part in value] if isinstance(value, list) else value)]
        )
    ]
    table = DataTable.of_tuples("", ("field", ShownColumn("value", shown=_declared_text, wraps=True)), lines)
    known = known_bases(LakeReader(home / "tables"), open_clock(home).now())
    document = described | {"home": home, "known_basis": known.shares}
    if is_for_program(document, table, as_json=as_json, as_csv=as_csv):
        return
    console().print(replace(table, is_headed=False))
    print_line(f"Home: {home}")
    if sentence := known.sentence():
        print_line(sentence)


def _declared_text(value: object) -> str:
    """Return a value of a declaration as its file has it: a year has no comma."""
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def _in_a_row(value: object) -> str:
    """Return one of several values of a declaration as text: a symbol, or a rename."""
    return f"{value['old']} -> {value['new']} {value['first_day']}" if isinstance(value, dict) else str(value)


@app.command()
def symbols(
    name: Annotated[
        str | None, typer.Argument(help="Name of the market; the one of QUANTLAKE_MARKET if left out.")
    ] = None,
    *,
    as_json: AsJson = False,
    as_csv: AsCsv = False,
) -> None:
    """Show who belongs to a market now: first and last bar, other names, and who left."""
    from lake.market import open_clock
    from lake.membership import roster_of
    from lake.sources import caveats_of
    from lake.store import Lake

    home = settings().home if name is None else _home_named(name)
    lake, now = Lake(home / "tables"), open_clock(home).now()
    roster = roster_of(lake, now)
    if not roster:
        raise NotReadyError(f"The market '{lake.market.name}' has no bar yet. Run `{lake.market.first_run}` first.")
    values = [roster_row(entry, lake.market.index) for entry in roster]
    if is_for_program(values, DataTable.of_records(values), as_json=as_json, as_csv=as_csv):
        return
    console().print(roster_table(roster, lake.market.index))
    members = sum(entry.is_member and entry.symbol != lake.market.index for entry in roster)
    print_line(f"{counted(members, 'member')} as known at {now:%Y-%m-%d %H:%M} UTC.")
    for sentence in caveats_of(lake.market.source, lake.market, lake, now):
        print_line(sentence)


@app.command()
def release(
    symbol: Annotated[str, typer.Argument(help="Symbol whose bar was held back as 'unexplained_jump'.")],
    day: Annotated[
        datetime,
        typer.Argument(formats=["%Y-%m-%d", "%Y-%m-%dT%H:%M"], help="Session of the bar; of minutes its close in UTC."),
    ],
) -> None:
    """Release a bar that nothing explains, and those after it, in the market of QUANTLAKE_MARKET."""
    from lake.calendars import close_of
    from lake.clock import FixedClock
    from lake.ingest import release as release_bars
    from lake.store import Lake

    configured, lake = settings(), Lake.open()
    require_lake(configured)
    with taking_turn("market release"):
        is_daily = lake.market.interval == DAY
        held_since = close_of(day.date(), lake.market.calendar) if is_daily else day.replace(tzinfo=UTC)
        # Known after what the last run derived, and by the next one.
        clock = FixedClock(configured.clock.now() + timedelta(minutes=1))
        report = release_bars(lake, symbol, held_since, clock)
    print_line(
        f"{counted(report.added, 'row')} of {symbol} released, from {day:%Y-%m-%d} on. The next run takes them in."
    )


def _home_named(name: str) -> Path:
    home = known_markets(market_root()).get(name)
    if home is None:
        raise UnknownNameError("market", name, known_markets(market_root()))
    return home


def _home_of_new(name: str, *, may_replace: bool) -> Path:
    """Home of a market that is to be declared; refuses a name that is taken."""
    if name in PACKAGED:
        raise ConfigError(f"'{name}' is a packaged market. Choose another name.")
    root = market_root()
    home = home_of(root, Market(name).name)
    if (home / "tables").exists():
        raise ConfigError(
            f"The market '{name}' has tables already, in {home}. Edit {home / FILE} to change how its file is read, or "
            "choose another name."
        )
    if (home / FILE).exists() and not may_replace:
        raise ConfigError(f"The market '{name}' is declared in {home / FILE}. Edit it, or say --replace.")
    return home


def _given(settled: list[str]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for each in settled:
        name, equals, value = each.partition("=")
        if not equals:
            raise ConfigError(f"--set {each} has no '='. Say for example --set calendar=XLON.")
        field = name.strip()
        if field in OF_MARKET and not value.strip().isdecimal():
            raise ConfigError(f"--set {each}: {field} is a whole number of {OF_MARKET[field]}, e.g. {field}=30.")
        if field in OF_MARKET:
            found[field] = int(value)
        else:
            found[field] = FLAGS.get(value.strip().lower(), value) if field == "day_first" else value
    return found


def _looked_at(file: Path, given: dict[str, Any]) -> "FileProposal":
    """Show how a file is read; ends with exit code 1 where it leaves something open."""
    from lake.sources.files import inspect_file

    proposal = inspect_file(file.expanduser().absolute(), given=given)
    _show_proposal(proposal)
    for question in proposal.questions:
        print_line(f"Open: {question.text} Say {' or '.join(f'--set {option}' for option in question.options)}.")
    if proposal.questions:
        raise typer.Exit(1)
    return proposal


def _market_of_feed(name: str, source: str, symbols: list[str], index: str, calendar: str, since: int) -> Market:
    from lake.calendars import closes
    from lake.sources import connector_of, key_of

    connector = connector_of(source)
    if not symbols:
        raise ConfigError(f"{connector.title} is asked symbol by symbol. Name them: --symbols AAPL,MSFT.")
    closes(calendar)
    if connector.auth is not None and key_of(connector, Settings()) is None:
        print_line(
            f"{connector.title} needs a key: set {connector.auth.variable} before `{Market(name).command('run')}`."
        )
    print_line(f"{connector.title}: {counted(len(symbols), 'symbol')} and the index {index}, from {since} on.")
    print_line(connector.terms.notice)
    return Market(
        name,
        source=source,
        index=index,
        calendar=calendar,
        first_year=since,
        options={"symbols": symbols},
        row_names="today",  # a vendor is asked for a symbol, and its rows bear that name however old they are
        decision_delay=(connector.delay + ASKED_FOR) // timedelta(minutes=1),
    )


def _market_of_file(name: str, proposal: "FileProposal", horizons: tuple[str, ...] = ()) -> Market:
    mapping = proposal.settled()
    first = min((span.first for span in proposal.symbols), default=None)
    if first is None:
        raise ConfigError(f"{proposal.file} has no row that would be loaded, so there is no market to declare.")
    return Market(
        name,
        source="file",
        index=mapping.market_index,
        calendar=mapping.calendar,
        first_year=first.year,
        options={key: value for key, value in mapping.to_dict().items() if key not in OWN},
        interval=cast("Interval", mapping.interval),
        horizons=horizons or default_horizons(mapping.interval),
    )


def _declared(name: str) -> Market:
    markets = known_markets(market_root())
    if name in markets:
        return market_of(markets[name])
    path = Path(name).expanduser()
    if path.name == FILE and path.is_file():
        return market_of(path.absolute().parent)
    raise UnknownNameError("market", name, markets)


def _choices(proposal: "FileProposal") -> DataTable:
    """How each part of a file is read, and by what."""
    lines = (
        (
            choice.field.replace("_", " "),
            "none" if choice.value is None else str(choice.value),
            f"{choice.evidence} (assumed)" if choice.is_assumed else choice.evidence,
        )
        for choice in proposal.choices
    )
    columns = (ShownColumn("what"), ShownColumn("read as", wraps=True), ShownColumn("why", wraps=True))
    return DataTable.of_tuples("", columns, lines)


def _show_proposal(proposal: "FileProposal") -> None:
    console().print(_choices(proposal))
    if proposal.questions:
        return
    spans = proposal.symbols
    if spans:
        first, last = min(span.first for span in spans), max(span.last for span in spans)
        print_line(f"{counted(proposal.loaded, 'row')} of {counted(len(spans), 'symbol')} to load, {first} to {last}.")
    refused = sum(each.rows for each in proposal.refused)
    print_line(f"{counted(refused, 'row')} to refuse." if refused else "No row is refused.")
    for each in proposal.refused[:MOST_REASONS]:
        print_line(f"  {each.reason}: {counted(each.rows, 'row')}, e.g. {each.example}")
    for note in proposal.notes:
        print_line(note)


def _newest_bar(home: Path) -> datetime | None:
    from lake.store import Lake
    from lake.tables import BARS

    return Lake(home / "tables").last_event(BARS)
