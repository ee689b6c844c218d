"""View models of explanations: contributions of features to a forecast, and forecasts of changed inputs."""

from collections.abc import Sequence
from dataclasses import dataclass

from serving.api import CalibrationAnswer
from serving.api.explanations import (
    CounterfactualAnswer,
    ExplanationAnswer,
    FeatureContribution,
    FeatureSweep,
    ForecastRead,
    SweepPoint,
)
from serving.pages import formats
from serving.pages.views.bands import ShownBand, return_band
from serving.pages.views.signs import sign_of

SHOWN = 12
"""Contributions that have a line of their own; the others, and those of nothing, are summed."""
TIED = 2.0
"""Standard errors within which two contributions count as equally large."""


@dataclass(frozen=True)
class ContributionLine:
    """One feature's part in a forecast.

    Parameters
    ----------
    start, length
        Of its bar, in percent of the width; zero lies in the middle.
    is_tied
        Whether the line above may as well be the smaller one.
    """

    feature: str
    group: str
    value: str
    percentile: str
    contribution: str
    error: str
    sign: int
    start: float
    length: float
    is_tied: bool


@dataclass(frozen=True)
class WhyView:
    """What makes one number of a forecast differ from that of typical windows."""

    quantile: str
    base: str
    value: str
    lines: tuple[ContributionLine, ...]
    method: str
    background: tuple[str, ...]
    additivity: str
    engine: str
    stability: str


@dataclass(frozen=True)
class SweepLine:
    """Forecasts along the training range of one feature.

    Parameters
    ----------
    rows
        Value, median and both ends of the band at 1 %, at the middle and at 99 % of the training range.
    points
        All of them as they are printed, for the slider, and among them the forecast that was given, at the true value.
    position
        Place of that point; of the middle where the value is not known.
    """

    feature: str
    value: str
    percentile: str
    rows: tuple[tuple[str, ...], ...]
    points: tuple[dict[str, str], ...]
    position: int


@dataclass(frozen=True)
class WhatIfView:
    """The stored forecast beside those of changed inputs, and the engine and models that computed them.

    Parameters
    ----------
    digests
        Name of each model and SHA-256 of its file.
    """

    expected: str
    band: ShownBand | None
    sweeps: tuple[SweepLine, ...]
    note: str
    engine: str
    digests: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class FlipView:
    """The smallest change of one feature that turns the forecast, or that there is none."""

    sentence: str
    is_inside_range: bool


def why_view(answer: ExplanationAnswer) -> WhyView:
    """Return the contributions, the largest first."""
    told = answer.explanation
    found = sorted(told.local_explanation.feature_contributions, key=lambda each: -abs(each.contribution))
    widest = max((abs(each.contribution) for each in found), default=0.0) or 1.0
    shown = [each for each in found[:SHOWN] if each.contribution]
    lines = [_line(each, widest, shown[place - 1] if place else None) for place, each in enumerate(shown)]
    if rest := found[len(shown) :]:
        lines.append(_others(rest, widest))
    return WhyView(
        quantile=told.quantile,
        base=formats.signed(told.base_value, 3),
        value=formats.signed(told.value, 3),
        lines=tuple(lines),
        method=f"{told.method}, {told.explanation_type}",
        background=tuple(
            f"{', '.join(read.models)}: {', '.join(f'{w.symbol} {formats.day(w.as_of)}' for w in read.windows)}"
            for read in told.backgrounds
        ),
        additivity=f"{told.additivity_error:.1e}",
        engine=f"{answer.engine.name}, {answer.seconds:.2f} s{' when it was computed' if answer.is_cached else ''}",
        stability="" if told.stability is None else told.stability.sentence,
    )


def what_if_view(answer: CounterfactualAnswer, record: CalibrationAnswer) -> WhatIfView:
    """Return sweeps beside the stored forecast, whose band has the badge of the symbol's page."""
    stored = answer.stored
    return WhatIfView(
        expected=formats.signed(stored.p50, 2),
        band=return_band(stored.p10, stored.p90, record.overall.band, record.band_in_replay),
        sweeps=tuple(_sweep(sweep, stored) for sweep in answer.sweeps),
        note=answer.note,
        engine=answer.engine.name,
        digests=tuple(sorted(answer.engine.digests.items())),
    )


def flip_view(answer: CounterfactualAnswer) -> FlipView:
    """Return what a search for a change that turns the forecast found."""
    if not answer.is_found or answer.changed is None or not answer.moved:
        return FlipView("No value of one feature within its training range turns the direction.", is_inside_range=True)
    moved, changed = answer.moved[0], answer.changed
    sentence = (
        f"{moved.feature} at {formats.number(moved.after)} in place of {formats.number(moved.before)} makes the median "
        f"{formats.signed(changed.p50, 2)} in place of {formats.signed(answer.stored.p50, 2)}."
    )
    return FlipView(sentence, is_inside_range=moved.is_inside_range)


def _line(each: FeatureContribution, widest: float, above: FeatureContribution | None) -> ContributionLine:
    start, length = _bar(each.contribution, widest)
    return ContributionLine(
        feature=each.feature,
        group=formats.words(each.group),
        value=formats.number(each.value),
        percentile=formats.UNKNOWN if each.percentile_in_training is None else f"{each.percentile_in_training:.0f}",
        contribution=formats.signed(each.contribution, 3),
        error="" if each.standard_error is None else f"±{100 * each.standard_error:.3f}",
        sign=sign_of(each.contribution, 3),
        start=start,
        length=length,
        is_tied=above is not None and _is_tied(each, above),
    )


def _others(rest: Sequence[FeatureContribution], widest: float) -> ContributionLine:
    total = sum(each.contribution for each in rest)
    start, length = _bar(total, widest)
    return ContributionLine(
        feature=formats.count(len(rest), "other", "others"),
        group="",
        value="",
        percentile="",
        contribution=formats.signed(total, 3),
        error="",
        sign=sign_of(total, 3),
        start=start,
        length=length,
        is_tied=False,
    )


def _bar(contribution: float, widest: float) -> tuple[float, float]:
    length = round(min(abs(contribution) / widest, 1.0) * 50, 1)
    return (50.0 if contribution >= 0 else round(50.0 - length, 1)), length


def _is_tied(one: FeatureContribution, other: FeatureContribution) -> bool:
    error = max(one.standard_error or 0.0, other.standard_error or 0.0)
    return error > 0 and abs(abs(one.contribution) - abs(other.contribution)) <= TIED * error


def _sweep(sweep: FeatureSweep, stored: ForecastRead) -> SweepLine:
    points = [_point(point.to, point) for point in sweep.points]
    ends = ((0, "1 %"), (len(points) // 2, "middle"), (len(points) - 1, "99 %"))
    rows = tuple((name, *(points[place][key] for key in ("to", "median", "low", "high"))) for place, name in ends)
    position = len(points) // 2
    if sweep.value is not None:
        position = sum(point.to < sweep.value for point in sweep.points)
        points.insert(position, _point(sweep.value, stored))
    return SweepLine(
        feature=sweep.feature,
        value=formats.number(sweep.value),
        percentile=formats.UNKNOWN if sweep.percentile is None else f"{sweep.percentile:.0f}",
        rows=rows,
        points=tuple(points),
        position=position,
    )


def _point(to: float, read: SweepPoint | ForecastRead) -> dict[str, str]:
    """Return a forecast at one value of a feature, as it is printed."""
    return {
        "to": formats.number(to),
        "median": formats.signed(read.p50, 2),
        "low": formats.signed(read.p10),
        "high": formats.signed(read.p90),
        "price": formats.price(read.target_price),
    }
