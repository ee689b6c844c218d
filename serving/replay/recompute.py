"""Replay of served forecasts: computed again from the tables as of then and the recorded models."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from feature_repo.catalog import FEATURES_TECHNICAL
from feature_repo.online import BlendWeights, OnlineCalibration
from feature_repo.targets import FORECAST_V2, WINDOW_SPECS, WindowSpec, to_model_input, window_hash
from lake.calendars import VENUE, session_after
from lake.errors import EngineError
from lake.tables import BARS, BLEND_WEIGHTS, CALIBRATIONS, MODEL_WINDOWS, REGIMES, STRATEGY_ASSIGNMENTS
from serving.forecasts import PRICED, QUANTILES, Calibration, Member, name_blend, weights_without
from serving.predict import ForecastContext, ForecastStamp, forecast_row, make_forecasts
from serving.receipts import ReplayFinding
from serving.replay.as_of_tables import AsOfTables, UnreadableTablesError, window_spec_of
from serving.replay.findings import Replayed
from serving.strategies import strategy_named

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from lake.spec import TableSpec
    from lake.store import Lake
    from serving.receipts import ModelUse, Receipt, StrategyInForce
    from serving.replay.cases import Case
    from serving.replay.engine_cache import EngineCache

WEIGHT_DIFFERENCE = 1e-12
QUOTED = ("reference_price", "price_basis", "currency")
WINDOW_SPAN = timedelta(days=2 * FORECAST_V2.sessions)
"""Days that hold the sessions of a window, weekends and holidays included."""


@dataclass
class ReplayJob:
    """One stored forecast that is made again, and the result so far."""

    case: "Case"
    receipt: "Receipt"
    result: Replayed
    window: "NDArray[np.float32] | None" = None
    spec: WindowSpec = FORECAST_V2
    calendar: str = VENUE

    @property
    def members(self) -> list[Member]:
        """Models that took part, by the receipt."""
        return [Member(use.name, use.version, use.digest, use.weight) for use in self.receipt.models]


def recompute(lake: "Lake", engines: "EngineCache", jobs: Sequence[ReplayJob]) -> None:
    """Recompute served forecasts, and add a finding for each difference."""
    for tables, group in _grouped(jobs):
        as_of = _as_of_tables(lake, dict(tables), group)
        for step in (
            _take_windows,
            _compare_features,
            _compare_prices,
            _compare_decisions,
            _compare_blends,
            _compare_calibrations,
        ):
            try:
                step(as_of, group)
            except UnreadableTablesError as error:
                for job in group:
                    for finding in error.findings:
                        job.result.add(finding)
    for spec in WINDOW_SPECS.values():
        _forecast([job for job in jobs if job.window is not None and job.spec is spec], engines)


def _grouped(jobs: Sequence[ReplayJob]) -> Iterable[tuple[tuple[tuple[str, int], ...], list[ReplayJob]]]:
    groups: dict[tuple[tuple[str, int], ...], list[ReplayJob]] = defaultdict(list)
    for job in jobs:
        groups[tuple(sorted(job.receipt.tables.items()))].append(job)
    return groups.items()


def _as_of_tables(lake: "Lake", tables: Mapping[str, int], jobs: Sequence[ReplayJob]) -> AsOfTables:
    sessions = [job.case.row["event_time"] for job in jobs]
    symbols = sorted({job.case.row["symbol"] for job in jobs})
    return AsOfTables(lake, tables, symbols, min(sessions), max(sessions))


def _take_windows(as_of: AsOfTables, jobs: Sequence[ReplayJob]) -> None:
    """Read the model input of each forecast, and compare it with its own hash and the one of the answer."""
    names = ("symbol", "event_time", "known_time", "signature", "window", "feature_hash", *QUOTED)
    stored: dict[tuple[Any, ...], dict[str, tuple[Any, ...]]] = defaultdict(dict)
    for symbol, at, known, signature, *values in as_of.windows.select(names).iter_rows():
        stored[symbol, at, known][signature] = tuple(values)
    for job in jobs:
        row = job.case.row
        by_spec = stored.get((row["symbol"], row["event_time"], job.receipt.window_known_time), {})
        spec = window_spec_of(row["feature_hash"], {name: found[1] for name, found in by_spec.items()})
        if spec is None:
            problem = f"version {as_of.tables[MODEL_WINDOWS.name]} holds no window of {row['symbol']} known then"
            _blame(as_of, MODEL_WINDOWS, job, problem)
            continue
        found, job.spec = by_spec[spec.name], spec
        window = np.array(found[0], np.float32).reshape(spec.shape)
        job.result.compared += ["model input", "reference price"]
        if window_hash(window) != row["feature_hash"] or found[1] != row["feature_hash"]:
            _blame(as_of, MODEL_WINDOWS, job, "the window in it is not the one that was forecast from")
        for name, held in zip(QUOTED, found[2:], strict=True):
            if held != row[name] and (name != "reference_price" or not has_no_price(row)):
                problem = f"the {name.replace('_', ' ')} in it is {held}, not {row[name]}"
                _blame(as_of, MODEL_WINDOWS, job, problem)
        job.window = window


def _compare_features(as_of: AsOfTables, jobs: Sequence[ReplayJob]) -> None:
    """Cut the windows again from the features, and compare hashes."""
    for spec in WINDOW_SPECS.values():
        _compare_windows(as_of, spec, [job for job in jobs if job.spec is spec])


def _compare_windows(as_of: AsOfTables, spec: WindowSpec, jobs: Sequence[ReplayJob]) -> None:
    for known, group in _by_known_time(jobs):
        cut = as_of.windows_known(known, sorted({job.case.row["event_time"] for job in group}), spec)
        keys = {key: place for place, key in enumerate(cut.keys.select("symbol", "event_time").iter_rows())}
        for job in group:
            row = job.case.row
            place = keys.get((row["symbol"], row["event_time"]))
            job.result.compared.append("features")
            if place is None or window_hash(cut.values[place]) != row["feature_hash"]:
                _blame(as_of, FEATURES_TECHNICAL, job, "the features in it are not those of the window")


def _compare_prices(as_of: AsOfTables, jobs: Sequence[ReplayJob]) -> None:
    for known, group in _by_known_time(jobs):
        prices = as_of.prices_known(known)
        for job in group:
            row = job.case.row
            job.result.compared.append("bar")
            problem = wrong_price(prices.get((row["symbol"], row["event_time"]), {}), row)
            if problem:
                _blame(as_of, BARS, job, problem)


def has_no_price(row: Mapping[str, Any]) -> bool:
    """Whether a forecast tells no price because its window was stored before the basis of prices was kept."""
    return row["price_basis"] is None and row["reference_price"] is None


def wrong_price(found: Mapping[str, Any], row: Mapping[str, Any]) -> str:
    """Return what is wrong with the price of a forecast, by the bar that was found; empty where nothing is.

    A forecast of before `price_basis` was kept has the price that was taken then.
    """
    if has_no_price(row):
        return ""
    is_disclosed = row["price_basis"] is not None
    price = found.get("reference_price" if is_disclosed else "undisclosed_price")
    if price != row["reference_price"]:
        return f"the close in it is {price}, not {row['reference_price']}"
    if is_disclosed and found.get("price_basis") != row["price_basis"]:
        return f"the price basis in it is {found.get('price_basis')}, not {row['price_basis']}"
    return ""


def _compare_decisions(as_of: AsOfTables, jobs: Sequence[ReplayJob]) -> None:
    """Compare regime and strategy with what the online store was filled with."""
    groups: dict[datetime, list[ReplayJob]] = defaultdict(list)
    for job in jobs:
        if job.receipt.online is None or job.receipt.online.until is None:
            job.result.unknown.append("as of when the online store was filled")
        else:
            groups[job.receipt.online.until].append(job)
    for until, group in groups.items():
        strategies, regime = as_of.strategies(until), as_of.regime(until)
        for job in group:
            job.result.compared += ["strategy", "regime"]
            if regime != job.case.row["regime"]:
                _blame(as_of, REGIMES, job, f"the regime in it is {regime}, not {job.case.row['regime']}")
            _compare_strategy(as_of, job, strategies.get(job.case.row["symbol"]))


def _compare_strategy(as_of: AsOfTables, job: ReplayJob, stored: Mapping[str, Any] | None) -> None:
    written = job.receipt.strategy
    if written is None:
        return
    values = (written.selected, list(written.strategies), list(written.weights), written.confidence)
    names = ("selected_strategy", "strategies", "weights", "confidence")
    if stored is None or tuple(stored[name] for name in names) != values:
        _blame(as_of, STRATEGY_ASSIGNMENTS, job, "the strategy weights in it are not those that were in force")


def _compare_blends(as_of: AsOfTables, jobs: Sequence[ReplayJob]) -> None:
    """Compare the weights of models that were applied with those learned by then, and each model's part with them."""
    weighted = [job for job in jobs if job.receipt.blend is not None]
    learned = {row["event_time"]: row for row in as_of.blend_weights.iter_rows(named=True)} if weighted else {}
    for job in jobs:
        receipt, origin = job.receipt, "strategy"
        if receipt.blend is not None:
            applied, origin = BlendWeights.from_dict(receipt.blend), "weights of models in force"
            stored = learned.get(applied.as_of)
            job.result.compared.append("weights of models")
            if stored is None or BlendWeights.of(stored) != applied:
                _blame(as_of, BLEND_WEIGHTS, job, "the weights of models in it are not those that were applied")
            expected = weights_without(applied.of_horizon(job.case.row["horizon_sessions"]), receipt.untrained)
        elif receipt.strategy is not None:
            expected = _weights_by_strategy(receipt.strategy)
        else:
            continue
        weights = {use.name: use.weight for use in receipt.models}
        if expected.keys() != weights.keys() or any(
            abs(w - weights[n]) > WEIGHT_DIFFERENCE for n, w in expected.items()
        ):
            problem = f"the models' weights do not follow from the {origin}"
            job.result.add(ReplayFinding("receipt", job.case.forecast_id, problem))


