"""Forecasts made again from the tables as they stood and the models that made them, many at a time."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from feature_repo.catalog import FEATURES_TECHNICAL
from feature_repo.online.calibration import HeldCalibration
from feature_repo.targets.windows import FORECAST_V1, to_model_input, window_hash
from lake.errors import EngineError
from lake.tables import BARS, CALIBRATIONS, MODEL_WINDOWS, REGIMES, STRATEGY_ASSIGNMENTS
from serving.forecasts import Calibration, Member, blend, calibrate, name_blend
from serving.predict import model_weights
from serving.receipts import Finding
from serving.replay.as_of_tables import Past, UnreadablePastError
from serving.replay.findings import Replayed

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from lake.spec import TableSpec
    from lake.store import Lake
    from serving.receipts import ModelUse, Receipt
    from serving.replay.cases import Case
    from serving.replay.engine_cache import Shelf

QUANTILES = ("p10", "p50", "p90")
WEIGHT_DIFFERENCE = 1e-12
WINDOW_SPAN = timedelta(days=2 * FORECAST_V1.sessions)
"""Days in which the sessions of a window lie, weekends and holidays among them."""


@dataclass
class Work:
    """One forecast on its way: what is stored, and what came of it so far."""

    case: "Case"
    receipt: "Receipt"
    said: Replayed
    window: "NDArray[np.float32] | None" = None


def recompute(lake: "Lake", shelf: "Shelf", works: Sequence[Work]) -> None:
    """Make forecasts again that the service made, and note in each what differs."""
    for tables, mine in _grouped(works):
        past = _past(lake, dict(tables), mine)
        for step in (_take_windows, _compare_features, _compare_prices, _compare_decisions, _compare_calibrations):
            try:
                step(past, mine)
            except UnreadablePastError as error:
                for work in mine:
                    for finding in error.findings:
                        work.said.add(finding)
    _forecast([work for work in works if work.window is not None], shelf)


def _grouped(works: Sequence[Work]) -> Iterable[tuple[tuple[tuple[str, int], ...], list[Work]]]:
    groups: dict[tuple[tuple[str, int], ...], list[Work]] = defaultdict(list)
    for work in works:
        groups[tuple(sorted(work.receipt.tables.items()))].append(work)
    return groups.items()


def _past(lake: "Lake", tables: Mapping[str, int], works: Sequence[Work]) -> Past:
    sessions = [work.case.row["event_time"] for work in works]
    symbols = sorted({work.case.row["symbol"] for work in works})
    return Past(lake, tables, symbols, min(sessions), max(sessions))


def _take_windows(past: Past, works: Sequence[Work]) -> None:
    """Find the model input of each forecast, and hold it against its own hash and the one that was answered."""
    names = ("symbol", "event_time", "known_time", "window", "feature_hash", "reference_price")
    held = {row[:3]: row[3:] for row in past.windows.select(names).iter_rows()}
    for work in works:
        row = work.case.row
        found = held.get((row["symbol"], row["event_time"], work.receipt.window_known_time))
        if found is None:
            said = f"version {past.tables[MODEL_WINDOWS.name]} holds no window of {row['symbol']} known then"
            _blame(past, MODEL_WINDOWS, work, said)
            continue
        window = np.array(found[0], np.float32).reshape(FORECAST_V1.shape)
        work.said.compared += ["model input", "reference price"]
        if window_hash(window) != row["feature_hash"] or found[1] != row["feature_hash"]:
            _blame(past, MODEL_WINDOWS, work, "the window in it is not the one that was forecast from")
        if found[2] != row["reference_price"]:
            _blame(past, MODEL_WINDOWS, work, f"the reference price in it is {found[2]}, not {row['reference_price']}")
        work.window = window


def _compare_features(past: Past, works: Sequence[Work]) -> None:
    """Cut the windows again from the features, and compare hashes."""
    for known, mine in _by_known_time(works):
        cut = past.windows_known(known, sorted({work.case.row["event_time"] for work in mine}))
        keys = {key: place for place, key in enumerate(cut.keys.select("symbol", "event_time").iter_rows())}
        for work in mine:
            row = work.case.row
            place = keys.get((row["symbol"], row["event_time"]))
            work.said.compared.append("features")
            if place is None or window_hash(cut.values[place]) != row["feature_hash"]:
                _blame(past, FEATURES_TECHNICAL, work, "the features in it are not those of the window")


def _compare_prices(past: Past, works: Sequence[Work]) -> None:
    for known, mine in _by_known_time(works):
        prices = past.prices_known(known)
        for work in mine:
            row = work.case.row
            work.said.compared.append("bar")
            if (price := prices.get((row["symbol"], row["event_time"]))) != row["reference_price"]:
                _blame(past, BARS, work, f"the close in it is {price}, not {row['reference_price']}")


def _compare_decisions(past: Past, works: Sequence[Work]) -> None:
    """Compare regime, strategy and the models' weights with what the online store was filled with."""
    groups: dict[datetime, list[Work]] = defaultdict(list)
    for work in works:
        if work.receipt.online is None or work.receipt.online.until is None:
            work.said.unknown.append("as of when the online store was filled")
        else:
            groups[work.receipt.online.until].append(work)
    for until, mine in groups.items():
        strategies, regime = past.strategies(until), past.regime(until)
        for work in mine:
            work.said.compared += ["strategy", "regime"]
            if regime != work.case.row["regime"]:
                _blame(past, REGIMES, work, f"the regime in it is {regime}, not {work.case.row['regime']}")
            _compare_strategy(past, work, strategies.get(work.case.row["symbol"]))


