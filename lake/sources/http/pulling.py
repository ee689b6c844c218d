"""A connector as a source of bars: ask every symbol, stamp the bars with their closes, and say when they were known."""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta

import polars as pl

from lake import calendars
from lake.clock import require_utc
from lake.errors import ContractError, OutageError, SourceError, UnknownSymbolError
from lake.sources.base import ACTION_COLUMNS, BarBatch, FailedSymbol
from lake.sources.http.adjusting import with_adjusted_close
from lake.sources.http.fetching import Fetcher
from lake.sources.http.fields import note_of_ignored
from lake.sources.http.values import SESSION_ACTIONS, SESSION_BARS, Ask, HttpAnswer, HttpRequest, Page
from lake.sources.splits import with_later_splits
from lake.tables import RAW_BARS

INSTANT = pl.Datetime("us", "UTC")
MOST_FAILURES = 0.2
"""Share of the symbols that may fail before the whole delivery does."""
OF_ONE_SYMBOL = (UnknownSymbolError, ContractError, OutageError)
"""Kinds of failure after which the other symbols go on; any other kind ends the delivery."""
DAY = timedelta(days=1)
ORDER = ("symbol", "session")


@dataclass
class _Gathered:
    """What the pages of one delivery said."""

    requests: list[str] = field(default_factory=list)
    received: list[datetime] = field(default_factory=list)
    bars: list[pl.DataFrame] = field(default_factory=list)
    actions: list[pl.DataFrame] = field(default_factory=list)
    failures: list[tuple[str, SourceError]] = field(default_factory=list)
    ignored: set[str] = field(default_factory=set)
    currencies: dict[str, str] = field(default_factory=dict)
    answers: int = 0

    def all_actions(self) -> pl.DataFrame:
        """Return each split and dividend once, in the columns of `SESSION_ACTIONS` and `received_at`."""
        empty = pl.DataFrame(schema={**SESSION_ACTIONS, "received_at": INSTANT})
        told = pl.concat([empty, *self.actions])
        return told.unique([*SESSION_ACTIONS], keep="first", maintain_order=True)

    def add(self, answer: HttpAnswer, page: Page, symbols: Sequence[str]) -> None:
        """Keep the rows of one page, with when it arrived and how far it reaches."""
        arrived = pl.lit(answer.received_at, INSTANT).alias("received_at")
        reach = min(answer.received_at, page.complete_until or answer.received_at)
        self.received.append(answer.received_at)
        self.bars.append(page.bars.with_columns(arrived, pl.lit(reach, INSTANT).alias("reach")))
        self.actions.append(page.actions.with_columns(arrived))
        self.failures += [failure for failure in page.failures if failure[0] in symbols]
        self.ignored.update(page.ignored)
        self.currencies.update(page.currencies)


