"""`quantlake predict`: forecasts of the running service for some symbols, as a table or as plain values."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer
from rich.console import Console

from dagster_project.commands.shell import AsCsv, AsJson, console, is_for_program, require_home
from lake.errors import ConfigError, NotReadyError, QuantlakeError, UnknownNameError, kind_of
from lake.horizons import Horizon

if TYPE_CHECKING:
    from lake.market import Market
    from serving.api import PredictAnswer
    from serving.client import Client

Answer = TypeVar("Answer")
Symbols = Annotated[list[str], typer.Argument(help="Symbols, e.g. AAPL MSFT; former names and lower case will do.")]
Ahead = Annotated[
    str,
    typer.Option("--horizon", help="How far ahead: 5 (sessions) or '60 minutes'; the nearest by default."),
]


def predict(symbols: Symbols, horizon: Ahead = "", *, as_json: AsJson = False, as_csv: AsCsv = False) -> None:
    """Ask the running service for forecasts: quantlake predict AAPL MSFT --horizon 5.

    Symbols that cannot be answered are named on standard error, and the exit code is 1. --json gives the answer of the
    service to one symbol, and to several `predictions` and `refused`.
    """
    from dagster_project.commands import summaries
    from lake.settings import settings
    from serving.client import Client

    require_home(settings())
    ahead = horizon_asked(horizon, settings().declared_market)
    with Client.local(settings()) as client:
        answered, refused = ask(client, symbols, ahead)
    errors = Console(stderr=True, soft_wrap=True)
    for answer in answered:
        if answer.asked is not None:
            errors.print(answer.asked.sentence, highlight=False, markup=False)
    if len(symbols) == 1 and refused:
        raise next(iter(refused.values()))
    values = [answer.model_dump(mode="json") for answer in answered]
    told = {symbol: str(error) for symbol, error in refused.items()}
    document = values[0] if len(symbols) == 1 else {"predictions": values, "refused": told}
    table = summaries.forecast_table(values)
    if not is_for_program(document, table, as_json=as_json, as_csv=as_csv) and values:
        console().print(summaries.forecasts(values), highlight=False)
    for error in refused.values():
        errors.print(f"{kind_of(error)}: {error}", highlight=False, markup=False)
    if refused:
        raise typer.Exit(1)


def ask(
    client: "Client", symbols: Sequence[str], ahead: Horizon
) -> "tuple[list[PredictAnswer], dict[str, QuantlakeError]]":
    """Ask for forecasts of symbols as they were typed: those that the service lists at once, any other one by one.

    Returns
    -------
    tuple
        Answers in the order asked for, and the errors of the symbols that have none.
    """
    member = {ahead.member: ahead.n}
    listed = {each.symbol for each in client.symbols().symbols} if len(symbols) > 1 else set()
    named = {symbol: _spelling(symbol, listed) for symbol in dict.fromkeys(symbols)}
    together = list(dict.fromkeys(name for name in named.values() if name is not None))
    found: dict[str, PredictAnswer] = {}
    failed: dict[str, QuantlakeError] = {}
    if together:
        batch = client.predict_batch(together, **member)
        found = {answer.symbol: answer for answer in batch.predictions}
        failed = {each.symbol: NotReadyError(f"{each.symbol}: {each.reason}") for each in batch.unavailable}
    for symbol in (symbol for symbol, name in named.items() if name is None):
        try:
            found[symbol] = ask_one(client, symbol, ahead)
        except (UnknownNameError, NotReadyError) as error:
            failed[symbol] = error
    if failed and not found and not isinstance(next(iter(failed.values())), UnknownNameError):
        raise next(iter(failed.values()))
    wanted = dict.fromkeys(name or symbol for symbol, name in named.items())
    return [found[name] for name in wanted if name in found], {n: failed[n] for n in wanted if n in failed}


def ask_one(client: "Client", symbol: str, ahead: Horizon) -> "PredictAnswer":
    """Ask for a forecast of a symbol as it was typed; see `in_any_spelling`."""
    member = {ahead.member: ahead.n}
    return in_any_spelling(lambda name: client.predict(name, **member), symbol)


def in_any_spelling(ask: Callable[[str], Answer], symbol: str) -> Answer:
    """Ask about a symbol as it was typed, and in canonical spelling where there is none of that."""
    from lake.names import canonical_symbol

    try:
        return ask(symbol)
    except UnknownNameError:
        canonical = canonical_symbol(symbol)
        if canonical is None or canonical == symbol:
            raise
    return ask(canonical)


def horizon_asked(text: str, market: "Market") -> Horizon:
    """Return the horizon that a text names; the shortest that the market declares where it is empty."""
    return horizon_of(text) if text else nearest_horizon(market)


def horizon_of(text: str) -> Horizon:
    """Return the horizon that a text names; a number alone counts sessions.

    Raises
    ------
    ConfigError
        If it names none.

    Examples
    --------
    >>> str(horizon_of("5")), str(horizon_of("60 minutes"))
    ('5 sessions', '60 minutes')
    """
    if text.strip().lstrip("-").isdigit() and int(text) < 1:
        raise ConfigError(f"The horizon is {text}, and a forecast looks at least 1 session ahead, e.g. --horizon 5.")
    return Horizon.parse(f"{text} sessions" if text.strip().isdigit() else text)


def nearest_horizon(market: "Market") -> Horizon:
    """Return the shortest horizon that a market declares."""
    return market.horizon_of(min(market.horizon_bars))


def _spelling(symbol: str, listed: set[str]) -> str | None:
    """The name under which the service lists a symbol; None where it lists neither it nor its canonical spelling."""
    from lake.names import canonical_symbol

    return next((name for name in (symbol, canonical_symbol(symbol)) if name in listed), None)
