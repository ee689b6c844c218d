"""Tables of decisions: forecasts, their outcomes, what was selected and promoted, and the audit trail; append-only."""

import polars as pl

from lake.spec import INSTANT, Column, TableSpec
from lake.tables.columns import (
    CAUSAL,
    COUNT,
    CURRENCY,
    DATE,
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

LEARNED_BY = Column("event_time", INSTANT, "UTC", "close by which every outcome it was learned from was known")

FORECASTS = TableSpec(
    name="forecasts",
    layer="decisions",
    meaning="What was said, when, by which model, from which data.",
    key=("forecast_id",),
    restates=False,
    by_year=True,
    withdrawable=True,
    ordered=(CAUSAL, ("p10", "p50"), ("p50", "p90")),
    columns=(
        Column("forecast_id", TEXT, "", "identifier given in the answer"),
        Column("kind", TEXT, "", "how it came about", allowed=("replay", "served", "scheduled", "shadow", "trial")),
        SYMBOL,
        Column("event_time", INSTANT, "UTC", "as_of: close of the last session the forecast knew"),
        Column("known_time", INSTANT, "UTC", "market time at which it was made"),
        Column("made_at", INSTANT, "UTC", "wall-clock time at which it was made"),
        HORIZON,
        Column("p10", REAL, "fraction", "10 % quantile of the return over the horizon"),
        Column("p50", REAL, "fraction", "median of the return over the horizon"),
        Column("p90", REAL, "fraction", "90 % quantile of the return over the horizon"),
        Column(
            "reference_price",
            REAL,
            "currency",
            "price as traded that the returns start from; null where it is not known, see price_basis",
            nullable=True,
            positive=True,
        ),
        Column("model_name", TEXT, "", "model, or the blend that answered"),
        Column("model_version", TEXT, "", "registered version"),
        Column("model_digest", TEXT, "", "SHA-256 of the model file"),
        Column("strategy", TEXT, "", "strategy in force; null in a replay or trial, made by one model", nullable=True),
        REGIME,
        Column("feature_table_versions", TEXT, "", "table versions behind the features, as JSON"),
        Column("feature_hash", TEXT, "", "SHA-256 of the model input"),
        Column("latency_ms", REAL, "ms", "time to answer; null in a replay or trial", nullable=True, minimum=0),
        Column("degraded", FLAG, "", "answered from a fallback"),
        PRICE_BASIS,
        CURRENCY,
        Column(
            "target_session",
            DATE,
            "",
            "session of the market's calendar in which the horizon ends; null beyond the calendar, and in rows from "
            "before it was kept",
            nullable=True,
        ),
    ),
)

RECEIPTS = TableSpec(
    name="receipts",
    layer="decisions",
    meaning="What each forecast was made from, under a seal, so that it can be made again (docs/receipts.md).",
    key=("forecast_id", "event_time"),
    restates=False,
    by_year=True,
    columns=(
        Column("forecast_id", TEXT, "", "forecast it belongs to; one for all that a model replayed together"),
        Column("event_time", INSTANT, "UTC", "as_of of the forecast; of the last one of those replayed together"),
        Column("known_time", INSTANT, "UTC", "market time at which it was made"),
        Column("content", TEXT, "", "the receipt, as JSON"),
        Column("seal", TEXT, "", "SHA-256 of content, which holds one of the row in forecasts"),
    ),
)

FORECAST_DECISIONS = TableSpec(
    name="forecast_decisions",
    layer="decisions",
    meaning=(
        "What a person decided about a forecast: withdrawn ones are left out of every read of forecasts and outcomes, "
        "unverified ones were released from quarantine and are never replayed as proven (docs/forecast-log.md)."
    ),
    key=("forecast_id", "decision"),
    restates=False,
    columns=(
        Column("forecast_id", TEXT, "", "forecast it is about"),
        Column("decision", TEXT, "", "what was decided", allowed=("withdrawn", "unverified")),
        Column("event_time", INSTANT, "UTC", "wall-clock time of the decision"),
        Column("known_time", INSTANT, "UTC", "the same"),
        Column("reason", TEXT, "", "why, in the words of who decided"),
        Column("who", TEXT, "", "who decided"),
    ),
)

OUTCOMES = TableSpec(
    name="outcomes",
    tolerance=RECOMPUTED,
    layer="decisions",
    meaning="What came of each forecast, once its horizon had passed: exactly one per forecast.",
    key=("forecast_id",),
    restates=False,
    by_year=True,
    withdrawable=True,
    columns=(
        Column("forecast_id", TEXT, "", "forecast it belongs to"),
        Column("event_time", INSTANT, "UTC", "close of the session in which the horizon ended"),
        KNOWN_TIME,
        Column("realised_return", REAL, "fraction", "return over the horizon"),
        Column("error", REAL, "fraction", "p50 - realised return"),
        Column("pinball_loss", REAL, "fraction", "mean pinball loss over the three quantiles"),
        Column("is_covered", FLAG, "", "whether it fell within p10..p90"),
        Column("is_direction_hit", FLAG, "", "whether p50 had its sign; null for a forecast of zero", nullable=True),
    ),
)

STRATEGY_RETURNS = TableSpec(
    name="strategy_returns",
    tolerance=RECOMPUTED,
    layer="decisions",
    meaning="What each declared strategy earned on paper, per session, net of cost.",
    key=("strategy", "event_time"),
    restates=False,
    columns=(
        Column("strategy", TEXT, "", "strategy, by its declared name"),
        Column("event_time", INSTANT, "UTC", "close at which the position was taken"),
        Column("known_time", INSTANT, "UTC", "close at which its return was known"),
        REGIME,
        Column("gross_return", REAL, "fraction", "return of the positions before cost"),
        Column("cost", REAL, "fraction", "turnover x cost per side"),
        Column("net_return", REAL, "fraction", "gross return - cost"),
        Column("turnover", REAL, "fraction", "sum of absolute position changes", minimum=0),
        Column("exposure", REAL, "fraction", "sum of absolute positions", minimum=0, maximum=1 + 1e-9),
    ),
)

SELECTIONS = TableSpec(
    name="selections",
    tolerance=RECOMPUTED,
    layer="decisions",
    meaning="Which strategy weights were in force from when, per regime, and why.",
    key=("regime", "event_time"),
    restates=False,
    columns=(
        REGIME,
        Column("event_time", INSTANT, "UTC", "session whose close the decision knew"),
        KNOWN_TIME,
        Column("selected_strategy", TEXT, "", "strategy with the largest weight, or 'equal_weight'"),
        Column("strategies", pl.List(pl.String()), "", "names of the pool, in declared order"),
        Column("weights", pl.List(pl.Float64()), "", "their weights, summing to one"),
        Column("probabilities", pl.List(pl.Float64()), "", "their posterior probabilities of being best"),
        Column("confidence", REAL, "fraction", "chance to gain on equal weights in 20 sessions", minimum=0, maximum=1),
        Column("e_value", REAL, "", "evidence against equal weights", minimum=0),
        Column("sessions", COUNT, "", "sessions of this regime seen"),
        Column("reason", TEXT, "", "why, in a sentence"),
    ),
)

STRATEGY_ASSIGNMENTS = TableSpec(
    name="strategy_assignments",
    layer="decisions",
    meaning="The strategy in force for each symbol: what the online store hands to a request.",
    key=("symbol", "event_time"),
    columns=(
        SYMBOL,
        EVENT_TIME,
        KNOWN_TIME,
        REGIME,
        Column("selected_strategy", TEXT, "", "strategy with the largest weight, or 'equal_weight'"),
        Column("strategies", pl.List(pl.String()), "", "names of the pool, in declared order"),
        Column("weights", pl.List(pl.Float64()), "", "their weights, summing to one"),
        Column("confidence", REAL, "fraction", "chance to gain on equal weights in 20 sessions", minimum=0, maximum=1),
    ),
)

BLEND_WEIGHTS = TableSpec(
    name="blend_weights",
    tolerance=RECOMPUTED,
    layer="decisions",
    meaning="How much each model counts in forecasts made from a close on, per horizon, by its loss so far.",
    key=("market", "event_time"),
    restates=False,
    columns=(
        MARKET_INDEX,
        LEARNED_BY,
        KNOWN_TIME,
        Column("model_horizons", pl.List(pl.Int32()), "sessions", "horizon of each entry of the lists"),
        Column("models", pl.List(pl.String()), "", "model of each entry"),
        Column("model_weights", pl.List(pl.Float64()), "", "its weight; those of a horizon sum to one"),
        Column("losses", pl.List(pl.Float64()), "fraction", "its mean pinball loss; 0 while nothing has matured"),
        Column("sessions", pl.List(pl.Float64()), "", "matured sessions that were learned from"),
        Column("reasons", pl.List(pl.String()), "", "why it may have a weight, or why it has none"),
    ),
)

CALIBRATIONS = TableSpec(
    name="calibrations",
    tolerance=RECOMPUTED,
    layer="decisions",
    meaning="By how much the bands of forecasts made from a close on are corrected, per regime and horizon.",
    key=("market", "event_time"),
    restates=False,
    columns=(
        MARKET_INDEX,
        LEARNED_BY,
        KNOWN_TIME,
        Column("regimes", pl.List(pl.String()), "", "regime of each entry of the lists"),
        Column("horizons", pl.List(pl.Int32()), "sessions", "horizon of each entry"),
        Column("lower", pl.List(pl.Float64()), "", "factor of p50 - p10"),
        Column("upper", pl.List(pl.Float64()), "", "factor of p90 - p50"),
        Column("trust", pl.List(pl.Float64()), "", "share of the probability's distance from a half that is believed"),
        Column("sessions", pl.List(pl.Float64()), "", "sessions of the regime learned from"),
    ),
)

PROMOTIONS = TableSpec(
    name="promotions",
    layer="decisions",
    meaning="Every move of a model alias, with its evidence.",
    key=("model_name", "alias", "event_time"),
    restates=False,
    ordered=(),
    columns=(
        Column("model_name", TEXT, "", "registered model"),
        Column("alias", TEXT, "", "alias that moved"),
        Column("event_time", INSTANT, "UTC", "wall-clock time of the move"),
        KNOWN_TIME,
        Column("model_version", TEXT, "", "version it points at now"),
        Column("model_digest", TEXT, "", "SHA-256 of the model file"),
        Column("previous_version", TEXT, "", "version it pointed at before", nullable=True),
        Column("evidence", TEXT, "", "parity, scores and who decided, as JSON"),
    ),
)

AUDIT = TableSpec(
    name="audit",
    layer="decisions",
    meaning="Who did what, when, and what came of it; each row carries the hash of the one before (docs/access.md).",
    key=("sequence",),
    restates=False,
    ordered=(),
    columns=(
        Column("sequence", COUNT, "", "position in the trail, from 1 without a gap", minimum=1),
        Column("event_time", INSTANT, "UTC", "wall-clock time at which it was written down"),
        Column("known_time", INSTANT, "UTC", "the same"),
        Column("who", TEXT, "", "pseudonym of an API key, a user of this machine, or a part of the platform"),
        Column("what", TEXT, "", "what was done, e.g. key.create or model.rollback"),
        Column("result", TEXT, "", "what came of it, e.g. done, refused, 200"),
        Column("details", TEXT, "", "with what, as JSON; never a secret"),
        Column("previous_hash", TEXT, "", "row_hash of the row before; zeros in the first"),
        Column("row_hash", TEXT, "", "SHA-256 of the other columns"),
    ),
)