def _weights_by_strategy(strategy: "StrategyInForce") -> dict[str, float]:
    """Weight of each model in receipts without weights of models: the sum over the strategies that read it."""
    total: dict[str, float] = {}
    for name, weight in zip(strategy.strategies, strategy.weights, strict=True):
        if weight > 0:
            model = strategy_named(name).model
            total[model] = total.get(model, 0.0) + weight
    return total


def _compare_calibrations(as_of: AsOfTables, jobs: Sequence[ReplayJob]) -> None:
    """Compare the correction that was applied with the one that was learned by then."""
    corrected = [job for job in jobs if job.receipt.calibration is not None]
    learned = {row["event_time"]: row for row in as_of.calibrations.iter_rows(named=True)} if corrected else {}
    for job in corrected:
        applied = Calibration.from_dict(job.receipt.calibration or {})
        stored = learned.get(applied.as_of)
        job.result.compared.append("calibration")
        if stored is None or Calibration.of(OnlineCalibration.of(stored), applied.regime) != applied:
            _blame(as_of, CALIBRATIONS, job, "the calibration in it is not the one that was applied")


def _forecast(jobs: Sequence[ReplayJob], engines: "EngineCache") -> None:
    """Compute every model on every window once, then make and compare each forecast."""
    if not jobs:
        return
    windows = {job.case.row["feature_hash"]: job.window for job in jobs}
    places = {name: place for place, name in enumerate(windows)}
    x = to_model_input(np.stack([window for window in windows.values() if window is not None]))
    groups: dict[tuple[tuple[ModelUse, ...], int], list[ReplayJob]] = defaultdict(list)
    for job in jobs:
        groups[job.receipt.models, job.case.row["horizon_sessions"]].append(job)
    computed: dict[str, NDArray[np.float32]] = {}
    for (uses, horizon), group in groups.items():
        if (horizon_places := _compute(uses, horizon, group, engines, x, computed)) is None:
            continue
        at = [places[job.case.row["feature_hash"]] for job in group]
        quantiles = make_forecasts(
            {use.name: computed[use.digest][at][:, [place]] for use, place in zip(uses, horizon_places, strict=True)},
            {use.name: use.weight for use in uses},
            [horizon],
            [_correction(job.receipt) for job in group],
        )
        for job, numbers in zip(group, quantiles[:, 0], strict=True):
            row = remade_row(job, numbers)
            compare_quantiles(job, row)
            _compare_names(job, row)
            compare_target(job, row)