def _compare_strategy(past: Past, work: Work, stored: Mapping[str, Any] | None) -> None:
    said = work.receipt.strategy
    if said is None:
        return
    told = (said.selected, list(said.strategies), list(said.weights), said.confidence)
    names = ("selected_strategy", "strategies", "weights", "confidence")
    if stored is None or tuple(stored[name] for name in names) != told:
        _blame(past, STRATEGY_ASSIGNMENTS, work, "the strategy weights in it are not those that were in force")
    expected = model_weights(said.strategies, said.weights)
    weights = {use.name: use.weight for use in work.receipt.models}
    if expected.keys() != weights.keys() or any(abs(w - weights[n]) > WEIGHT_DIFFERENCE for n, w in expected.items()):
        work.said.add(Finding("receipt", work.case.forecast_id, "the models' weights do not follow from the strategy"))


def _compare_calibrations(past: Past, works: Sequence[Work]) -> None:
    """Compare the correction that was applied with the one that was learned by then."""
    mine = [work for work in works if work.receipt.calibration is not None]
    held = {row["event_time"]: row for row in past.calibrations.iter_rows(named=True)} if mine else {}
    for work in mine:
        applied = Calibration.from_dict(work.receipt.calibration or {})
        stored = held.get(applied.as_of)
        work.said.compared.append("calibration")
        if stored is None or Calibration.of(_held(stored), applied.regime) != applied:
            _blame(past, CALIBRATIONS, work, "the calibration in it is not the one that was applied")


def _held(row: Mapping[str, Any]) -> HeldCalibration:
    lists = (tuple(row[name]) for name in ("regimes", "horizons", "lower", "upper", "trust", "sessions"))
    return HeldCalibration(row["event_time"], *lists)


def _forecast(works: Sequence[Work], shelf: "Shelf") -> None:
    """Compute every model on every window once, then blend, calibrate and compare each forecast."""
    if not works:
        return
    windows = {work.case.row["feature_hash"]: work.window for work in works}
    places = {name: place for place, name in enumerate(windows)}
    x = to_model_input(np.stack([window for window in windows.values() if window is not None]))
    groups: dict[tuple[ModelUse, ...], list[Work]] = defaultdict(list)
    for work in works:
        groups[work.receipt.models].append(work)
    computed: dict[str, NDArray[np.float32]] = {}
    for uses, mine in groups.items():
        if (horizons := _compute(uses, mine, shelf, x, computed)) is None:
            continue
        at = [places[work.case.row["feature_hash"]] for work in mine]
        blended = blend({use.name: computed[use.digest][at] for use in uses}, {use.name: use.weight for use in uses})
        corrections = [_correction(work.receipt) for work in mine]
        quantiles = calibrate(blended, horizons, corrections)
        for work, numbers in zip(mine, quantiles, strict=True):
            compare_quantiles(work, numbers[horizons.index(work.case.row["horizon_sessions"])])
            _compare_names(work, uses)


def _compute(
    uses: "Sequence[ModelUse]",
    works: Sequence[Work],
    shelf: "Shelf",
    x: "NDArray[np.float32]",
    computed: "dict[str, NDArray[np.float32]]",
) -> tuple[int, ...] | None:
    """Let each model forecast all windows; None where one cannot."""
    horizons: tuple[int, ...] = ()
    for use in uses:
        engine = shelf.take(use)
        if isinstance(engine, Finding):
            for work in works:
                work.said.add(engine)
            return None
        horizons = engine.signature.horizons
        if use.digest not in computed:
            try:
                computed[use.digest] = engine.predict(x)
            except EngineError as error:
                for work in works:
                    work.said.add(Finding("engine", use.name, str(error)))
                return None
    return horizons


def compare_quantiles(work: Work, numbers: "Iterable[Any]") -> None:
    """Note by how much the quantiles differ."""
    stored = [work.case.row[name] for name in QUANTILES]
    work.said.difference = max(abs(float(now) - then) for now, then in zip(numbers, stored, strict=True))
    work.said.compared.append("quantiles")
    if work.said.difference > work.said.tolerance:
        again = ", ".join(f"{name} {float(n)!r}" for name, n in zip(QUANTILES, numbers, strict=True))
        work.said.add(Finding("forecast", work.case.forecast_id, f"made again it is {again}, stored is {stored}"))


def _correction(receipt: "Receipt") -> Calibration | None:
    return None if receipt.calibration is None else Calibration.from_dict(receipt.calibration)


def _compare_names(work: Work, uses: "Sequence[ModelUse]") -> None:
    row, blended = work.case.row, name_blend([Member(u.name, u.version, u.digest, u.weight) for u in uses])
    work.said.compared.append("models")
    if (row["model_name"], row["model_version"], row["model_digest"]) != blended[:3]:
        work.said.add(
            Finding("forecast row", work.case.forecast_id, "the models it names are not those of its receipt")
        )


def _by_known_time(works: Sequence[Work]) -> Iterable[tuple[datetime, list[Work]]]:
    groups: dict[datetime, list[Work]] = defaultdict(list)
    for work in works:
        if work.receipt.window_known_time is not None:
            groups[work.receipt.window_known_time].append(work)
    return groups.items()


def _blame(past: Past, spec: "TableSpec", work: Work, said: str) -> None:
    """Name the files that hold what a forecast was read from."""
    row = work.case.row
    is_mine = pl.lit(value=True)
    if "symbol" in spec.names:
        is_mine &= pl.col("symbol") == row["symbol"]
    if spec in (MODEL_WINDOWS, BARS):
        is_mine &= pl.col("event_time") == row["event_time"]
    if spec is FEATURES_TECHNICAL:
        is_mine &= pl.col("event_time").is_between(row["event_time"] - WINDOW_SPAN, row["event_time"])
    for file in past.suspects(spec, is_mine) or [f"{spec.name}@{past.tables[spec.name]}"]:
        work.said.add(Finding("parquet file", file, said))
