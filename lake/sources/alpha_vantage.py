"""Alpha Vantage: daily bars as traded, splits and dividends. Its refusals come with status 200."""

from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Any, ClassVar, Literal

import polars as pl

from lake.errors import (
    AuthError,
    ContractError,
    EntitlementError,
    QuotaError,
    SourceError,
    ThrottledError,
    UnknownSymbolError,
)
from lake.sources.http import (
    SESSION_ACTIONS,
    SESSION_BARS,
    Ask,
    Auth,
    HttpAnswer,
    HttpRequest,
    Limit,
    Page,
    Terms,
    next_midnight,
)
from lake.sources.http.fields import day, number, required, same_symbol, unknown

SERIES = "Time Series (Daily)"
FIELDS = {"open": "1. open", "high": "2. high", "low": "3. low", "close": "4. close", "volume": "5. volume"}
COMPACT_DAYS = 130
"""Calendar days before today that the latest 100 sessions surely reach back: five a week, they take 137 at least."""
DAILY = ("per day", "daily rate limit")
TOO_FAST = ("per second", "per minute", "call frequency")
KEY = ("apikey", "api key")
"""Words by which a note says what it is about; the daily ones are looked for first, their note names paid plans too."""


class AlphaVantage:
    """The daily service of Alpha Vantage.

    Prices are as traded and come as text, without an adjusted close. Splits and dividends are asked for beside, and
    give it (`lake.sources.http.adjusting`), so a symbol costs three requests. The adjusted series and, for some keys,
    the full history are part of paid plans.
    """

    name: ClassVar[str] = "alpha_vantage"
    title: ClassVar[str] = "Alpha Vantage"
    base_url: ClassVar[str] = "https://www.alphavantage.co"
    auth: ClassVar[Auth | None] = Auth("ALPHAVANTAGE_API_KEY", "query", "apikey")
    limits: ClassVar[tuple[Limit, ...]] = (Limit(1, 1, "alpha-vantage-key"), Limit(25, 86_400, "alpha-vantage-key"))
    terms: ClassVar[Terms] = Terms(
        "Alpha Vantage terms of service", "Personal use on a free key; another use needs an agreement. Read its terms."
    )
    basis: ClassVar[Literal["as_traded", "split_adjusted"]] = "as_traded"
    caveats: ClassVar[tuple[str, ...]] = ()
    lookback: ClassVar[timedelta] = timedelta(days=14)
    delay: ClassVar[timedelta] = timedelta(minutes=30)

    def plan(self, ask: Ask) -> Iterator[HttpRequest]:
        """Return three requests per symbol: bars, splits, dividends; the whole history where 100 sessions are few."""
        size = "compact" if ask.first > ask.today - timedelta(days=COMPACT_DAYS) else "full"
        for symbol in ask.symbols:
            daily = {"function": "TIME_SERIES_DAILY", "symbol": symbol, "outputsize": size}
            for params in (daily, *({"function": kind, "symbol": symbol} for kind in ("SPLITS", "DIVIDENDS"))):
                yield HttpRequest(symbol, "/query", params)

    def parse(self, answer: HttpAnswer) -> Page:
        """Return the bars or the actions of one symbol; the vendor's refusals, which have status 200, are raised."""
        content = answer.json()
        symbol, function = answer.request.subject, answer.request.params["function"]
        if isinstance(content, Mapping) and (error := _refused(answer, content)) is not None:
            raise error
        if function != "TIME_SERIES_DAILY":
            same_symbol(symbol, required(content, "symbol", str))
            actions = [_action(symbol, function, event) for event in required(content, "data", list)]
            return Page(actions=pl.DataFrame(actions, schema=SESSION_ACTIONS))
        series = required(content, SERIES, dict)
        same_symbol(symbol, required(required(content, "Meta Data", dict), "2. Symbol", str))
        bars = [_bar(symbol, session, values) for session, values in series.items()]
        ignored = {name for values in series.values() for name in unknown(values, [*FIELDS.values()])}
        return Page(pl.DataFrame(bars, schema=SESSION_BARS), ignored=tuple(sorted(ignored)))

    def refusal(self, answer: HttpAnswer) -> SourceError | None:  # noqa: ARG002 - the interface of a connector
        """Other statuses mean what they mean everywhere."""
        return None


def _bar(symbol: str, session: str, values: object) -> dict[str, object]:
    if not isinstance(values, Mapping):
        raise ContractError(f"The field '{session}' holds no object, documented are the values of one session.")
    return {
        "symbol": symbol,
        "session": day(session, SERIES),
        **{name: number(values, theirs, str) for name, theirs in FIELDS.items()},
        "adj_close": None,
        "price_basis": AlphaVantage.basis,
    }


def _action(symbol: str, function: str, event: Mapping[str, Any]) -> dict[str, object]:
    base = {"symbol": symbol, "currency": None, "price_basis": AlphaVantage.basis}
    if function == "SPLITS":
        ex_date = day(required(event, "effective_date", str), "effective_date")
        return base | {"ex_date": ex_date, "kind": "split", "ratio": number(event, "split_factor", str)}
    ex_date = day(required(event, "ex_dividend_date", str), "ex_dividend_date")
    return base | {"ex_date": ex_date, "kind": "dividend", "amount": number(event, "amount", str)}


def _refused(answer: HttpAnswer, content: Mapping[str, Any]) -> SourceError | None:
    """Return what a note in place of data means: one field serves for quota, plan and key, so its text is read."""
    texts = [str(content[name]) for name in ("Error Message", "Note", "Information") if name in content]
    if not texts:
        return None
    text, lower = texts[0], texts[0].lower()
    if any(words in lower for words in DAILY):
        return QuotaError(f"The daily allowance is used up: {text}", next_midnight(answer.received_at, "US/Eastern"))
    if "Note" in content or any(words in lower for words in TOO_FAST):
        return ThrottledError(text)
    if "premium" in lower:
        return EntitlementError(f"{answer.request} needs a paid plan: {text}")
    if any(words in lower for words in KEY):
        return AuthError(f"The key in ALPHAVANTAGE_API_KEY is refused: {text}")
    kind = UnknownSymbolError if "Error Message" in content else ContractError
    return kind(f"'{answer.request.subject}' was answered with a note instead of data: {text}")
