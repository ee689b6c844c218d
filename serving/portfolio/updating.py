"""Rows of `portfolio_weights`: every declared portfolio at every close that is due."""

import time
from datetime import datetime
from typing import TYPE_CHECKING, Any

import polars as pl

from lake.calendars import bars_per_year, next_closes, session_of
from lake.clock import Clock
from lake.report import Report
from lake.store import Lake
from lake.tables import PORTFOLIO_WEIGHTS
from serving.evidence import GainEvidence
from serving.portfolio.book import HeldPortfolio
from serving.portfolio.closing import ClosingStep
from serving.portfolio.declaration import declared_portfolios
from serving.portfolio.known import KnownMarket
from serving.strategies import SelectionRule

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from serving.portfolio.declaration import DeclaredPortfolio
    from serving.portfolio.inputs import PortfolioInputs
    from serving.portfolio.known import KnownPrices

FIRST_BARS = 60
"""Closes before the newest that a portfolio begins at."""


def update_portfolio_weights(
    lake: Lake,
    clock: Clock,
    portfolios: "Sequence[DeclaredPortfolio] | None" = None,
    *,
    first_bars: int = FIRST_BARS,
) -> Report:
    """Append what each portfolio held from each close on, up to the newest that is decided.

    A portfolio goes on from its last row, with what was known when each close was decided; the first row lies at most
    ``first_bars`` closes back. What is held beyond a close follows from the rows alone, so that a walk day by day and
    one call append the same rows.

    Parameters
    ----------
    portfolios
        By default those that the home declares.

    Returns
    -------
    Report
        Of `portfolio_weights`; skipped, with the reason, when every close has its rows, and where no symbol has enough
        bars. ``details["portfolios"]`` holds the newest row of each in short; ``warnings`` name the fallbacks that are
        in force.

    Raises
    ------
    NotReadyError
        If there are no bars.
    """
    started = time.perf_counter()
    declared = declared_portfolios(lake.root.parent) if portfolios is None else tuple(portfolios)
    lookback = max(each.lookback_bars for each in declared)
    stored = lake.read(PORTFOLIO_WEIGHTS) if lake.exists(PORTFOLIO_WEIGHTS) else PORTFOLIO_WEIGHTS.empty()
    closes = KnownMarket(lake, clock.now(), None, first_bars).closes
    start = closes[-first_bars:][0] if closes else None
    last = dict(stored.group_by("portfolio").agg(pl.col("event_time").max()).iter_rows())
    begin = min((at for at in (last.get(each.name, start) for each in declared) if at is not None), default=None)
    market = KnownMarket(lake, clock.now(), begin, lookback)
    walk = _Walk(market, declared, stored, begin, start)
    rows = [row for close in walk.closes for row in walk.rows_at(close)]
    report = lake.merge_unstored(PORTFOLIO_WEIGHTS, pl.DataFrame(rows, schema=PORTFOLIO_WEIGHTS.schema))
    report = report.with_details(
        seconds=time.perf_counter() - started, portfolios=_in_short(walk), warnings=tuple(_fallbacks(walk))
    )
    if not report.skipped:
        return report
    least = min(each.least_bars for each in declared)
    none = f"no symbol has the {least} bars that a portfolio needs"
    return report.with_details(reason="every close has its weights" if walk.newest else none)


class _Walk:
    """All portfolios from close to close; inputs of a close are made once for those with the same look-back.

    Parameters
    ----------
    begin, start
        First close of the walk, and the one that a portfolio without rows begins at; None where there is no close.
    """

    def __init__(
        self,
        market: KnownMarket,
        declared: "Sequence[DeclaredPortfolio]",
        stored: pl.DataFrame,
        begin: datetime | None,
        start: datetime | None,
    ) -> None:
        self._market, self._declared, self._start = market, declared, start
        self._lookback = max(each.lookback_bars for each in declared)
        self._bars_per_year = bars_per_year(market.market.grid)
        self._last: dict[str, datetime] = {}
        self._held: dict[str, HeldPortfolio] = {}
        self._evidence = {each.name: _evidence() for each in declared}
        self._judged = dict.fromkeys((each.name for each in declared), 0)
        self.newest: dict[str, dict[str, Any]] = {}
        self.closes = [close for close in market.closes if begin is not None and close >= begin]
        for each in declared:
            for row in stored.filter(pl.col("portfolio") == each.name).sort("event_time").iter_rows(named=True):
                self._settle(row)
                self._take(row)

    def rows_at(self, close: datetime) -> "Iterator[dict[str, Any]]":
        """Yield the rows of the portfolios that have none at a close yet."""
        due = [each for each in self._declared if self._is_due(each, close)]
        if not due:
            return
        prices = self._market.prices(close, self._lookback + 1)
        members = self._market.members(close)
        made: dict[tuple[int, int], PortfolioInputs] = {}
        for each in due:
            key = (each.lookback_bars, each.least_bars)
            if key not in made:
                made[key] = self._market.inputs(close, prices, *key)
            inputs = made[key]
            if inputs.count:
                yield self._row(each, inputs, prices, members)

    def _is_due(self, declared: "DeclaredPortfolio", close: datetime) -> bool:
        last = self._last.get(declared.name)
        return close > last if last is not None else self._start is not None and close >= self._start

    def _row(
        self,
        declared: "DeclaredPortfolio",
        inputs: "PortfolioInputs",
        prices: "KnownPrices",
        members: "Sequence[str]",
    ) -> dict[str, Any]:
        held = self._held.get(declared.name, HeldPortfolio())
        row = ClosingStep(declared, held, inputs, prices, members, self._bars_per_year).row()
        row["known_time"] = self._market.decided_at(inputs.close)
        ahead = declared.rebalancing.review_bars - row["bars_since_review"]
        following = next_closes(inputs.close, max(ahead, 1), self._market.market.grid)
        row["next_review"] = session_of(following[-1], self._market.market.grid) if following else None
        self._settle(row)
        row["e_value"] = float(self._evidence[declared.name].e_value.item())
        row["sessions"] = self._judged[declared.name]
        self._take(row)
        return row

    def _settle(self, row: "dict[str, Any]") -> None:
        """Bet on what the portfolio gained on 1/N since the close before; the first purchase is no gain."""
        if row["trigger"] == "first":
            return
        gain = row["net_return"] - row["equal_net_return"]
        self._evidence[row["portfolio"]].settle(gain, row["active_exposure"])
        self._judged[row["portfolio"]] += 1

    def _take(self, row: "dict[str, Any]") -> None:
        name = row["portfolio"]
        self._last[name], self._held[name], self.newest[name] = row["event_time"], HeldPortfolio.of(row), row


def _evidence() -> GainEvidence:
    rule = SelectionRule()
    return GainEvidence(rule.largest_loss, rule.bet_sessions)


def _in_short(walk: _Walk) -> list[dict[str, Any]]:
    names = ("portfolio", "used", "trigger", "cost", "volatility", "equal_volatility", "e_value", "sessions")
    return [{name: row[name] for name in names} for row in walk.newest.values()]


def _fallbacks(walk: _Walk) -> "Iterator[str]":
    for row in walk.newest.values():
        if row["fallback_reason"]:
            yield f"The portfolio {row['portfolio']} holds {row['used']}: {row['fallback_reason']}."
