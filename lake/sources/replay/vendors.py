"""Vendors as the replay server plays them: each has bars, and tells them in its own form.

The bars are those of the packaged market for five symbols in 2012 and January 2013; whoever plays changes `bars` to
restate.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from typing import Any, ClassVar
from zoneinfo import ZoneInfo

import polars as pl

from lake.calendars import closes
from lake.sources.packaged import PackagedMarket
from lake.sources.replay.server import Asked, Reply, reply

SYMBOLS = ("AAPL", "GOOG", "IBM", "META", "MSFT")
PRICES = ("open", "high", "low", "close", "volume")
NEW_YORK = ZoneInfo("America/New_York")
FIRST, UNTIL = datetime(2012, 1, 1, tzinfo=UTC), datetime(2013, 2, 1, tzinfo=UTC)
OPEN, CLOSE = time(9, 30), time(16)
NOT_FOUND = 404


@dataclass
class Event:
    """A split (new shares for one old) or a dividend (amount per share) on an ex-date."""

    ex_date: date
    kind: str
    value: float | None


@cache
def packaged_bars() -> dict[str, dict[date, dict[str, float | None]]]:
    """Bars of 2012 and January 2013 by symbol and session."""
    sessions = closes().select("session", "event_time")
    rows = PackagedMarket().read(FIRST, UNTIL).rows.join(sessions, on="event_time").sort("event_time")
    found: dict[str, dict[date, dict[str, float | None]]] = {}
    for row in rows.filter(pl.col("symbol").is_in(SYMBOLS)).to_dicts():
        bar: dict[str, float | None] = {name: float(row[name]) for name in (*PRICES[:4], "adj_close")}
        bar["volume"] = int(row["volume"])
        found.setdefault(row["symbol"], {})[row["session"]] = bar
    return found


@dataclass
class PlayedVendor:
    """What all vendors have.

    Parameters
    ----------
    bars
        By symbol and session; null is no value.
    until
        Last session that is told of.
    """

    bars: dict[str, dict[date, dict[str, float | None]]] = field(
        default_factory=lambda: {symbol: {**bars} for symbol, bars in packaged_bars().items()}
    )
    events: dict[str, list[Event]] = field(default_factory=dict)
    until: date = date(2012, 12, 31)
    url: str = ""
    page_size: int = 10_000

    name: ClassVar[str] = ""

    def answer(self, asked: Asked) -> Reply:
        """Return what the vendor answers."""
        raise NotImplementedError

    def sent(self, content: Any) -> Reply:
        """Send the content of an answer about bars."""
        return reply(content)

    def told(self, symbol: str, first: date, last: date) -> list[tuple[date, dict[str, float | None]]]:
        """Return the bars of a span, in order."""
        last = min(last, self.until)
        return [(day, bar) for day, bar in sorted(self.bars[symbol].items()) if first <= day <= last]


class PlayedYahoo(PlayedVendor):
    """Yahoo's chart service."""

    name: ClassVar[str] = "yahoo"

    def answer(self, asked: Asked) -> Reply:
        """Return what the vendor answers."""
        symbol = asked.path.rsplit("/", 1)[1]
        if symbol not in self.bars:
            missing = {"code": "Not Found", "description": "No data found, symbol may be delisted"}
            return reply({"chart": {"result": None, "error": missing}}, NOT_FOUND)
        first, last = (datetime.fromtimestamp(int(asked.query[n]), UTC).date() for n in ("period1", "period2"))
        bars = self.told(symbol, first, last - timedelta(days=1))
        quotes = {name: [bar[name] for _, bar in bars] for name in PRICES}
        indicators = {"quote": [quotes], "adjclose": [{"adjclose": [bar["adj_close"] for _, bar in bars]}]}
        meta = {
            "symbol": symbol,
            "currency": self.currency,
            "exchangeTimezoneName": "America/New_York",
            "gmtoffset": -18_000,
        }
        result: dict[str, Any] = {"meta": meta, "indicators": indicators, "events": self._events(symbol, first, last)}
        if bars:
            result["timestamp"] = [_new_york(day, OPEN) for day, _ in bars]
        if self.is_open_until is not None:
            meta["regularMarketTime"] = int(self.is_open_until.timestamp())
        return self.sent({"chart": {"result": [result], "error": None}})

    currency: str | None = "USD"
    is_open_until: datetime | None = None
    """Instant up to which its data reaches, where it says so."""

    def _events(self, symbol: str, first: date, last: date) -> dict[str, Any]:
        """Those of the span that is asked for, as the vendor does; prices are adjusted for later ones all the same."""
        found: dict[str, Any] = {"splits": {}, "dividends": {}}
        for event in (each for each in self.events.get(symbol, ()) if first <= each.ex_date < last):
            at = _new_york(event.ex_date, OPEN)
            if event.kind == "split":
                found["splits"][str(at)] = {"date": at, "numerator": event.value, "denominator": 1}
            else:
                found["dividends"][str(at)] = {"date": at, "amount": event.value}
        return found


