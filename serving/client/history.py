"""Questions of the client about history: what the platform knew at an instant, and the watch list of the key."""

from collections.abc import Callable, Sequence
from datetime import date, datetime
from typing import Any
from urllib.parse import quote

from serving import api

Ask = Callable[..., Any]
"""Asks the endpoint: type of the answer, method, path, and what is sent."""
Moment = date | datetime | str


class HistoryCalls:
    """History routes; `serving.client.Client.history` is one.

    Every ``as_of`` is a day, which stands for the close of its session, or an instant with a zone; nothing in the
    answer became known later. Lists are the newest rows first: `next_offset` of an answer leads to the rows before.

    Parameters
    ----------
    ask
        Sends a question and reads the answer.
    """

    def __init__(self, ask: Ask) -> None:
        self._ask = ask

    def bars(
        self,
        symbol: str,
        *,
        since: Moment | None = None,
        until: Moment | None = None,
        as_of: Moment | None = None,
        **page: int,
    ) -> api.BarsAnswer:
        """Return bars of a symbol, adjusted and as traded.

        Parameters
        ----------
        since, until
            First and last session, or instants of closes.
        page
            ``limit`` and ``offset``.
        """
        asked = {"from": since, "to": until, "as_of": as_of, **page}
        found: api.BarsAnswer = self._get(api.BarsAnswer, "bars", symbol, asked)
        return found

    def forecasts(self, symbol: str, horizon_sessions: int | None = None, **asked: Any) -> api.ForecastsAnswer:
        """Return forecasts of a symbol over one horizon.

        Parameters
        ----------
        asked
            As for `bars`, and ``model``, ``horizon_minutes``.
        """
        found: api.ForecastsAnswer = self._get(
            api.ForecastsAnswer, "forecasts", symbol, _spanned(asked) | {"horizon_sessions": horizon_sessions}
        )
        return found

    def outcomes(self, symbol: str, horizon_sessions: int | None = None, **asked: Any) -> api.OutcomesAnswer:
        """Return matured forecasts of a symbol beside what happened; parameters as for `forecasts`."""
        found: api.OutcomesAnswer = self._get(
            api.OutcomesAnswer, "outcomes", symbol, _spanned(asked) | {"horizon_sessions": horizon_sessions}
        )
        return found

    def calibration(
        self,
        symbol: str,
        horizon_sessions: int | None = None,
        *,
        horizon_minutes: int | None = None,
        model: str | None = None,
        as_of: Moment | None = None,
    ) -> api.CalibrationAnswer:
        """Return how often the bands of a symbol held, and what was gained on naive."""
        asked = {
            "horizon_sessions": horizon_sessions,
            "horizon_minutes": horizon_minutes,
            "model": model,
            "as_of": as_of,
        }
        found: api.CalibrationAnswer = self._get(api.CalibrationAnswer, "calibration", symbol, asked)
        return found

    def accuracy(self, symbol: str, horizon_sessions: int | None = None, **asked: Any) -> api.AccuracyAnswer:
        """Return each forecast of a symbol beside what came, with its record by regime and by quarter.

        Parameters
        ----------
        asked
            As for `calibration`, and ``limit`` and ``offset`` of the points.
        """
        found: api.AccuracyAnswer = self._get(
            api.AccuracyAnswer, "accuracy", symbol, asked | {"horizon_sessions": horizon_sessions}
        )
        return found

    def portfolio(self, name: str, *, as_of: Moment | None = None) -> api.PortfolioAnswer:
        """Return what a portfolio holds beside 1/N, why it traded or did not, and the evidence for it."""
        found: api.PortfolioAnswer = self._get(api.PortfolioAnswer, "portfolio", name, {"as_of": as_of})
        return found

    def watch_list(self) -> api.WatchedSymbols:
        """Return the watch list of the key."""
        found: api.WatchedSymbols = self._ask(api.WatchedSymbols, "GET", "/watchlist")
        return found

    def store_watch_list(self, symbols: Sequence[str]) -> api.WatchedSymbols:
        """Store the watch list of the key in place of the one before."""
        found: api.WatchedSymbols = self._ask(api.WatchedSymbols, "PUT", "/watchlist", json={"symbols": list(symbols)})
        return found

    def change_watch_list(self, *, add: Sequence[str] = (), remove: Sequence[str] = ()) -> api.WatchedSymbols:
        """Remove symbols from the watch list of the key and add others at its end; concurrent changes all count."""
        change = {"add": list(add), "remove": list(remove)}
        found: api.WatchedSymbols = self._ask(api.WatchedSymbols, "POST", "/watchlist/changes", json=change)
        return found

    def _get(self, kind: Any, route: str, symbol: str, asked: dict[str, Any]) -> Any:
        given = {name: _text(value) for name, value in asked.items() if value is not None}
        return self._ask(kind, "GET", f"/{route}/{quote(symbol, safe='')}", params=given)


def _spanned(asked: dict[str, Any]) -> dict[str, Any]:
    """Parameters under the names of the route."""
    names = {"since": "from", "until": "to"}
    return {names.get(name, name): value for name, value in asked.items()}


def _text(value: object) -> object:
    return value.isoformat() if isinstance(value, date) else value
