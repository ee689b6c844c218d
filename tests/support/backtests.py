"""For tests of back-tests: a market of noise with replayed forecasts of a chosen skill, and files to run on it."""

from datetime import datetime
from typing import Any

import numpy as np
import polars as pl

from lake.clock import DEMO_START
from lake.sources import tiny_market
from lake.store import Lake
from lake.tables import BARS, FORECASTS
from lake.universe import MARKET
from serving.backtest import StrategyFile, parse_strategy

SYMBOLS = ("AAA", "BBB", "CCC", "DDD")
SESSIONS = 140
NO_COSTS = {
    "fee_bps": 0, "half_spread_bps": 0, "slippage_bps": 0, "impact_coefficient": 0, "most_of_volume": None,
    "borrow_bps_a_year": 0, "margin_bps_a_year": 0,
}  # fmt: skip


def made_bars(sessions: int = SESSIONS, seed: int = 3) -> pl.DataFrame:
    """Return bars of the symbols and of the index."""
    return tiny_market([*SYMBOLS, MARKET], sessions=sessions, seed=seed)


def replayed(bars: pl.DataFrame, ahead: int, model: str = "ridge", noise: float = 0.0, seed: int = 1) -> pl.DataFrame:
    """Return replayed one-session forecasts whose medians are the return of a session some sessions ahead, and noise.

    Parameters
    ----------
    ahead
        1 knows the return from the close of the forecast to the next, which nobody can trade who decides at that close;
        2 that of the session after it. 0 knows nothing.
    """
    own = bars.filter(pl.col("symbol") != MARKET).sort("symbol", "event_time")
    change = pl.col("close") / pl.col("close").shift(1).over("symbol") - 1
    median = change.shift(-ahead).over("symbol").fill_null(0.0) if ahead else pl.lit(0.0)
    rng = np.random.default_rng(seed)
    rows = own.with_columns(median.alias("p50")).with_columns(
        (pl.col("p50") + pl.Series(noise * rng.standard_normal(own.height))).alias("p50")
    )
    filled: dict[str, Any] = {
        "kind": "replay", "known_time": pl.col("event_time"), "made_at": pl.col("event_time"),
        "horizon_sessions": pl.lit(1, pl.Int32()), "p10": pl.col("p50") - 0.02, "p90": pl.col("p50") + 0.02,
        "reference_price": pl.col("close"), "model_name": pl.lit(model), "model_version": pl.lit("1"),
        "model_digest": pl.lit("0" * 64), "regime": pl.lit("low_volatility_uptrend"),
        "feature_table_versions": pl.lit("{}"), "feature_hash": pl.lit(""), "degraded": pl.lit(value=False),
        "price_basis": pl.lit("as_traded"), "currency": pl.lit("USD"),
        "forecast_id": pl.concat_str(
            pl.lit(model), pl.col("symbol"), pl.col("event_time").dt.to_string("%Y%m%d"), separator="-"
        ),
    }  # fmt: skip
    columns = {name: pl.lit(value) if isinstance(value, str) else value for name, value in filled.items()}
    absent = {name: pl.lit(None, dtype) for name, dtype in FORECASTS.schema.items() if name not in rows.columns}
    full = rows.with_columns(**columns)
    return full.with_columns(**{n: e for n, e in absent.items() if n not in full.columns}).select(
        pl.col(name).cast(dtype) for name, dtype in FORECASTS.schema.items()
    )


def made_market(lake: Lake, ahead: int = 2, noise: float = 0.01, sessions: int = SESSIONS) -> Lake:
    """Fill a lake with bars, and forecasts of naive and of ridge with a skill; return it."""
    bars = made_bars(sessions)
    lake.merge(BARS, bars)
    lake.merge(FORECASTS, pl.concat([replayed(bars, ahead, noise=noise), replayed(bars, 0, "naive")]))
    return lake


def small_file(**values: Any) -> StrategyFile:
    """Return a strategy file on few twins and sizes."""
    chosen: dict[str, Any] = {"shuffles": 2, "capacity": [1e5, 1e9], "name": "tested", **values}
    chosen = {name: value for name, value in chosen.items() if value is not None}
    if not {"pool", "members", "weights", "equal_weight"} & set(chosen):
        chosen["pool"] = "ridge"
    return parse_strategy(chosen)


def closes_of(lake: Lake) -> list[datetime]:
    """Return the closes of the market."""
    closes: list[datetime] = lake.read(BARS)["event_time"].unique().sort().to_list()
    assert closes[-1] <= DEMO_START
    return closes
