"""Watch list routes: the symbols that the holder of a key follows."""

from typing import TYPE_CHECKING

from fastapi import FastAPI, Request

from serving import api
from serving.access import watch_lists
from serving.predict import require_known
from serving.web.routes.forecasts import PREFIX

if TYPE_CHECKING:
    from lake.settings import Settings
    from serving.access.watch_lists import WatchList

ROUTE = f"{PREFIX}/watchlist"


def add_routes(app: FastAPI) -> None:
    """Add them to an application."""

    @app.get(ROUTE, tags=["history"])
    def watch_list(request: Request) -> api.WatchedSymbols:
        """Return the watch list of the key that asks."""
        return _told(watch_lists.read(_settings(request), request.state.caller.key_id))

    @app.put(ROUTE, tags=["history"])
    def store_watch_list(body: api.WatchedRequest, request: Request) -> api.WatchedSymbols:
        """Store a watch list in place of the one before; it is kept with the key and deleted with it."""
        found = [each.symbol for each in request.app.state.asked_names.find(body.symbols)]
        require_known(found, list(request.app.state.predictor.symbols()))
        return _told(watch_lists.write(_settings(request), request.state.caller.key_id, found))

    @app.post(f"{ROUTE}/changes", tags=["history"])
    def change_watch_list(body: api.WatchListChange, request: Request) -> api.WatchedSymbols:
        """Remove symbols from the watch list and add others at its end; of changes at the same time none is lost."""
        names = request.app.state.asked_names
        added = [each.symbol for each in names.find(body.add)]
        removed = {each.symbol for each in names.find(body.remove)}.union(body.remove)
        require_known(added, list(request.app.state.predictor.symbols()))
        return _told(watch_lists.change(_settings(request), request.state.caller.key_id, added, removed))


def _settings(request: Request) -> "Settings":
    configured: Settings = request.app.state.predictor.logged.configured
    return configured


def _told(found: "WatchList") -> api.WatchedSymbols:
    return api.WatchedSymbols(symbols=list(found.symbols), changed_at=found.changed_at)
