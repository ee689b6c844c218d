"""Every feature as a value. The table, the Feast schema, the docs and the leak checks derive from this list.

`P` is the adjusted close, `V` the volume adjusted for splits, `r` the return over one bar; every formula looks back
from the bar `t` of one symbol and uses nothing later. Scale-dependent features have a scale-free twin, because an
adjusted price already knows later splits and dividends: models see only what is scale-free.
"""

import polars as pl

from feature_repo.compute.market import MARKET_SESSIONS, market_beta
from feature_repo.compute.momentum import bollinger_position, is_above, macd, macd_signal, relative_strength_index
from feature_repo.compute.returns import simple_return
from feature_repo.compute.volatility import annualised_volatility, average_true_range
from feature_repo.compute.volume import dollar_volume, log_dollar_volume, volume_ratio
from feature_repo.spec import Feature
from lake.errors import UnknownNameError
from lake.spec import TableSpec
from lake.tables import EVENT_TIME, KNOWN_TIME, LABELS, RECOMPUTED, SYMBOL, TABLES

NO_VOLUME = "where the source has no volume"
NO_RANGE = "where the source has no high and low"
NO_MARKET = "where the index has no bar at the same close"
FORGETS = 420
"""Bars after which a Wilder mean of 14 or an exponential mean of 26 has forgotten its seed to a relative 1e-9."""


def _return(sessions: int) -> Feature:
    return Feature(
        name=f"return_{sessions}d",
        expression=simple_return(sessions),
        inputs=("close",),
        lookback=sessions + 1,
        unit="fraction",
        formula=f"P_t / P_{{t-{sessions}}} - 1",
        meaning=f"return over {sessions} bars",
        minimum=-1,
    )


def _volatility(sessions: int) -> Feature:
    return Feature(
        name=f"volatility_{sessions}d",
        expression=annualised_volatility(sessions),
        inputs=("close",),
        lookback=sessions + 1,
        unit="per year",
        formula=f"sample standard deviation of the last {sessions} r x sqrt(252)",
        meaning=f"volatility over {sessions} bars",
        minimum=0,
    )


def _volume_ratio(sessions: int) -> Feature:
    return Feature(
        name=f"volume_ratio_{sessions}d",
        expression=volume_ratio(sessions),
        inputs=("volume",),
        lookback=sessions,
        unit="ratio",
        formula=f"V_t / mean(V over the last {sessions} bars, t included)",
        meaning="volume against its own recent mean",
        null_rule=f"{NO_VOLUME}, or all volumes are zero",
        minimum=0,
    )


