"""Questions about our own notes, each with the notes that answer it.

They were written before any search was tried on them. The ranking in use was then chosen among several on them, so its
figures are those of a choice, not of a held-out test.
"""

import random
from collections.abc import Iterator
from typing import NamedTuple


class Labelled(NamedTuple):
    """A question in parts, and the ids of the notes that answer it, without the name of their source."""

    question: tuple[str, ...]
    answers: frozenset[str]


SYMBOL, NAME = "AAPL", "Apple"
HISTORY = f"history:{SYMBOL}"
MODELS = ("lightgbm", "lstm", "naive", "ridge", "tft")
MOST_DRIVERS, DRAWN, SEED = 6, 60, 1


def _features(*names: str) -> tuple[str, ...]:
    return tuple(f"feature:{name}" for name in names)


def _models(*names: str) -> tuple[str, ...]:
    return tuple(f"model:{name}" for name in names)


IN_ENGLISH = tuple(
    Labelled((question,), frozenset(answers))
    for question, answers in (
        ("How much has the stock gained or lost over the past week?", _features("return_5d")),
        ("What was the change in price since yesterday?", _features("return_1d")),
        ("performance over the last month", _features("return_20d")),
        ("performance over the last quarter", _features("return_60d")),
        ("half-year price momentum", _features("return_120d")),
        ("annual return of the share", _features("return_252d")),
        ("Is the share overbought or oversold?", _features("rsi_14", "bollinger_position")),
        ("golden cross of moving averages", _features("sma_50_200_cross")),
        ("How risky has the share been over the last month?", _features("volatility_20d")),
        ("Short-term turbulence of the last few days", _features("volatility_5d")),
        ("Annualised fluctuation of the past quarter", _features("volatility_60d")),
        ("RiskMetrics exponentially weighted variance", _features("volatility_ewma_94")),
        ("conditional heteroskedasticity estimate of tomorrow's variance", _features("volatility_garch")),
        ("conditional heteroskedasticity estimate of the coming week's variance", _features("volatility_garch_5d")),
        ("volatility from daily, weekly and monthly averages", _features("volatility_har", "volatility_har_5d")),
        ("Is trading activity unusually heavy today?", _features("volume_ratio_20d", "volume_ratio_5d")),
        ("How liquid is the share in dollars?", _features("log_dollar_volume")),
        ("typical daily trading range of the share", _features("atr_relative")),
        ("trend signal from converging averages", _features("macd_relative")),
        ("sensitivity of the share to the index", _features("market_beta")),
        ("how did the index do today?", _features("market_return")),
        ("how nervous is the whole market?", _features("market_volatility")),
        ("position of the price within its envelope of standard deviations", _features("bollinger_position")),
        ("Does the recurrent neural network beat the baselines?", _models("lstm")),
        ("Is the transformer better than simple formulas?", _models("tft")),
        ("How good are gradient boosted trees?", _models("lightgbm")),
        ("How good is linear regression with a penalty?", _models("ridge")),
        ("What does predicting no change achieve?", _models("naive")),
        ("How good a baseline is the heterogeneous autoregression?", _models("har")),
        ("How good a baseline is conditional heteroskedasticity?", _models("garch")),
        ("How good a baseline is the exponentially weighted average?", _models("ewma")),
        (f"What happened after {NAME} jumped or fell sharply?", (HISTORY,)),
        ("Does the price rebound after an unusually strong day?", (HISTORY,)),
        ("What usually follows a shock in the price?", (HISTORY,)),
        ("When is the relative strength missing?", _features("rsi_14")),
        ("Why can the beta be unknown?", _features("market_beta")),
        ("Which gain over the best baseline may be luck?", _models("lstm", "tft", "lightgbm", "ridge")),
        ("median return after large moves", (HISTORY,)),
        ("Wilder's average true range", _features("atr_relative")),
        ("Student's t innovations", _features("volatility_garch", "volatility_garch_5d")),
    )
)


def as_a_job_asks(features: list[str]) -> Iterator[Labelled]:
    """Yield questions as a written explanation asks them: names of drivers, models, the symbol, regime and strategy."""
    rng = random.Random(SEED)
    for _ in range(DRAWN):
        drivers, models = rng.sample(features, MOST_DRIVERS), rng.sample(MODELS, rng.randint(1, len(MODELS)))
        named = (*drivers, *models, SYMBOL, "low volatility uptrend", "equal_weight")
        yield Labelled(named, frozenset((*_features(*drivers), *_models(*models), HISTORY)))
