"""Bring the feature tables up to the market's now. Each step computes only what changed since it last ran."""

import hashlib
import json
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any

import polars as pl

from feature_repo.catalog import FEATURES_TECHNICAL, TECHNICAL
from feature_repo.engines import (
    VALUES_AT_ONCE,
    FeatureEngine,
    LocalEngine,
    SparkOptions,
    open_engine,
    read_index,
)
from feature_repo.materialize import incremental
from feature_repo.materialize.made_for import require_made_for
from feature_repo.materialize.recent_rows import ReadPoint, recent_rows_of
from feature_repo.materialize.totals import session_totals_of
from feature_repo.regimes import RECIPE, regimes_of
from feature_repo.spec import FeatureGroup
from feature_repo.targets import (
    FORECAST_V2,
    WindowSpec,
    build_windows,
    compute_labels,
    reference_price,
    window_hashes,
)
from lake.clock import Clock
from lake.errors import NotReadyError
from lake.horizon_ends import bars_spanned
from lake.report import Report
from lake.spec import TableSpec
from lake.store import (
    ROW_KEY,
    YEAR,
    Lake,
    Watermark,
    known_in,
    new_rows,
    newest_known,
    read_watermarks,
    write_watermarks,
)
from lake.tables import BARS, LABELS, MODEL_WINDOWS, QUARANTINE, RAW_BARS, REGIMES

if TYPE_CHECKING:
    from lake.settings import Settings


def update_technical(lake: Lake, clock: Clock, years: Collection[int] = ()) -> Report:
    """Bring `features_technical` up to the market's now; see `update_group`."""
    return update_group(lake, clock, TECHNICAL, years)


def update_group(
    lake: Lake,
    clock: Clock,
    group: FeatureGroup,
    years: Collection[int] = (),
    *,
    engine: FeatureEngine | None = None,
    values_at_once: int = VALUES_AT_ONCE,
) -> Report:
    """Compute a feature group from the bars known at the market's now, and store what is new in it.

    Only rows that new, late or restated bars touch are computed (see `feature_repo.materialize.incremental`); all of
    them where the group was never computed before, or by another recipe.

    Parameters
    ----------
    years
        Store rows that became known in these years only; none named means all. What a row may look back on is not
        limited by it.
    engine
        Computes the group where all of it must be computed; by default this process. What only a few bars touch is
        always computed here.
    values_at_once
        Feature values held in memory at a time; the result does not depend on it.
    """
    _require_whole_history(lake)
    step = _Step(lake, group.table, (BARS,), clock.now(), _fingerprint(group.recipe), years)

    def compute(changed: pl.DataFrame | None) -> Iterable[pl.DataFrame]:
        read = step.read[BARS.name]
        if changed is None:
            at_work = engine or LocalEngine(values_at_once)
            return at_work.compute(lake, group, read.now, version=read.version)
        first = incremental.touched_from(lake, changed, read)
        return incremental.recompute(lake, group, first, read, values_at_once=values_at_once)

    return step.run(compute)


def update_group_as_configured(
    configured: "Settings", lake: Lake, clock: Clock, group: FeatureGroup, years: Collection[int] = ()
) -> Report:
    """Bring a feature group up to the market's now on the engine that the settings name; see `update_group`."""
    with open_engine(configured.feature_engine, SparkOptions.of(configured)) as engine:
        return update_group(lake, clock, group, years, engine=engine)


def update_labels(lake: Lake, clock: Clock, years: Collection[int] = ()) -> Report:
    """Compute `labels` for every horizon that has ended by the market's now, and store what is new in it.

    Parameters
    ----------
    years
        Store labels that became known in these years only; none named means all.
    """
    _require_whole_history(lake)
    longest = max(bars_spanned(horizon, lake.market.grid).most for horizon in lake.market.horizon_bars)
    step = _Step(lake, LABELS, (BARS,), clock.now(), _fingerprint([*lake.market.horizon_bars]), years)

    def compute(changed: pl.DataFrame | None) -> Iterable[pl.DataFrame]:
        if changed is None:
            bars = lake.read_as_of(BARS, step.now, version=step.read[BARS.name].version)
            return [compute_labels(bars, market=lake.market)]
        first = (
            changed.filter(pl.col("symbol") != lake.market.index)
            .group_by("symbol")
            .agg(first=pl.col("event_time").min())
        )
        # A bar ends the horizons that began up to the longest of them before it.
        recent = recent_rows_of(ReadPoint.of(lake, step.read[BARS.name]), first, longest)
        bars = recent.around(first, longest, [*ROW_KEY, "close"]).cast({"symbol": pl.String})
        return [compute_labels(bars, market=lake.market)]

    return step.run(compute)


