"""One request, from symbols to logged answers: read online, compute, blend, log. Knows nothing of HTTP."""

import json
import time
import uuid
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from feature_repo.windows import to_model_input
from lake import calendars
from lake.clock import ReplayClock, SystemClock
from lake.errors import ModelError, NotReadyError, UnknownNameError
from lake.universe import SYMBOLS
from serving import api
from serving.blend import Member, blend, direction_of, name_blend, sign_probability
from serving.champions import Champions
from serving.forecast_log import ForecastLog
from serving.strategies import strategy_named

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from concurrent.futures import Future
    from datetime import datetime
    from typing import Protocol

    from numpy.typing import NDArray

    from feature_repo.online import OnlineBatch
    from feature_repo.windows import FloatArray
    from lake.clock import Clock
    from lake.settings import Settings
    from serving.champions import LoadedModels

    class OnlineSource(Protocol):
        """Where the latest windows and strategy weights come from."""

        def symbols(self) -> Sequence[str]:
            """Symbols that have a model input."""
            ...

        def read(self, symbols: Sequence[str]) -> OnlineBatch:
            """Read the latest values of these symbols at once."""
            ...

        def close(self) -> None:
            """End its threads and connections."""
            ...


LOG_SECONDS = 10.0


@dataclass(frozen=True)
class Row:
    """What one symbol's forecast is made from; see `feature_repo.online.OnlineBatch` for the fields."""

    symbol: str
    as_of: "datetime"
    window: "FloatArray"
    reference_price: float
    feature_hash: str
    table_versions: dict[str, int]
    regime: str
    selected_strategy: str
    strategies: list[str]
    weights: list[float]
    confidence: float
    degraded: str = ""


@dataclass(frozen=True)
class Answers:
    """Answers as JSON, the symbols that could not be answered with the reason, and whether it is all on disk."""

    answers: list[str]
    unavailable: list[tuple[str, str]]
    logged: "Future[None]"


class Predictor:
    """Forecasts for symbols, each in the forecast log before it is returned.

    Parameters
    ----------
    online
        Reader of the online store.
    champions
        Models in service.
    log
        Forecast log.
    clock
        Market clock, against which the age of the features is counted.
    """

    def __init__(self, online: "OnlineSource", champions: Champions, log: ForecastLog, clock: "Clock") -> None:
        self.online, self.champions, self.log, self.clock = online, champions, log, clock

    @classmethod
    def open(cls, configured: "Settings") -> "Predictor":
        """Open everything the settings name. What is missing is reported by the first request that needs it."""
        from feature_repo.online import OnlineReader

        return cls(
            OnlineReader.open(configured),
            Champions(configured),
            ForecastLog.open(configured),
            ReplayClock(configured.home / "clock.json"),
        )

    def close(self) -> None:
        """Write what is queued, let go of the log, and end what the reader of the online store runs."""
        try:
            self.log.close()
        finally:
            self.online.close()

    def predict(self, symbols: "Sequence[str]", horizon: int) -> Answers:
        """Forecast symbols over one horizon and wait until the answers are on disk; see `compute` for the errors."""
        answers = self.compute(symbols, horizon)
        answers.logged.result(LOG_SECONDS)
        return answers

    def compute(self, symbols: "Sequence[str]", horizon: int) -> Answers:
        """Forecast symbols over one horizon, with one online read and one engine call per model.

        The answers may be sent once `Answers.logged` is done.

        Raises
        ------
        UnknownNameError
            For a symbol or a horizon that does not exist, with the nearest names.
        NotReadyError
            If none of the symbols can be forecast yet.
        ModelError
            If no model is in service, a weighted model is missing, or an engine refuses.
        OnlineStoreError
            If the online store does not answer.
        """
        started = time.perf_counter()
        models = self.champions.current()
        if horizon not in models.horizons:
            raise UnknownNameError("horizon", str(horizon), [str(known) for known in models.horizons])
        rows, unavailable = self._read(symbols)
        quantiles, members = forecast(rows, models)
        made_at, now = SystemClock().now(), self.clock.now()
        composed = [
            compose(row, numbers, parts, horizon=horizon, made_at=made_at, now=now)
            for row, numbers, parts in zip(rows, quantiles[:, models.horizons.index(horizon)], members, strict=True)
        ]
        latency_ms = (time.perf_counter() - started) * 1e3
        entries = [log_row(answer, now) | {"latency_ms": latency_ms} for answer in composed]
        texts = [answer.model_dump_json() for answer in composed]
        return Answers(texts, unavailable, self.log.record(entries, texts))

    def require_ready(self) -> None:
        """Raise what would stop a forecast: no model, no online store, no features."""
        self.champions.current()
        symbols = self.online.symbols()
        if not symbols:
            raise NotReadyError("The online store holds no symbol yet. Materialise the features with `make demo`.")
        self._read(symbols[:1])

    def symbols(self) -> dict[str, bool]:
        """Every symbol that can be asked for, and whether it has a model input now."""
        ready = set(self.online.symbols())
        return {symbol: symbol in ready for symbol in sorted(ready | set(SYMBOLS))}

    def _read(self, symbols: "Sequence[str]") -> "tuple[list[Row], list[tuple[str, str]]]":
        batch = self.online.read(symbols)
        if batch.missing:
            require_known(batch.missing, list(self.symbols()))
        rows, unavailable = split_ready(batch)
        if not rows:
            raise NotReadyError(unavailable[0][1])
        return rows, unavailable


