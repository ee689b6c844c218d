"""The watch list: every symbol of the market, or those that the visitor follows, with its newest forecast."""

from functools import partial
from typing import TYPE_CHECKING, Literal, get_args

from lake.errors import QuantlakeError
from lake.membership import universe_at
from serving import history
from serving.pages.routes.forms import one_of
from serving.pages.routes.frame import Visit
from serving.pages.views import watch_list as views
from serving.pages.views.panels import Panel, panel_of

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

Whose = Literal["all", "mine"]
WHOSE: tuple[Whose, ...] = get_args(Whose)


def show(request: "Request") -> "Response":
    """Show one part of the list; a search that finds one symbol alone leads to it with the enter key."""
    visit = Visit.of(request)
    asked = request.query_params
    whose = one_of("list", asked.get("list", "all"), WHOSE)
    listed = panel_of(partial(own_symbols, visit)) if whose == "mine" else Panel(symbols_of(visit))
    tables, horizon, at = visit.tables, visit.horizon, visit.as_of.instant
    watched = history.watched_symbols(tables, listed.shown or [], horizon, at)
    tell = partial(history.watch_rows, tables, horizon=horizon, at=at)
    names, degraded = _names(visit)
    order = one_of("order", asked.get("order", "symbol"), views.ORDERS)
    shown = views.watch_list(watched, names, tell, asked.get("search", ""), _page(asked.get("page", "")), order)
    return visit.page(
        "watch_list.html",
        "Watch list",
        whose=whose,
        listed=listed,
        shown=shown,
        search=asked.get("search", ""),
        order=order,
        orders=views.ORDERS,
        degraded=degraded,
    )


def own_symbols(visit: Visit) -> list[str]:
    """Return the symbols that the visitor follows, as the endpoint keeps them with the key.

    Raises
    ------
    QuantlakeError
        If the endpoint does not tell.
    """
    found: list[str] = visit.client.history.watch_list().symbols
    return found


def symbols_of(visit: Visit) -> list[str]:
    """Return the members of the market at the instant that the page looks back to, without its index."""
    market = visit.dashboard.market
    members = universe_at(visit.tables.reader, market.name, visit.as_of.instant)
    return [symbol for symbol in members if symbol != market.index]


def _names(visit: Visit) -> tuple[dict[str, str], str]:
    """Return names of instruments by symbol, and why the endpoint does not say them."""
    try:
        listed = visit.client.symbols().symbols
    except QuantlakeError as error:
        return {}, str(error)
    return {one.symbol: " ".join(filter(None, (one.name, *one.other_names))) for one in listed}, ""


def _page(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 7 else 1  # noqa: PLR2004 - digits of a page
