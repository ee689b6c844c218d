"""Drift of model inputs and forecasts against the training period."""

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Literal

import polars as pl

from feature_repo.catalog import FEATURES_TECHNICAL
from feature_repo.targets import FORECAST_V2, WindowSpec, build_windows, to_model_input
from lake.clock import Clock
from lake.errors import NotReadyError
from lake.report import Report
from lake.store import Lake
from lake.tables import DRIFT
from serving.drift.statistics import METHOD, Shift, adjust, compare_with_blocks, known_shares, session_scores

if TYPE_CHECKING:
    from lake.settings import Settings
    from serving.engines import Engine

ALPHA = 0.05
"""Chance of any false alarm among the findings of one session."""
CURRENT_SESSIONS = 250
"""Sessions that are compared with the training period, the newest ones."""
FEWEST_SESSIONS = 40
"""Sessions after training before a comparison means anything."""
BLOCK_SESSIONS = 125
"""Length of the stretches of the training period that show how much it varied."""
FORECAST_STRIDE = 10
"""Forecasts of the training period are made for every so many sessions."""

ASPECTS: tuple[Literal["level", "spread"], ...] = ("level", "spread")
KNOWN = "known"
"""Aspect of the share of values that are known; a quantity that is missing has neither level nor spread."""
LEAST_CHANGE = 0.05
"""A share of known values that differs by less than this from that of training is no drift, however steady it was."""


@dataclass(frozen=True)
class DriftSubject:
    """One quantity to compare.

    Parameters
    ----------
    name
        Feature, or model and quantity of its forecast.
    values
        ``symbol``, ``event_time``, ``value``.
    stride
        Sessions from one value to the next.
    """

    name: str
    values: pl.DataFrame
    stride: int = 1


@dataclass(frozen=True)
class DriftFinding:
    """Test result of one aspect of one subject, before correction for multiple tests."""

    subject: str
    aspect: str
    shift: Shift


def update_drift(
    lake: Lake, settings: "Settings", clock: Clock, engines: "Mapping[str, Engine] | None" = None
) -> Report:
    """Judge the newest sessions against the training period; `serving.drift.write_page` shows the findings.

    Parameters
    ----------
    engines
        Models whose forecasts are compared, and whose training says where the reference ends; by default those in
        service.

    Returns
    -------
    Report
        Of `drift`; skipped when the newest session has been judged, when fewer than `FEWEST_SESSIONS` sessions have
        passed since training, or when training saw too few to compare with. ``details`` hold the drifted subjects.

    Raises
    ------
    NotReadyError
        If there is no model in service or no feature.
    """
    started = time.perf_counter()
    engines = engines_in_service(settings) if engines is None else engines
    features = lake.read_as_of(FEATURES_TECHNICAL, clock.now())
    if features.is_empty() or not engines:
        raise NotReadyError(f"Drift needs features and a model in service. Run `{lake.market.first_run}` first.")
    until = min(engine.signature.train_until for engine in engines.values())
    later = closes_after(features, until)
    reason = _reason_to_skip(lake, later)
    if reason:
        return _skipped(lake, started, reason)
    subjects = subjects_of(features, engines, until, later)
    findings = [finding for subject in subjects for finding in judge(subject, until)]
    if not findings:
        learnt = features.filter(pl.col("event_time") <= until)["event_time"].n_unique()
        return _skipped(
            lake,
            started,
            f"{learnt} sessions up to the end of training are too few to compare with, in blocks of {BLOCK_SESSIONS}",
        )
    rows = drift_rows(findings, later[-1], clock.now())
    report = lake.merge(DRIFT, rows)
    drifted = sorted(set(rows.filter("is_drifted")["subject"]))
    return report.with_details(
        seconds=time.perf_counter() - started, drifted=drifted, subjects=len(subjects), method=METHOD
    )


def closes_after(features: pl.DataFrame, until: datetime) -> pl.Series:
    """Closes that features are known of after an instant, ascending."""
    return features.filter(pl.col("event_time") > until)["event_time"].unique().sort()


def subjects_of(
    features: pl.DataFrame, engines: "Mapping[str, Engine]", until: datetime, later: pl.Series
) -> list[DriftSubject]:
    """Every feature and forecast in the training period, which ends at `until`, and in the newest sessions after it.

    Parameters
    ----------
    later
        The `closes_after` that end; one at least.
    """
    is_recent = pl.col("event_time") >= later.tail(CURRENT_SESSIONS)[0]
    recent = features.filter((pl.col("event_time") <= until) | is_recent)
    return [*feature_subjects(recent), *forecast_subjects(features, engines, at=recent["event_time"])]