def remade_row(job: ReplayJob, quantiles: "Iterable[Any]") -> dict[str, Any]:
    """Return the row of `forecasts` that follows from receipt and quantiles; the stored row says the rest.

    Window, price, regime and strategy in it were compared with the tables before.
    """
    stored, receipt = job.case.row, job.receipt
    context = ForecastContext(
        symbol=stored["symbol"],
        event_time=stored["event_time"],
        reference_price=stored["reference_price"],
        regime=stored["regime"],
        feature_hash=stored["feature_hash"],
        feature_table_versions=stored["feature_table_versions"],
        strategy=None if receipt.strategy is None else receipt.strategy.selected,
        degraded=stored["degraded"],
        price_basis=stored["price_basis"],
        currency=stored["currency"],
    )
    own = (stored[name] for name in ("forecast_id", "kind", "known_time", "made_at", "latency_ms"))
    numbers = [float(value) for value in quantiles]
    horizon = stored["horizon_sessions"]
    target = session_after(stored["event_time"], horizon, job.calendar)
    return forecast_row(context, ForecastStamp(*own), numbers, name_blend(job.members), horizon, target)


def _compute(
    uses: "Sequence[ModelUse]",
    horizon: int,
    jobs: Sequence[ReplayJob],
    engines: "EngineCache",
    x: "NDArray[np.float32]",
    computed: "dict[str, NDArray[np.float32]]",
) -> list[int] | None:
    """Forecast all windows with each model; return each one's place of the horizon, None where a model fails."""
    places = []
    for use in uses:
        found = _compute_one(use, horizon, engines, x, computed)
        if isinstance(found, ReplayFinding):
            for job in jobs:
                job.result.add(found)
            return None
        places.append(found)
    return places


