"""Vendors as the replay server plays them: each has bars, and tells them and its refusals in its own form.

The bars are those of the packaged market for five symbols. A test changes `bars` to restate, and scripts faults on the
server for what networks do.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from pathlib import Path
from typing import Any, ClassVar
from zoneinfo import ZoneInfo

import polars as pl

from lake.calendars import closes
from lake.settings import Settings
from lake.sources import PackagedMarket, connector_of, key_of
from lake.sources.http import Fetcher, HttpBars, RequestCount
from support.replay_server import (
    Asked,
    Fault,
    ReplayServer,
    Reply,
    VirtualTime,
    cut,
    gzip_cut,
    html,
    length,
    note,
    reply,
    status,
)

SYMBOLS = ("AAPL", "GOOG", "IBM", "META", "MSFT")
PRICES = ("open", "high", "low", "close", "volume")
NEW_YORK = ZoneInfo("America/New_York")
FIRST, UNTIL = datetime(2012, 1, 1, tzinfo=UTC), datetime(2013, 2, 1, tzinfo=UTC)
Change = Callable[[Any], None]


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
class Vendor:
    """What all vendors have.

    Parameters
    ----------
    bars
        By symbol and session; null is no value.
    until
        Last session that is told of.
    change
        Applied to the content of each answer about bars before it is sent: a field gone, added or of another type.
    """

    bars: dict[str, dict[date, dict[str, float | None]]] = field(
        default_factory=lambda: {symbol: {**bars} for symbol, bars in packaged_bars().items()}
    )
    events: dict[str, list[Event]] = field(default_factory=dict)
    until: date = date(2012, 12, 31)
    change: Change | None = None
    url: str = ""
    page_size: int = 10_000
    is_doubling: bool = False

    name: ClassVar[str] = ""
    key: ClassVar[str | None] = "key/of a test+1"
    one_field: ClassVar[str] = "close"
    """Name of the close in an answer."""
    requests_per_symbol: ClassVar[int] = 1
    cannot: ClassVar[Mapping[str, str]] = {}
    """Cases of the battery that this vendor cannot have, with the reason."""
    refuses_key: ClassVar[tuple[Fault, ...]] = ()
    throttles: ClassVar[tuple[Fault, ...]] = ()

    def path(self, symbol: str) -> str:
        """Return how the paths of the requests about a symbol's bars begin."""
        raise NotImplementedError

    def answer(self, asked: Asked) -> Reply:
        """Return what the vendor answers."""
        raise NotImplementedError

    def sent(self, content: Any) -> Reply:
        """Send the content, changed where a test wants it so."""
        if self.change is not None:
            self.change(content)
        return reply(content)

    def told(self, symbol: str, first: date, last: date) -> list[tuple[date, dict[str, float | None]]]:
        """Return the bars of a span, in order."""
        last = min(last, self.until)
        found = [(day, bar) for day, bar in sorted(self.bars[symbol].items()) if first <= day <= last]
        return [each for each in found for _ in range(1 + self.is_doubling)]


def change_everywhere(name: str, change: Callable[[dict[str, Any], str], None]) -> Change:
    """Return a change of every object that has a field of that name."""

    def walk(content: Any) -> None:
        if isinstance(content, dict):
            if name in content:
                change(content, name)
            for value in content.values():
                walk(value)
        elif isinstance(content, list):
            for value in content:
                walk(value)

    return walk


class YahooVendor(Vendor):
    """Yahoo's chart service."""

    name: ClassVar[str] = "yahoo"
    key: ClassVar[str | None] = None
    cannot: ClassVar[Mapping[str, str]] = {
        "S02": "a chart comes in one page",
        "S03": "a chart names no next page",
        "S05": "it has no key",
        "S07": "it throttles by status alone",
    }

    def path(self, symbol: str) -> str:
        return f"/v8/finance/chart/{symbol}"

    def answer(self, asked: Asked) -> Reply:
        symbol = asked.path.rsplit("/", 1)[1]
        if symbol not in self.bars:
            missing = {"code": "Not Found", "description": "No data found, symbol may be delisted"}
            return reply({"chart": {"result": None, "error": missing}}, 404)
        first, last = (datetime.fromtimestamp(int(asked.query[n]), UTC).date() for n in ("period1", "period2"))
        bars = self.told(symbol, first, last - timedelta(days=1))
        quotes = {name: [bar[name] for _, bar in bars] for name in PRICES}
        indicators = {"quote": [quotes], "adjclose": [{"adjclose": [bar["adj_close"] for _, bar in bars]}]}
        meta = {"symbol": symbol, "exchangeTimezoneName": "America/New_York", "gmtoffset": -18_000}
        result: dict[str, Any] = {"meta": meta, "indicators": indicators, "events": self._events(symbol, first, last)}
        if bars:
            result["timestamp"] = [_new_york(day, time(9, 30)) for day, _ in bars]
        if self.is_open_until is not None:
            meta["regularMarketTime"] = int(self.is_open_until.timestamp())
        return self.sent({"chart": {"result": [result], "error": None}})

    is_open_until: datetime | None = None

    def _events(self, symbol: str, first: date, last: date) -> dict[str, Any]:
        """Those of the span that is asked for, as the vendor does; prices are adjusted for later ones all the same."""
        found: dict[str, Any] = {"splits": {}, "dividends": {}}
        for event in (each for each in self.events.get(symbol, ()) if first <= each.ex_date < last):
            at = _new_york(event.ex_date, time(9, 30))
            if event.kind == "split":
                found["splits"][str(at)] = {"date": at, "numerator": event.value, "denominator": 1}
            else:
                found["dividends"][str(at)] = {"date": at, "amount": event.value}
        return found


