"""Tables of measures: how good models and forecasts were, what drifted, and which features matter; append-only."""

import polars as pl

from lake.spec import INSTANT, Column, TableSpec
from lake.tables.columns import (
    COUNT,
    EVENT_TIME,
    EXPERIMENT,
    FLAG,
    HORIZON,
    KNOWN_TIME,
    MODEL,
    REAL,
    RECOMPUTED,
    TEXT,
)

EVALUATIONS = TableSpec(
    name="evaluations",
    tolerance=RECOMPUTED,
    layer="decisions",
    meaning="The model table: walk-forward scores by model and fold, always beside naive.",
    key=("experiment", "model", "fold", "horizon_sessions"),
    columns=(
        EXPERIMENT,
        MODEL,
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
        Column(
            "advantage_t", REAL, "", "t-value over sessions of naive's pinball loss minus this one's", nullable=True
        ),
        EVENT_TIME,
        KNOWN_TIME,
    ),
)

VERDICTS = TableSpec(
    name="verdicts",
    tolerance=RECOMPUTED,
    layer="decisions",
    meaning="Each model beside the best baseline of its walk-forward evaluation: what may count in a forecast.",
    key=("experiment", "model", "horizon_sessions"),
    columns=(
        EXPERIMENT,
        MODEL,
        HORIZON,
        Column("is_baseline", FLAG, "", "whether it is a formula that others are judged against"),
        Column("is_constant", FLAG, "", "whether its forecasts are one band times the volatility, though it is fitted"),
        Column("best_baseline", TEXT, "", "baseline with the lowest pinball loss at the horizon"),
        Column("pinball_loss", REAL, "fraction", "mean pinball loss over the quantiles, all folds and seeds"),
        Column("seeds", COUNT, "", "fits with different random numbers that were averaged", minimum=1),
        Column("loss_spread", REAL, "fraction", "standard deviation of the loss over seeds", nullable=True),
        Column("gain", REAL, "fraction", "part of the best baseline's loss that is saved; for a baseline, of naive's"),
        Column("gain_t", REAL, "", "t-value of that over sessions, Newey-West", nullable=True),
        Column("p_value", REAL, "", "one-sided, adjusted by Holm's method; null for a baseline", nullable=True),
        Column("folds_won", COUNT, "", "test intervals in which its loss is lower"),
        Column("folds", COUNT, "", "test intervals", minimum=1),
        Column("beats_best_baseline", FLAG, "", "whether it gains, and chance is ruled out as the reason"),
        Column("hit_rate", REAL, "fraction", "share of right directions; null where none was said", nullable=True),
        Column("base_rate", REAL, "fraction", "share of outcomes above zero: hit rate of always saying up"),
        EVENT_TIME,
        KNOWN_TIME,
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
        Column("sharpe", REAL, "per year", "mean / deviation of net returns x root of bars per year", nullable=True),
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
        Column(
            "aspect",
            TEXT,
            "",
            "where the values lie, how far they spread, or how many are known",
            allowed=("level", "spread", "known"),
        ),
        EVENT_TIME,
        KNOWN_TIME,
        Column("statistic", REAL, "", "distance between reference and current", nullable=True),
        Column("p_value", REAL, "", "chance of such a distance without drift", nullable=True, minimum=0, maximum=1),
        Column("adjusted_p_value", REAL, "", "corrected for their number", nullable=True, minimum=0, maximum=1),
        Column("is_drifted", FLAG, "", "verdict after correction for the number of subjects"),
        Column("method", TEXT, "", "test used"),
    ),
)

FEATURE_IMPORTANCE = TableSpec(
    name="feature_importance",
    tolerance=RECOMPUTED,
    layer="decisions",
    meaning="By how much the loss of each model rises when a feature is exchanged among the symbols of a session.",
    key=("model", "horizon_sessions", "regime", "feature", "event_time"),
    columns=(
        Column("model", TEXT, "", "model in service, or 'blend'"),
        HORIZON,
        Column("regime", TEXT, "", "regime, or 'all'"),
        Column("feature", TEXT, "", "feature, or the features of a cluster joined by ' + '"),
        Column("features", pl.List(pl.String()), "", "features that were exchanged together"),
        Column("event_time", INSTANT, "UTC", "newest session that was measured"),
        Column("known_time", INSTANT, "UTC", "market time at which it was measured"),
        Column("first_session", INSTANT, "UTC", "oldest session that was measured"),
        Column("sessions", COUNT, "", "sessions measured, matured and after the training", minimum=1),
        Column("forecasts", COUNT, "", "forecasts measured", minimum=1),
        Column("repeats", COUNT, "", "random exchanges that were averaged", minimum=1),
        Column("loss", REAL, "fraction", "mean pinball loss of the forecasts as they are", minimum=0),
        Column("loss_rise", REAL, "fraction", "mean pinball loss after the exchange less that before"),
        Column("low", REAL, "fraction", "lower end of its 95 % interval over sessions, Newey-West"),
        Column("high", REAL, "fraction", "upper end of it"),
        Column(
            "mean_absolute_shapley",
            REAL,
            "fraction",
            "mean absolute Shapley value of the median; null where it was not measured",
            nullable=True,
            minimum=0,
        ),
        Column("model_digest", TEXT, "", "SHA-256 of the model file, or of the members of the blend"),
        Column("table_versions", TEXT, "", "versions of the tables that were read, as JSON"),
    ),
    ordered=(
        ("event_time", "known_time"),
        ("first_session", "event_time"),
        ("low", "loss_rise"),
        ("loss_rise", "high"),
    ),
)
