"""Replay of backfills: forecasts of past sessions computed again at the recorded table versions."""

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import polars as pl

from feature_repo.catalog import FEATURES_TECHNICAL
from feature_repo.targets import FORECAST_V2, WINDOW_SPECS, WindowSpec
from lake.tables import BARS, REGIMES
from serving.backfill import VERSIONED, WalkForwardTables, WindowBatch, forecast_id, forecast_rows
from serving.forecasts import Member
from serving.receipts import ReplayFinding
from serving.replay.as_of_tables import UNREADABLE, suspects, why_unreadable
from serving.replay.recompute import WINDOW_SPAN, ReplayJob, compare_quantiles, compare_target, wrong_price

if TYPE_CHECKING:
    from lake.spec import TableSpec
    from lake.store import Lake
    from serving.receipts import ModelUse
    from serving.replay.engine_cache import EngineCache

Key = tuple[str, datetime]


def recompute_backfills(lake: "Lake", engines: "EngineCache", jobs: Sequence[ReplayJob]) -> None:
    """Recompute backfilled forecasts, and add a finding for each difference."""
    groups: dict[tuple[str, tuple[tuple[str, int], ...], timedelta], list[ReplayJob]] = defaultdict(list)
    for job in jobs:
        # The market's decision delay may have been declared anew since: that of the forecast is in its row.
        delay = job.case.row["known_time"] - job.case.row["event_time"]
        groups[_spec_of(engines, job).name, tuple(sorted(job.case.tables.items())), delay].append(job)
    for (spec, tables, delay), group in groups.items():
        unknown = [spec.name for spec in VERSIONED if spec.name not in dict(tables)]
        if unknown:
            for job in group:
                job.result.unknown.append(f"the version of {', '.join(unknown)} that was read")
            continue
        _recompute(lake, engines, dict(tables), group, WINDOW_SPECS[spec], delay)


def _spec_of(engines: "EngineCache", job: ReplayJob) -> WindowSpec:
    """Return how the windows of a forecast's model are cut; the newest way where the model cannot be read."""
    engine = engines.take(job.receipt.models[0])
    return FORECAST_V2 if isinstance(engine, ReplayFinding) else WINDOW_SPECS[engine.signature.window_spec]


def _recompute(
    lake: "Lake",
    engines: "EngineCache",
    tables: dict[str, int],
    jobs: Sequence[ReplayJob],
    spec: WindowSpec,
    delay: timedelta,
) -> None:
    sessions = sorted({job.case.row["event_time"] for job in jobs})
    try:
        batches = list(WalkForwardTables.of(lake, sessions, spec, tables, delay=delay).batches())
    except UNREADABLE as error:
        found = [finding for spec in VERSIONED for finding in _why(lake, spec, tables[spec.name], error)]
        for job in jobs:
            for finding in found:
                job.result.add(finding)
        return
    missing = set(map(id, jobs))
    for batch in batches:
        places = {key: place for place, key in enumerate(batch.keys.select("symbol", "event_time").iter_rows())}
        placed = [(job, places[_key(job)]) for job in jobs if _key(job) in places]
        missing -= {id(job) for job, _ in placed}
        _compare(lake, engines, tables, batch, placed)
    for job in jobs:
        if id(job) in missing:
            _blame(lake, FEATURES_TECHNICAL, tables, job, "it holds no complete window, bar or regime of that session")


def _compare(
    lake: "Lake",
    engines: "EngineCache",
    tables: dict[str, int],
    batch: WindowBatch,
    placed: Sequence[tuple[ReplayJob, int]],
) -> None:
    """Compare forecasts with the windows at their places in a batch, then with the rows made again from these."""
    by_model: dict[ModelUse, list[tuple[ReplayJob, int]]] = defaultdict(list)
    for job, place in placed:
        row, found = job.case.row, batch.keys.row(place, named=True)
        job.result.compared += ["model input", "reference price", "regime", "identity"]
        if found["feature_hash"] != row["feature_hash"]:
            _blame(lake, FEATURES_TECHNICAL, tables, job, "the features in it are not those of the window")
        if problem := wrong_price(found, row):
            _blame(lake, BARS, tables, job, problem)
        if found["regime"] != row["regime"]:
            _blame(lake, REGIMES, tables, job, f"the regime in it is {found['regime']}, not {row['regime']}")
        use = job.receipt.models[0]
        model = Member(row["model_name"], use.version, use.digest, 1.0)
        if row["forecast_id"] != forecast_id(*_key(job), row["horizon_sessions"], model, row["kind"]):
            problem = "its id is not that of its kind, symbol, session, horizon and model: one of these was altered"
            job.result.add(ReplayFinding("forecast row", job.case.forecast_id, problem))
        by_model[use].append((job, place))
    for use, group in by_model.items():
        _forecast(engines, use, batch, group)


def _forecast(
    engines: "EngineCache", use: "ModelUse", batch: WindowBatch, placed: Sequence[tuple[ReplayJob, int]]
) -> None:
    """Make the rows of one model again, and compare quantiles and version."""
    engine = engines.take(use)
    if isinstance(engine, ReplayFinding):
        for job, _ in placed:
            job.result.add(engine)
        return
    wanted = batch.take(sorted({place for _, place in placed}))
    made_at: datetime = placed[0][0].case.row["made_at"]
    rows = forecast_rows(engine, wanted, made_at).iter_rows(named=True)
    remade = {(row["symbol"], row["event_time"], row["horizon_sessions"]): row for row in rows}
    for job, _ in placed:
        row = remade[*_key(job), job.case.row["horizon_sessions"]]
        compare_quantiles(job, row)
        compare_target(job, row)
        if job.case.row["model_version"] != row["model_version"]:
            problem = f"it names version {job.case.row['model_version']}, the model is version {row['model_version']}"
            job.result.add(ReplayFinding("forecast row", job.case.forecast_id, problem))


def _key(job: ReplayJob) -> Key:
    return job.case.row["symbol"], job.case.row["event_time"]


def _why(lake: "Lake", spec: "TableSpec", version: int, error: Exception) -> list[ReplayFinding]:
    """Return findings about the files that keep a table from being read; none where it can be read."""
    try:
        lake.read(spec, version=version)
    except UNREADABLE:
        return why_unreadable(lake, spec, version, error)
    return []


def _blame(lake: "Lake", spec: "TableSpec", tables: dict[str, int], job: ReplayJob, problem: str) -> None:
    """Add a finding for each file that holds what a forecast was read from."""
    row = job.case.row
    is_read = pl.col("event_time").is_between(
        row["event_time"] - (WINDOW_SPAN if spec is FEATURES_TECHNICAL else WINDOW_SPAN * 0), row["event_time"]
    )
    if "symbol" in spec.names:
        is_read &= pl.col("symbol") == row["symbol"]
    for file in suspects(lake, spec, tables[spec.name], is_read) or [f"{spec.name}@{tables[spec.name]}"]:
        job.result.add(ReplayFinding("parquet file", file, problem))