def _compute_one(
    use: "ModelUse",
    horizon: int,
    engines: "EngineCache",
    x: "NDArray[np.float32]",
    computed: "dict[str, NDArray[np.float32]]",
) -> int | ReplayFinding:
    """Forecast all windows with a model, once; return its place of the horizon, or why it does not forecast."""
    engine = engines.take(use)
    if isinstance(engine, ReplayFinding):
        return engine
    try:
        place = _place_of(horizon, use.name, engine.signature.horizons)
        if use.digest not in computed:
            computed[use.digest] = engine.predict(x)
    except EngineError as error:
        return ReplayFinding("engine", use.name, str(error))
    return place


def _place_of(horizon: int, model: str, trained: tuple[int, ...]) -> int:
    if horizon not in trained:
        raise EngineError(f"'{model}' was trained for horizons of {trained} bars, and the forecast is over {horizon}.")
    return trained.index(horizon)


def compare_quantiles(job: ReplayJob, remade: Mapping[str, Any]) -> None:
    """Note by how much the quantiles of a row that was made again differ from the stored ones."""
    stored, result = [job.case.row[name] for name in QUANTILES], job.result
    result.difference = max(abs(remade[name] - then) for name, then in zip(QUANTILES, stored, strict=True))
    result.compared.append("quantiles")
    if result.difference > result.tolerance:
        again = ", ".join(f"{name} {remade[name]!r}" for name in QUANTILES)
        text = f"made again it is {again}, stored is {stored}"
        result.add(ReplayFinding("forecast", job.case.forecast_id, text))


def _correction(receipt: "Receipt") -> Calibration | None:
    return None if receipt.calibration is None else Calibration.from_dict(receipt.calibration)


def _compare_names(job: ReplayJob, remade: Mapping[str, Any]) -> None:
    job.result.compared.append("models")
    if any(job.case.row[name] != remade[name] for name in ("model_name", "model_version", "model_digest")):
        text = "the models it names are not those of its receipt"
        job.result.add(ReplayFinding("forecast row", job.case.forecast_id, text))


def compare_target(job: ReplayJob, remade: Mapping[str, Any]) -> None:
    """Add a finding where the session in which the horizon ends is not the calendar's."""
    stored = job.case.row["target_session"]
    if all(job.case.row[name] is None for name in PRICED):
        return
    job.result.compared.append("target session")
    if stored != remade["target_session"]:
        text = f"its horizon ends in the session of {remade['target_session']} by the calendar, not of {stored}"
        job.result.add(ReplayFinding("forecast row", job.case.forecast_id, text))


def _by_known_time(jobs: Sequence[ReplayJob]) -> Iterable[tuple[datetime, list[ReplayJob]]]:
    groups: dict[datetime, list[ReplayJob]] = defaultdict(list)
    for job in jobs:
        if job.receipt.window_known_time is not None:
            groups[job.receipt.window_known_time].append(job)
    return groups.items()


def _blame(as_of: AsOfTables, spec: "TableSpec", job: ReplayJob, problem: str) -> None:
    """Add a finding for each file that holds what a forecast was read from."""
    row = job.case.row
    is_read = pl.lit(value=True)
    if "symbol" in spec.names:
        is_read &= pl.col("symbol") == row["symbol"]
    if spec in (MODEL_WINDOWS, BARS):
        is_read &= pl.col("event_time") == row["event_time"]
    if spec is FEATURES_TECHNICAL:
        is_read &= pl.col("event_time").is_between(row["event_time"] - WINDOW_SPAN, row["event_time"])
    for file in as_of.suspects(spec, is_read) or [f"{spec.name}@{as_of.tables[spec.name]}"]:
        job.result.add(ReplayFinding("parquet file", file, problem))
