"""Vendors as the replay server plays them (`lake.sources.replay`), with what they refuse and what a test changes.

A test changes `bars` to restate, and scripts faults on the server for what networks do.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any, ClassVar

from lake.settings import Settings
from lake.sources import connector_of, key_of
from lake.sources.http import Fetcher, HttpBars, RequestCount
from lake.sources.replay import SYMBOLS, Event, PlayedAlphaVantage, PlayedPolygon, PlayedVendor, PlayedYahoo
from support.replay_server import (
    Fault,
    FaultyServer,
    Reply,
    VirtualTime,
    cut,
    gzip_cut,
    html,
    length,
    note,
    status,
)

__all__ = ["SYMBOLS", "VENDORS", "Event", "Stand", "faults_of_the_wire", "stand_of"]
Change = Callable[[Any], None]


class Vendor(PlayedVendor):
    """What the battery knows of each vendor, and changes of its answers."""

    change: Change | None = None
    """Applied to the content of each answer about bars before it is sent: a field gone, added or of another type."""
    is_doubling: bool = False

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

    def sent(self, content: Any) -> Reply:
        """Send the content, changed where a test wants it so."""
        if self.change is not None:
            self.change(content)
        return super().sent(content)

    def told(self, symbol: str, first: date, last: date) -> list[tuple[date, dict[str, float | None]]]:
        """Return the bars of a span, in order, each twice where a test wants it so."""
        return [each for each in super().told(symbol, first, last) for _ in range(1 + self.is_doubling)]


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


class YahooVendor(Vendor, PlayedYahoo):
    """Yahoo's chart service."""

    key: ClassVar[str | None] = None
    cannot: ClassVar[Mapping[str, str]] = {
        "S02": "a chart comes in one page",
        "S03": "a chart names no next page",
        "S05": "it has no key",
        "S07": "it throttles by status alone",
    }

    def path(self, symbol: str) -> str:
        return f"/v8/finance/chart/{symbol}"


class AlphaVantageVendor(Vendor, PlayedAlphaVantage):
    """Alpha Vantage, which refuses with status 200."""

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


class PolygonVendor(Vendor, PlayedPolygon):
    """Polygon's aggregates, in pages."""

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
    server: FaultyServer
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
    with FaultyServer(time_of_both, vendor.answer) as server:
        vendor.url = server.url
        yield Stand(vendor, server, time_of_both, folder)
