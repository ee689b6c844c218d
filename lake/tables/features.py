"""Tables of what a model learns from: labels, regimes and model windows.

The tables of features are derived from `feature_repo.catalog`, which builds its specs with `lake.spec` in the same way.
"""

import polars as pl

from lake.spec import INSTANT, Column, TableSpec
from lake.tables.columns import (
    CURRENCY,
    EVENT_TIME,
    FLAG,
    HORIZON,
    KNOWN_TIME,
    MARKET_INDEX,
    PRICE_BASIS,
    REAL,
    RECOMPUTED,
    REGIME,
    SYMBOL,
    TEXT,
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
        MARKET_INDEX,
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
            "reference_price",
            REAL,
            "currency",
            "close as traded in the window's last session; null where it is not known",
            nullable=True,
            positive=True,
        ),
        Column("feature_hash", TEXT, "", "SHA-256 of the window's bytes"),
        Column("table_versions", TEXT, "", "versions of the tables it was made from, as JSON", is_origin=True),
        PRICE_BASIS,
        CURRENCY,
    ),
)
