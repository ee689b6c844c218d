"""Polygon, now called Massive: daily bars as traded, splits and dividends."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import date, timedelta
from typing import Any, ClassVar, Literal
from urllib.parse import quote

import polars as pl

from lake.errors import AuthError, ContractError, EntitlementError, OutageError, SourceError
from lake.sources.http import (
    SESSION_ACTIONS,
    SESSION_BARS,
    Ask,
    Auth,
    Digits,
    HttpAnswer,
    HttpRequest,
    Limit,
    Page,
    Terms,
)
from lake.sources.http.fields import day, day_at, number, required, same_symbol, time_zone, unknown

FIELDS = {"open": "o", "high": "h", "low": "l", "close": "c", "volume": "v"}
OTHER_FIELDS = ("t", "T", "vw", "n", "otc")
SPLITS, DIVIDENDS, GROUPED = "/stocks/v1/splits", "/stocks/v1/dividends", "/v2/aggs/grouped/locale/us/market/stocks"
DELAY = timedelta(minutes=15)
ZONE = "America/New_York"
MOST_BARS, MOST_ACTIONS = "50000", "5000"
FORBIDDEN, SATURDAY = 403, 5


class Polygon:
    """The aggregates of Polygon, which is called Massive since 2025; its former host is still served.

    Prices and volume are asked for as traded (``adjusted=false``): the adjusted form rewrites both for the whole past
    at each split. Dividends are not adjusted for splits. A bar is stamped at its start, in milliseconds; the bars of
    one day for all symbols are stamped within it, so the date on New York's clocks is the session either way.

    It answers an unknown symbol as one without bars. A first load names the symbols that have none at all.
    """

    name: ClassVar[str] = "polygon"
    title: ClassVar[str] = "Polygon (Massive)"
    base_url: ClassVar[str] = "https://api.massive.com"
    auth: ClassVar[Auth | None] = Auth("MASSIVE_API_KEY", "bearer")
    limits: ClassVar[tuple[Limit, ...]] = (Limit(5, 60, "massive-key"),)
    terms: ClassVar[Terms] = Terms(
        "Massive terms of service", "Personal use on a free key; no redistribution without an agreement."
    )
    basis: ClassVar[Literal["as_traded", "split_adjusted"]] = "as_traded"
    caveats: ClassVar[tuple[str, ...]] = ()
    lookback: ClassVar[timedelta] = timedelta(days=7)
    delay: ClassVar[timedelta] = timedelta(hours=11)
    """Bars are computed anew after the day's end; eleven hours after the close it is past midnight, half days too."""

    def plan(self, ask: Ask) -> Iterator[HttpRequest]:
        """Return one request per day for all symbols, or one per symbol for all days, whichever are fewer."""
        days = [each for each in _days(ask.first, ask.last) if each.weekday() < SATURDAY]
        if len(days) < len(ask.symbols):
            for each in days:
                yield HttpRequest("", f"{GROUPED}/{each}", {"adjusted": "false"})
            yield from _events("", {}, ask)
            return
        for symbol in ask.symbols:
            path = f"/v2/aggs/ticker/{quote(symbol, safe='')}/range/1/day/{ask.first}/{ask.last}"
            yield HttpRequest(symbol, path, {"adjusted": "false", "sort": "asc", "limit": MOST_BARS})
            yield from _events(symbol, {"ticker": symbol}, ask)

    def parse(self, answer: HttpAnswer) -> Page:
        """Return the bars or the actions of a page; ``results`` is absent where there are none."""
        content = answer.json()
        status = required(content, "status", str)
        if status not in {"OK", "DELAYED"}:
            raise _error(answer, status, content)
        results = required(content, "results", list) if "results" in content else []
        path, subject = answer.request.path, answer.request.subject
        following = content.get("next_url")
        next_page = HttpRequest(subject, required(content, "next_url", str)) if following else None
        if SPLITS in path or DIVIDENDS in path:
            actions = [_split(event) if SPLITS in path else _dividend(event) for event in results]
            return Page(actions=pl.DataFrame(actions, schema=SESSION_ACTIONS), next=next_page)
        if content.get("adjusted") is not False:
            raise ContractError("The field 'adjusted' is not false: these prices are not those that were traded.")
        if subject:
            same_symbol(subject, required(content, "ticker", str))
        bars, failures = _bars(subject, results)
        ignored = {name for each in results for name in unknown(each, [*FIELDS.values(), *OTHER_FIELDS])}
        return Page(
            pl.DataFrame(bars, schema=SESSION_BARS),
            next=next_page,
            complete_until=answer.received_at - DELAY if status == "DELAYED" else None,
            ignored=tuple(sorted(ignored)),
            failures=tuple(failures),
        )

    def refusal(self, answer: HttpAnswer) -> SourceError | None:
        """A 403 says that the plan lacks the data, a 401 that the key is wrong."""
        if answer.status == FORBIDDEN:
            content = answer.json()
            return _error(answer, required(content, "status", str), content)
        return None