def require_known(symbols: "Sequence[str]", known: "Sequence[str]") -> None:
    """Refuse the first symbol that is none of ours."""
    names = set(known)
    for symbol in symbols:
        if symbol not in names:
            raise UnknownNameError("symbol", symbol, known)


def split_ready(batch: "OnlineBatch") -> tuple[list[Row], list[tuple[str, str]]]:
    """Part the symbols that can be forecast from those that cannot, with the reason for each of these."""
    rows: list[Row] = []
    unavailable = [
        (symbol, f"{symbol} has no model input yet: it needs 30 sessions of features.") for symbol in batch.missing
    ]
    for i, symbol in enumerate(batch.symbols):
        selected, confidence = batch.selected_strategy[i], batch.confidence[i]
        if selected is None or confidence is None or not batch.strategies[i]:
            unavailable.append((symbol, f"No strategy has been selected for {symbol} yet."))
        elif batch.regime is None:
            unavailable.append((symbol, f"The market's regime is not known yet, so {symbol} has no forecast."))
        elif batch.expired[i]:
            old = ", ".join(batch.expired[i])
            unavailable.append((symbol, f"{symbol} has no current values: {old} expired, last of {batch.as_of[i]}."))
        else:
            rows.append(
                Row(
                    symbol=symbol,
                    as_of=batch.as_of[i],
                    window=batch.window[i],
                    reference_price=batch.reference_price[i],
                    feature_hash=batch.feature_hash[i],
                    table_versions=batch.table_versions[i],
                    regime=batch.regime,
                    selected_strategy=selected,
                    strategies=batch.strategies[i],
                    weights=batch.weights[i],
                    confidence=confidence,
                    degraded=batch.served.reason,
                )
            )
    return rows, unavailable