class AlphaVantageVendor(Vendor):
    """Alpha Vantage, which refuses with status 200."""

    name: ClassVar[str] = "alpha_vantage"
    one_field: ClassVar[str] = "4. close"
    requests_per_symbol: ClassVar[int] = 3
    cannot: ClassVar[Mapping[str, str]] = {"S02": "a history comes in one page", "S03": "a history names no next page"}
    refuses_key: ClassVar[tuple[Fault, ...]] = (
        status(401),
        status(403),
        note({"Error Message": "the parameter apikey is invalid or missing. Please claim your free API key."}),
        note({"Information": "The **demo** API key is for demo purposes only: key/of a test+1."}),
    )
    throttles: ClassVar[tuple[Fault, ...]] = (note({"Note": "Our standard API call frequency is 5 calls per minute."}),)

    def path(self, symbol: str) -> str:  # noqa: ARG002 - all symbols are asked under one path
        return "/query"

    def answer(self, asked: Asked) -> Reply:
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


class PolygonVendor(Vendor):
    """Polygon's aggregates, in pages."""

    name: ClassVar[str] = "polygon"
    one_field: ClassVar[str] = "c"
    requests_per_symbol: ClassVar[int] = 3
    cannot: ClassVar[Mapping[str, str]] = {"S07": "it throttles by status alone"}
    refuses_key: ClassVar[tuple[Fault, ...]] = (
        status(401, json.dumps({"status": "ERROR", "error": "Unknown API Key"})),
        status(403, json.dumps({"status": "ERROR", "error": "Unknown API Key"})),
        note({"status": "ERROR", "error": "Unknown API Key key/of a test+1"}),
    )

    def path(self, symbol: str) -> str:
        return f"/v2/aggs/ticker/{symbol}/"

    def answer(self, asked: Asked) -> Reply:
        if asked.path.startswith("/stocks/v1/"):
            return self._events(asked)
        if "grouped" in asked.path:
            day = date.fromisoformat(asked.path.rsplit("/", 1)[1])
            told = ((symbol, self.told(symbol, day, day)) for symbol in self.bars)
            rows = [{"T": symbol, **_aggregate(day, bar, time(16))} for symbol, bars in told for _, bar in bars]
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


VENDORS: dict[str, type[Vendor]] = {vendor.name: vendor for vendor in (AlphaVantageVendor, PolygonVendor, YahooVendor)}


def faults_of_the_wire() -> Iterator[tuple[str, Fault]]:
    """Return each way in which an answer can be torn."""
    yield "cut body", cut(0.5)
    yield "wrong length", length(10)
    yield "too short a length", length(-10)
    yield "a page of a proxy", html()
    yield "packed body that ends", gzip_cut()


@dataclass
class Stand:
    """A vendor, the server that plays it, the clock that both share, and the source that asks it."""

    vendor: Vendor
    server: ReplayServer
    time: VirtualTime
    folder: Path

    @property
    def settings(self) -> Settings:
        """Settings with a home of their own, the key, and the server in place of the vendor."""
        keys = dict.fromkeys(("alphavantage_api_key", "massive_api_key", "fred_api_key"), self.vendor.key)
        return Settings(home=self.folder / "home", source_url=self.server.url, https_proxy=None, **keys)

    def fetcher(self, *, has_limits: bool = False, timeout_seconds: float = 20.0) -> Fetcher:
        """Return what asks the server, without limits unless they are wanted."""
        connector = connector_of(self.vendor.name)
        count = RequestCount(self.settings.sources, connector.limits if has_limits else (), self.time)
        key = key_of(connector, self.settings)
        return Fetcher(
            connector,
            count,
            base_url=self.server.url,
            secret=key,
            sleep=self.time.sleep,
            timeout_seconds=timeout_seconds,
        )

    def source(self, symbols: Sequence[str] = SYMBOLS, first: date = date(2012, 12, 3), **wanted: Any) -> HttpBars:
        """Return the vendor as a source of bars."""
        return HttpBars(self.fetcher(**wanted), symbols, "XNYS", first)


@contextmanager
def stand_of(name: str, folder: Path, at: datetime) -> Iterator[Stand]:
    """Start a vendor of that name; both clocks stand at an instant."""
    vendor, time_of_both = VENDORS[name](), VirtualTime(at)
    with ReplayServer(time_of_both, vendor.answer) as server:
        vendor.url = server.url
        yield Stand(vendor, server, time_of_both, folder)
