"""Facts that a written explanation may state: numbered, each with its value, unit and the one form of its print.

Pure: `NarrativeInputs` in, `StatedFact` values out. Whoever prints a number elsewhere than in `StatedFact.printed`
prints one that no check knows.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from functools import partial
from string import ascii_uppercase
from typing import Literal, NamedTuple, Self

from serving.explain.narrative.deep import BarScenario, DeepFindings
from serving.explain.narrative.drivers import Drivers
from serving.explain.similar import SimilarWindow

FactKind = Literal[
    "forecast", "record", "contribution", "model", "regime", "strategy", "calibration", "data", "limit",
    "stability", "line", "similar", "scenario",
]  # fmt: skip
Sign = Literal[-1, 0, 1]

NOT_ENOUGH = "not enough outcomes"
REPLAYED = "in replay its bands would have held"
TOP_CONTRIBUTIONS = 6
RECORD_LIMIT = "a record of past outcomes is no promise about the next one"
CONTRIBUTION_LIMIT = "contributions describe what the models computed, they are no causes in the market"
SIMILAR_LIMIT = "similar past windows are few, and what followed them is no forecast"
SCENARIO_LIMIT = "a scenario has another last bar, and earlier bars, the index and the regime as they were"
FAITHFUL, NOT_FAITHFUL = "faithful", "not faithful"
LINE = "straight line (LIME)"
LOWEST_RANK = "lowest of these rank correlations"
DEGRADED = "the online store was degraded and a snapshot answered"
UPWARD, DOWNWARD = {"up", "slightly up"}, {"down", "slightly down"}


class BandCount(NamedTuple):
    """How often outcomes lay within p10..p90 of earlier forecasts, as `serving.history` counts it.

    Parameters
    ----------
    outcomes
        How many were counted.
    held
        Share within the band; None where there are not enough outcomes to state one.
    low, high
        Ends of its 90 % interval; None where none is stated.
    """

    outcomes: int
    held: float | None = None
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, kw_only=True)
class NarrativeInputs:
    """What is known of one forecast when it is explained; returns and shares are fractions, null is not known.

    Parameters
    ----------
    as_of, known_time
        Close of the last session that the forecast knew, and the market time at which it was made.
    horizon, horizon_unit
        How far ahead, e.g. 5 and ``sessions``.
    confidence, outlook
        Probability of the median's sign, and the same in words.
    models
        Name and weight of each model of the blend.
    calibrated_on
        Sessions of the regime that the band's correction was learned from; None for a band as the models gave it.
    answered, replayed
        Record of the bands answered for this symbol and horizon, and of those that would have been answered at the
        closes of the walk-forward.
    age, age_unit
        Bars that had closed after `as_of` when it was made; ``sessions`` in a daily market, else ``bars``.
    is_intact
        Whether its seal is; None for a forecast that has none.
    drivers
        Contributions of features; None where they were not computed.
    deep
        What a deep explanation adds; None for another.
    has_daily_bars
        Whether a bar is a whole session.
    """

    symbol: str
    as_of: datetime
    known_time: datetime
    horizon: int
    horizon_unit: str
    p10: float
    p50: float
    p90: float
    coverage_target: float
    confidence: float | None
    outlook: str | None
    reference_price: float | None
    target_price: float | None
    currency: str | None
    target_session: date | None
    regime: str
    strategy: str | None
    strategy_confidence: float | None
    models: tuple[tuple[str, float], ...]
    calibrated_on: int | None
    answered: BandCount
    replayed: BandCount
    age: int
    age_unit: str
    is_degraded: bool
    is_intact: bool | None
    drivers: Drivers | None = None
    deep: DeepFindings | None = None
    has_daily_bars: bool = True

    def with_drivers(self, drivers: Drivers | None) -> Self:
        """Return the same with contributions of features."""
        return replace(self, drivers=drivers)

    def with_deep(self, deep: DeepFindings) -> Self:
        """Return the same with what a deep explanation adds; its contributions take the place of the others."""
        return replace(self, drivers=deep.drivers or self.drivers, deep=deep)

    def print_close(self, at: datetime) -> str:
        """Return a close as a fact prints it: its date, and the time where bars are shorter than sessions."""
        return f"{at:%Y-%m-%d}" if self.has_daily_bars else f"{at:%Y-%m-%d %H:%M} UTC"


@dataclass(frozen=True)
class StatedFact:
    """One fact.

    Parameters
    ----------
    id
        As sentences cite it: F1, F2, ...
    kind, subject
        What it is about; a sentence names the subject before the value.
    value
        Number in `unit`, or text; a date is text in the form YYYY-MM-DD.
    digits
        Digits after the point in print.
    is_signed
        Whether print shows a plus.
    sign
        Direction that words may give it; None where words of direction do not apply.

    Examples
    --------
    >>> fact = StatedFact("F4", "forecast", "median return", 0.2149, "%", digits=2, is_signed=True, sign=1)
    >>> fact.printed
    '+0.21 %'
    """

    id: str
    kind: FactKind
    subject: str
    value: float | str
    unit: str = ""
    digits: int = 0
    is_signed: bool = False
    sign: Sign | None = None

    @property
    def number(self) -> str:
        """The number in print, without its unit; empty for text. Rounded to nothing it has no sign."""
        if isinstance(self.value, str):
            return ""
        rounded = round(self.value, self.digits) + 0.0  # no negative zero
        return f"{rounded:{'+' if self.is_signed and rounded else ''},.{self.digits}f}"

    @property
    def printed(self) -> str:
        """The only form in which a sentence may state the value."""
        return f"{self.number} {self.unit}".strip() if not isinstance(self.value, str) else self.value


class FactSheet:
    """The facts of one explanation, in order, found by id, kind and subject."""

    def __init__(self, facts: Sequence[StatedFact]) -> None:
        self._by_id = {fact.id: fact for fact in facts}

    def __iter__(self) -> Iterator[StatedFact]:
        """Every fact, in the order of their numbers."""
        return iter(self._by_id.values())

    def get(self, fact_id: str) -> StatedFact | None:
        """Return the fact of an id; None where there is none."""
        return self._by_id.get(fact_id)

    def of(self, kind: FactKind, *subjects: str) -> list[StatedFact]:
        """Return facts of a kind, or those of them with one of some subjects, in their order."""
        return [fact for fact in self if fact.kind == kind and (not subjects or fact.subject in subjects)]


def facts_of(given: NarrativeInputs) -> FactSheet:
    """Number the facts of a forecast; what is not known makes no fact.

    Returns
    -------
    FactSheet
        Forecast, record, contributions, models, regime, strategy, calibration, data, limits, and what a deep
        explanation adds, in that order.

    Raises
    ------
    ValueError
        If a number is not finite.
    """
    parts = (_forecast, _record, _contributions, _decisions, _data, _limits, _deep)
    stated = [each for part in parts for each in part(given)]
    if any(isinstance(each.value, float) and not math.isfinite(each.value) for each in stated):
        raise ValueError("a fact holds a number that is not finite")
    return FactSheet([replace(each, id=f"F{place}") for place, each in enumerate(stated, start=1)])


_fact = partial(StatedFact, "")
"""A fact that is not numbered yet."""


def _forecast(given: NarrativeInputs) -> Iterator[StatedFact]:
    yield _fact("forecast", "symbol", given.symbol)
    yield _fact("forecast", "as of", f"{given.as_of:%Y-%m-%d}")
    yield _fact("forecast", "horizon", float(given.horizon), given.horizon_unit)
    yield _return("forecast", "median return", given.p50, has_direction=True)
    yield _return("forecast", "p10", given.p10)
    yield _return("forecast", "p90", given.p90)
    for subject, price in (("reference price", given.reference_price), ("target price", given.target_price)):
        if price is not None:
            yield _fact("forecast", subject, price, given.currency or "", 2)
    if given.target_session is not None:
        yield _fact("forecast", "target session", f"{given.target_session:%Y-%m-%d}")
    if given.confidence is not None:
        yield _share("forecast", "confidence", given.confidence, digits=1)
    if given.outlook is not None:
        yield _fact("forecast", "outlook", given.outlook, sign=_outlook_sign(given.outlook))


def _record(given: NarrativeInputs) -> Iterator[StatedFact]:
    yield _share("record", "meant to hold", given.coverage_target)
    yield _held("it held", given.answered)
    for subject, end in (("low end", given.answered.low), ("high end", given.answered.high)):
        if end is not None:
            yield _share("record", subject, end, digits=1)
    yield _fact("record", "outcomes counted", float(given.answered.outcomes))
    yield _held(REPLAYED, given.replayed)
    yield _fact("record", "replayed outcomes", float(given.replayed.outcomes))


def _held(subject: str, record: BandCount) -> StatedFact:
    if record.held is None:
        return _fact("record", subject, NOT_ENOUGH)
    return _share("record", subject, record.held, digits=1)


def _contributions(given: NarrativeInputs) -> Iterator[StatedFact]:
    found = given.drivers
    if found is None:
        return
    yield _return("contribution", "base value", found.base_value)
    largest = sorted(found.features, key=lambda each: (-abs(each.value), each.feature))[:TOP_CONTRIBUTIONS]
    for each in largest:
        yield _return("contribution", each.feature, each.value, has_direction=True)
    errors = [each.standard_error for each in largest if each.standard_error is not None]
    if errors:
        yield _fact("contribution", "largest standard error", 100 * max(errors), "%", 2)


def _decisions(given: NarrativeInputs) -> Iterator[StatedFact]:
    for name, weight in given.models:
        yield _share("model", name, weight)
    yield _fact("regime", "regime", given.regime.replace("_", " "))
    if given.strategy is not None:
        yield _fact("strategy", "strategy", given.strategy)
    if given.strategy_confidence is not None:
        yield _share("strategy", "strategy confidence", given.strategy_confidence, digits=1)
    if given.calibrated_on is not None:
        yield _fact("calibration", "calibrated on", float(given.calibrated_on), "sessions")


def _data(given: NarrativeInputs) -> Iterator[StatedFact]:
    yield _fact("data", "data age", float(given.age), given.age_unit)
    if given.is_degraded:
        yield _fact("data", "online store", DEGRADED)
    if given.is_intact is not None:
        yield _fact("data", "seal", "intact" if given.is_intact else "broken")


def _limits(given: NarrativeInputs) -> Iterator[StatedFact]:
    yield _fact("limit", "record", RECORD_LIMIT)
    if given.drivers is not None:
        yield _fact("limit", "contributions", CONTRIBUTION_LIMIT)


def _deep(given: NarrativeInputs) -> Iterator[StatedFact]:
    found = given.deep
    if found is None:
        return
    if found.stability is not None:
        windows, mean, lowest = found.stability
        yield _fact("stability", "rank correlation of the contributions within the error of the values", mean, "", 2)
        yield _fact("stability", LOWEST_RANK, lowest, "", 2)
        yield _fact("stability", "windows with moved values", float(windows))
    if found.line is not None:
        yield _fact("line", f"fidelity R2 of a {LINE}", found.line.r2, "", 2)
        yield _fact("line", LINE, FAITHFUL if found.line.is_faithful else NOT_FAITHFUL)
    yield from _similar(given, found.similar)
    for scenario in found.scenarios:
        yield from _scenario(scenario)
    if found.similar:
        yield _fact("limit", "similar past windows", SIMILAR_LIMIT)
    if found.scenarios:
        yield _fact("limit", "scenarios", SCENARIO_LIMIT)


def _similar(given: NarrativeInputs, windows: Sequence[SimilarWindow]) -> Iterator[StatedFact]:
    """State each window by a letter of its own, so that no sentence can give one window what is another's."""
    for letter, window in zip(ascii_uppercase, windows, strict=False):
        yield _fact("similar", f"similar past window {letter}", given.print_close(window.as_of))
        yield _fact("similar", f"distance of window {letter}", window.distance, "percentile points", 1)
        yield _return("similar", f"return after window {letter}", window.outcome)
    if windows:
        within = sum(given.p10 <= window.outcome <= given.p90 for window in windows)
        yield _fact("similar", "returns after similar windows", float(len(windows)))
        yield _fact("similar", "of these within p10 and p90 of this forecast", float(within))


def _scenario(scenario: BarScenario) -> Iterator[StatedFact]:
    name = f"with a close {100 * scenario.close_change:+g} %"
    for subject, value in (("median return", scenario.p50), ("p10", scenario.p10), ("p90", scenario.p90)):
        yield _return("scenario", f"{subject} {name}", value)
    yield _fact("scenario", f"features that move {name}", float(scenario.moved))
    yield _fact("scenario", f"of these outside 1-99 % of training {name}", float(scenario.outside))


def _return(kind: FactKind, subject: str, fraction: float, *, has_direction: bool = False) -> StatedFact:
    """State a return in percent with two digits, a basis point; its direction is that of the printed number."""
    percent = 100 * fraction
    sign = _sign(round(percent, 2)) if has_direction else None
    return _fact(kind, subject, percent, "%", 2, is_signed=True, sign=sign)


def _share(kind: FactKind, subject: str, fraction: float, *, digits: int = 0) -> StatedFact:
    return _fact(kind, subject, 100 * fraction, "%", digits)


def _sign(number: float) -> Sign:
    return 0 if not number else 1 if number > 0 else -1


def _outlook_sign(outlook: str) -> Sign:
    return 1 if outlook in UPWARD else -1 if outlook in DOWNWARD else 0
