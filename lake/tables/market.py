"""Every table of the platform as a value, in the order the data flows.

Those of forecasts and what came of them are in `lake.tables.decisions`. Feature tables are derived from
`feature_repo.catalog`, which builds its specs with `lake.spec` in the same form.
"""

import polars as pl

from lake.spec import INSTANT, Column, TableSpec
from lake.tables.columns import (
    CAUSAL,
    COUNT,
    EVENT_TIME,
    FLAG,
    HORIZON,
    KNOWN_TIME,
    REAL,
    RECOMPUTED,
    REGIME,
    SYMBOL,
    TEXT,
)
from lake.tables.decisions import (
    AUDIT,
    CALIBRATIONS,
    DRIFT,
    EVALUATIONS,
    FORECAST_DECISIONS,
    FORECASTS,
    OUTCOMES,
    PERFORMANCE,
    PROMOTIONS,
    RECEIPTS,
    SELECTIONS,
    STRATEGY_ASSIGNMENTS,
    STRATEGY_RETURNS,
)

__all__ = [
    "ACTIONS",
    "AUDIT",
    "BARS",
    "CALIBRATIONS",
    "DRIFT",
    "EVALUATIONS",
    "EVENT_TIME",
    "FORECASTS",
    "FORECAST_DECISIONS",
    "KNOWN_TIME",
    "LABELS",
    "MODEL_WINDOWS",
    "OUTCOMES",
    "PERFORMANCE",
    "PROMOTIONS",
    "QUARANTINE",
    "RAW_BARS",
    "RECEIPTS",
    "RECOMPUTED",
    "REGIMES",
    "SELECTIONS",
    "STRATEGY_ASSIGNMENTS",
    "STRATEGY_RETURNS",
    "SYMBOL",
    "TABLES",
]


def _price(name: str, meaning: str, *, nullable: bool = True) -> Column:
    return Column(name, REAL, "currency", meaning, nullable=nullable, positive=True)


RAW_BARS = TableSpec(
    name="raw_bars",
    layer="raw",
    meaning="Daily bars exactly as a source sent them, values as text.",
    key=("batch_id", "row"),
    restates=False,
    by_year=True,
    ordered=(),
    columns=(
        Column("symbol", TEXT, "", "symbol as received", nullable=True),
        Column("stamp", TEXT, "", "ISO time of the close as received, with its zone", nullable=True),
        *(
            Column(name, TEXT, "", f"{name} as received", nullable=True)
            for name in ("open", "high", "low", "close", "adj_close", "volume")
        ),
        Column(
            "price_basis",
            TEXT,
            "",
            "what the source did to its prices",
            allowed=("as_traded", "split_adjusted", "adjusted_close_only"),
        ),
        Column("source", TEXT, "", "adapter that read it"),
        Column("package", TEXT, "", "data package and version, or the address asked"),
        Column("licence", TEXT, "", "licence the data came under"),
        Column("batch_id", TEXT, "", "delivery the row came in"),
        Column("row", COUNT, "", "position in the delivery"),
        Column("received_at", INSTANT, "UTC", "wall-clock time of receipt"),
        EVENT_TIME,
        KNOWN_TIME,
    ),
)

BARS = TableSpec(
    name="bars",
    layer="clean",
    meaning="Daily bars on one split- and dividend-adjusted basis per symbol, unadjusted close kept.",
    key=("symbol", "event_time"),
    by_year=True,
    ordered=(CAUSAL, ("low", "open"), ("low", "close"), ("open", "high"), ("close", "high")),
    columns=(
        SYMBOL,
        EVENT_TIME,
        KNOWN_TIME,
        _price("open", "adjusted open; null where the source has closes only"),
        _price("high", "adjusted high; null where the source has closes only"),
        _price("low", "adjusted low; null where the source has closes only"),
        _price("close", "close adjusted for splits and dividends", nullable=False),
        Column(
            "volume",
            REAL,
            "shares",
            "volume on the basis of close: close x volume is the money traded",
            nullable=True,
            minimum=0,
        ),
        _price("close_unadjusted", "close as the source states it before adjustment; null for close-only sources"),
        Column(
            "volume_unadjusted",
            REAL,
            "shares",
            "volume of the same basis as close_unadjusted",
            nullable=True,
            minimum=0,
        ),
        Column("quality", TEXT, "", "what the bar can support", allowed=("full", "close_only")),
        Column("source", TEXT, "", "adapter that read it", is_origin=True),
        Column("batch_id", TEXT, "", "delivery the row came in", is_origin=True),
    ),
)

ACTIONS = TableSpec(
    name="actions",
    layer="clean",
    meaning="Splits and dividends, as they show in the adjustment factors.",
    key=("symbol", "event_time", "kind"),
    columns=(
        SYMBOL,
        EVENT_TIME,
        KNOWN_TIME,
        Column("kind", TEXT, "", "kind of corporate action", allowed=("split", "dividend")),
        Column("ratio", REAL, "", "new shares per old share; 1 for a dividend or a withdrawn split", positive=True),
        Column(
            "amount",
            REAL,
            "currency",
            "dividend per share of the unadjusted close; 0 if withdrawn, null for a split",
            nullable=True,
        ),
        Column("source", TEXT, "", "where it was seen", is_origin=True),
    ),
)

