"""Vendors that are asked over HTTP: what a connector declares, one policy for all of them, and the bars they give.

- `Connector`, `Ask`, `HttpRequest`, `HttpAnswer`, `Page`: a vendor as values and two pure functions, plan and parse
- `Auth`, `Limit`, `Terms`: its key, its limits, what it allows
- `fields`: strict reading of decoded JSON, for `parse`
- `Fetcher`, `RequestCount`: the policy (tries, waits, limits, kinds of failure), and the shared count of requests
- `SESSION_BARS`, `SESSION_ACTIONS`, `VINTAGES`: columns of what a page says
- `HttpBars`: a connector as a `lake.sources.BarSource`
"""

from lake.sources.http import fields
from lake.sources.http.fetching import Fetcher
from lake.sources.http.limits import RequestCount, next_midnight
from lake.sources.http.pulling import HttpBars
from lake.sources.http.values import (
    SESSION_ACTIONS,
    SESSION_BARS,
    VINTAGES,
    Ask,
    Auth,
    Connector,
    Digits,
    HttpAnswer,
    HttpRequest,
    Limit,
    Page,
    Terms,
)

__all__ = [
    "SESSION_ACTIONS",
    "SESSION_BARS",
    "VINTAGES",
    "Ask",
    "Auth",
    "Connector",
    "Digits",
    "Fetcher",
    "HttpAnswer",
    "HttpBars",
    "HttpRequest",
    "Limit",
    "Page",
    "RequestCount",
    "Terms",
    "fields",
    "next_midnight",
]
