"""`quantlake recommend`: what to do about a symbol in a book, with size, stop, record and what would change it."""

import textwrap
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from dagster_project.commands.predict import horizon_of, in_any_spelling
from dagster_project.commands.shell import AsJson, console, print_json, require_home

if TYPE_CHECKING:
    from serving.api import RecommendAnswer, Recommendation

WIDTH = 80
SCALE = 60
ARROWS = {"buy": "▲", "hold": "·", "sell": "▼"}

Symbol = Annotated[str, typer.Argument(help="Symbol, e.g. AAPL; a former name and lower case will do.")]
Position = Annotated[float, typer.Option(help="Shares held now; below zero where sold short.")]
Equity = Annotated[
    float | None,
    typer.Option(help="Value of the account; no size follows without it.", show_default=False),
]
Risk = Annotated[Literal["low", "moderate", "high"], typer.Option(help="Risk tolerance: which limits bound the size.")]
AheadOrTerm = Annotated[
    str,
    typer.Option(
        "--horizon",
        help="How far ahead: 5 (sessions), '60 minutes', or short, medium, long.",
    ),
]
TERMS = ("short", "medium", "long")


def recommend(
    symbol: Symbol,
    position: Position = 0.0,
    equity: Equity = None,
    risk: Risk = "moderate",
    horizon: AheadOrTerm = "short",
    *,
    as_json: AsJson = False,
) -> None:
    """Ask the running service what to do about a symbol: quantlake recommend AAPL --position 100 --equity 100000.

    Buy or sell is only said where the expected move exceeds the cost of a round trip and calls of the same confidence
    have come true more often than a coin; the rule that decided is told (docs/advice.md). No order is sent.
    """
    from lake.settings import settings
    from serving.client import Client

    require_home(settings())
    asked: dict[str, Any] = {"position": position, "equity": equity, "risk_tolerance": risk}
    if horizon in TERMS:
        asked["time_horizon"] = horizon
    else:
        ahead = horizon_of(horizon)
        asked[ahead.member] = ahead.n
    with Client.local(settings()) as client:
        answer = in_any_spelling(lambda name: client.recommend(name, **asked), symbol)
    if as_json:
        print_json(answer.model_dump(mode="json", by_alias=True))
        return
    console().print("\n".join(lines_of(answer)), highlight=False, markup=False, soft_wrap=True)


def lines_of(answer: "RecommendAnswer") -> list[str]:
    """Return a recommendation as lines of at most 80 columns."""
    told, ahead = answer.recommendation, _ahead(answer)
    lines = [f"{answer.symbol} as of {answer.as_of:%Y-%m-%d}, {ahead} ahead", "", _headline(answer), ""]
    lines += [*textwrap.wrap(told.reasoning, WIDTH), ""]
    lines += [*_prices(answer), *_sizes(told), *_beside(told)]
    lines += [f"{'valid until':<12} {told.expires_at:%Y-%m-%d %H:%M} UTC, the next close", ""]
    lines += [f"Recommendation {told.recommendation_id}", f"of forecast    {answer.prediction_id}"]
    return [*lines, *textwrap.wrap(answer.disclaimer, WIDTH)]


def _headline(answer: "RecommendAnswer") -> str:
    told, held = answer.recommendation, answer.portfolio_context.current_position
    if told.action == "hold":
        what = f"HOLD {held:,.0f} shares" if held else "HOLD, nothing is held"
    elif told.quantity is None or told.target_position is None:
        what = f"{told.action.upper()}, size not known"
    else:
        what = f"{told.action.upper()} {told.quantity:,.0f} shares ({held:,.0f} -> {told.target_position:,.0f})"
    sure = f"P({told.direction}) {100 * told.confidence:.0f} %" if told.direction != "flat" else "no direction"
    return f"{ARROWS[told.action]} {what}".ljust(WIDTH - len(sure)) + sure


def _prices(answer: "RecommendAnswer") -> list[str]:
    """Return expected move, prices, and the prices on a scale."""
    told, now = answer.recommendation, answer.reference_price
    cost = told.risk_assessment.round_trip_cost
    lines = [f"{'expected':<12} {100 * told.expected_return:+.2f} %, naive 0.00 %, round trip {100 * cost:.2f} %"]
    if now is None or told.target_price is None:
        return [*lines, f"{'price':<12} as traded not known"]
    stop = "-" if told.stop_loss is None else f"{told.stop_loss:,.2f}"
    lines.append(
        f"{'price':<12} {now:,.2f}, target {told.target_price:,.2f}, stop {stop} {answer.currency or ''}".rstrip()
    )
    if told.stop_loss is not None:
        lines.append(f"{'':<12} {_scale(told.stop_loss, now, told.target_price)}")
    if told.loss_at_stop is not None and told.loss_at_stop > 0:
        budget = told.risk_assessment.loss_budget
        of_budget = "" if budget is None else f" (budget {budget:,.2f})"
        lines.append(f"{'at the stop':<12} {told.loss_at_stop:,.2f} lost, costs included{of_budget}")
    return lines


def _scale(stop: float, now: float, target: float) -> str:
    """Return three prices on a line: S stop, | now, T target."""
    low, high = min(stop, now, target), max(stop, now, target)
    cells = ["-"] * SCALE
    for price, mark in ((stop, "S"), (target, "T"), (now, "|")):
        cells[round((price - low) / (high - low or 1.0) * (SCALE - 1))] = mark
    return "".join(cells)


def _sizes(told: "Recommendation") -> list[str]:
    lines: list[str] = []
    for each in told.sizes:
        name = "size, at most" if not lines else ""
        bound = "  <- binds" if each.is_binding else ""
        lines.append(f"{name:<12} {each.shares:>12,.1f} shares  {each.name.replace('_', ' ')}{bound}".rstrip())
    return [line.replace("size, at most", "at most     ", 1) for line in lines]


def _beside(told: "Recommendation") -> list[str]:
    """Return record, reasons, what flips it, gate and notes, each under its name."""
    why = ", ".join(f"{each.feature} {100 * each.contribution:+.3f} %" for each in told.reasons)
    gate = told.gate.state + (f": {told.gate.refused_by}" if told.gate.refused_by else "")
    flip = told.flips_if
    before = "unknown" if flip is None or flip.before is None else f"{flip.before:.4g}"
    flips = (
        told.no_flip_because or "not known"
        if flip is None
        else f"{flip.action} if {flip.feature} were {flip.after:.4g} instead of {before}"
    )
    named = [
        ("past calls", told.calibration.sentence),
        ("from", why or told.no_reasons_because or "no feature contributes"),
        ("flips", flips),
        ("risk gate", gate),
        *(("risk", note) for note in told.risk_assessment.notes),
    ]
    lines: list[str] = []
    for name, text in named:
        first, *rest = textwrap.wrap(text, WIDTH - 13) or [""]
        lines += [f"{name:<12} {first}", *(f"{'':<12} {line}" for line in rest)]
    return lines


def _ahead(answer: "RecommendAnswer") -> str:
    from lake.horizons import Horizon

    if answer.horizon_sessions is not None:
        return str(Horizon(answer.horizon_sessions, "session"))
    return str(Horizon(answer.horizon_minutes or 1, "minute"))
