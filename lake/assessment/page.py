"""The quality page of a market: one HTML file that needs nothing else, for light and dark screens."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from html import escape
from pathlib import Path
from typing import Any

from lake.assessment.agreement import MOST_DISAGREEING
from lake.assessment.assessing import assess
from lake.assessment.pictures import draw_coverage, draw_scores
from lake.assessment.summary import FINDINGS_SHOWN, RECENT, QualitySummary, summarise
from lake.clock import Clock
from lake.disk import write_durably
from lake.knowledge import percent
from lake.report import Report
from lake.store import Lake

PAGE = "quality.html"
"""Name of the page in the folder of reports."""
STYLE = Path(__file__).with_name("page.css")
EXAMPLE_LETTERS = 160
RULES = {
    "extreme_return": ("return beyond 8 scaled median deviations", "deviations"),
    "extreme_volume": ("volume beyond 20 medians", "medians"),
    "stale_close": ("five equal closes in a row", "closes"),
}
"""What each rule of `findings` says, and the unit of its value."""
PARTS = ("completeness", "validity", "timeliness", "agreement", "score")


def report_quality(lake: Lake, clock: Clock, path: Path) -> Report:
    """Bring findings and scores up to the market's now, write the page, and return what it says in short.

    Examples
    --------
    >>> import tempfile
    >>> from lake.clock import FixedClock
    >>> from lake.ingest import ingest_bars, refine_to_lake
    >>> from lake.sources import GeneratedMarket
    >>> clock = FixedClock(datetime.fromisoformat("2012-12-31T21:00+00:00"))
    >>> lake = Lake(Path(tempfile.mkdtemp()))
    >>> _ = ingest_bars(lake, GeneratedMarket.ending(symbols=2, sessions=5, until=clock.now()), clock)
    >>> _ = refine_to_lake(lake, clock)
    >>> report_quality(lake, clock, lake.root / "quality.html").details["lowest_score"]
    1.0
    """
    findings, scores = assess(lake, clock)
    summary = summarise(lake, clock.now())
    recent = {source: part["score"] for source, part in summary.recent.items()}
    return replace(
        scores.with_details(
            page=write_page(summary, path),
            findings=findings.rows,
            new_findings=findings.added,
            lowest_score=min((score for score in recent.values() if score is not None), default=None),
            scores=recent,
            refused=summary.refused,
            disagreement=summary.disagreement.share if summary.disagreement.compared else None,
            known_basis=summary.knowledge.shares,
        ),
        name="data_quality",
    )


def write_page(summary: QualitySummary, path: Path) -> Path:
    """Write the page and return its path."""
    write_durably(path, render(summary))
    return path


def render(summary: QualitySummary) -> str:
    """Return the page as HTML; everything that comes from data is escaped."""
    name = escape(summary.market)
    body = "".join(
        [
            f"<header><h1>Data quality of <em>{name}</em></h1>",
            f"<p>as known at {summary.now:%Y-%m-%d %H:%M} UTC, sessions of {escape(summary.calendar)}</p></header>",
            _tiles(summary),
            _section("Scores", _scores(summary), "completeness x validity x timeliness x agreement, 0 to 1"),
            _section("Coverage", _coverage(summary), "share of sessions with a bar, largest gaps first"),
            _section("Refused rows", _reasons(summary.reasons), "kept in quarantine as received, by reason"),
            _section("Findings", _findings(summary), "bars that look odd; flagged and kept, never changed"),
            _section("Agreement", _agreement(summary), "between the sources of one bar"),
            _section("Deliveries", _deliveries(summary.deliveries), "what sources were asked last; UTC"),
        ]
    )
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>Data quality of {name}</title><style>{STYLE.read_text(encoding='utf-8')}</style></head>"
        f"<body><main>{body}<footer>Written by <code>quantlake quality</code>; the tables behind it are described in "
        "docs/tables.md.</footer></main></body></html>\n"
    )


def _section(title: str, content: str, about: str) -> str:
    return f"<section><h2>{title} <small>{escape(about)}</small></h2>{content}</section>"


def _tiles(summary: QualitySummary) -> str:
    scores = [part["score"] for part in summary.recent.values() if part["score"] is not None]
    share = summary.refused / summary.raw_rows if summary.raw_rows else 0.0
    tiles = [
        (f"{min(scores):.3f}" if scores else "-", f"lowest score of a source, last {RECENT} sessions"),
        (f"{summary.bars:,}", f"bars of {summary.symbols:,} symbols"),
        (f"{share:.2%}", f"refused: {summary.refused:,} of {summary.raw_rows:,} rows"),
        (f"{sum(summary.rules.values()):,}", "findings, all sessions"),
        _disagreement(summary),
        (_assumed(summary), escape(summary.knowledge.sentence())),
    ]
    return (
        '<div class="tiles">'
        + "".join(f"<div><b>{value}</b><span>{text}</span></div>" for value, text in tiles)
        + "</div>"
    )


def _disagreement(summary: QualitySummary) -> tuple[str, str]:
    if not summary.disagreement.compared:
        return "-", "of returns compared between sources: none has two"
    return f"{summary.disagreement.share:.2%}", "of returns on which sources disagree"


def _assumed(summary: QualitySummary) -> str:
    share = summary.knowledge.assumed
    return "-" if share is None else percent(share)


def _scores(summary: QualitySummary) -> str:
    if not summary.scores:
        return _none("No session is scored yet. The next daily run scores them.")
    rows = [
        [f'<i class="key s{place % 4}"></i>{escape(source)}', *(_share(summary.recent[source][part]) for part in PARTS)]
        for place, source in enumerate(sorted(summary.recent))
    ]
    return draw_scores(summary.scores) + _table([f"last {RECENT} sessions", *PARTS], rows, numbers=range(1, 6))


def _share(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def _coverage(summary: QualitySummary) -> str:
    shades = {
        "full": "every session",
        "high": "95 % and more",
        "mid": "50 % and more",
        "low": "less",
        "none": "asked, no bar",
        "unasked": "before its first bar, or not asked",
    }
    legend = "".join(f'<span><i class="{name}"></i>{text}</span>' for name, text in shades.items())
    more = summary.symbols - len(summary.coverage)
    rest = f"<p>{more:,} more symbols have no larger gaps than these.</p>" if more > 0 else ""
    return f'<p class="legend">{legend}</p>{draw_coverage(summary.starts, summary.coverage)}{rest}'


def _reasons(reasons: Sequence[Mapping[str, Any]]) -> str:
    if not reasons:
        return _none("No row was refused.")
    rows = [
        [
            f"<code>{escape(each['reason'])}</code>",
            f"{each['rows']:,}",
            f"{each['symbols']:,}",
            _example(each),
            f"<code>{escape(each['next'])}</code>",
        ]
        for each in reasons
    ]
    return _table(["reason", "rows", "symbols", "newest example", "next"], rows, numbers=(1, 2))


def _example(each: Mapping[str, Any]) -> str:
    whose = f"{each['symbol']}, {each['event_time']:%Y-%m-%d}, from {each['source']}"
    return f"{escape(whose)}<br><small>{escape(each['content'][:EXAMPLE_LETTERS])}</small>"


def _findings(summary: QualitySummary) -> str:
    if not summary.rules:
        return _none("Nothing looks odd.")
    counts = ", ".join(f"{rows:,} x {RULES[rule][0]}" for rule, rows in summary.rules.items())
    rows = [
        [
            f"{each['event_time']:%Y-%m-%d}",
            escape(each["symbol"]),
            RULES[each["rule"]][0],
            f"{each['value']:,.1f} {RULES[each['rule']][1]}",
            escape(each["source"]),
        ]
        for each in summary.findings
    ]
    shown = f"<p>{counts}. The newest {min(len(rows), FINDINGS_SHOWN)}:</p>"
    return shown + _table(["session", "symbol", "what is odd", "how far", "source"], rows, numbers=(3,))


def _agreement(summary: QualitySummary) -> str:
    found = summary.disagreement
    if not found.compared:
        return _none("No bar has two sources. Name further ones as other_sources of the market.")
    verdict = "more than" if found.is_high else "within"
    head = (
        f"<p>Of {found.compared:,} returns of the newest sessions that several sources have, {found.disagreeing:,} "
        f"differ by more than 5 bp: {found.share:.2%}, {verdict} the {MOST_DISAGREEING:.0%} taken as usual.</p>"
    )
    rows = [
        [
            f"{each['event_time']:%Y-%m-%d}",
            escape(str(each["symbol"])),
            f"{each['spread_bp']:,.1f} bp",
            escape(str(each["chosen"])),
        ]
        for each in found.examples
    ]
    return head + (_table(["session", "symbol", "apart by", "bar is from"], rows, numbers=(2,)) if rows else "")


def _deliveries(deliveries: Sequence[Mapping[str, Any]]) -> str:
    if not deliveries:
        return _none("No delivery is logged yet.")
    rows = [
        [
            f"{each['received_at']:%Y-%m-%d %H:%M}",
            escape(each["source"]),
            f"{_day(each['since'])} to {each['event_time']:%Y-%m-%d}",
            f"{each['rows']:,}",
            f"{each['stored']:,}",
            "-" if each["requests"] is None else f"{each['requests']:,}",
            _outcome(each),
        ]
        for each in deliveries
    ]
    return _table(["received", "source", "span", "rows", "new", "requests", "outcome"], rows, numbers=(3, 4, 5))


def _outcome(each: Mapping[str, Any]) -> str:
    named = escape(each["outcome"].replace("_", " "))
    if not each["failed"]:
        return named
    why = f"<br><small>{escape(each['reason'])}</small>" if each["reason"] else ""
    return f"<strong>{named}</strong>, {each['failed']:,} of {each['subjects']:,}{why}"


def _day(at: datetime | None) -> str:
    return "its beginning" if at is None else f"{at:%Y-%m-%d}"


def _none(text: str) -> str:
    return f'<p class="empty">{escape(text)}</p>'


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]], *, numbers: Iterable[int] = ()) -> str:
    """Return a table whose cells are HTML; the columns of numbers stand to the right."""
    right = {*numbers}
    kinds = [' class="number"' if place in right else "" for place in range(len(heads))]
    head = "".join(f"<th{kind}>{escape(text)}</th>" for kind, text in zip(kinds, heads, strict=True))
    body = "".join(
        f"<tr>{''.join(f'<td{kind}>{cell}</td>' for kind, cell in zip(kinds, row, strict=True))}</tr>" for row in rows
    )
    return f'<div class="scroll"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'
