"""Drawings of past accuracy as paths of SVG; every number of one stands in a table of its page as well."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from serving.api import AccuracyGroup, AccuracyPoint
from serving.pages import formats

SIDE, HEIGHT = 320.0, 240.0
"""Width and height of a drawing within its margins, in units of its view box."""
CROSS = 3.0
MARGIN = 1.06
SHARES = (0.0, 0.5, 1.0)


@dataclass(frozen=True)
class AxisTick:
    """A mark on an axis: where it stands, and what is printed beside it."""

    at: float
    label: str


@dataclass(frozen=True)
class Scatter:
    """Medians against the returns that came.

    Parameters
    ----------
    inside, outside
        Paths of the outcomes within and beyond their band: dots and crosses.
    diagonal
        Path on which a forecast equals its outcome; empty where every median is zero.
    zero_x, zero_y
        Where the median, and the return, is zero.
    across, up
        Marks of both axes.
    """

    inside: str
    outside: str
    diagonal: str
    zero_x: float
    zero_y: float
    across: tuple[AxisTick, ...]
    up: tuple[AxisTick, ...]


@dataclass(frozen=True)
class CoveragePoint:
    """How often the bands of one quarter held; ``middle`` is None where there are not enough outcomes."""

    name: str
    at: float
    low: float
    middle: float | None
    high: float


@dataclass(frozen=True)
class CoveragePlot:
    """Shares of outcomes within their band over time, with their intervals, beside the share promised."""

    points: tuple[CoveragePoint, ...]
    target: float
    up: tuple[AxisTick, ...]


def scatter(points: Sequence[AccuracyPoint]) -> Scatter:
    """Return the drawing of some outcomes, at least one.

    Both axes begin and end equally far from zero, each at its own largest value: returns are many times as large as
    medians, and on one scale every median would lie on a line.
    """
    most = max(abs(point.p50) for point in points)
    widest = MARGIN * most or 1.0
    highest = MARGIN * max(abs(point.realised_return) for point in points) or 1.0
    return Scatter(
        inside=_marks(points, widest, highest, is_inside=True),
        outside=_marks(points, widest, highest, is_inside=False),
        diagonal=_diagonal(widest, highest) if most else "",
        zero_x=SIDE / 2,
        zero_y=HEIGHT / 2,
        across=tuple(AxisTick(_across(end, widest), formats.signed(end, 2)) for end in _ends(points, "p50")),
        up=tuple(AxisTick(_up(end, highest), formats.signed(end)) for end in _ends(points, "realised_return")),
    )


def coverage_plot(quarters: Sequence[AccuracyGroup]) -> CoveragePlot:
    """Return the drawing of some quarters, at least one, the oldest at the left."""
    step = SIDE / len(quarters)
    return CoveragePlot(
        points=tuple(_quarter(each, (place + 0.5) * step) for place, each in enumerate(quarters)),
        target=_share(quarters[0].band.target),
        up=tuple(AxisTick(_share(share), formats.percent(share, 0)) for share in (*SHARES, quarters[0].band.target)),
    )


def _quarter(group: AccuracyGroup, at: float) -> CoveragePoint:
    band = group.band
    if band.held is None or band.low is None or band.high is None:
        return CoveragePoint(group.group, at, HEIGHT, None, HEIGHT)
    return CoveragePoint(group.group, at, _share(band.low), _share(band.held), _share(band.high))


def _marks(points: Sequence[AccuracyPoint], widest: float, highest: float, *, is_inside: bool) -> str:
    shown = [point for point in points if point.is_inside == is_inside]
    places = ((_across(point.p50, widest), _up(point.realised_return, highest)) for point in shown)
    return "".join(_dots(places) if is_inside else _crosses(places))


def _dots(places: Iterable[tuple[float, float]]) -> Iterable[str]:
    return (f"M{x:.1f} {y:.1f}h0" for x, y in places)


def _crosses(places: Iterable[tuple[float, float]]) -> Iterable[str]:
    size = 2 * CROSS
    return (f"M{x - CROSS:.1f} {y - CROSS:.1f}l{size} {size}m{-size} 0l{size} {-size}" for x, y in places)


def _diagonal(widest: float, highest: float) -> str:
    reach = min(widest, highest)
    return "M" + "L".join(f"{_across(end, widest):.1f} {_up(end, highest):.1f}" for end in (-reach, reach))


def _ends(points: Sequence[AccuracyPoint], name: str) -> list[float]:
    """Return minus and plus the largest absolute value, and zero between them; zero alone where all are."""
    most = max(abs(getattr(point, name)) for point in points)
    return [-most, 0.0, most] if most else [0.0]


def _across(value: float, widest: float) -> float:
    return round(SIDE / 2 * (1 + value / widest), 1)


def _up(value: float, highest: float) -> float:
    return round(HEIGHT / 2 * (1 - value / highest), 1)


def _share(share: float) -> float:
    return round(HEIGHT * (1 - share), 1)
