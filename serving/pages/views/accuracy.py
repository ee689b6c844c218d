"""View model of past accuracy: forecasts against outcomes, coverage over time, and the record by regime and quarter."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from serving.api import AccuracyAnswer, AccuracyGroup, AccuracyPoint, HitRecord, RecordKind
from serving.pages import formats
from serving.pages.views.bands import Badge, badge_of, replay_badge
from serving.pages.views.plots import CoveragePlot, Scatter, coverage_plot, scatter
from serving.pages.views.signs import interval_and_remark, sign_of

WHOSE: dict[RecordKind, str] = {
    "answered": "Forecasts that were answered",
    "in_replay": "In replay, never answered: what the blend would have said at each past close, with the weights and "
    "corrections known at it",
    "walk_forward": "Walk-forward of {model}, one model alone, before blend and calibration",
}
EVEN = 0.5
"""Share of hits that guessing has."""


@dataclass(frozen=True)
class GroupLine:
    """Band, hits and losses of one group of matured forecasts, each with what it rests on."""

    group: str
    outcomes: str
    badge: Badge
    hits: str
    loss: str
    naive_loss: str
    skill: str
    skill_sign: int
    interval: str
    remark: str


class PointLine(NamedTuple):
    """One forecast beside what came: the cells of its row."""

    close: str
    regime: str
    median: str
    realised: str
    place: str
    known: str


@dataclass(frozen=True)
class AccuracyView:
    """Past accuracy of a symbol.

    Parameters
    ----------
    whose
        Whose forecasts these are, as a sentence without its end.
    record
        ``answered``, ``in_replay`` or ``walk_forward``.
    overall, regimes, quarters
        The record in all, by regime and by quarter.
    scatter, coverage
        Drawings; None where there are not enough outcomes.
    caption
        What the scatter shows, as sentences.
    points
        The newest outcomes, those of the scatter, the newest first.
    """

    whose: str
    record: RecordKind
    overall: GroupLine
    regimes: tuple[GroupLine, ...]
    quarters: tuple[GroupLine, ...]
    scatter: Scatter | None
    coverage: CoveragePlot | None
    caption: str
    points: tuple[PointLine, ...]


def accuracy_view(answer: AccuracyAnswer) -> AccuracyView:
    """Return the panel of an answer; below 30 outcomes it has no drawing, and every group says that there are too few.

    Parameters
    ----------
    answer
        Its points are those that the scatter shows.
    """
    is_enough = answer.overall.band.is_enough
    return AccuracyView(
        whose=WHOSE[answer.record].format(model=answer.model),
        record=answer.record,
        overall=group_line(answer.overall, answer.record),
        regimes=tuple(group_line(each, answer.record) for each in answer.regimes),
        quarters=tuple(group_line(each, answer.record) for each in answer.quarters),
        scatter=scatter(answer.points) if is_enough else None,
        coverage=coverage_plot(answer.quarters) if is_enough else None,
        caption=_caption(answer.points, answer.rows_in_all),
        points=tuple(map(_point, reversed(answer.points))),
    )


def group_line(group: AccuracyGroup, record: RecordKind) -> GroupLine:
    """Return the line of one group; its badge says of replays that they are."""
    skill = group.skill
    interval, remark = interval_and_remark(skill)
    return GroupLine(
        group=formats.words(group.group),
        outcomes=f"{group.band.outcomes:,}",
        badge=replay_badge(group.band) if record == "in_replay" else badge_of(group.band),
        hits=_hits(group.hits),
        loss=formats.percent(skill.pinball_loss, 3),
        naive_loss=formats.percent(skill.naive_loss, 3),
        skill=formats.signed(skill.skill),
        skill_sign=sign_of(skill.skill),
        interval=interval,
        remark=remark,
    )


def _hits(hits: HitRecord) -> str:
    if hits.share is None or hits.low is None or hits.high is None:
        return f"not enough (n = {hits.outcomes:,})"
    told = f"{formats.percent(hits.share, 0)} ({formats.interval(hits.low, hits.high)}, n = {hits.outcomes:,})"
    return f"{told}, as guessing" if hits.low <= EVEN <= hits.high else told


def _caption(points: Sequence[AccuracyPoint], outcomes: int) -> str:
    inside = sum(point.is_inside for point in points)
    part = "" if len(points) == outcomes else f"The newest {len(points):,} of {outcomes:,} outcomes. "
    told = f"{part}{inside:,} of {len(points):,} outcomes lay within their band (dots), the others beyond it (crosses)."
    if not any(point.p50 for point in points):
        return f"{told} Every median was zero: these forecasts say how far the price may move, not in which direction."
    return f"{told} Each axis has a scale of its own; on the dashed line a forecast equals its outcome."


def _point(point: AccuracyPoint) -> PointLine:
    return PointLine(
        close=formats.day(point.event_time),
        regime=formats.words(point.regime),
        median=formats.signed(point.p50, 2),
        realised=formats.signed(point.realised_return, 2),
        place="inside" if point.is_inside else "outside",
        known=formats.instant(point.known_time),
    )