def update_regimes(lake: Lake, clock: Clock) -> Report:
    """Compute `regimes` from the bars of the index known at the market's now, and store what is new in it."""
    step = _Step(lake, REGIMES, (BARS,), clock.now(), _fingerprint(RECIPE))

    def compute(_: pl.DataFrame | None) -> Iterable[pl.DataFrame]:
        read = step.read[BARS.name]
        models = lake.root / ".stamps" / "hidden_markov"
        return [regimes_of(read_index(lake, read), session_totals_of(lake, read), cache_folder=models)]

    return step.run(compute)


def update_windows(lake: Lake, clock: Clock, spec: WindowSpec = FORECAST_V2) -> Report:
    """Store the model input of every symbol at the newest session known at the market's now.

    A symbol whose newest bar is older than that gets no window, because its last sessions are not the market's.
    """
    recipe = _fingerprint([spec.name, spec.sessions, *spec.features])
    step = _Step(lake, MODEL_WINDOWS, (BARS, FEATURES_TECHNICAL), clock.now(), recipe)
    return step.run(lambda _: _windows_to_store(lake, step, spec))


def _windows_to_store(lake: Lake, step: "_Step", spec: WindowSpec) -> Iterator[pl.DataFrame]:
    """Return the current windows; where the table lacks columns, which makes it anew, those stored before as well."""
    current = _current_windows(lake, step.read, spec)
    yield current
    if lake.lacks_columns(MODEL_WINDOWS):
        yield lake.read(MODEL_WINDOWS).join(current, on=[*MODEL_WINDOWS.key, "known_time"], how="anti")


def _require_whole_history(lake: Lake) -> None:
    """Refuse bars with a gap: what looks back over it would be contradicted once the gap is filled."""
    if not lake.exists(RAW_BARS) or not lake.exists(BARS):
        return
    raw, bars = ({_year_of(file) for file in lake.files(spec)} for spec in (RAW_BARS, BARS))
    if raw <= bars:
        return
    apart = lake.scan(RAW_BARS).filter(pl.col("event_time").dt.year().is_in(sorted(raw - bars)))
    waiting = (
        apart.join(lake.scan(QUARANTINE), on=["batch_id", "row"], how="anti") if lake.exists(QUARANTINE) else apart
    )
    missing = waiting.select(pl.col("event_time").dt.year().unique().sort()).collect().to_series()
    if missing.len():
        raise NotReadyError(
            f"The bars of {', '.join(map(str, missing))} were received but not refined yet, so nothing can look "
            f"back on them. Materialise 'bars' for these years first, or run `{lake.market.first_run}`."
        )


def _year_of(file: str) -> int:
    """Year of a data file of a table that is partitioned by year."""
    return int(file.rpartition(f"{YEAR}=")[2].partition("/")[0])


