"""Features of one session of a symbol, each within its own past."""

from datetime import date, datetime
from typing import Any

import polars as pl

from feature_repo.catalog import GROUPS
from feature_repo.spec import FeatureGroup
from lake.errors import NotReadyError
from serving import api
from serving.history.bars import sessions_of
from serving.history.known import KnownTables
from serving.history.moments import span_between


def features_of(
    tables: KnownTables,
    symbol: str,
    at: datetime,
    *,
    session: date | None = None,
    groups: tuple[FeatureGroup, ...] = GROUPS[:1],
) -> api.FeatureHistoryAnswer:
    """Return the features of one session of a symbol as they were known at an instant.

    Parameters
    ----------
    session
        Session, or the last one before it; by default the newest that was known.
    groups
        Groups of features; by default the first, which the models read.

    Raises
    ------
    NotReadyError
        If no feature of the symbol was known for such a session then.
    """
    span = span_between(tables.market, None, session)
    pasts = {group: tables.known(group.table, at, symbol=symbol).filter(span.holds) for group in groups}
    closes = [past["event_time"][-1] for past in pasts.values() if past.height]
    if not closes:
        raise NotReadyError(
            f"No feature of {symbol} was known at {at:%Y-%m-%d %H:%M} UTC. Ask for a later moment; features are made "
            f"with the next run, `{tables.market.next_run}`."
        )
    close = max(closes)
    rows = {group: past for group, past in pasts.items() if past.height and past["event_time"][-1] == close}
    return api.FeatureHistoryAnswer(
        symbol=symbol,
        as_of=at,
        session=sessions_of(pl.Series([close]), tables.market.grid)[0],
        event_time=close,
        known_time=max(past["known_time"][-1] for past in rows.values()),
        features=[found for group, past in rows.items() for found in _values(group, past)],
    )


def _values(group: FeatureGroup, past: pl.DataFrame) -> list[api.HistoryFeature]:
    """Values of the last row, each with its rank among the known ones up to it."""
    return [
        api.HistoryFeature(
            name=feature.name,
            table=group.table.name,
            unit=feature.unit,
            meaning=feature.meaning,
            **_ranked(past[feature.name].cast(pl.Float64)),
        )
        for feature in group
    ]


def _ranked(values: pl.Series) -> dict[str, Any]:
    known, value = values.drop_nulls(), values[-1]
    percentile = None if value is None else (known <= value).mean()
    return {"value": value, "percentile": percentile, "past": len(known)}