class HttpBars:
    """Bars of a vendor that is asked over HTTP.

    Parameters
    ----------
    fetcher
        Asks the vendor, under the policy of `lake.sources.http.fetching`.
    symbols
        Those of the market, as the vendor spells them.
    calendar
        Exchange whose sessions the bars belong to, e.g. ``XNYS``.
    first
        First session of the history, asked for when nothing is stored.
    """

    def __init__(self, fetcher: Fetcher, symbols: Sequence[str], calendar: str, first: date) -> None:
        connector = fetcher.connector
        self.name: str = connector.name
        self.caveats, self.lookback, self.delay = connector.caveats, connector.lookback, connector.delay
        self.symbols, self.calendar, self.first = tuple(symbols), calendar, first
        self._fetcher, self._connector = fetcher, connector

    def for_symbols(self, symbols: Sequence[str]) -> "HttpBars":
        """Return the same source for other symbols: to fill the past of one that joins a market later."""
        return HttpBars(self._fetcher, symbols, self.calendar, self.first)

    def read(self, after: datetime | None, until: datetime) -> BarBatch:
        """Return the bars that closed in ``(after, until]``, one delivery for all symbols, none before `first`.

        A session that is still open, by our clock or by the vendor's own statement, is left out. A bar that closed
        within `lookback` of its receipt is known from its receipt, if anything is stored already (`after`): it may
        be a restatement. Any other bar is known from `delay` after its close, or from its receipt where that is
        earlier; that is an assumption. Who stores a row that differs from a stored one must make it known from its
        receipt.

        Prices as traded that come without an adjusted close get one from the splits and dividends of the same
        delivery (`with_adjusted_close`). Of a vendor that adjusts its prices for splits, splits are asked for up to
        today, so that the price of each session as it was traded follows (`later_splits`).

        Raises
        ------
        SourceError
            If the vendor refuses the key, the plan or the quota, or more than a fifth of the symbols fail; fewer are
            told in `failures`.
        """
        sessions = self._sessions(after, until)
        gathered = _Gathered()
        if sessions.height:
            first, today = sessions["session"][0], self._fetcher.clock.now().date()
            asked = [*self._connector.plan(Ask(self.symbols, first, self._last_stated(sessions), today))]
            self._fetcher.count.require(len(asked), self._connector.title)
            for request in asked:
                self._gather(request, gathered)
        self._judge_failures(gathered)
        actions = gathered.all_actions()
        bars = with_later_splits(with_adjusted_close(self._stamped(gathered, after, until), actions), actions)
        batch_id = self._batch_id(gathered)
        if after is None and sessions.height:
            silent = sorted({*self.symbols} - {*bars["symbol"]} - {symbol for symbol, _ in gathered.failures})
            gathered.failures += [(symbol, UnknownSymbolError(self._silence(symbol))) for symbol in silent]
            self._judge_failures(gathered)
        return BarBatch(
            batch_id,
            self._rows(bars, batch_id),
            self._actions(gathered, sessions),
            tuple(FailedSymbol(symbol, type(error).__name__, str(error)) for symbol, error in gathered.failures),
            tuple(self._notes(gathered)),
            gathered.answers,
            gathered.currencies,
        )

    def _sessions(self, after: datetime | None, until: datetime) -> pl.DataFrame:
        closes = calendars.closes(self.calendar)
        is_asked = (pl.col("event_time") <= require_utc(until)) & (pl.col("session") >= self.first)
        return closes.filter(is_asked if after is None else is_asked & (pl.col("event_time") > require_utc(after)))

    def _gather(self, request: HttpRequest, gathered: _Gathered) -> None:
        """Read all pages of one request; a failure of one symbol leaves none of its pages behind."""
        if any(request.subject == symbol for symbol, _ in gathered.failures):
            return
        gathered.requests.append(str(request))
        try:
            pages = []
            for answer, page in self._fetcher.pages(request):
                gathered.answers += 1
                self._require_past(answer, page)
                self._require_amounts(answer, page)
                pages.append((answer, page))
        except OF_ONE_SYMBOL as error:
            if not request.subject:
                raise
            gathered.failures.append((request.subject, error))
            return
        for answer, page in pages:
            gathered.add(answer, page, self.symbols)

    def _require_past(self, answer: HttpAnswer, page: Page) -> None:
        """Refuse bars of days that have not come: a stored one would move the cursor past all that is to come."""
        latest: date | None = page.bars.select(pl.col("session").max()).item()
        if latest is not None and latest > (answer.received_at + DAY).date():
            raise ContractError(
                f"{self._connector.title}: {answer.request} holds a bar of {latest}, received on "
                f"{answer.received_at:%Y-%m-%d %H:%M} UTC. Check the clock of this machine; if it is right, the "
                "vendor's answer is wrong."
            )

    def _require_amounts(self, answer: HttpAnswer, page: Page) -> None:
        """Refuse a split without its ratio and a dividend without its amount: the history would be off by it."""
        empty = page.actions.filter(pl.col("ratio").is_null() & pl.col("amount").is_null())
        for kind, ex_date in empty["kind", "ex_date"].iter_rows():
            raise ContractError(f"{self._connector.title}: {answer.request} states a {kind} of {ex_date} without size.")

    def _judge_failures(self, gathered: _Gathered) -> None:
        failures = gathered.failures
        failed = {symbol for symbol, _ in failures}
        if len(failed) > MOST_FAILURES * len(self.symbols):
            if len(failed) == 1 or len({type(error) for _, error in failures}) == 1:
                raise failures[0][1]
            first = "; ".join(f"{symbol}: {error}" for symbol, error in failures[:3])
            raise SourceError(f"{len(failed)} of {len(self.symbols)} symbols failed, so nothing is stored. {first}")

    def _stamped(self, gathered: _Gathered, after: datetime | None, until: datetime) -> pl.DataFrame:
        """Closed bars of ``(after, until]`` with `event_time`, `stamp`, `known_time` and `known_basis`, sorted."""
        empty = pl.DataFrame(schema={**SESSION_BARS, "received_at": INSTANT, "reach": INSTANT})
        bars = pl.concat([empty, *gathered.bars]).filter(pl.col("symbol").is_in(self._answered(gathered)))
        # A row of a day without a session keeps its date as stamp, and is refused later with that reason.
        midnight = pl.col("session").cast(INSTANT)
        stamped = bars.join(calendars.closes(self.calendar), on="session", how="left").with_columns(
            pl.coalesce("event_time", midnight).alias("event_time")
        )
        is_closed = pl.col("event_time") <= pl.col("reach")
        is_asked = (pl.col("event_time") <= require_utc(until)) & (pl.col("session") >= self.first)
        if after is not None:
            is_asked &= pl.col("event_time") > require_utc(after)
        return (
            stamped.filter(is_closed & is_asked)
            .with_columns(*self._known(after), pl.col("event_time").dt.to_string("iso:strict").alias("stamp"))
            .sort(*ORDER, "received_at", maintain_order=True)
            .unique([*SESSION_BARS], keep="first", maintain_order=True)
        )

    def _known(self, after: datetime | None) -> tuple[pl.Expr, pl.Expr]:
        """Time of knowledge and its basis: the receipt of what is recent, and else the vendor's delay after a close."""
        received, assumed = pl.col("received_at"), pl.col("event_time") + self.delay
        is_observed = received <= assumed
        if after is not None:
            is_observed |= pl.col("event_time") > received - self.lookback - DAY
        return (
            pl.when(is_observed).then(received).otherwise(assumed).alias("known_time"),
            pl.when(is_observed).then(pl.lit("observed")).otherwise(pl.lit("assumed")).alias("known_basis"),
        )

    def _rows(self, bars: pl.DataFrame, batch_id: str) -> pl.DataFrame:
        said = bars.with_row_index("row").with_columns(
            pl.col("row").cast(pl.Int64),
            pl.lit(self.name).alias("source"),
            pl.lit(self._fetcher.base_url.host).alias("package"),
            pl.lit(self._connector.terms.licence).alias("licence"),
            pl.lit(batch_id).alias("batch_id"),
        )
        return pl.concat([RAW_BARS.empty(), said.drop("session", "reach")], how="diagonal").select(RAW_BARS.names)

    def _actions(self, gathered: _Gathered, sessions: pl.DataFrame) -> pl.DataFrame:
        first, last = sessions["session"].min(), self._last_stated(sessions) if sessions.height else None
        return (
            gathered.all_actions()
            .filter(pl.col("ex_date").is_between(pl.lit(first), pl.lit(last)))
            .filter(pl.col("symbol").is_in(self._answered(gathered)))
            .with_columns(pl.lit(self.name).alias("source"))
            .sort("symbol", "ex_date", "kind")
            .select([*ACTION_COLUMNS])
        )

    def _last_stated(self, sessions: pl.DataFrame) -> date:
        """Last day that is asked for: today, where prices are in today's shares whatever day they are of."""
        last: date = sessions["session"][-1]
        return max(last, self._fetcher.clock.now().date()) if self._connector.basis == "split_adjusted" else last

    def _batch_id(self, gathered: _Gathered) -> str:
        """Name of the delivery: the source, the first receipt, and what was asked, without its secret."""
        at = min(gathered.received, default=self._fetcher.clock.now()).astimezone(UTC)
        digest = hashlib.sha256("\n".join(sorted(gathered.requests)).encode()).hexdigest()
        return f"{self.name}:{RAW_BARS.name}:{at:%Y%m%dT%H%M%S%f}:{digest[:8]}"

    def _answered(self, gathered: _Gathered) -> list[str]:
        """Symbols that were asked and did not fail; an answer for all symbols holds others too."""
        return sorted({*self.symbols}.difference(symbol for symbol, _ in gathered.failures))

    def _silence(self, symbol: str) -> str:
        return (
            f"{self._connector.title} has no bar of '{symbol}' in its whole history. Check how the vendor spells the "
            "symbol."
        )

    def _notes(self, gathered: _Gathered) -> Iterator[str]:
        yield from note_of_ignored(self._connector.title, gathered.ignored)