def forecast(rows: "Sequence[Row]", models: "LoadedModels") -> "tuple[NDArray[np.float64], list[list[Member]]]":
    """Blend the forecasts of the models that the rows' strategies stand for.

    Returns
    -------
    tuple
        Quantiles ``[row, horizon, quantile]`` and, per row, the models that took part.
    """
    x = to_model_input(np.stack([row.window for row in rows]))
    per_row = [model_weights(row.strategies, row.weights) for row in rows]
    names = sorted({name for weights in per_row for name in weights})
    missing = [name for name in names if name not in models.engines]
    if missing:
        raise ModelError(
            f"The selected strategies use {', '.join(missing)}, which is not in service; in service are "
            f"{', '.join(models.engines)}. Promote it, or let the selection run again."
        )
    weights = {name: np.array([row.get(name, 0.0) for row in per_row]) for name in names}
    quantiles = blend({name: models.engines[name].predict(x) for name in names}, weights)
    bundles = models.bundles
    members = [
        [Member(n, bundles[n].version, bundles[n].digest, weight) for n, weight in row.items()] for row in per_row
    ]
    return quantiles, members


def model_weights(strategies: "Sequence[str]", weights: "Sequence[float]") -> dict[str, float]:
    """Weight of each model: the sum over the strategies that read it, those with no weight left out."""
    total: dict[str, float] = {}
    for name, weight in zip(strategies, weights, strict=True):
        if weight > 0:
            model = strategy_named(name).model
            total[model] = total.get(model, 0.0) + weight
    return dict(sorted(total.items()))


def compose(
    row: "Row",
    quantiles: "NDArray[np.float64]",
    parts: "Sequence[Member]",
    *,
    horizon: int,
    made_at: "datetime",
    now: "datetime",
) -> api.PredictAnswer:
    """Build one answer."""
    p10, p50, p90 = (float(value) for value in quantiles)
    model, age = name_blend(parts), age_sessions(row.as_of, now)
    return api.PredictAnswer(
        prediction_id=str(uuid.uuid4()),
        symbol=row.symbol,
        as_of=row.as_of,
        made_at=made_at,
        prediction=api.Prediction(
            target_price=row.reference_price * (1.0 + p50),
            reference_price=row.reference_price,
            expected_return=p50,
            p10=p10,
            p50=p50,
            p90=p90,
            direction=direction_of(p50),
            confidence=sign_probability(p10, p50, p90),
            horizon_sessions=horizon,
            regime=row.regime,
        ),
        strategy=api.Strategy(
            selected_strategy=row.selected_strategy,
            parameter_weights=dict(zip(row.strategies, row.weights, strict=True)),
            heuristic_confidence=row.confidence,
        ),
        model=api.Model(
            name=model.name,
            version=model.version,
            digest=model.digest,
            members=[api.ModelPart(**part._asdict()) for part in parts],
        ),
        data=api.Data(
            feature_table_versions=dict(row.table_versions),
            feature_hash=row.feature_hash,
            age_sessions=age,
            is_stale=age > 0,
            is_degraded=bool(row.degraded),
            degraded_because=row.degraded,
        ),
    )


def log_row(answer: api.PredictAnswer, now: "datetime") -> dict[str, Any]:
    """One row of the table `forecasts`, but for its latency."""
    said = answer.prediction
    return {
        "forecast_id": answer.prediction_id,
        "kind": "served",
        "symbol": answer.symbol,
        "event_time": answer.as_of,
        "known_time": now,
        "made_at": answer.made_at,
        "horizon_sessions": said.horizon_sessions,
        "p10": said.p10,
        "p50": said.p50,
        "p90": said.p90,
        "reference_price": said.reference_price,
        "model_name": answer.model.name,
        "model_version": answer.model.version,
        "model_digest": answer.model.digest,
        "strategy": answer.strategy.selected_strategy,
        "regime": said.regime,
        "feature_table_versions": versions_text(answer.data.feature_table_versions),
        "feature_hash": answer.data.feature_hash,
        "degraded": answer.data.is_degraded,
    }


def versions_text(versions: "Mapping[str, int]") -> str:
    """Table versions as the table `forecasts` keeps them."""
    return json.dumps(dict(versions), sort_keys=True)


@lru_cache(maxsize=4_096)
def age_sessions(as_of: "datetime", now: "datetime") -> int:
    """How many sessions have closed after `as_of`, up to and with `now`."""
    return len(calendars.session_closes(as_of, now))
