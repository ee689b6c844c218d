"""Bring the feature tables up to the market's now. Each step does nothing when nothing it reads has changed."""

import hashlib
import json
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import polars as pl

from feature_repo.catalog import FEATURES_TECHNICAL, TECHNICAL
from feature_repo.labels import HORIZONS, compute_labels
from feature_repo.panel import compute_group
from feature_repo.regimes import REGIME_EXPRESSIONS, compute_regimes
from feature_repo.spec import FeatureGroup
from feature_repo.windows import FORECAST_V1, WindowSpec, build_windows, window_hash
from lake.clock import Clock
from lake.durable import write_durably
from lake.errors import NotReadyError
from lake.report import Report
from lake.spec import TableSpec
from lake.store import Lake
from lake.tables import BARS, LABELS, MODEL_WINDOWS, RAW_BARS, REGIMES


def update_technical(lake: Lake, clock: Clock, years: Collection[int] = ()) -> Report:
    """Bring `features_technical` up to the market's now; see `update_group`."""
    return update_group(lake, clock, TECHNICAL, years)


def update_group(lake: Lake, clock: Clock, group: FeatureGroup, years: Collection[int] = ()) -> Report:
    """Compute a feature group from the bars known at the market's now, and store what is new in it.

    Parameters
    ----------
    years
        Store rows of these years only; none named means all. What a row may look back on is not limited by it.
    """
    _require_whole_history(lake)
    step = _Step(lake, group.table, (BARS,), clock.now(), _fingerprint([sorted(years), *group.recipe]))
    return step.run(lambda: _within(compute_group(lake.read_as_of(BARS, step.now), group), years))


def update_labels(lake: Lake, clock: Clock, years: Collection[int] = ()) -> Report:
    """Compute `labels` for every horizon that has ended by the market's now, and store what is new in it.

    Parameters
    ----------
    years
        Store labels of sessions in these years only; none named means all.
    """
    _require_whole_history(lake)
    step = _Step(lake, LABELS, (BARS,), clock.now(), _fingerprint([sorted(years), *HORIZONS]))

    def compute() -> pl.DataFrame:
        labels = compute_labels(lake.read_as_of(BARS, step.now))
        return _within(labels.filter(pl.col("known_time") <= step.now), years)

    return step.run(compute)


def update_regimes(lake: Lake, clock: Clock) -> Report:
    """Compute `regimes` from the bars of the index known at the market's now, and store what is new in it."""
    step = _Step(lake, REGIMES, (BARS,), clock.now(), _fingerprint(str(REGIME_EXPRESSIONS)))
    return step.run(lambda: compute_regimes(lake.read_as_of(BARS, step.now)))


def update_windows(lake: Lake, clock: Clock, spec: WindowSpec = FORECAST_V1) -> Report:
    """Store the model input of every symbol at the newest session known at the market's now.

    A symbol whose newest bar is older than that gets no window, because its last sessions are not the market's.
    """
    step = _Step(
        lake, MODEL_WINDOWS, (BARS, FEATURES_TECHNICAL), clock.now(), _fingerprint([spec.name, *spec.features])
    )
    return step.run(lambda: _current_windows(lake, step.now, spec))


def _require_whole_history(lake: Lake) -> None:
    """Refuse bars with a gap: what looks back over it would be contradicted once the gap is filled."""
    if not lake.exists(RAW_BARS) or not lake.exists(BARS):
        return
    year = pl.col("event_time").dt.year()
    raw, bars = (set(lake.scan(spec).select(year.unique()).collect().to_series()) for spec in (RAW_BARS, BARS))
    if missing := sorted(raw - bars):
        raise NotReadyError(
            f"The bars of {', '.join(map(str, missing))} were received but not refined yet, so nothing can look "
            "back on them. Materialise 'bars' for these years first, or run `make demo`."
        )


def _within(rows: pl.DataFrame, years: Collection[int]) -> pl.DataFrame:
    return rows.filter(pl.col("event_time").dt.year().is_in(list(years))) if years else rows


