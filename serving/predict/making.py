"""The one path from model predictions to rows of the table `forecasts`.

The endpoint and the schedule come through `serving.predict.predictor`, the walk-forward and the scoring through
`serving.backfill.walk_forward`, the replay through `serving.replay`. Nothing else blends, calibrates or names the
columns of a forecast, so the same inputs give the same row to the last bit, for one window and for many.
"""

from typing import TYPE_CHECKING, Any, NamedTuple

from serving.forecasts import blend, calibrate

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from serving.forecasts import Calibration, Member


class ForecastContext(NamedTuple):
    """Inputs of a forecast: scalars, or one column each for many windows.

    Parameters
    ----------
    symbol, event_time
        Whose window, and the close of its last session.
    reference_price
        Price as traded that the returns start from; None where none is known.
    regime
        Regime of the market at that close.
    feature_hash
        Identity of the window.
    feature_table_versions
        Delta versions of the tables that were read, as JSON.
    strategy
        Name of the strategy in force; None where a model forecasts on its own.
    degraded
        Whether a fallback of the online store answered.
    price_basis, currency
        Of the price, or why there is none; see the table `forecasts`.
    """

    symbol: Any
    event_time: Any
    reference_price: Any
    regime: Any
    feature_hash: Any
    feature_table_versions: str
    strategy: str | None = None
    degraded: bool = False
    price_basis: Any = None
    currency: Any = None


class ForecastStamp(NamedTuple):
    """Identity and times of one forecast: scalars, or one column each for many windows.

    Parameters
    ----------
    forecast_id
        Its identity.
    kind
        How it came about; see the table `forecasts`.
    known_time
        Market time at which it was made.
    made_at
        Wall-clock time at which it was made.
    latency_ms
        Time to answer; None for a forecast that no request waited for.
    """

    forecast_id: Any
    kind: str
    known_time: Any
    made_at: Any
    latency_ms: float | None = None


def make_forecasts(
    predictions: "Mapping[str, NDArray[np.float32]]",
    weights: "Mapping[str, NDArray[np.float64] | float]",
    horizons: "Sequence[int]",
    calibrations: "Sequence[Calibration | None] | None" = None,
) -> "NDArray[np.float64]":
    """Blend the quantiles of models and correct the bands.

    Parameters
    ----------
    predictions
        By model, ``[window, horizon, quantile]``.
    weights
        By model, one number for all or ``[window, horizon]``; they sum to one for every window and horizon.
    horizons
        Sessions ahead, in the order of the second axis.
    calibrations
        One per window; by default no band is corrected.

    Returns
    -------
    NDArray[np.float64]
        ``[window, horizon, quantile]``. Each window has the bits that it would have alone.

    Raises
    ------
    ModelError
        If a weighted model has no prediction, or the weights are none; see `serving.forecasts.blending.blend`.

    Examples
    --------
    >>> import numpy as np
    >>> ridge = np.array([[[-0.02, 0.01, 0.04]]], np.float32)
    >>> naive = np.array([[[-0.04, 0.00, 0.04]]], np.float32)
    >>> make_forecasts({"naive": naive, "ridge": ridge}, {"naive": 0.5, "ridge": 0.5}, horizons=[1]).round(3)
    array([[[-0.03 ,  0.005,  0.04 ]]])
    """
    quantiles = blend(predictions, weights)
    return quantiles if calibrations is None else calibrate(quantiles, horizons, calibrations)


def forecast_row(
    context: ForecastContext,
    stamp: ForecastStamp,
    quantiles: "Sequence[Any]",
    model: "Member",
    horizon: int,
    target_session: Any = None,
) -> dict[str, Any]:
    """Return the row of the table `forecasts`, or its columns where context and stamp hold columns.

    Parameters
    ----------
    quantiles
        p10, p50 and p90, each a number or a column.
    model
        What answered: the only member of the forecast, or their blend; see `serving.forecasts.blending.name_blend`.
    horizon
        Sessions ahead.
    target_session
        Session in which the horizon ends, by the calendar; None where that is not known.

    Examples
    --------
    >>> from datetime import UTC, datetime
    >>> from serving.forecasts.blending import Member
    >>> close = datetime(2012, 12, 31, 21, tzinfo=UTC)
    >>> context = ForecastContext("AAPL", close, 76.02, "calm", "1f0c", '{"bars": 3}')
    >>> stamp, model = ForecastStamp("7b", "replay", close, close), Member("naive", "1", "ab", 1.0)
    >>> row = forecast_row(context, stamp, (-0.02, 0.0, 0.02), model, horizon=1)
    >>> row["p90"], row["model_name"], row["strategy"]
    (0.02, 'naive', None)
    """
    p10, p50, p90 = quantiles
    return {
        "forecast_id": stamp.forecast_id,
        "kind": stamp.kind,
        "symbol": context.symbol,
        "event_time": context.event_time,
        "known_time": stamp.known_time,
        "made_at": stamp.made_at,
        "horizon_sessions": horizon,
        "p10": p10,
        "p50": p50,
        "p90": p90,
        "reference_price": context.reference_price,
        "model_name": model.name,
        "model_version": model.version,
        "model_digest": model.digest,
        "strategy": context.strategy,
        "regime": context.regime,
        "feature_table_versions": context.feature_table_versions,
        "feature_hash": context.feature_hash,
        "latency_ms": stamp.latency_ms,
        "degraded": context.degraded,
        "price_basis": context.price_basis,
        "currency": context.currency,
        "target_session": target_session,
    }