QUARANTINE = TableSpec(
    name="quarantine",
    layer="clean",
    meaning="Rows that were refused, as received, with the reason.",
    key=("table", "batch_id", "row"),
    restates=False,
    ordered=(),
    columns=(
        Column("table", TEXT, "", "table the row was meant for"),
        Column("batch_id", TEXT, "", "delivery the row came in"),
        Column("row", COUNT, "", "position in the delivery"),
        Column("reason", TEXT, "", "rule the row breaks, e.g. high_below_low"),
        Column("content", TEXT, "", "the row as received, as JSON"),
        EVENT_TIME,
        KNOWN_TIME,
    ),
)

LABELS = TableSpec(
    name="labels",
    tolerance=RECOMPUTED,
    layer="features",
    meaning="What came after each session, by horizon. Never served.",
    key=("symbol", "event_time", "horizon_sessions"),
    by_year=True,
    columns=(
        SYMBOL,
        EVENT_TIME,
        Column(
            "known_time", INSTANT, "UTC", "close of the session in which the horizon ends: the label is known from then"
        ),
        HORIZON,
        Column("forward_return", REAL, "fraction", "close at the end of the horizon / close - 1", minimum=-1),
    ),
)


def _state(name: str, first: str, second: str, of: str) -> Column:
    meaning = f"more probable state of the {of} by a hidden Markov model, filtered forward; null in its training"
    return Column(name, TEXT, "", meaning, nullable=True, allowed=(first, second))


def _probability(name: str, of: str) -> Column:
    meaning = f"probability {of}, from the sessions up to this one"
    return Column(name, REAL, "", meaning, nullable=True, minimum=0, maximum=1)


REGIMES = TableSpec(
    name="regimes",
    tolerance=RECOMPUTED,
    layer="features",
    meaning="Regime of the market per session, from what was known at its close.",
    key=("market", "event_time"),
    columns=(
        Column("market", TEXT, "", "index that stands for the market"),
        EVENT_TIME,
        KNOWN_TIME,
        REGIME,
        Column(
            "volatility_state",
            TEXT,
            "",
            "volatility against its own past",
            allowed=("low_volatility", "high_volatility"),
        ),
        Column("trend_state", TEXT, "", "close against its 200-session mean", allowed=("uptrend", "downtrend")),
        Column("volatility", REAL, "per year", "20-session volatility of the index", minimum=0),
        Column("trend_gap", REAL, "fraction", "close / 200-session mean - 1"),
        _state("hidden_volatility_state", "low_volatility", "high_volatility", "volatility"),
        _probability("high_volatility_probability", "that the hidden volatility state is high_volatility"),
        _state("hidden_trend_state", "downtrend", "uptrend", "trend"),
        _probability("uptrend_probability", "that the hidden trend state is uptrend"),
        Column(
            "average_correlation",
            REAL,
            "",
            "equicorrelation of the symbols' returns over 20 sessions",
            nullable=True,
            minimum=-1,
            maximum=1,
        ),
        _state("hidden_correlation_state", "low_correlation", "high_correlation", "correlation"),
        _probability("high_correlation_probability", "that the hidden correlation state is high_correlation"),
        Column(
            "correlation_shift",
            FLAG,
            "",
            "whether the correlation is more probably in another state than 20 sessions ago",
            nullable=True,
        ),
        _probability("correlation_shift_probability", "that the correlation is in another state than 20 sessions ago"),
    ),
)

MODEL_WINDOWS = TableSpec(
    name="model_windows",
    layer="features",
    meaning="The input of the models in service: the last sessions of every feature, per symbol.",
    key=("symbol", "event_time", "signature"),
    columns=(
        SYMBOL,
        EVENT_TIME,
        KNOWN_TIME,
        Column("signature", TEXT, "", "model signature the window belongs to"),
        Column(
            "window", pl.List(pl.Float32()), "", "values [session, feature] row by row, oldest first; NaN is not known"
        ),
        Column(
            "reference_price", REAL, "currency", "unadjusted close where there is one, else the adjusted", positive=True
        ),
        Column("feature_hash", TEXT, "", "SHA-256 of the window's bytes"),
        Column("table_versions", TEXT, "", "versions of the tables it was made from, as JSON", is_origin=True),
    ),
)

TABLES: tuple[TableSpec, ...] = (
    RAW_BARS,
    BARS,
    ACTIONS,
    QUARANTINE,
    LABELS,
    REGIMES,
    MODEL_WINDOWS,
    EVALUATIONS,
    FORECASTS,
    RECEIPTS,
    FORECAST_DECISIONS,
    OUTCOMES,
    STRATEGY_RETURNS,
    PERFORMANCE,
    DRIFT,
    SELECTIONS,
    STRATEGY_ASSIGNMENTS,
    CALIBRATIONS,
    PROMOTIONS,
    AUDIT,
)
