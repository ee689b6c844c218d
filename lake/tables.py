"""Every table of the platform as a value, in the order the data flows.

Feature tables are derived from `feature_repo.catalog`, which builds its specs with `lake.spec` in the same form.
"""

import polars as pl

from lake.spec import INSTANT, Column, TableSpec

TEXT, REAL, COUNT, FLAG = pl.String(), pl.Float64(), pl.Int64(), pl.Boolean()

EVENT_TIME = Column("event_time", INSTANT, "UTC", "when it was true; a bar is stamped when it closes")
RECOMPUTED = 1e-9
"""Tolerance of the tables that are computed again with every run."""
KNOWN_TIME = Column("known_time", INSTANT, "UTC", "when we could know it")
CAUSAL = ("event_time", "known_time")
"""Nothing is known before it is true. Not so for rows as received, and for what happens on the wall clock."""
SYMBOL = Column("symbol", TEXT, "", "instrument, under the name it trades by today")
HORIZON = Column("horizon_sessions", pl.Int32(), "sessions", "how far ahead", minimum=1, maximum=252)
REGIME = Column("regime", TEXT, "", "market regime of the session, e.g. low_volatility_uptrend")


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
        Column("table_versions", TEXT, "", "versions of the tables it was made from, as JSON"),
    ),
)

EVALUATIONS = TableSpec(
    name="evaluations",
    tolerance=RECOMPUTED,
    layer="decisions",
    meaning="The model table: walk-forward scores by model and fold, always beside naive.",
    key=("experiment", "model", "fold", "horizon_sessions"),
    columns=(
        Column("experiment", TEXT, "", "experiment the models were fitted under, with the hash of its inputs"),
        Column("model", TEXT, "", "model name"),
        Column("fold", TEXT, "", "fold by its test interval, or 'overall'"),
        HORIZON,
        Column("rows", COUNT, "", "forecasts scored"),
        Column("mean_absolute_error", REAL, "fraction", "mean absolute error of p50"),
        Column("pinball_loss", REAL, "fraction", "mean pinball loss over the quantiles"),
        Column("information_coefficient", REAL, "", "mean rank correlation across symbols per session", nullable=True),
        Column("information_coefficient_t", REAL, "", "its t-value over sessions", nullable=True),
        Column("hit_rate", REAL, "fraction", "share of right directions", nullable=True),
        Column("coverage", REAL, "fraction", "share of outcomes within p10..p90"),
        Column("beats_naive", FLAG, "", "whether its pinball loss is below naive's in the same fold"),
        EVENT_TIME,
        KNOWN_TIME,
    ),
)

FORECASTS = TableSpec(
    name="forecasts",
    layer="decisions",
    meaning="What was said, when, by which model, from which data.",
    key=("forecast_id",),
    restates=False,
    by_year=True,
    ordered=(CAUSAL, ("p10", "p50"), ("p50", "p90")),
    columns=(
        Column("forecast_id", TEXT, "", "identifier given in the answer"),
        Column("kind", TEXT, "", "how it came about", allowed=("replay", "served")),
        SYMBOL,
        Column("event_time", INSTANT, "UTC", "as_of: close of the last session the forecast knew"),
        Column("known_time", INSTANT, "UTC", "market time at which it was made"),
        Column("made_at", INSTANT, "UTC", "wall-clock time at which it was made"),
        HORIZON,
        Column("p10", REAL, "fraction", "10 % quantile of the return over the horizon"),
        Column("p50", REAL, "fraction", "median of the return over the horizon"),
        Column("p90", REAL, "fraction", "90 % quantile of the return over the horizon"),
        Column("reference_price", REAL, "currency", "price the returns start from", positive=True),
        Column("model_name", TEXT, "", "model, or the blend that answered"),
        Column("model_version", TEXT, "", "registered version"),
        Column("model_digest", TEXT, "", "SHA-256 of the model file"),
        Column("strategy", TEXT, "", "strategy in force; null in a replay, made for every model", nullable=True),
        REGIME,
        Column("feature_table_versions", TEXT, "", "table versions behind the features, as JSON"),
        Column("feature_hash", TEXT, "", "SHA-256 of the model input"),
        Column("latency_ms", REAL, "ms", "time to answer; null in a replay", nullable=True, minimum=0),
        Column("degraded", FLAG, "", "answered from a fallback"),
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

PERFORMANCE = TableSpec(
    name="performance",
    tolerance=RECOMPUTED,
    layer="decisions",
    meaning="How each strategy did, by regime and window.",
    key=("strategy", "regime", "window", "event_time"),
    columns=(
        Column("strategy", TEXT, "", "strategy, by its declared name"),
        Column("regime", TEXT, "", "regime, or 'all'"),
        Column("window", TEXT, "", "sessions looked back on, or 'all'"),
        EVENT_TIME,
        KNOWN_TIME,
        Column("sessions", COUNT, "", "sessions in the window"),
        Column("forecasts", COUNT, "", "matured forecasts in the window"),
        Column("mean_absolute_error", REAL, "fraction", "of p50, one session ahead", nullable=True),
        Column("pinball_loss", REAL, "fraction", "mean over quantiles, one session ahead", nullable=True),
        Column("coverage", REAL, "fraction", "share of outcomes within p10..p90", nullable=True),
        Column("hit_rate", REAL, "fraction", "share of right directions", nullable=True),
        Column("net_return", REAL, "fraction", "sum of net session returns"),
        Column("sharpe", REAL, "per year", "mean / deviation of net session returns x sqrt(252)", nullable=True),
        Column("drawdown", REAL, "fraction", "deepest fall of the net equity curve"),
        Column("win_rate", REAL, "fraction", "share of gains among sessions with a position", nullable=True),
    ),
)

DRIFT = TableSpec(
    name="drift",
    tolerance=RECOMPUTED,
    layer="decisions",
    meaning="Drift of features and forecasts against the training reference.",
    key=("subject", "aspect", "event_time"),
    columns=(
        Column("subject", TEXT, "", "feature, or forecast quantity"),
        Column("aspect", TEXT, "", "where the values lie, or how far they spread", allowed=("level", "spread")),
        EVENT_TIME,
        KNOWN_TIME,
        Column("statistic", REAL, "", "distance between reference and current", nullable=True),
        Column("p_value", REAL, "", "chance of such a distance without drift", nullable=True, minimum=0, maximum=1),
        Column("adjusted_p_value", REAL, "", "corrected for their number", nullable=True, minimum=0, maximum=1),
        Column("is_drifted", FLAG, "", "verdict after correction for the number of subjects"),
        Column("method", TEXT, "", "test used"),
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
        Column("confidence", REAL, "fraction", "weights x probabilities, summed", minimum=0, maximum=1 + 1e-9),
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
        Column("confidence", REAL, "fraction", "weights x probabilities, summed", minimum=0, maximum=1 + 1e-9),
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
    OUTCOMES,
    STRATEGY_RETURNS,
    PERFORMANCE,
    DRIFT,
    SELECTIONS,
    STRATEGY_ASSIGNMENTS,
    PROMOTIONS,
)