class PlayedAlphaVantage(PlayedVendor):
    """Alpha Vantage, which refuses with status 200."""

    name: ClassVar[str] = "alpha_vantage"

    def answer(self, asked: Asked) -> Reply:
        """Return what the vendor answers."""
        symbol, function = asked.query["symbol"], asked.query["function"]
        if symbol not in self.bars:
            return reply({"Error Message": "Invalid API call. Please retry or visit the documentation."})
        if function != "TIME_SERIES_DAILY":
            kind = "split" if function == "SPLITS" else "dividend"
            events = [each for each in self.events.get(symbol, ()) if each.kind == kind]
            rows = [
                {"effective_date": f"{each.ex_date}", "split_factor": f"{each.value:.4f}"}
                if kind == "split"
                else {"ex_dividend_date": f"{each.ex_date}", "amount": f"{each.value}", "payment_date": "None"}
                for each in events
            ]
            return reply({"symbol": symbol, "data": rows})
        series = {
            str(day): {
                f"{n}. {name}": "None" if bar[name] is None else str(bar[name]) for n, name in enumerate(PRICES, 1)
            }
            for day, bar in reversed(self.told(symbol, date.min, date.max))
        }
        meta = {"1. Information": "Daily Prices", "2. Symbol": symbol, "5. Time Zone": "US/Eastern"}
        return self.sent({"Meta Data": meta, "Time Series (Daily)": series})


class PlayedPolygon(PlayedVendor):
    """Polygon's aggregates, in pages."""

    name: ClassVar[str] = "polygon"

    def answer(self, asked: Asked) -> Reply:
        """Return what the vendor answers."""
        if asked.path.startswith("/stocks/v1/"):
            return self._events(asked)
        if "grouped" in asked.path:
            day = date.fromisoformat(asked.path.rsplit("/", 1)[1])
            told = ((symbol, self.told(symbol, day, day)) for symbol in self.bars)
            rows = [{"T": symbol, **_aggregate(day, bar, CLOSE)} for symbol, bars in told for _, bar in bars]
            return self.sent({"adjusted": False, "status": "OK", **({"results": rows} if rows else {})})
        _, _, _, _, symbol, _, _, _, first, last = asked.path.split("/")
        bars = self.told(symbol, *map(date.fromisoformat, (first, last))) if symbol in self.bars else []
        start = int(asked.query.get("cursor", 0))
        is_empty = start > 0 and "again" not in asked.query  # a page without rows before each later one
        end = start if is_empty else start + self.page_size
        rows = [_aggregate(day, bar, time()) for day, bar in bars[start:end]]
        content: dict[str, Any] = {"ticker": symbol, "adjusted": False, "status": self.told_status, "request_id": "1"}
        if rows:
            content["results"] = rows
        if end < len(bars):
            again = "&again=1" if is_empty else ""
            content["next_url"] = f"{self.url}{asked.path}?cursor={end}{again}"
        return self.sent(content)

    told_status: str = "OK"
    """What it says of its bars, e.g. ``DELAYED``."""

    def _events(self, asked: Asked) -> Reply:
        kind = "split" if asked.path.endswith("splits") else "dividend"
        symbols = [asked.query["ticker"]] if "ticker" in asked.query else [*self.bars]
        rows = [
            {"ticker": symbol, "execution_date": f"{each.ex_date}", "split_from": 1, "split_to": each.value}
            if kind == "split"
            else {"ticker": symbol, "ex_dividend_date": f"{each.ex_date}", "cash_amount": each.value, "currency": "USD"}
            for symbol in symbols
            for each in self.events.get(symbol, ())
            if each.kind == kind
        ]
        return reply({"status": "OK", "results": rows})


def _aggregate(day: date, bar: Mapping[str, float | None], at: time) -> dict[str, object]:
    return {"t": _new_york(day, at) * 1_000, "n": 10, **{name[0]: bar[name] for name in PRICES}}


def _new_york(day: date, at: time) -> int:
    return int(datetime.combine(day, at, NEW_YORK).timestamp())


VENDORS: dict[str, type[PlayedVendor]] = {
    vendor.name: vendor for vendor in (PlayedAlphaVantage, PlayedPolygon, PlayedYahoo)
}
"""Each vendor of bars that can be played, by the name of its connector."""
