"""Types of history: bars, forecasts, outcomes and records of the bands, as they were known at an instant."""

from datetime import date, datetime
from typing import Annotated, Literal

from pydantic import Field

from serving.api.base import (
    BATCH_SYMBOLS,
    CURRENCY,
    HORIZON_MINUTES,
    HORIZON_SESSIONS,
    PRICE_BASIS,
    TARGET_SESSION,
    Answer,
    Finite,
    Part,
    Price,
    PriceBasis,
    Request,
    Symbol,
    SymbolAnswer,
)

Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]


class KnownAsOf(SymbolAnswer):
    """An answer about one symbol from what was known at an instant."""

    symbol: str
    as_of: datetime = Field(description="instant of the answer: nothing in it became known later")


class PagedRows(KnownAsOf):
    """Part of a list that is newest first; the rows of one part are the oldest first."""

    rows_in_all: int = Field(ge=0, description="rows of the whole list")
    next_offset: int | None = Field(description="offset of the part before these rows; null in the last part")


class AheadAnswer(PagedRows):
    """Rows of one horizon."""

    horizon_sessions: int | None = HORIZON_SESSIONS
    horizon_minutes: int | None = HORIZON_MINUTES


class HistoryBar(Part):
    """One bar."""

    session: date = Field(description="session of the market's calendar that the bar belongs to")
    event_time: datetime = Field(description="when the bar closed")
    known_time: datetime = Field(description="when it was known in this form")
    known_basis: str | None = Field(description="how known_time is known; null where the source does not say")
    open: Price | None = Field(description="adjusted, as all prices but price_traded; null for closes only")
    high: Price | None
    low: Price | None
    close: Price = Field(description="close adjusted for splits and dividends")
    price_traded: Price | None = Field(description="close at which shares changed hands that day; null if not known")
    price_basis: PriceBasis | None = PRICE_BASIS
    volume: Finite | None = Field(description="on the basis of close")


class BarsAnswer(PagedRows):
    """Bars of one symbol."""

    currency: str | None = CURRENCY
    bars: list[HistoryBar]


class HistoryForecast(Part):
    """One forecast, as it was made."""

    forecast_id: str
    kind: Literal["replay", "served", "scheduled"] = Field(description="how it came about")
    event_time: datetime = Field(description="close of the last session the forecast knew")
    known_time: datetime = Field(description="market time at which it was made")
    target_session: date | None = TARGET_SESSION
    model_name: str
    model_version: str
    regime: str
    p10: Finite = Field(description="10 % quantile of the return over the horizon, as a fraction")
    p50: Finite
    p90: Finite
    reference_price: Price | None = Field(description="price as traded that the returns start from; null if not known")
    price_p10: Finite | None = Field(description="reference price x (1 + p10); null where that is null")
    price_p50: Finite | None
    price_p90: Finite | None
    price_basis: PriceBasis | None = PRICE_BASIS
    currency: str | None = CURRENCY
    is_degraded: bool = Field(description="answered from a fallback")


class ForecastsAnswer(AheadAnswer):
    """Forecasts of one symbol over one horizon."""

    forecasts: list[HistoryForecast]


class HistoryOutcome(Part):
    """A matured forecast beside what happened."""

    forecast_id: str
    kind: Literal["replay", "served", "scheduled"]
    event_time: datetime = Field(description="close of the last session the forecast knew")
    known_time: datetime = Field(description="close at which the outcome was known")
    target_session: date | None = TARGET_SESSION
    model_name: str
    regime: str
    p10: Finite
    p50: Finite
    p90: Finite
    realised_return: Finite = Field(description="return over the horizon, as a fraction")
    is_inside: bool = Field(description="whether it fell within p10..p90")
    is_direction_hit: bool | None = Field(description="whether p50 had its sign; null for a forecast of zero")
    pinball_loss: Finite = Field(description="mean over the three quantiles")
    naive_loss: Finite | None = Field(description="of the naive forecast of the same close; null where there is none")


