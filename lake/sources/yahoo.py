"""Yahoo Finance: daily bars of its chart service, version 8. Unofficial, without a contract, off by default."""

from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, ClassVar, Literal
from urllib.parse import quote
from zoneinfo import ZoneInfo

import polars as pl

from lake.errors import ContractError, OutageError, SourceError, UnknownSymbolError
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
from lake.sources.http.fields import as_number, day_at, first_of, number, required, same_symbol, time_zone, unknown

PRICES = ("open", "high", "low", "close", "volume")
EVENTS = ("dividends", "splits", "capitalGains")
SPAN = timedelta(days=3_650)
"""Longest span of one request: ten years of days."""
USER_AGENT = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0 Safari/537.36"
UNAUTHORISED, FORBIDDEN, NOT_FOUND = 401, 403, 404


class Yahoo:
    """The chart service of Yahoo Finance.

    Open, high, low, close and volume are in today's shares (``split_adjusted``), ``adj_close`` is adjusted for
    dividends too, so the past changes at each action; so are the amounts of dividends. A bar is stamped at its open,
    in seconds; its session is the date of that instant on the exchange's clocks.
    """

    name: ClassVar[str] = "yahoo"
    title: ClassVar[str] = "Yahoo Finance"
    base_url: ClassVar[str] = "https://query2.finance.yahoo.com"
    auth: ClassVar[Auth | None] = None
    limits: ClassVar[tuple[Limit, ...]] = (Limit(1, 1, "yahoo-address"),)
    terms: ClassVar[Terms] = Terms(
        "Yahoo terms of service", "No contract and no right to redistribute; for personal research. Read its terms."
    )
    basis: ClassVar[Literal["as_traded", "split_adjusted"]] = "split_adjusted"
    caveats: ClassVar[tuple[str, ...]] = (
        "Yahoo's prices are in today's shares: levels of the past change at each split and dividend.",
    )
    lookback: ClassVar[timedelta] = timedelta(days=14)
    delay: ClassVar[timedelta] = timedelta(minutes=30)

    def plan(self, ask: Ask) -> Iterator[HttpRequest]:
        """Return one request per symbol and ten years."""
        for symbol in ask.symbols:
            start = ask.first - timedelta(days=1)  # east of Greenwich a session begins before its date does in UTC
            while start <= ask.last:
                end = min(start + SPAN, ask.last + timedelta(days=1))
                yield HttpRequest(
                    symbol,
                    f"/v8/finance/chart/{quote(symbol, safe='')}",
                    {
                        "period1": _epoch(start),
                        "period2": _epoch(end),
                        "interval": "1d",
                        "events": "div,splits,capitalGains",
                        "includeAdjustedClose": "true",
                    },
                    {"user-agent": USER_AGENT},
                )
                start = end

    def parse(self, answer: HttpAnswer) -> Page:
        """Return the bars of one symbol; ``timestamp`` is absent where there are none."""
        chart = required(answer.json(), "chart", dict)
        if chart.get("error"):
            raise _error(answer, chart["error"])
        result = first_of(chart, "result")
        meta = required(result, "meta", dict)
        symbol = answer.request.subject
        same_symbol(symbol, required(meta, "symbol", str))
        zone = time_zone(required(meta, "exchangeTimezoneName", str))
        indicators = required(result, "indicators", dict)
        quotes = first_of(indicators, "quote")
        bars = [] if "timestamp" not in result else _bars(symbol, result, zone)
        currency = meta.get("currency")
        actions = [*_actions(symbol, result.get("events") or {}, zone, currency)]
        reached = meta.get("regularMarketTime")
        return Page(
            pl.DataFrame(bars, schema=SESSION_BARS),
            pl.DataFrame(actions, schema=SESSION_ACTIONS),
            complete_until=None if reached is None else datetime.fromtimestamp(int(reached), UTC),
            ignored=unknown(quotes, PRICES),
            currencies={symbol: currency} if isinstance(currency, str) else {},
        )

    def refusal(self, answer: HttpAnswer) -> SourceError | None:
        """A 401 asks for a crumb, and no key of ours would help; a 404 says in JSON that there is no such symbol."""
        if answer.status in {UNAUTHORISED, FORBIDDEN}:
            return OutageError(f"{answer.request} was refused with status {answer.status}: it asks for a browser.")
        if answer.status == NOT_FOUND:
            chart = required(answer.json(), "chart", dict)
            return _error(answer, chart.get("error"))
        return None


def _epoch(day: date) -> str:
    return str(int(datetime.combine(day, time(), UTC).timestamp()))


def _error(answer: HttpAnswer, error: object) -> SourceError:
    code = required(error, "code", str)
    description = required(error, "description", str)
    if code == "Not Found":
        return UnknownSymbolError(f"There is no symbol '{answer.request.subject}': {description}")
    return ContractError(f"{answer.request} was answered with {code}: {description}")


def _bars(symbol: str, result: Mapping[str, Any], zone: ZoneInfo) -> list[dict[str, object]]:
    times = required(result, "timestamp", list)
    indicators = result["indicators"]
    columns = {name: _column(first_of(indicators, "quote"), name, len(times)) for name in PRICES}
    adjusted: list[str | None] = [None] * len(times)
    if "adjclose" in indicators:
        adjusted = _column(first_of(indicators, "adjclose"), "adjclose", len(times))
    return [
        {
            "symbol": symbol,
            "session": day_at(_seconds(at), zone),
            **{name: values[place] for name, values in columns.items()},
            "adj_close": adjusted[place],
            "price_basis": Yahoo.basis,
        }
        for place, at in enumerate(times)
    ]


def _column(holder: Mapping[str, Any], name: str, length: int) -> list[str | None]:
    values = required(holder, name, list)
    if len(values) != length:
        raise ContractError(f"The list '{name}' holds {len(values)} values for {length} time stamps.")
    return [as_number(value, name) for value in values]


def _seconds(value: object) -> float:
    if not isinstance(value, Digits):
        raise ContractError(f"The field 'timestamp' holds {value!r}, documented are seconds since 1970.")
    return float(value)


def _actions(
    symbol: str, events: Mapping[str, Any], zone: ZoneInfo, currency: str | None
) -> Iterator[dict[str, object]]:
    for kind in EVENTS:
        for event in (events.get(kind) or {}).values():
            ex_date = day_at(_seconds(required(event, "date", Digits)), zone)
            stated = event.get("currency") or currency
            base = {"symbol": symbol, "ex_date": ex_date, "currency": stated, "price_basis": Yahoo.basis}
            if kind == "splits":
                new, old = (float(required(event, part, Digits)) for part in ("numerator", "denominator"))
                if old <= 0 or new <= 0:
                    raise ContractError(f"A split of {symbol} on {ex_date} has the ratio {new:g}:{old:g}.")
                yield base | {"kind": "split", "ratio": str(new / old), "amount": None}
            else:
                name = "dividend" if kind == "dividends" else "capital_gain"
                yield base | {"kind": name, "ratio": None, "amount": number(event, "amount")}
