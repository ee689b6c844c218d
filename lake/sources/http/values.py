"""What a connector declares, what it is asked, and what it answers: plain values, no socket, no clock, no state."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from types import MappingProxyType
from typing import Any, ClassVar, Literal, Protocol

import polars as pl

from lake.errors import OutageError, SourceError

TEXT = pl.String()
SESSION_BARS: dict[str, pl.DataType] = {
    "symbol": TEXT,
    "session": pl.Date(),
    **dict.fromkeys(("open", "high", "low", "close", "adj_close", "volume", "price_basis"), TEXT),
}
"""Columns of the bars of a page: the date of the session, prices and volume as the text that was sent."""
SESSION_ACTIONS: dict[str, pl.DataType] = {
    "symbol": TEXT,
    "ex_date": pl.Date(),
    **dict.fromkeys(("kind", "ratio", "amount", "currency", "price_basis"), TEXT),
}
"""Columns of the corporate actions of a page.

``kind`` is ``split`` (``ratio`` new shares for one old share), ``dividend`` or ``capital_gain`` (``amount`` per share,
in ``currency`` where it is stated, in the shares that ``price_basis`` says).
"""


VINTAGES: dict[str, pl.DataType] = {
    "series": TEXT,
    "period": pl.Date(),
    "vintage_date": pl.Date(),
    "value": TEXT,
    "is_clamped": pl.Boolean(),
}
"""Columns of the vintages of a page: a value of a period, and from which day on it was told.

``is_clamped``: the vintage is the start of the question, so the value may be older.
"""


@dataclass(frozen=True)
class Auth:
    """Where the key of a source comes from, and where it goes in a request.

    Parameters
    ----------
    variable
        Environment variable that holds the key, under the name that the vendor's own tools use; `Settings` reads it.
    place, name
        Part of the request, and the header's or the parameter's name there; a bearer key needs none.
    """

    variable: str
    place: Literal["header", "query", "bearer"]
    name: str = ""


@dataclass(frozen=True)
class Limit:
    """At most `requests` in any `seconds`, counted together by all connectors and processes that name the `scope`.

    Examples
    --------
    >>> print(Limit(5, 60, "massive-key"), "and", Limit(25, 86_400, "alpha-vantage-key"))
    5 a minute and 25 a day
    """

    requests: int
    seconds: float
    scope: str

    def __str__(self) -> str:
        spans: dict[float, str] = {1: "a second", 60: "a minute", 3_600: "an hour", 86_400: "a day"}
        return f"{self.requests:,} {spans.get(self.seconds, f'in {self.seconds:g} s')}"


@dataclass(frozen=True)
class Terms:
    """What the vendor allows, as the licence of each row and as a notice to read before the source is switched on."""

    licence: str
    notice: str
    may_redistribute: bool = False


@dataclass(frozen=True)
class Ask:
    """The sessions from `first` to `last`, both included, of some symbols; `today` is the date of asking, in UTC."""

    symbols: tuple[str, ...]
    first: date
    last: date
    today: date


@dataclass(frozen=True)
class HttpRequest:
    """One GET, without its secret.

    Parameters
    ----------
    subject
        Symbol that the answer is about; empty where it is about all of them.
    path
        Path below the connector's address, or a full address that the vendor gave as the next page.
    params, headers
        Query and headers, none of them secret.
    """

    subject: str
    path: str
    params: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    headers: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))

    def __str__(self) -> str:
        query = "&".join(f"{name}={value}" for name, value in sorted(self.params.items()))
        return f"{self.path}?{query}" if query else self.path


class Digits(str):
    """A JSON number as the text that was sent: 1.10 stays 1.10."""

    __slots__ = ()


@dataclass(frozen=True)
class HttpAnswer:
    """What came back, and when it had arrived (`received_at`, UTC)."""

    request: HttpRequest
    status: int
    body: str
    received_at: datetime
    headers: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))

    def json(self) -> Any:
        """Return the decoded body; numbers as `Digits`.

        Raises
        ------
        OutageError
            If the body is no JSON, as that of a proxy's page or of a cut connection: asking again is right.

        Examples
        --------
        >>> at = datetime.fromisoformat("2012-12-31T22:00:00+00:00")
        >>> HttpAnswer(HttpRequest("AAA", "/bars"), 200, '{"close": 1.10}', at).json()
        {'close': '1.10'}
        """
        try:
            return json.loads(self.body, parse_float=Digits, parse_int=Digits, parse_constant=_refuse_constant)
        except ValueError as error:
            begin = " ".join(self.body[:60].split())
            raise OutageError(f"The answer to {self.request} is no JSON ({error}); it begins with '{begin}'.") from None


@dataclass(frozen=True)
class Page:
    """What one answer says.

    Parameters
    ----------
    bars, actions, vintages
        Rows in the columns of `SESSION_BARS`, `SESSION_ACTIONS` and `VINTAGES`.
    next
        Request of the next page; None after the last.
    following
        Requests that this answer is the key to.
    complete_until
        Instant up to which the vendor's own data reaches, where it says: a session that closes later is still open.
    ignored
        Names of fields that the vendor has added since the connector was written.
    failures
        Of an answer about many symbols, those whose rows are not as documented.
    currencies
        What the prices of a symbol are in, by symbol, where the vendor says.
    """

    bars: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=SESSION_BARS))
    actions: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=SESSION_ACTIONS))
    vintages: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=VINTAGES))
    next: HttpRequest | None = None
    following: tuple[HttpRequest, ...] = ()
    complete_until: datetime | None = None
    ignored: tuple[str, ...] = ()
    failures: tuple[tuple[str, SourceError], ...] = ()
    currencies: Mapping[str, str] = field(default_factory=dict)


class Connector(Protocol):
    """A vendor of daily bars over HTTP, as values and two pure functions.

    A connector keeps no state, opens no socket, reads no clock and does not sleep: `lake.sources.http` does, for all
    of them.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    base_url: ClassVar[str]
    auth: ClassVar[Auth | None]
    limits: ClassVar[tuple[Limit, ...]]
    terms: ClassVar[Terms]
    caveats: ClassVar[tuple[str, ...]]
    basis: ClassVar[Literal["as_traded", "split_adjusted"]]
    """Shares that its prices are in: those of each day, or those of the day it is asked."""
    lookback: ClassVar[timedelta]
    """How far before the newest stored bar is asked again, because the vendor restates."""
    delay: ClassVar[timedelta]
    """After a close, when its bar is assumed to have been public; for bars that were first asked much later."""

    def plan(self, ask: Ask) -> Iterator[HttpRequest]:
        """Return the first request of each series of pages, in the order in which they are to be made."""
        ...

    def parse(self, answer: HttpAnswer) -> Page:
        """Return what an answer with status 200 says.

        Success is recognised, errors are not: the answer must have the shape that the vendor documents for success.

        Raises
        ------
        SourceError
            The kind that the answer states, or `ContractError` for an answer that is neither success nor a known
            refusal.
        """
        ...

    def refusal(self, answer: HttpAnswer) -> SourceError | None:
        """Return what an answer with another status means where that differs from `lake.sources.http.fetching`."""
        ...


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON number")
