"""View models of a symbol's page: the forecast in force, its past accuracy, its features."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from serving.api import (
    CalibrationAnswer,
    FeatureHistoryAnswer,
    GroupRecord,
    HistoryBar,
    HistoryFeature,
    HistoryForecast,
    HistoryOutcome,
    PredictAnswer,
    StoredForecast,
    WatchRow,
)
from serving.forecasts import BLEND
from serving.pages import formats
from serving.pages.views.bands import Badge, ShownBand, badge_of, price_band, return_band
from serving.pages.views.signs import interval_and_remark, sign_of

ANSWERED = "answered forecasts"
BLEND_IN_REPLAY = "… in replay, the blend"
MODEL_NAMES = {BLEND: "blend of the models"}


@dataclass(frozen=True)
class SymbolHead:
    """Last price of a symbol, and how old it is; ``is_adjusted`` where the price as traded is not known."""

    symbol: str
    last: str
    is_adjusted: bool
    change: str
    change_sign: int
    session: str
    known: str
    age: str
    is_stale: bool


@dataclass(frozen=True)
class ForecastCard:
    """The newest forecast that was known.

    Parameters
    ----------
    expected, price
        Median as a return and as a price.
    band, band_of_price
        Both with their badge; the second is None where no price is known.
    outlook, confidence
        In words and as a probability; empty and an en dash where only the table knows the forecast.
    """

    forecast_id: str
    expected: str
    price: str
    reference: str
    basis: str
    band: ShownBand | None
    band_of_price: ShownBand | None
    outlook: str
    confidence: str
    target: str
    as_of: str
    made: str
    model: str
    regime: str
    is_degraded: bool


@dataclass(frozen=True)
class AccuracyLine:
    """Band and skill of one group of matured forecasts; ``model`` where they are one model's replays."""

    group: str
    model: str | None
    outcomes: str
    badge: Badge
    loss: str
    naive_loss: str
    skill: str
    skill_sign: int
    interval: str
    remark: str


@dataclass(frozen=True)
class OutcomeLine:
    """One matured forecast beside what happened."""

    forecast_id: str
    made: str
    target: str
    expected: str
    band: ShownBand | None
    realised: str
    is_inside: bool


@dataclass(frozen=True)
class FeatureLine:
    """One feature within its own past."""

    name: str
    meaning: str
    value: str
    unit: str
    percentile: str
    share: float | None
    past: str


@dataclass(frozen=True)
class FeaturePanel:
    """Features of a session, with their times."""

    session: str
    event: str
    known: str
    tables: str
    lines: tuple[FeatureLine, ...]


class BarLine(NamedTuple):
    """One bar, as it is printed: the cells of its row."""

    session: str
    close: str
    traded: str
    volume: str
    known: str


def symbol_head(row: WatchRow) -> SymbolHead:
    """Return the head of the page."""
    age = row.sessions_old
    return SymbolHead(
        symbol=row.symbol,
        last=formats.price(row.close if row.price_traded is None else row.price_traded),
        is_adjusted=row.price_traded is None and row.close is not None,
        change=formats.signed(row.change, 2),
        change_sign=sign_of(row.change, 2),
        session=formats.day(row.session),
        known=formats.instant(row.known_time),
        age=formats.UNKNOWN if age is None else formats.count(age, "session"),
        is_stale=bool(age),
    )


def forecast_card(
    forecast: HistoryForecast, record: CalibrationAnswer, answered: PredictAnswer | StoredForecast | None
) -> ForecastCard:
    """Return the card of a forecast.

    Parameters
    ----------
    record
        How the bands of such forecasts held.
    answered
        The same forecast as the endpoint tells it, where it does: it alone knows the confidence.
    """
    band, in_replay = record.overall.band, record.band_in_replay
    told = answered.prediction if isinstance(answered, PredictAnswer) else answered
    return ForecastCard(
        forecast_id=forecast.forecast_id,
        expected=formats.signed(forecast.p50, 2),
        price=formats.price(forecast.price_p50),
        reference=formats.price(forecast.reference_price),
        basis=formats.words(forecast.price_basis or ""),
        band=return_band(forecast.p10, forecast.p90, band, in_replay),
        band_of_price=price_band(forecast.price_p10, forecast.price_p90, band, in_replay),
        outlook=(told.outlook or "") if told else "",
        confidence=formats.percent(told.confidence if told else None, 0),
        target=formats.day(forecast.target_session),
        as_of=formats.instant(forecast.event_time),
        made=formats.instant(forecast.known_time),
        model=f"{MODEL_NAMES.get(forecast.model_name, forecast.model_name)}",
        regime=formats.words(forecast.regime),
        is_degraded=forecast.is_degraded,
    )


