"""From a request to a forecast: the one place where forecast rows are made.

- `questions`: a question for forecasts and its answers, as types
- `predictor`: reads online, computes, blends, composes, logs
- `batching`: questions of many requests answered together
- `rows`, `forecasting`: rows of an online read, and the engines' forecasts of them
- `making`: the one function that makes forecasts, and the one that names the columns of their rows
- `answers`, `response_template`, `forecast_cache`: what is answered, written once and kept
- `scheduled`: forecasts of every symbol after a close
"""

from serving.predict.answers import AnswerTerms, compose
from serving.predict.batching import LARGE_ROWS, Batcher
from serving.predict.forecasting import forecast
from serving.predict.making import ForecastContext, ForecastStamp, forecast_row, make_forecasts
from serving.predict.predictor import Predictor
from serving.predict.questions import Answers, Question, bars_ahead, bars_asked, not_offered
from serving.predict.rows import require_known, split_ready
from serving.predict.scheduled import store_scheduled

__all__ = [
    "LARGE_ROWS",
    "AnswerTerms",
    "Answers",
    "Batcher",
    "ForecastContext",
    "ForecastStamp",
    "Predictor",
    "Question",
    "bars_ahead",
    "bars_asked",
    "compose",
    "forecast",
    "forecast_row",
    "make_forecasts",
    "not_offered",
    "require_known",
    "split_ready",
    "store_scheduled",
]
