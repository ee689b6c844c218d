"""For tests of the desk: a home with bars, forecasts, paper returns and regimes, and sessions run in it."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any

import polars as pl

from lake.clock import FixedClock
from lake.settings import Settings
from lake.store import Lake
from lake.tables import BARS, FORECASTS, REGIMES, STRATEGY_RETURNS
from lake.universe import MARKET
from serving.desk import DeskAccount, DeskRun, PaperDesk, SimulatedBroker, journal_of, open_desk
from serving.risk import resume
from serving.strategies import net_returns, positions, strategy_named
from support.backtests import closes_of, made_bars, replayed

REGIME = "low_volatility_uptrend"
STRATEGIES = ("naive", "buy_and_hold", "ridge")
NO_TAIL = "var_95_of_equity: off\nvar_99_of_equity: off\nes_95_of_equity: off\nes_99_of_equity: off\n"
"""A home of 60 sessions knows no value at risk; without these lines the gate opens no position."""


def desk_home(settings: Settings, sessions: int = 60, noise: float = 0.01) -> Lake:
    """Return the lake of a home in which the desk can run from its 20th session on."""
    lake = Lake.open(settings)
    bars = made_bars(sessions)
    forecasts = pl.concat([replayed(bars, 2, noise=noise), replayed(bars, 0, "naive")])
    lake.merge(BARS, bars)
    lake.merge(FORECASTS, forecasts)
    lake.merge(REGIMES, _regimes(bars["event_time"].unique().sort()))
    lake.merge(STRATEGY_RETURNS, _returns(bars, forecasts))
    folder = settings.home / "risk"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "limits.yaml").write_text(NO_TAIL, encoding="utf-8")
    return lake


def opened_desk(settings: Settings, lake: Lake, at: datetime, **values: Any) -> DeskAccount:
    """Open an account at a close, and release trading."""
    account = open_desk(settings, lake.market, at, by="A. Analyst", **values)
    resume(settings.home, by="A. Reviewer", reason="tests")
    return account


def run_sessions(lake: Lake, settings: Settings, first: int, count: int) -> list[DeskRun]:
    """Run the desk at so many closes, from one on."""
    return [run_at(lake, settings, close) for close in closes_of(lake)[first : first + count]]


def run_at(lake: Lake, settings: Settings, close: datetime) -> DeskRun:
    """Run the desk once at a close."""
    return desk_at(lake, settings, close).run()


def desk_at(lake: Lake, settings: Settings, close: datetime) -> PaperDesk:
    """Return the desk of the home's first account, with the market's clock at a close."""
    return PaperDesk(lake, settings, FixedClock(close), journal_of(settings).accounts()[0])


@contextmanager
def dying(when: str, sends: int, ends: Callable[[], object]) -> Iterator[None]:
    """End the desk: once its decisions are written down, or before or after it sends so many orders of its own."""
    sent: list[int] = []

    def watched(function: Callable[..., Any], *, is_after: bool) -> Callable[..., Any]:
        def called(self: object, *args: Any) -> Any:
            if getattr(args[0], "account", "paper") != "paper":
                return function(self, *args)  # of 1/N
            if not is_after and len(sent) == sends:
                ends()
            made = function(self, *args)
            sent.append(1)
            if is_after and len(sent) == sends:
                ends()
            return made

        return called

    name, owner = ("_trade_equal_weight", PaperDesk) if when == "decided" else ("submit", SimulatedBroker)
    whole = getattr(owner, name)
    setattr(owner, name, watched(whole, is_after=when == "after"))
    try:
        yield
    finally:
        setattr(owner, name, whole)


def _regimes(closes: pl.Series) -> pl.DataFrame:
    rows = []
    for close in closes:
        row: dict[str, Any] = {
            column.name: None if column.nullable else column.allowed[0] if column.allowed else 0.5
            for column in REGIMES.columns
        }
        rows.append(row | {"market": MARKET, "event_time": close, "known_time": close, "regime": REGIME})
    return pl.DataFrame(rows, schema=REGIMES.schema, orient="row")


def _returns(bars: pl.DataFrame, forecasts: pl.DataFrame) -> pl.DataFrame:
    own = bars.filter(pl.col("symbol") != MARKET).sort("symbol", "event_time")
    labels = own.select(
        "symbol",
        "event_time",
        pl.col("event_time").shift(-1).over("symbol").alias("known_time"),
        (pl.col("close").shift(-1).over("symbol") / pl.col("close") - 1).alias("forward_return"),
    ).drop_nulls()
    made = [
        net_returns(positions(strategy_named(name), forecasts), labels).with_columns(
            pl.lit(name).alias("strategy"), pl.lit(REGIME).alias("regime")
        )
        for name in STRATEGIES
    ]
    return pl.concat(made).select(STRATEGY_RETURNS.names)