def accuracy_lines(
    answered: CalibrationAnswer, models: Sequence[CalibrationAnswer], in_replay: GroupRecord | None = None
) -> tuple[AccuracyLine, ...]:
    """Return the record of the answered forecasts, by regime too, and of each model's walk-forward replays.

    Parameters
    ----------
    in_replay
        What the blend would have answered, told on a line of its own; None where enough answered ones have an outcome.
    """
    lines = [_accuracy(ANSWERED, answered.overall)]
    if len(answered.regimes) > 1:
        lines += [_accuracy(f"… in {formats.words(each.group)}", each) for each in answered.regimes]
    if in_replay is not None:
        line = _accuracy(BLEND_IN_REPLAY, in_replay)
        lines.append(replace(line, badge=badge_of(answered.overall.band, in_replay.band)))
    replayed = [each for each in models if each.overall.band.outcomes]
    lines += [_accuracy(f"{each.model}, walk-forward", each.overall, each.model) for each in replayed]
    return tuple(lines)


def outcome_lines(outcomes: Sequence[HistoryOutcome], record: CalibrationAnswer) -> tuple[OutcomeLine, ...]:
    """Return matured forecasts, the newest first."""
    return tuple(
        OutcomeLine(
            forecast_id=each.forecast_id,
            made=formats.day(each.event_time),
            target=formats.day(each.target_session),
            expected=formats.signed(each.p50, 2),
            band=return_band(each.p10, each.p90, record.overall.band, record.band_in_replay),
            realised=formats.signed(each.realised_return, 2),
            is_inside=each.is_inside,
        )
        for each in reversed(outcomes)
    )


def feature_panel(answer: FeatureHistoryAnswer) -> FeaturePanel:
    """Return the features of a session."""
    return FeaturePanel(
        session=formats.day(answer.session),
        event=formats.instant(answer.event_time),
        known=formats.instant(answer.known_time),
        tables=", ".join(dict.fromkeys(each.table for each in answer.features)),
        lines=tuple(_feature(each) for each in answer.features),
    )


def bar_lines(bars: Sequence[HistoryBar]) -> tuple[BarLine, ...]:
    """Return bars, the newest first."""
    return tuple(
        BarLine(
            session=formats.day(bar.session),
            close=formats.price(bar.close),
            traded=formats.price(bar.price_traded),
            volume=formats.number(bar.volume),
            known=formats.instant(bar.known_time),
        )
        for bar in reversed(bars)
    )


def _accuracy(name: str, record: GroupRecord, model: str | None = None) -> AccuracyLine:
    skill = record.skill
    interval, remark = interval_and_remark(skill)
    return AccuracyLine(
        group=name,
        model=model,
        outcomes=f"{record.band.outcomes:,}",
        badge=badge_of(record.band),
        loss=formats.percent(skill.pinball_loss, 3),
        naive_loss=formats.percent(skill.naive_loss, 3),
        skill=formats.signed(skill.skill),
        skill_sign=sign_of(skill.skill),
        interval=interval,
        remark=remark,
    )


def _feature(feature: HistoryFeature) -> FeatureLine:
    return FeatureLine(
        name=feature.name,
        meaning=feature.meaning,
        value=formats.number(feature.value),
        unit=feature.unit,
        percentile=formats.UNKNOWN if feature.percentile is None else f"{100 * feature.percentile:.0f}",
        share=feature.percentile,
        past=f"{feature.past:,}",
    )
