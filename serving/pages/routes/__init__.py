"""Pages by address: each module holds the functions of one page; `ROUTES` lists them all."""

from collections.abc import Callable
from typing import Any

from serving.pages.routes import (
    about,
    advice,
    appearance,
    backtests,
    explanations,
    figures,
    following,
    jobs,
    login,
    models,
    operations,
    receipts,
    settings,
    strategies,
    stream,
    symbol,
    watch_list,
    words,
)

ROUTES: tuple[tuple[str, str, Callable[..., Any]], ...] = (
    ("GET", "/login", login.show),
    ("POST", "/login", login.log_in),
    ("GET", "/metrics", figures.show),
    ("POST", "/logout", login.log_out),
    ("POST", "/appearance", appearance.choose),
    ("GET", "/settings", settings.show),
    ("POST", "/settings/sessions", settings.end_other_sessions),
    ("POST", "/settings/keys", settings.revoke_key),
    ("GET", "/", watch_list.show),
    ("POST", "/watchlist", following.change),
    ("GET", "/s/{symbol}", symbol.show),
    ("GET", "/s/{symbol}/why", explanations.show),
    ("GET", "/s/{symbol}/words", words.show),
    ("GET", "/s/{symbol}/advice", advice.show),
    ("POST", "/s/{symbol}/advice", advice.ask),
    ("GET", "/jobs/{job_id}", jobs.show),
    ("POST", "/jobs/{job_id}/cancel", jobs.cancel),
    ("GET", "/receipts/{prediction_id}", receipts.show),
    ("GET", "/models", models.show_all),
    ("GET", "/models/{name}", models.show),
    ("GET", "/strategies", strategies.show),
    ("GET", "/backtests", backtests.show_all),
    ("GET", "/backtests/{backtest_id}", backtests.show),
    ("GET", "/operations", operations.show),
    ("GET", "/about", about.show),
    ("GET", "/stream", stream.show),
)
"""Method, path and function of each page; `serving.pages.policy` says who may ask for it."""