TECHNICAL: tuple[Feature, ...] = (
    *(_return(sessions) for sessions in (1, 5, 20, 60, 120, 252)),
    *(_volatility(sessions) for sessions in (5, 20, 60)),
    *(_volume_ratio(sessions) for sessions in (5, 20)),
    Feature(
        name="dollar_volume",
        expression=dollar_volume(),
        inputs=("close_unadjusted", "volume_unadjusted"),
        lookback=1,
        unit="currency",
        formula="close x volume, the unadjusted pair",
        meaning="money traded",
        null_rule=NO_VOLUME,
        minimum=0,
        is_scale_free=False,
    ),
    Feature(
        name="log_dollar_volume",
        expression=log_dollar_volume(),
        inputs=("close_unadjusted", "volume_unadjusted"),
        lookback=1,
        unit="log currency",
        formula="ln(close x volume), the unadjusted pair",
        meaning="money traded, as its logarithm",
        null_rule=f"{NO_VOLUME}, or nothing was traded",
    ),
    Feature(
        name="market_beta",
        expression=market_beta(252),
        inputs=("close", "market_close"),
        lookback=253,
        unit="ratio",
        formula="cov(r, r_market) / var(r_market) over the last 252 r, sample moments",
        meaning="how strongly the symbol moves with the market",
        null_rule=f"{NO_MARKET}, within the last 253 bars",
    ),
    Feature(
        name="market_return",
        expression=pl.col("market_return"),
        inputs=("market_return",),
        lookback=1,
        unit="fraction",
        formula="M_t / M_{t-1} - 1, M the close of the S&P 500",
        meaning="return of the market over one session",
        null_rule=f"{NO_MARKET}, and on its first bar",
        minimum=-1,
    ),
    Feature(
        name="market_volatility",
        expression=pl.col("market_volatility"),
        inputs=("market_volatility",),
        lookback=1,
        unit="per year",
        formula=f"sample standard deviation of the last {MARKET_SESSIONS} r_market x sqrt(252)",
        meaning="volatility of the market over 20 sessions",
        null_rule=f"{NO_MARKET}, and on its first {MARKET_SESSIONS} bars",
        minimum=0,
    ),
    Feature(
        name="rsi_14",
        expression=relative_strength_index(14),
        inputs=("close",),
        lookback=15,
        warm_up=FORGETS,
        unit="0-100",
        formula="100 x G / (G + L), Wilder means of gains and losses over 14 bars, seeded with their plain mean",
        meaning="Wilder's relative strength index",
        null_rule="while the price has not moved at all",
        minimum=0,
        maximum=100,
    ),
    Feature(
        name="macd",
        expression=macd(12, 26),
        inputs=("close",),
        lookback=26,
        warm_up=FORGETS,
        unit="price",
        formula="EMA12(P) - EMA26(P), both seeded at bar 26 with the plain mean of their last 12 and 26 closes",
        meaning="moving average convergence/divergence",
        is_scale_free=False,
    ),
    Feature(
        name="macd_signal",
        expression=macd_signal(12, 26, 9),
        inputs=("close",),
        lookback=34,
        warm_up=FORGETS,
        unit="price",
        formula="EMA9(macd), seeded with the plain mean of its first 9 values",
        meaning="signal line of macd",
        is_scale_free=False,
    ),
    Feature(
        name="macd_relative",
        expression=macd(12, 26) / pl.col("close"),
        inputs=("close",),
        lookback=26,
        warm_up=FORGETS,
        unit="fraction",
        formula="macd / P",
        meaning="moving average convergence/divergence, as a fraction of the price",
    ),
    Feature(
        name="sma_50_200_cross",
        expression=is_above(50, 200),
        inputs=("close",),
        lookback=200,
        unit="flag",
        formula="1 if mean(P, 50) > mean(P, 200) else 0",
        meaning="whether the 50-bar mean lies above the 200-bar mean",
        minimum=0,
        maximum=1,
    ),
    Feature(
        name="bollinger_position",
        expression=bollinger_position(20, 2),
        inputs=("close",),
        lookback=20,
        unit="fraction",
        formula="(P - lower) / (upper - lower), bands at mean(P, 20) -/+ 2 population standard deviations",
        meaning="where the close lies between the Bollinger bands",
        null_rule="where the last 20 closes are equal",
    ),
    Feature(
        name="atr_14",
        expression=average_true_range(14),
        inputs=("high", "low", "close"),
        lookback=15,
        warm_up=FORGETS,
        unit="price",
        formula="Wilder mean of the true range over 14 bars, seeded with the plain mean of the first 14",
        meaning="Wilder's average true range",
        null_rule=NO_RANGE,
        minimum=0,
        is_scale_free=False,
    ),
    Feature(
        name="atr_relative",
        expression=average_true_range(14) / pl.col("close"),
        inputs=("high", "low", "close"),
        lookback=15,
        warm_up=FORGETS,
        unit="fraction",
        formula="atr_14 / P",
        meaning="Wilder's average true range, as a fraction of the price",
        null_rule=NO_RANGE,
        minimum=0,
    ),
)

FEATURES_TECHNICAL = TableSpec(
    name="features_technical",
    tolerance=RECOMPUTED,
    layer="features",
    meaning="Technical features of every bar, from what was known at its close.",
    key=("symbol", "event_time"),
    by_year=True,
    columns=(SYMBOL, EVENT_TIME, KNOWN_TIME, *(feature.column for feature in TECHNICAL)),
)

MODEL_FEATURES: tuple[str, ...] = tuple(feature.name for feature in TECHNICAL if feature.is_scale_free)
"""What a model may see, in the order of its input."""

SPECS: tuple[TableSpec, ...] = tuple(
    spec for table in TABLES for spec in ((FEATURES_TECHNICAL, table) if table is LABELS else (table,))
)
"""Every table of the platform, those of features included, in the order the data flows."""


def spec_of(table: str) -> TableSpec:
    """Return the table of that name.

    Raises
    ------
    UnknownNameError
        If there is none; lists the nearest names.
    """
    for spec in SPECS:
        if spec.name == table:
            return spec
    raise UnknownNameError("table", table, [spec.name for spec in SPECS])
