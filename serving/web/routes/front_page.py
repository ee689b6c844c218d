"""The front page: what listens here, of which market and when, where its parts are, and how to ask.

It is open to everyone, so it asks neither the online store nor a model, and it names no key. It loads nothing, and
its Content-Security-Policy lets it load nothing.
"""

import base64
import hashlib
import json
from html import escape
from typing import TYPE_CHECKING

from fastapi import FastAPI, Request
from fastapi.responses import HTMLResponse

from serving.api import DISCLAIMER
from serving.web.routes.forecasts import PREDICT, PREFIX

if TYPE_CHECKING:
    from datetime import datetime

    from lake.market import Market
    from serving.predict import Predictor

STYLE = (
    ":root{color-scheme:light dark}"
    "body{font:16px/1.5 system-ui,sans-serif;max-width:46rem;margin:2rem auto;padding:0 1rem}"
    "h1{margin:0}h2{font-size:1.1rem;margin:2rem 0 .5rem}"
    "dt{font-weight:600}dd{margin:0 0 .5rem}"
    "pre{border:1px solid gray;border-radius:4px;padding:.75rem;white-space:pre-wrap;overflow-wrap:anywhere}"
    ".note{border-left:4px solid gray;padding-left:.75rem}"
)
HEADERS = {
    "content-security-policy": "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
    f"style-src 'sha256-{base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()}'",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "cache-control": "no-cache",
}
PLACES = (
    ("/docs", "every route, to be tried in the browser"),
    ("/openapi.json", "the same for programs"),
    ("/healthz", "whether the process answers"),
    ("/readyz", "whether a forecast could be made now, and if not, why"),
    ("/metrics", "counters and timings for Prometheus; from another machine with a key"),
    ("/problems", "every kind of refusal, with what to do about it"),
    (f"{PREFIX}/symbols", "every symbol that can be asked for; with a key"),
)
"""Addresses on the page, each with what is there."""


def add_routes(app: FastAPI) -> None:
    """Add it to an application."""

    @app.get("/", tags=["status"], response_class=HTMLResponse)
    async def front_page(request: Request) -> HTMLResponse:
        """Say in a page what this service is, of which market and when, where its parts are, and how to ask."""
        predictor: Predictor = request.app.state.predictor
        address = str(request.base_url).rstrip("/")
        return HTMLResponse(page(predictor.market, predictor.clock.now(), address), headers=HEADERS)


def page(market: "Market", now: "datetime", address: str) -> str:
    """Return the page as HTML.

    Parameters
    ----------
    market
        Whose forecasts are served.
    now
        The market's time, UTC: the close up to which a forecast knows the market, or later.
    address
        Of the service as the reader reached it, without a path.
    """
    places = "".join(f'<dt><a href="{path}">{path}</a></dt><dd>{meaning}</dd>' for path, meaning in PLACES)
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>quantlake: {escape(market.name)}</title><style>{STYLE}</style></head><body>"
        "<h1>quantlake</h1><p>Forecasts of returns as quantiles, each with the data and the models that made it.</p>"
        f"<p>Market <strong>{escape(market.name)}</strong>, as of <strong>{now:%Y-%m-%d %H:%M} UTC</strong>. "
        "Every answer says in <code>as_of</code> which close it knows last. Returns are fractions; prices are those "
        f"traded, in {escape(market.currency or 'a currency that the market does not state')}, or null with the reason "
        "in <code>price_basis</code>.</p>"
        f'<p class="note">{escape(DISCLAIMER)}</p>'
        f"<h2>Ask for a forecast</h2><pre><code>{escape(question(market, address))}</code></pre>"
        "<p><code>$KEY</code> stands for an API key. <code>make serve</code> prints one for the machine that it runs "
        "on; an operator makes others with <code>quantlake keys create</code>.</p>"
        f"<h2>Where things are</h2><dl>{places}</dl></body></html>"
    )


def question(market: "Market", address: str) -> str:
    r"""Return a command that asks for a forecast over the nearest horizon, with the place of a key in it.

    Examples
    --------
    >>> from lake.market import PACKAGED
    >>> print(question(PACKAGED["demo"], "http://127.0.0.1:3000"))
    curl -s http://127.0.0.1:3000/api/v1/public/predict \
      -H "X-API-Key: $KEY" -H 'content-type: application/json' \
      -d '{"symbol": "AAPL", "horizon_sessions": 1}'
    """
    nearest = market.horizon_of(min(market.horizon_bars))
    body = {"symbol": next(iter(market.symbols), "SYMBOL"), nearest.member: nearest.n}
    return (
        f"curl -s {address}{PREDICT} \\\n  -H \"X-API-Key: $KEY\" -H 'content-type: application/json' \\\n"
        f"  -d '{json.dumps(body)}'"
    )
