"""For tests of the dashboard: a home with matured forecasts, and browsers without a browser."""

import re
from contextlib import contextmanager
from html.parser import HTMLParser
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlsplit

import httpx
import polars as pl

from lake.tables import FORECASTS
from serving.access import local_key

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from starlette.testclient import TestClient
    from starlette.types import ASGIApp

    from lake.settings import Settings
    from serving.engines import Engine
    from support.receipts import Home

SPACES = re.compile(r"\s+")
STREAM_SECONDS = 60.0
"""Longest silence of a stream in which something must come."""

HELD = ("black_litterman", "equal", "inverse_volatility")
"""Portfolios of the home."""
EMPTY_TAGS = frozenset({"br", "hr", "img", "input", "link", "meta"})


def live_through(home: "Home", engines: "Mapping[str, Engine]", sessions: int) -> None:
    """Let models replay the last sessions, answer every one of them as a blend too, and let all that is due mature.

    Three portfolios hold weights at the last closes.
    """
    from serving.backfill import replay_forecasts
    from serving.outcomes import mature
    from serving.portfolio import PACKAGED_PORTFOLIOS, update_portfolio_weights

    replay_forecasts(home.lake, engines, home.clock, sessions=sessions)
    replayed = home.lake.read(FORECASTS, where=pl.col("model_name") == "ridge")
    answered = replayed.with_columns(
        pl.lit("scheduled").alias("kind"), pl.lit("blend").alias("model_name"), pl.col("forecast_id") + "-scheduled"
    )
    home.lake.merge(FORECASTS, answered)
    mature(home.lake, home.clock)
    held = [each for each in PACKAGED_PORTFOLIOS if each.name in HELD]
    update_portfolio_weights(home.lake, home.clock, held, first_bars=25)


@contextmanager
def visiting(app: "ASGIApp", settings: "Settings") -> "Iterator[TestClient]":
    """Give a client that keeps cookies, at the dashboard's address, and is not logged in."""
    from starlette.testclient import TestClient

    address = f"http://127.0.0.1:{settings.dashboard_port}"
    with TestClient(app, address, raise_server_exceptions=False, follow_redirects=False) as client:
        client.headers["origin"] = address
        yield client


def log_in(client: "TestClient", key: str) -> None:
    """Log in with a key."""
    answer = client.post("/login", data={"key": key})
    assert answer.status_code == 303, answer.text


def log_in_as_owner(client: "TestClient", settings: "Settings") -> None:
    """Log in with the home's own key."""
    log_in(client, local_key(settings))


class StreamEvent(NamedTuple):
    """One server-sent event; a comment is an event of that name."""

    name: str
    id: str
    data: str


@contextmanager
def browsing(settings: "Settings", address: str = "") -> "Iterator[httpx.Client]":
    """Give a client over HTTP of a dashboard that is served at its port, or at an address; it is not logged in."""
    address = address or f"http://127.0.0.1:{settings.dashboard_port}"
    origin = "://".join(urlsplit(address)[:2])
    with httpx.Client(base_url=address, headers={"origin": origin}, timeout=STREAM_SECONDS, trust_env=False) as client:
        yield client


@contextmanager
def following(client: "httpx.Client", query: str, **headers: str) -> "Iterator[Iterator[StreamEvent]]":
    """Open the stream of new forecasts and give its events as they come; the end of the stream is theirs."""
    with client.stream("GET", f"/stream?{query}", headers=headers) as answer:
        assert answer.status_code == httpx.codes.OK, answer.read()
        assert answer.headers["content-type"].startswith("text/event-stream")
        yield _events(answer.iter_lines())


def _events(lines: "Iterator[str]") -> "Iterator[StreamEvent]":
    fields: dict[str, str] = {}
    for line in lines:
        name, _, value = line.partition(": ")
        if line.startswith(":"):
            yield StreamEvent("comment", "", value)
        elif line:
            fields[name] = value
        elif "event" in fields:
            yield StreamEvent(fields["event"], fields.get("id", ""), fields["data"])
            fields = {}


class Page(HTMLParser):
    """A page as a reader of tags sees it: each element with its attributes and all text within.

    Parameters
    ----------
    text
        The HTML.
    """

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[dict[str, Any]] = []
        self._open: list[dict[str, Any]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: "list[tuple[str, str | None]]") -> None:
        element = {"tag": tag, "text": "", "place": len(self.elements), **dict(attrs)}
        self.elements.append(element)
        if tag not in EMPTY_TAGS:
            self._open.append(element)

    def handle_startendtag(self, tag: str, attrs: "list[tuple[str, str | None]]") -> None:
        self.elements.append({"tag": tag, "text": "", "place": len(self.elements), **dict(attrs)})

    def handle_endtag(self, tag: str) -> None:
        while self._open and self._open.pop()["tag"] != tag:
            pass

    def handle_data(self, data: str) -> None:
        for element in self._open:
            element["text"] += data

    def all(self, tag: str | None = None, **attributes: str) -> "list[dict[str, Any]]":
        """Return elements by tag and attributes; ``class_`` names one of the classes."""
        wanted = attributes.pop("class_", None)
        return [
            element
            for element in self.elements
            if (tag is None or element["tag"] == tag)
            and (wanted is None or wanted in (element.get("class") or "").split())
            and all(element.get(name) == value for name, value in attributes.items())
        ]

    def text(self, **attributes: str) -> str:
        """Return the text of the one element with some attributes, white space folded."""
        (element,) = self.all(**attributes)
        return folded(element["text"])

    def rows(self, label: str) -> "list[list[str]]":
        """Return the cells of the body of the first table in a region, by the region's label."""
        (region, *_) = [each["place"] for each in self.elements if each.get("aria-label") == label]
        after = self.elements[region + 1 :]
        (begin, *others) = [place for place, each in enumerate(after) if each["tag"] == "table"]
        found: list[list[str]] = []
        for element in after[begin : others[0] if others else None]:
            if element["tag"] == "tr":
                found.append([])
            elif element["tag"] in {"td", "th"}:
                found[-1].append(folded(element["text"]))
        return found[1:]


def folded(text: str) -> str:
    """Return a text with white space as one blank each."""
    return SPACES.sub(" ", text).strip()
