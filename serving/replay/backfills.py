"""Replayed forecasts made again: the sessions lived through once more, at the versions that were read then."""

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from feature_repo.catalog import FEATURES_TECHNICAL
from feature_repo.targets.windows import FORECAST_V1
from lake.tables import BARS, REGIMES
from serving.backfill import VERSIONED, Moments, Reading, forecast_id
from serving.receipts import Finding
from serving.replay.as_of_tables import UNREADABLE, suspects, why_unreadable
from serving.replay.recompute import WINDOW_SPAN, Work, compare_quantiles

if TYPE_CHECKING:
    from lake.spec import TableSpec
    from lake.store import Lake
    from serving.receipts import ModelUse
    from serving.replay.engine_cache import Shelf

Key = tuple[str, datetime]


def relive(lake: "Lake", shelf: "Shelf", works: Sequence[Work]) -> None:
    """Make forecasts again that models replayed, and note in each what differs."""
    groups: dict[tuple[tuple[str, int], ...], list[Work]] = defaultdict(list)
    for work in works:
        groups[tuple(sorted(work.case.tables.items()))].append(work)
    for tables, mine in groups.items():
        unknown = [spec.name for spec in VERSIONED if spec.name not in dict(tables)]
        if unknown:
            for work in mine:
                work.said.unknown.append(f"the version of {', '.join(unknown)} that was read")
            continue
        _relive(lake, shelf, dict(tables), mine)


def _relive(lake: "Lake", shelf: "Shelf", tables: dict[str, int], works: Sequence[Work]) -> None:
    sessions = sorted({work.case.row["event_time"] for work in works})
    try:
        reading = Reading.of(lake, sessions, FORECAST_V1, tables)
        moments = list(reading.batches())
    except UNREADABLE as error:
        found = [finding for spec in VERSIONED for finding in _why(lake, spec, tables[spec.name], error)]
        for work in works:
            for finding in found:
                work.said.add(finding)
        return
    missing = set(map(id, works))
    for part in moments:
        places = {key: place for place, key in enumerate(part.keys.select("symbol", "event_time").iter_rows())}
        held = [(work, places[_key(work)]) for work in works if _key(work) in places]
        missing -= {id(work) for work, _ in held}
        _compare(lake, shelf, tables, part, held)
    for work in works:
        if id(work) in missing:
            _blame(lake, FEATURES_TECHNICAL, tables, work, "it holds no complete window, bar or regime of that session")


def _compare(
    lake: "Lake", shelf: "Shelf", tables: dict[str, int], moments: Moments, held: Sequence[tuple[Work, int]]
) -> None:
    by_model: dict[ModelUse, list[tuple[Work, int]]] = defaultdict(list)
    for work, place in held:
        row, found = work.case.row, moments.keys.row(place, named=True)
        work.said.compared += ["model input", "reference price", "regime", "identity"]
        if found["feature_hash"] != row["feature_hash"]:
            _blame(lake, FEATURES_TECHNICAL, tables, work, "the features in it are not those of the window")
        if found["reference_price"] != row["reference_price"]:
            said = f"the close in it is {found['reference_price']}, not {row['reference_price']}"
            _blame(lake, BARS, tables, work, said)
        if found["regime"] != row["regime"]:
            _blame(lake, REGIMES, tables, work, f"the regime in it is {found['regime']}, not {row['regime']}")
        use = work.receipt.models[0]
        if row["forecast_id"] != forecast_id(*_key(work), row["horizon_sessions"], row["model_name"], use.digest):
            said = "its id is not that of its symbol, session, horizon and model: one of these was altered"
            work.said.add(Finding("forecast row", work.case.forecast_id, said))
        by_model[use].append((work, place))
    for use, mine in by_model.items():
        _forecast(shelf, use, moments, mine)


def _forecast(shelf: "Shelf", use: "ModelUse", moments: Moments, works: Sequence[tuple[Work, int]]) -> None:
    engine = shelf.take(use)
    if isinstance(engine, Finding):
        for work, _ in works:
            work.said.add(engine)
        return
    wanted = sorted({place for _, place in works})
    quantiles = engine.predict(moments.inputs[wanted]).astype(np.float64)
    at = {place: number for number, place in enumerate(wanted)}
    horizons = engine.signature.horizons
    for work, place in works:
        compare_quantiles(work, quantiles[at[place], horizons.index(work.case.row["horizon_sessions"])])
        if work.case.row["model_version"] != engine.version:
            said = f"it names version {work.case.row['model_version']}, the model is version {engine.version}"
            work.said.add(Finding("forecast row", work.case.forecast_id, said))


def _key(work: Work) -> Key:
    return work.case.row["symbol"], work.case.row["event_time"]


def _why(lake: "Lake", spec: "TableSpec", version: int, error: Exception) -> list[Finding]:
    """Files of one table that keep it from being read; none where it can be."""
    try:
        lake.read(spec, version=version)
    except UNREADABLE:
        return why_unreadable(lake, spec, version, error)
    return []


def _blame(lake: "Lake", spec: "TableSpec", tables: dict[str, int], work: Work, said: str) -> None:
    row = work.case.row
    is_mine = pl.col("event_time").is_between(
        row["event_time"] - (WINDOW_SPAN if spec is FEATURES_TECHNICAL else WINDOW_SPAN * 0), row["event_time"]
    )
    if "symbol" in spec.names:
        is_mine &= pl.col("symbol") == row["symbol"]
    for file in suspects(lake, spec, tables[spec.name], is_mine) or [f"{spec.name}@{tables[spec.name]}"]:
        work.said.add(Finding("parquet file", file, said))