class OutcomesAnswer(AheadAnswer):
    """Outcomes of one symbol over one horizon."""

    outcomes: list[HistoryOutcome]


class BandRecord(Part):
    """How often the bands of some forecasts held the outcome, and what that number is worth."""

    outcomes: int = Field(ge=0, description="closes with a matured forecast, each symbol and model once")
    sessions: int = Field(ge=0, description="closes among them")
    independent: Finite = Field(
        ge=0, description="closes that do not overlap: sessions / bars of the horizon; the interval rests on them"
    )
    target: Share = Field(description="share that the bands are to hold")
    held: Share | None = Field(description="share of outcomes within p10..p90; null below the least number")
    low: Share | None = Field(description="lower end of the 90 % interval of held, by Wilson's score")
    high: Share | None = Field(description="upper end")
    is_enough: bool = Field(description="whether there are at least 30 outcomes")
    sentence: str = Field(description="the same for a reader", examples=["80 % band held 77 % (71-82 %, n=212)"])


class SkillRecord(Part):
    """Loss of some forecasts beside naive's on the same closes."""

    outcomes: int = Field(ge=0, description="matured forecasts with a naive forecast of the same close")
    sessions: int = Field(ge=0)
    pinball_loss: Finite | None = Field(description="mean; null below the least number")
    naive_loss: Finite | None
    skill: Finite | None = Field(description="1 - loss / naive's loss: above 0 is better than naive")
    low: Finite | None = Field(description="lower end of the 90 % interval of skill; closes as blocks, Newey-West")
    high: Finite | None
    is_enough: bool = Field(description="whether there are at least 30 outcomes")
    sentence: str = Field(description="the same for a reader", examples=["worse than naive by 1.2 % (-3.0..+0.6 %)"])


BAND_IN_REPLAY = Field(
    default=None,
    description="what the blend would have answered at the closes that the walk-forward replayed, with the weights and "
    "corrections in force at each: never answered, counted apart; null where a model is asked for, and where at least "
    "30 answered forecasts have an outcome",
)


class GroupRecord(Part):
    """Band and skill of one group of matured forecasts."""

    group: str = Field(description="symbol, regime or model")
    band: BandRecord
    skill: SkillRecord


class CalibrationAnswer(KnownAsOf):
    """How the forecasts of one symbol over one horizon have held so far."""

    horizon_sessions: int | None = HORIZON_SESSIONS
    horizon_minutes: int | None = HORIZON_MINUTES
    model: str | None = Field(description="model whose replays are judged; null for forecasts that were answered")
    overall: GroupRecord
    band_in_replay: BandRecord | None = BAND_IN_REPLAY
    regimes: list[GroupRecord]


class HistoryFeature(Part):
    """One feature of one session of a symbol."""

    name: str
    table: str
    unit: str
    meaning: str
    value: Finite | None = Field(description="null is not known")
    percentile: Share | None = Field(
        description="share of the symbol's values up to this session that are not larger; null where value is"
    )
    past: int = Field(ge=0, description="known values that the percentile rests on, this one included")


class FeatureHistoryAnswer(KnownAsOf):
    """Features of one session of a symbol, each within its own past."""

    session: date
    event_time: datetime
    known_time: datetime
    features: list[HistoryFeature]


class HistoryRegime(Part):
    """Regime of the market at one close."""

    event_time: datetime
    known_time: datetime
    regime: str
    volatility: Finite = Field(description="20-session volatility of the index, per year")
    trend_gap: Finite = Field(description="close of the index / its mean over 200 sessions - 1")
    turbulent_probability: Share | None = Field(description="by a hidden Markov model, beside the rule")
    rising_probability: Share | None


class HistorySelection(Part):
    """One decision for the weights of strategies in a regime."""

    regime: str
    event_time: datetime = Field(description="session whose close the decision knew")
    known_time: datetime
    chosen: str = Field(description="strategy with the largest weight, or equal_weight")
    runner_up: str | None = Field(description="most probable best strategy but the chosen; null in a pool of one")
    weights: dict[str, Finite]
    probabilities: dict[str, Finite] = Field(description="that a strategy is the best of the pool")
    confidence: Share = Field(description="chance to gain on equal weights in 20 sessions")
    e_value: Finite = Field(ge=0, description="evidence against equal weights")
    sessions: int = Field(ge=0, description="sessions of this regime seen")
    reason: str


