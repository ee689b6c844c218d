"""Portfolios as they were known at an instant: weights beside 1/N, reviews, and the evidence."""

import json
from datetime import datetime
from typing import Any

import polars as pl

from lake.errors import NotReadyError, UnknownNameError
from lake.tables import PORTFOLIO_WEIGHTS
from serving import api
from serving.history.known import KnownTables

REVIEWS = 20
"""Reviews that are told of, the newest."""
LEAST_JUDGED = 20
"""Bars below which nothing is judged: the first bet is settled after as many."""


def portfolios_of(tables: KnownTables, at: datetime) -> list[api.PortfolioSummary]:
    """Return every portfolio with weights that were known at an instant, by name."""
    known = tables.known(PORTFOLIO_WEIGHTS, at).sort("portfolio", "event_time")
    return [_summary(rows) for rows in known.partition_by("portfolio", maintain_order=True)]


def portfolio_of(tables: KnownTables, name: str, at: datetime) -> api.PortfolioAnswer:
    """Return one portfolio as it was known at an instant.

    Raises
    ------
    NotReadyError
        If no portfolio had weights by then.
    UnknownNameError
        If there was none of that name; the message lists those there were.
    """
    known = tables.known(PORTFOLIO_WEIGHTS, at)
    if known.is_empty():
        raise NotReadyError(
            f"No portfolio had weights by {at:%Y-%m-%d}. The asset `portfolio_weights` makes them; "
            f"`{tables.market.next_run}` runs it with the next session."
        )
    rows = known.filter(pl.col("portfolio") == name).sort("event_time")
    if rows.is_empty():
        raise UnknownNameError("portfolio", name[:40], known["portfolio"].unique().sort().to_list())
    newest = rows.row(-1, named=True)
    reviews = rows.filter(pl.col("trigger") != "none").tail(REVIEWS).reverse()
    said = ("portfolio", "event_time", "known_time", "trigger", "reason", "left_out", "bought", "sold", "cost")
    more = ("expected_gain", "next_review", "market_weights", "views")
    review_names = list(api.PortfolioReview.model_fields)
    return api.PortfolioAnswer(
        **{name: newest[name] for name in (*said, *more)},
        as_of=at,
        summary=_summary(rows),
        positions=_positions(newest),
        reviews=[api.PortfolioReview(**row) for row in reviews.select(review_names).iter_rows(named=True)],
        declaration=json.loads(newest["declaration"]),
    )


def _summary(rows: pl.DataFrame) -> api.PortfolioSummary:
    """Summary of the rows of one portfolio, the oldest first."""
    newest = rows.row(-1, named=True)
    names = ("portfolio", "method", "used", "fallback_reason", "event_time", "volatility", "equal_volatility")
    return api.PortfolioSummary(
        **{name: newest[name] for name in (*names, "e_value", "sessions")},
        symbols=sum(weight > 0 for weight in newest["weights"]),
        net_return=_compounded(rows["net_return"]),
        equal_net_return=_compounded(rows["equal_net_return"]),
        cost=float(rows["cost"].sum()),
        verdict=_verdict(newest),
    )


def _positions(row: dict[str, Any]) -> list[api.PortfolioPosition]:
    columns = ("symbols", "weights", "equal_weights", "targets", "drifted_weights", "risk_shares", "band_low")
    more = ("band_high", "expected_returns", "view_returns")
    lists = zip(*(row[name] for name in (*columns, *more)), strict=True)
    found = [
        api.PortfolioPosition(
            symbol=symbol,
            weight=_share(weight),
            equal_weight=_share(equal),
            target=_share(target),
            trade=weight - drifted,
            risk_share=risk,
            band_low=low,
            band_high=high,
            expected_return=expected,
            view_return=view,
        )
        for symbol, weight, equal, target, drifted, risk, low, high, expected, view in lists
    ]
    return sorted(found, key=lambda each: (-each.weight, each.symbol))


def _verdict(row: dict[str, Any]) -> str:
    if row["method"] == "equal":
        return "1/N, what the others are judged against"
    if row["sessions"] < LEAST_JUDGED:
        return f"not yet judged: {row['sessions']} bars of at least {LEAST_JUDGED}"
    if row["e_value"] >= api.EVIDENCE_NEEDED:
        return "earns more than 1/N, net of cost"
    return "no proof that it earns more than 1/N"


def _share(value: float) -> float:
    return min(max(value, 0.0), 1.0)


def _compounded(returns: pl.Series) -> float:
    return float((1.0 + returns).product()) - 1.0
