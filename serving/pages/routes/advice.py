"""What to do about a symbol in a book: asked of the endpoint in the visitor's name, and shown with earlier answers."""

import math
from functools import partial
from typing import TYPE_CHECKING, Any, get_args
from urllib.parse import quote

from anyio import to_thread
from starlette.responses import RedirectResponse

from lake.errors import ConfigError, QuantlakeError, UnknownNameError
from serving.api import ADVICE_DISCLAIMER, RiskTolerance
from serving.pages.rendering import error_page, root_of
from serving.pages.routes.forms import Form, of_own_pages, one_of
from serving.pages.routes.frame import Visit
from serving.pages.views.advice import advice_view, past_advice
from serving.pages.views.panels import Panel, panel_of

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from serving.api import RecommendAnswer
    from serving.pages.login import LoginSession
    from serving.pages.views.advice import AdviceView, PastAdvice

TOLERANCES: tuple[RiskTolerance, ...] = get_args(RiskTolerance)
SHOWN = 10
"""Earlier recommendations that are listed."""


def show(request: "Request") -> "Response":
    """Show the form, the recommendation that the address names, and earlier ones of one's own."""
    visit = Visit.of(request)
    symbol, named = request.path_params["symbol"], request.query_params.get("id", "")
    answer = panel_of(partial(visit.client.recommendation, named)) if named else None
    advice: Panel[AdviceView] | None = None
    if answer is not None:
        advice = answer if answer.shown is None else Panel(advice_view(answer.shown))  # type: ignore[assignment]
    return visit.page(
        "advice.html",
        f"{symbol}: advice",
        symbol=symbol,
        advice=advice,
        asked=None if answer is None or answer.shown is None else answer.shown.portfolio_context,
        earlier=panel_of(partial(_past, visit, symbol)),
        tolerances=TOLERANCES,
        advice_disclaimer=ADVICE_DISCLAIMER,
    )


@of_own_pages
async def ask(request: "Request", session: "LoginSession", form: Form) -> "Response":
    """Ask the endpoint in the visitor's name, and lead to the answer."""
    symbol = request.path_params["symbol"]
    try:
        answer = await to_thread.run_sync(partial(_ask, request, session, symbol, form))
    except UnknownNameError:
        raise
    except ConfigError as error:
        return error_page(request.scope, 422, "Not a number that can be used", str(error))
    except QuantlakeError as error:
        return error_page(request.scope, 503, "There is no recommendation now", str(error))
    named = answer.recommendation.recommendation_id
    page = f"{root_of(request.scope)}/s/{quote(answer.symbol, safe='')}/advice"
    return RedirectResponse(f"{page}?id={named}&horizon={_bars(form)}", 303)


def _ask(request: "Request", session: "LoginSession", symbol: str, form: Form) -> "RecommendAnswer":
    dashboard = request.app.state.dashboard
    bars = int(_bars(form) or dashboard.market.horizon_bars[0])
    ahead = dashboard.market.horizon_of(bars)
    asked: dict[str, Any] = {ahead.member: ahead.n}
    asked["position"] = number_in(form, "position") or 0.0
    asked["equity"] = number_in(form, "equity")
    asked["risk_tolerance"] = one_of("risk tolerance", form.get("risk", "moderate"), TOLERANCES)
    answer: RecommendAnswer = dashboard.endpoint.of(session.caller).recommend(symbol, **asked)
    return answer


def number_in(form: Form, name: str) -> float | None:
    """Return the number of a field; None where it was left empty.

    Raises
    ------
    ConfigError
        If it is none.

    Examples
    --------
    >>> number_in({"equity": "100,000"}, "equity"), number_in({}, "equity")
    (100000.0, None)
    """
    text = form.get(name, "").replace(",", "").strip()
    if not text:
        return None
    try:
        found = float(text)
    except ValueError:
        found = math.nan
    if not math.isfinite(found):
        raise ConfigError(f"The {name} is '{text[:40]}'; expected a number, e.g. 100000. Go back and correct it.")
    return found


def _bars(form: Form) -> str:
    text = form.get("horizon", "")
    return text if text.isascii() and text.isdigit() and len(text) < 7 else ""  # noqa: PLR2004 - as many as a horizon has


def _past(visit: Visit, symbol: str) -> "tuple[PastAdvice, ...]":
    as_of = None if visit.as_of.is_live else visit.as_of.instant.isoformat()
    found = visit.client.recommendations(symbol, as_of=as_of).recommendations
    return tuple(past_advice(each) for each in found[:SHOWN])