class HistoryChoiceCost(Part):
    """What the runner-up of a decision earned on paper above the weights in force, in sessions of the same regime."""

    regime: str
    sessions: int = Field(ge=0, description="sessions of the regime with a return of every strategy of the pool")
    cost_bps: Finite | None = Field(
        description="mean difference of net returns per session in basis points; null below 30 sessions"
    )
    low: Finite | None = Field(description="lower end of its 90 % interval")
    high: Finite | None = Field(description="upper end")


class HistoryDrift(Part):
    """One finding of drift."""

    subject: str
    aspect: Literal["level", "spread", "known"]
    event_time: datetime
    known_time: datetime
    statistic: Finite | None
    p_value: Share | None
    adjusted_p_value: Share | None
    is_drifted: bool
    method: str


class HistoryLatency(Part):
    """How long the answers of one kind took in the day up to the newest answer."""

    kind: str = Field(description="served or scheduled")
    forecasts: int = Field(ge=1, description="answered within the day")
    median_ms: Finite = Field(ge=0)
    p95_ms: Finite = Field(ge=0)
    last_made_at: datetime = Field(description="wall-clock time of the newest of them")


class HistoryModel(Part):
    """One model over one horizon: its walk-forward score and the version that was champion."""

    model: str
    experiment: str
    horizon_sessions: int = Field(description="as the tables count it")
    known_time: datetime = Field(description="when the score was known")
    rows: int | None = Field(description="forecasts scored, all folds; null where no score is kept")
    pinball_loss: Finite
    best_baseline: str
    is_baseline: bool
    gain: Finite = Field(description="part of the best baseline's loss that is saved; of a baseline, of naive's")
    gain_t: Finite | None
    p_value: Share | None = Field(description="one-sided, adjusted by Holm's method; null for a baseline")
    beats_best_baseline: bool
    coverage: Share | None
    hit_rate: Share | None
    champion_version: str | None = Field(description="registered version in service then; null where there was none")


class WatchRow(Part):
    """One symbol of a watch list."""

    symbol: str
    session: date | None = Field(description="session of the last bar; null where there is none, and then all is")
    known_time: datetime | None
    close: Price | None = Field(description="adjusted close")
    price_traded: Price | None
    change: Finite | None = Field(description="close / close of the bar before - 1")
    sessions_old: int | None = Field(ge=0, description="closes of the market since the last bar")
    forecast_id: str | None = Field(description="newest answered forecast; null where there is none, and then p10 is")
    forecast_known_time: datetime | None
    p10: Finite | None
    p50: Finite | None
    p90: Finite | None
    target_session: date | None
    since_previous: Finite | None = Field(description="p50 - p50 of the forecast of an earlier close; null without one")
    regime: str | None
    band: BandRecord
    band_in_replay: BandRecord | None = BAND_IN_REPLAY


class WatchedSymbols(Answer):
    """The watch list of the holder of a key."""

    symbols: list[str] = Field(description="in the order in which its owner put them")
    changed_at: datetime | None = Field(description="null where none was ever stored")


class WatchedRequest(Request):
    """A watch list to store in place of the one before."""

    symbols: list[Symbol] = Field(max_length=BATCH_SYMBOLS, examples=[["AAPL", "IBM"]])


class WatchListChange(Request):
    """Symbols to remove from a watch list, and symbols to add at its end."""

    add: list[Symbol] = Field(default=[], max_length=BATCH_SYMBOLS, examples=[["KO"]])
    remove: list[Symbol] = Field(
        default=[],
        max_length=BATCH_SYMBOLS,
        description="one that is not listed is no error; one that is added too moves to the end",
        examples=[["IBM"]],
    )