def _days(first: date, last: date) -> Iterator[date]:
    return (first + timedelta(days=number) for number in range((last - first).days + 1))


def _events(subject: str, ticker: Mapping[str, str], ask: Ask) -> Iterator[HttpRequest]:
    for path, name in ((SPLITS, "execution_date"), (DIVIDENDS, "ex_dividend_date")):
        span = {f"{name}.gte": str(ask.first), f"{name}.lte": str(ask.last)}
        yield HttpRequest(subject, path, {**ticker, **span, "limit": MOST_ACTIONS})


def _error(answer: HttpAnswer, status: str, content: Mapping[str, Any]) -> SourceError:
    text = str(content.get("message") or content.get("error") or status)
    if status == "NOT_AUTHORIZED":
        return EntitlementError(f"The plan of the key in MASSIVE_API_KEY does not include {answer.request}: {text}")
    if "api key" in text.lower():
        return AuthError(f"The key in MASSIVE_API_KEY is refused: {text}")
    if status == "ERROR":
        return OutageError(f"{answer.request} was answered with an error: {text}")
    return ContractError(f"{answer.request} was answered with the status {status}: {text}")


def _bars(
    subject: str, results: Sequence[Mapping[str, Any]]
) -> tuple[list[dict[str, object]], list[tuple[str, SourceError]]]:
    """Return the bars of a page; of a page for all symbols, also the symbols whose bar is not as documented."""
    bars: list[dict[str, object]] = []
    failures: list[tuple[str, SourceError]] = []
    for values in results:
        try:
            bars.append(_bar(subject, values))
        except ContractError as error:
            if subject:
                raise
            failures.append((required(values, "T", str), error))
    return bars, failures


def _bar(subject: str, values: Mapping[str, Any]) -> dict[str, object]:
    milliseconds = float(required(values, "t", Digits))
    return {
        "symbol": subject or required(values, "T", str),
        "session": day_at(milliseconds / 1_000, time_zone(ZONE)),
        **{name: number(values, theirs) for name, theirs in FIELDS.items()},
        "adj_close": None,
        "price_basis": Polygon.basis,
    }


def _split(event: Mapping[str, Any]) -> dict[str, object]:
    old, new = (float(required(event, name, Digits)) for name in ("split_from", "split_to"))
    symbol, ex_date = required(event, "ticker", str), day(required(event, "execution_date", str), "execution_date")
    if old <= 0 or new <= 0:
        raise ContractError(f"A split of {symbol} on {ex_date} has the ratio {new:g}:{old:g}.")
    return {
        "symbol": symbol,
        "ex_date": ex_date,
        "kind": "split",
        "ratio": str(new / old),
        "price_basis": Polygon.basis,
    }


def _dividend(event: Mapping[str, Any]) -> dict[str, object]:
    return {
        "symbol": required(event, "ticker", str),
        "ex_date": day(required(event, "ex_dividend_date", str), "ex_dividend_date"),
        "kind": "dividend",
        "amount": number(event, "cash_amount"),
        "currency": event.get("currency"),
        "price_basis": Polygon.basis,
    }
