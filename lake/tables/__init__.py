"""Every table of the platform as a value, in the order the data flows: raw, clean, features, decisions.

Examples
--------
>>> from lake.tables import BARS, TABLES
>>> BARS.key
('symbol', 'event_time')
>>> BARS.column("close").unit
'currency'
>>> [spec.name for spec in TABLES if spec.layer == "raw"]
['raw_bars', 'raw_actions', 'raw_macro', 'deliveries']
"""

from lake.spec import TableSpec
from lake.tables.advice import RECOMMENDATIONS
from lake.tables.backtests import BACKTEST_ACCOUNTS, BACKTEST_FILLS, BACKTEST_SESSIONS, BACKTESTS
from lake.tables.clean import ACTIONS, BARS, MACRO, QUARANTINE
from lake.tables.columns import EVENT_TIME, KNOWN_TIME, RECOMPUTED, SYMBOL
from lake.tables.decisions import (
    AUDIT,
    BLEND_WEIGHTS,
    CALIBRATIONS,
    FORECAST_DECISIONS,
    FORECASTS,
    OUTCOMES,
    PROMOTIONS,
    RECEIPTS,
    SELECTIONS,
    STRATEGY_ASSIGNMENTS,
    STRATEGY_RETURNS,
)
from lake.tables.documents import CHUNK_VECTORS, CHUNKS, DOCUMENTS, INTERNAL_NOTES
from lake.tables.explanations import EXPLANATIONS
from lake.tables.features import LABELS, MODEL_WINDOWS, REGIMES
from lake.tables.instruments import SYMBOLS, UNIVERSE
from lake.tables.ledger import HOLDOUT_OPENINGS, TRIAL_GAINS, TRIAL_KINDS, TRIAL_LEDGER
from lake.tables.measures import DRIFT, EVALUATIONS, FEATURE_IMPORTANCE, PERFORMANCE, VERDICTS
from lake.tables.portfolio import PORTFOLIO_WEIGHTS
from lake.tables.quality import AGREEMENT, FINDINGS, QUALITY_SCORES
from lake.tables.raw import ANSWERS, DELIVERIES, RAW_ACTIONS, RAW_BARS, RAW_MACRO
from lake.tables.risk import RISK_EVENT_KINDS, RISK_EVENTS, SWITCH_STATES
from lake.tables.trading import DECISIONS, EQUITY, FILLS, ORDERS, POSITIONS, VOTES

__all__ = [
    "ACTIONS",
    "AGREEMENT",
    "ANSWERS",
    "AUDIT",
    "BACKTESTS",
    "BACKTEST_ACCOUNTS",
    "BACKTEST_FILLS",
    "BACKTEST_SESSIONS",
    "BARS",
    "BLEND_WEIGHTS",
    "CALIBRATIONS",
    "CHUNKS",
    "CHUNK_VECTORS",
    "DECISIONS",
    "DELIVERIES",
    "DOCUMENTS",
    "DRIFT",
    "EQUITY",
    "EVALUATIONS",
    "EVENT_TIME",
    "EXPLANATIONS",
    "FEATURE_IMPORTANCE",
    "FILLS",
    "FINDINGS",
    "FORECASTS",
    "FORECAST_DECISIONS",
    "HOLDOUT_OPENINGS",
    "INTERNAL_NOTES",
    "KNOWN_TIME",
    "LABELS",
    "MACRO",
    "MODEL_WINDOWS",
    "ORDERS",
    "OUTCOMES",
    "PERFORMANCE",
    "PORTFOLIO_WEIGHTS",
    "POSITIONS",
    "PROMOTIONS",
    "QUALITY_SCORES",
    "QUARANTINE",
    "RAW_ACTIONS",
    "RAW_BARS",
    "RAW_MACRO",
    "RECEIPTS",
    "RECOMMENDATIONS",
    "RECOMPUTED",
    "REGIMES",
    "RISK_EVENTS",
    "RISK_EVENT_KINDS",
    "SELECTIONS",
    "STRATEGY_ASSIGNMENTS",
    "STRATEGY_RETURNS",
    "SWITCH_STATES",
    "SYMBOL",
    "SYMBOLS",
    "TABLES",
    "TRIAL_GAINS",
    "TRIAL_KINDS",
    "TRIAL_LEDGER",
    "UNIVERSE",
    "VERDICTS",
    "VOTES",
]

TABLES: tuple[TableSpec, ...] = (
    RAW_BARS,
    RAW_ACTIONS,
    RAW_MACRO,
    DELIVERIES,
    BARS,
    ACTIONS,
    MACRO,
    QUARANTINE,
    AGREEMENT,
    FINDINGS,
    QUALITY_SCORES,
    SYMBOLS,
    UNIVERSE,
    DOCUMENTS,
    CHUNKS,
    CHUNK_VECTORS,
    LABELS,
    REGIMES,
    MODEL_WINDOWS,
    EVALUATIONS,
    VERDICTS,
    TRIAL_LEDGER,
    TRIAL_GAINS,
    HOLDOUT_OPENINGS,
    FORECASTS,
    RECEIPTS,
    EXPLANATIONS,
    RECOMMENDATIONS,
    FORECAST_DECISIONS,
    OUTCOMES,
    STRATEGY_RETURNS,
    PERFORMANCE,
    DRIFT,
    FEATURE_IMPORTANCE,
    SELECTIONS,
    STRATEGY_ASSIGNMENTS,
    BLEND_WEIGHTS,
    CALIBRATIONS,
    PORTFOLIO_WEIGHTS,
    BACKTESTS,
    BACKTEST_SESSIONS,
    BACKTEST_FILLS,
    PROMOTIONS,
    RISK_EVENTS,
    DECISIONS,
    VOTES,
    ORDERS,
    FILLS,
    POSITIONS,
    EQUITY,
    AUDIT,
)
