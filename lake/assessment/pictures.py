"""Pictures of the quality page as SVG, in the colours of its style sheet; small enough to stand in one file."""

from collections.abc import Callable, Mapping, Sequence
from datetime import date
from html import escape

from lake.assessment.summary import Coverage

WIDTH, LEFT, RIGHT = 920, 86, 14
LINE_HEIGHT, ROW = 190, 13
LEVELS = (("full", 1.0), ("high", 0.95), ("mid", 0.5))
"""Names of the shades, each with the least share that it stands for; anything less and not nothing is ``low``."""
TICKS = 6
INNER = WIDTH - LEFT - RIGHT


def draw_scores(scores: Mapping[str, Sequence[tuple[date, float, float]]]) -> str:
    """Return the scores of each source over time: a line of means, and the band down to the lowest of each bucket."""
    days = [point[0] for points in scores.values() for point in points]
    if not days:
        return ""
    first, span = min(days), max((max(days) - min(days)).days, 1)
    top, bottom = 12, LINE_HEIGHT - 26

    def x(day: date) -> float:
        return LEFT + INNER * (day - first).days / span

    def y(score: float) -> float:
        return bottom - (bottom - top) * score

    parts = []
    for score in (0.0, 0.5, 1.0):
        parts.append(f'<path class="grid" d="M{LEFT} {y(score):.1f}H{WIDTH - RIGHT}"/>')
        parts.append(f'<text x="{LEFT - 8}" y="{y(score) + 4:.1f}" class="end">{score:g}</text>')
    for place, (source, points) in enumerate(sorted(scores.items())):
        line = " ".join(f"{x(day):.1f},{y(mean):.1f}" for day, mean, _ in points)
        low = " ".join(f"{x(day):.1f},{y(lowest):.1f}" for day, _, lowest in reversed(points))
        title = f"{escape(source)}: mean score, and the lowest of each span below it"
        parts.append(f'<g class="series s{place % 4}"><title>{title}</title>')
        parts.append(f'<polygon points="{line} {low}"/><polyline points="{line}"/></g>')
    parts += _dates([first, max(days)], x, LINE_HEIGHT - 6)
    return _svg(LINE_HEIGHT, "Score per source over time, from 0 to 1", parts)


def draw_coverage(starts: Sequence[date], coverage: Sequence[Coverage]) -> str:
    """Return a row per symbol: the share of sessions with a bar in each span of time, and where nobody asked."""
    if not coverage or not starts:
        return ""
    wide = INNER / len(starts)
    parts = []
    for place, each in enumerate(coverage):
        top = 4 + place * ROW
        told = f"{each.symbol}: {each.bars:,} bars in {each.sessions:,} sessions since its first"
        parts.append(f'<text x="{LEFT - 8}" y="{top + ROW - 3}" class="end">{escape(each.symbol[:11])}</text>')
        parts.append(f"<g><title>{escape(told)}</title>{_runs(each.shares, top, wide)}</g>")
    bottom = 4 + len(coverage) * ROW
    ends = [starts[0], starts[-1]]
    span = max((ends[1] - ends[0]).days, 1)
    parts += _dates(ends, lambda day: LEFT + (INNER - wide) * (day - ends[0]).days / span, bottom + 16)
    return _svg(bottom + 24, "Share of sessions with a bar, per symbol over time", parts)


def _runs(shares: Sequence[float | None], top: int, wide: float) -> str:
    """Draw neighbours of one shade as one bar."""
    found, start = [], 0
    names = [_level(share) for share in shares]
    for place in range(1, len(names) + 1):
        if place == len(names) or names[place] != names[start]:
            x, width = LEFT + start * wide, (place - start) * wide
            found.append(f'<path class="{names[start]}" d="M{x:.1f} {top}h{width:.1f}v{ROW - 2}h-{width:.1f}z"/>')
            start = place
    return "".join(found)


def _level(share: float | None) -> str:
    if share is None:
        return "unasked"
    if share == 0:
        return "none"
    return next((name for name, least in LEVELS if share >= least), "low")


def _dates(ends: Sequence[date], x: Callable[[date], float], y: float) -> list[str]:
    first, last = ends
    found = []
    for place in range(TICKS):
        day = first + (last - first) * place / (TICKS - 1)
        anchor = "" if 0 < place < TICKS - 1 else ' class="begin"' if place == 0 else ' class="end"'
        found.append(f'<text x="{x(day):.1f}" y="{y}"{anchor}>{day:%Y-%m-%d}</text>')
    return found


def _svg(height: float, title: str, parts: Sequence[str]) -> str:
    return (
        f'<svg viewBox="0 0 {WIDTH} {height:.0f}" role="img" aria-label="{escape(title)}">'
        f"<title>{escape(title)}</title>{''.join(parts)}</svg>"
    )
