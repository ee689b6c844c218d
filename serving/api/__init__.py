"""Request and answer types of the endpoint; a leaf that the web application and the client share.

- `base`: what every type shares, and the disclaimer of every answer
- `outlook`: direction and confidence in words
- `forecasts`, `lookups`, `status`, `operators`, `ingest`, `streams`, `access`, `receipts`: questions and answers
- `problems`, `problem_kinds`: problem documents (RFC 9457), and every kind of them
- `refusals`: a problem document as the error that a client raises
- `callers`: who asks, with role and tier
"""

from serving.api.access import KeySet, TokenAnswer
from serving.api.base import (
    BATCH_SYMBOLS,
    DISCLAIMER,
    SYMBOL_LETTERS,
    Answer,
    AskedName,
    Finite,
    Horizon,
    Minutes,
    Part,
    Request,
    Symbol,
    SymbolAnswer,
)
from serving.api.callers import KEY_PREFIX, REQUESTS_AN_HOUR, ROLES, TIERS, Caller, Role, Tier
from serving.api.forecasts import (
    BatchAnswer,
    BatchRequest,
    Data,
    HorizonRequest,
    Model,
    ModelPart,
    PredictAnswer,
    Prediction,
    PredictRequest,
    Strategy,
    Unavailable,
)
from serving.api.ingest import IngestAnswer, IngestStatusAnswer, SourceStatus
from serving.api.lookups import (
    FeatureDeclaration,
    FeaturesAnswer,
    FeatureSchemaAnswer,
    FeatureTable,
    HiddenMarkovOpinion,
    RegimeAnswer,
    StoredForecast,
    StrategyAnswer,
    StrategyPart,
)
from serving.api.operators import (
    BenchmarkAnswer,
    BenchmarkRequest,
    ChallengerStatus,
    EngineTiming,
    MoveAnswer,
    RefusalStatus,
    RollbackRequest,
    TrialRequest,
)
from serving.api.outlook import Direction, Outlook, outlook_of
from serving.api.problems import Problem, ProblemPage, ProblemPages
from serving.api.refusals import RefusedError, refusal
from serving.api.status import Health, Instrument, ModelStatus, StatusAnswer, SymbolsAnswer
from serving.api.streams import Acknowledged, Command, Ping, PredictionUpdate, Refused, Subscription

__all__ = [
    "BATCH_SYMBOLS",
    "DISCLAIMER",
    "KEY_PREFIX",
    "REQUESTS_AN_HOUR",
    "ROLES",
    "SYMBOL_LETTERS",
    "TIERS",
    "Acknowledged",
    "Answer",
    "AskedName",
    "BatchAnswer",
    "BatchRequest",
    "BenchmarkAnswer",
    "BenchmarkRequest",
    "Caller",
    "ChallengerStatus",
    "Command",
    "Data",
    "Direction",
    "EngineTiming",
    "FeatureDeclaration",
    "FeatureSchemaAnswer",
    "FeatureTable",
    "FeaturesAnswer",
    "Finite",
    "Health",
    "HiddenMarkovOpinion",
    "Horizon",
    "HorizonRequest",
    "IngestAnswer",
    "IngestStatusAnswer",
    "Instrument",
    "KeySet",
    "Minutes",
    "Model",
    "ModelPart",
    "ModelStatus",
    "MoveAnswer",
    "Outlook",
    "Part",
    "Ping",
    "PredictAnswer",
    "PredictRequest",
    "Prediction",
    "PredictionUpdate",
    "Problem",
    "ProblemPage",
    "ProblemPages",
    "RefusalStatus",
    "Refused",
    "RefusedError",
    "RegimeAnswer",
    "Request",
    "Role",
    "RollbackRequest",
    "SourceStatus",
    "StatusAnswer",
    "StoredForecast",
    "Strategy",
    "StrategyAnswer",
    "StrategyPart",
    "Subscription",
    "Symbol",
    "SymbolAnswer",
    "SymbolsAnswer",
    "Tier",
    "TokenAnswer",
    "TrialRequest",
    "Unavailable",
    "outlook_of",
    "problem_kinds",
    "receipts",
    "refusal",
]