def feature_subjects(features: pl.DataFrame, spec: WindowSpec = FORECAST_V2) -> Iterator[DriftSubject]:
    """Every feature that models read."""
    for name in spec.features:
        yield DriftSubject(name, features.select("symbol", "event_time", pl.col(name).alias("value")))


def forecast_subjects(
    features: pl.DataFrame,
    engines: "Mapping[str, Engine]",
    spec: WindowSpec = FORECAST_V2,
    at: pl.Series | None = None,
) -> Iterator[DriftSubject]:
    """Median and width of the band of every model's forecast for its first horizon, every `FORECAST_STRIDE` sessions.

    `features` have every session, for a window spans neighbouring ones; `at` are those to forecast, by default all.

    Both periods are forecast by the same model file, so that what differs is the market. Within the training period a
    flexible model may say more extreme things than after it: then its drift is a sign of overfitting.
    """
    sessions = (features["event_time"] if at is None else at).unique().sort()
    # Counted from the newest session back, so that it is always among them.
    windows = build_windows(features, spec, at=sessions.reverse().gather_every(FORECAST_STRIDE).to_list())
    inputs = to_model_input(windows.values)
    for name, engine in engines.items():
        quantiles = engine.predict(inputs)[:, 0, :].astype(float)  # [window, quantile]
        median, band = quantiles[:, quantiles.shape[1] // 2], quantiles[:, -1] - quantiles[:, 0]
        for quantity, values in (("median", median), ("band", band)):
            rows = windows.keys.with_columns(pl.Series("value", values))
            yield DriftSubject(f"{name} forecast {quantity}", rows, FORECAST_STRIDE)


def judge(subject: DriftSubject, until: datetime) -> Iterator[DriftFinding]:
    """Compare level, spread and the share of known values after `until` with the time up to it.

    An aspect that never moved has no finding.
    """
    if subject.values.filter(pl.col("event_time") <= until)["value"].drop_nulls().is_empty():
        return
    scores = session_scores(subject.values, pl.col("event_time") <= until)
    reference, current = scores.filter(pl.col("event_time") <= until), scores.filter(pl.col("event_time") > until)
    block = BLOCK_SESSIONS // subject.stride
    for aspect in ASPECTS:
        shift = compare_with_blocks(reference[aspect].to_numpy(), current[aspect].to_numpy(), block)
        if shift is not None:
            yield DriftFinding(subject.name, aspect, shift)
    shares, is_later = known_shares(subject.values), pl.col("event_time") > until
    then, now = (shares.filter(period)["known"].to_numpy() for period in (~is_later, is_later))
    shift = compare_with_blocks(then, now, block)
    if shift is not None and abs(now.mean() - then.mean()) >= LEAST_CHANGE:
        yield DriftFinding(subject.name, KNOWN, shift)


def drift_rows(findings: list[DriftFinding], session: datetime, now: datetime) -> pl.DataFrame:
    """Findings as rows of `drift`, with p-values corrected for their number."""
    adjusted = adjust([finding.shift.p_value for finding in findings])
    rows = [
        {
            "subject": finding.subject,
            "aspect": finding.aspect,
            "event_time": session,
            "known_time": now,
            "statistic": finding.shift.statistic,
            "p_value": finding.shift.p_value,
            "adjusted_p_value": p_value,
            "is_drifted": p_value < ALPHA,
            "method": METHOD,
        }
        for finding, p_value in zip(findings, adjusted, strict=True)
    ]
    return pl.DataFrame(rows, schema=DRIFT.schema)


def engines_in_service(settings: "Settings") -> "Mapping[str, Engine]":
    """Return the models whose forecasts are compared."""
    from serving.deployment import load_engines

    return load_engines(settings)


def _skipped(lake: Lake, started: float, reason: str) -> Report:
    standing = lake.report(DRIFT) if lake.exists(DRIFT) else Report(DRIFT.name, skipped=True)
    return standing.with_details(seconds=time.perf_counter() - started, reason=reason)


def _reason_to_skip(lake: Lake, later: pl.Series) -> str:
    if len(later) < FEWEST_SESSIONS:
        return f"{len(later)} sessions have passed since training; {FEWEST_SESSIONS} are needed for a comparison"
    if lake.exists(DRIFT) and lake.read(DRIFT)["event_time"].max() == later[-1]:
        return "the newest session has been judged"
    return ""