def _current_windows(lake: Lake, now: datetime, spec: WindowSpec) -> pl.DataFrame:
    features = lake.read_as_of(FEATURES_TECHNICAL, now)
    session: Any = features["event_time"].max()
    windows = build_windows(features, spec, at=[session])
    is_now = pl.col("event_time") == session
    prices = lake.read_as_of(BARS, now, where=is_now).select(
        "symbol", "event_time", pl.coalesce("close_unadjusted", "close").alias("reference_price")
    )
    known = features.filter(is_now).select("symbol", "event_time", "known_time")
    versions = json.dumps(lake.versions([BARS, FEATURES_TECHNICAL]), sort_keys=True)
    rows = windows.keys.with_columns(
        pl.lit(spec.name).alias("signature"),
        pl.Series("window", windows.values.reshape(len(windows), -1)).arr.to_list(),
        pl.Series("feature_hash", [window_hash(window) for window in windows.values], dtype=pl.String),
        pl.lit(versions).alias("table_versions"),
    )
    rows = (
        rows.join(known, on=["symbol", "event_time"])
        .join(prices, on=["symbol", "event_time"])
        .select(MODEL_WINDOWS.names)
    )
    return _saying_something_new(lake, rows)


def _saying_something_new(lake: Lake, rows: pl.DataFrame) -> pl.DataFrame:
    """Drop windows whose content is already stored: a new table version alone restates nothing."""
    if not lake.exists(MODEL_WINDOWS):
        return rows
    same = ["symbol", "event_time", "signature", "feature_hash", "reference_price"]
    return rows.join(lake.read(MODEL_WINDOWS).select(same), on=same, how="anti")


@dataclass(frozen=True)
class _Step:
    """One table made from others, with a stamp beside the tables that says from what it was last made."""

    lake: Lake
    target: TableSpec
    inputs: Sequence[TableSpec]
    now: datetime
    recipe: str

    def run(self, compute: Callable[[], pl.DataFrame]) -> Report:
        """Compute and merge, unless the stamp shows that the result would be the same."""
        started = time.perf_counter()
        versions = self.lake.versions(self.inputs)
        if self._is_done(versions):
            report = self.lake.report(self.target, started=started)
            return report.having(reason=f"nothing new in {', '.join(versions)} since the last run", inputs=versions)
        report = self.lake.merge(self.target, compute())
        self._stamp({"inputs": versions, "now": self.now.isoformat(), "recipe": self.recipe, "output": report.version})
        report = report.having(seconds=time.perf_counter() - started, inputs=versions)
        return report.having(reason="what was computed is already stored") if report.skipped else report

    def _is_done(self, versions: dict[str, int]) -> bool:
        try:
            stamp = json.loads(self._path.read_text(encoding="utf-8"))
        except (FileNotFoundError, ValueError):
            return False
        made_the_same = stamp.get("inputs") == versions and stamp.get("recipe") == self.recipe
        if not (
            made_the_same and self.lake.exists(self.target) and stamp.get("output") == self.lake.version(self.target)
        ):
            return False
        then = datetime.fromisoformat(stamp["now"])
        return then == self.now or not any(self._became_known(spec, then) for spec in self.inputs)

    def _became_known(self, spec: TableSpec, then: datetime) -> bool:
        low, high = sorted((then, self.now))
        between = (pl.col("known_time") > low) & (pl.col("known_time") <= high)
        return bool(self.lake.scan(spec).filter(between).select(pl.len() > 0).collect().item())

    def _stamp(self, content: dict[str, Any]) -> None:
        write_durably(self._path, json.dumps(content))

    @property
    def _path(self) -> Any:
        return self.lake.root / ".stamps" / f"{self.target.name}.json"


def _fingerprint(recipe: Any) -> str:
    return hashlib.sha256(json.dumps(recipe).encode()).hexdigest()[:16]
