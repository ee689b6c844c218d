"""The members of a market for a reader: first and last bar, former names, ended coverage."""

from datetime import date, datetime
from typing import NamedTuple

import polars as pl

from lake.membership.reading import members_of
from lake.names import NameSpan
from lake.store import LakeReader
from lake.tables import BARS, UNIVERSE


class RosterEntry(NamedTuple):
    """One symbol of a market.

    Parameters
    ----------
    is_member
        Whether it belongs to the market now.
    ended
        First session without it, where its coverage ended or the declaration removed it; None otherwise.
    reason
        What the newest row of `universe` says happened.
    other_names
        Spans under other names, oldest first.
    """

    symbol: str
    is_member: bool
    first_bar: date
    last_bar: date
    ended: date | None
    reason: str
    other_names: tuple[NameSpan, ...]


def roster_of(lake: LakeReader, at: datetime) -> list[RosterEntry]:
    """Return every symbol that has bars, as known at an instant, by name; the index is one of them."""
    if not lake.exists(BARS):
        return []
    market, known = lake.market, pl.col("known_time") <= at
    spans = (
        lake.scan(BARS)
        .filter(known)
        .group_by("symbol")
        .agg(pl.col("event_time").min().alias("first"), pl.col("event_time").max().alias("last"))
        .sort("symbol")
        .collect()
    )
    rows = UNIVERSE.empty()
    if lake.exists(UNIVERSE):
        rows = lake.read_as_of(UNIVERSE, at, where=pl.col("universe") == market.name)
        rows = rows.filter(pl.col("event_time") <= at)
    members = set(members_of(rows)) if rows.height else set(spans["symbol"])
    newest = {row["symbol"]: row for row in rows.sort("event_time", "is_member", descending=[False, True]).to_dicts()}
    return [
        RosterEntry(
            symbol,
            symbol in members,
            first.date(),
            last.date(),
            None if symbol in members or symbol not in newest else newest[symbol]["event_time"].date(),
            newest.get(symbol, {}).get("reason", ""),
            tuple(market.names.former_names(symbol)),
        )
        for symbol, first, last in spans.iter_rows()
    ]