def _current_windows(lake: Lake, read: Mapping[str, Watermark], spec: WindowSpec) -> pl.DataFrame:
    features, now = read[FEATURES_TECHNICAL.name], read[FEATURES_TECHNICAL.name].now
    known = pl.col("known_time") <= now
    stored = lake.scan(FEATURES_TECHNICAL, version=features.version).filter(known)
    session: Any = stored.select(pl.col("event_time").max()).collect().item()
    is_now = pl.col("event_time") == session
    current = newest_known(lake.read(FEATURES_TECHNICAL, where=known & is_now, version=features.version))
    first = current.select("symbol", pl.col("event_time").alias("first"))
    names = (*ROW_KEY, *spec.features)
    place = ReadPoint.of(lake, features, FEATURES_TECHNICAL, names)
    recent = recent_rows_of(place, first, spec.sessions - 1)
    rows = recent.around(first, spec.sessions - 1, names)
    windows = build_windows(rows, spec, at=[session])
    prices = lake.read_as_of(BARS, now, where=is_now, version=read[BARS.name].version).select(
        "symbol",
        "event_time",
        *reference_price(),
        pl.lit(lake.market.currency, dtype=pl.String).alias("currency"),
        pl.col("known_time").alias("price_known_time"),
    )
    versions = json.dumps({name: seen.version for name, seen in read.items()}, sort_keys=True)
    # A window is known when the last of its rows and its price are: any of them may have been restated since.
    known_times = rows.group_by(pl.col("symbol").cast(pl.String)).agg(pl.col("known_time").max())
    found = windows.keys.with_columns(
        pl.col("symbol").cast(pl.String),
        pl.lit(spec.name).alias("signature"),
        pl.Series("window", windows.values.reshape(len(windows), -1)).arr.to_list(),
        pl.Series("feature_hash", window_hashes(windows.values), dtype=pl.String),
        pl.lit(versions).alias("table_versions"),
    )
    complete = found.join(known_times, on="symbol").join(prices, on=["symbol", "event_time"])
    return complete.with_columns(pl.max_horizontal("known_time", "price_known_time").alias("known_time")).select(
        MODEL_WINDOWS.names
    )


@dataclass(frozen=True)
class _Step:
    """One table made from others, with watermarks beside the tables that say how far its inputs were read.

    Parameters
    ----------
    inputs
        Tables it is made from; what is new in the first of them can be told to the computation.
    years
        Store rows that became known in these years only.
    """

    lake: Lake
    target: TableSpec
    inputs: Sequence[TableSpec]
    now: datetime
    recipe: str
    years: Collection[int] = ()

    @cached_property
    def read(self) -> dict[str, Watermark]:
        """Versions that this run reads."""
        return {spec.name: Watermark(self.lake.version(spec), self.now) for spec in self.inputs}

    def run(self, compute: Callable[[pl.DataFrame | None], Iterable[pl.DataFrame]]) -> Report:
        """Compute and merge what the new rows of the inputs call for.

        Parameters
        ----------
        compute
            Takes the rows of the first input that are new since the last run, or None where all must be computed, and
            gives frames of the target's rows.
        """
        started = time.perf_counter()
        require_made_for(self.lake)
        versions = {name: seen.version for name, seen in self.read.items()}  # before anything is read
        watermarks = read_watermarks(self.lake, self.target.name, self.recipe, (self.target,))
        since = watermarks.since(self.years)
        fresh = None if since is None else [self._new(spec, since) for spec in self.inputs]
        if fresh is not None and all(rows is not None and rows.is_empty() for rows in fresh):
            report = self.lake.report(self.target, started=started)
            report = report.with_details(reason=f"nothing new in {', '.join(versions)} since the last run")
        else:
            report = self._store(compute(fresh[0] if fresh else None))
        outputs = self.lake.versions((self.target,))
        write_watermarks(self.lake, self.target.name, watermarks.after(self.years, self.read, outputs))
        return report.with_details(seconds=time.perf_counter() - started, inputs=versions)

    def _new(self, spec: TableSpec, since: Mapping[str, Watermark]) -> pl.DataFrame | None:
        return new_rows(self.lake, spec, since[spec.name], self.now, until=self.read[spec.name].version)

    def _store(self, frames: Iterable[pl.DataFrame]) -> Report:
        if self.lake.lacks_columns(self.target):  # null where they are known would be contradicted by the values
            return self.lake.rebuild(self.target, frames)
        added, report = 0, None
        for frame in frames:
            report = self.lake.merge(self.target, frame.filter(known_in(self.years)))
            added += report.added
        report = replace(report or self.lake.merge(self.target, self.target.empty()), added=added, skipped=not added)
        return report.with_details(reason="what was computed is already stored") if report.skipped else report


def _fingerprint(recipe: Any) -> str:
    return hashlib.sha256(json.dumps(recipe).encode()).hexdigest()[:16]
