"""What the decisions of a session are made from, read from the tables as they were known at its decision time."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

import polars as pl

from lake import calendars
from lake.clock import FixedClock
from lake.errors import NotReadyError
from lake.tables import BARS, FORECASTS, SELECTIONS, STRATEGY_RETURNS
from serving import api
from serving.advice import advice_for
from serving.backtest import TargetInputs, load_strategy, read_inputs
from serving.desk.account import DeskAccount
from serving.desk.broker import BrokerStatement
from serving.desk.receipt import DecisionInputs
from serving.desk.situation import DeskSituation
from serving.desk.votes import Vote
from serving.forecasts import confidence
from serving.risk import SwitchReading
from serving.strategies import FORECAST_HORIZON, positions

if TYPE_CHECKING:
    from pathlib import Path

    from lake.store import Lake

SELECTED = "selected"
SESSIONS_READ = 600
"""Sessions of bars that are read: as many as a value at risk rests on, and some before the first of them."""
TOLERANCE: api.RiskTolerance = "moderate"
ADVICE = f"advice:{TOLERANCE}"
"""Advice votes beside the strategies, without evidence weight: nothing has yet shown that it adds to them."""
STRATEGY = "strategy:"


@dataclass(frozen=True)
class DeskMarket:
    """What is known of the market at a decision.

    Parameters
    ----------
    close, now
        Close that is decided at, and the market time of the decision.
    votes
        By symbol.
    weights
        Evidence weight by source.
    last_bars
        Last close at which each symbol has a bar.
    opens
        Symbols whose bars have an open.
    tables
        Delta versions of what was read.
    bars
        Rows of `bars` of the last sessions.
    without_advice
        Why advice did not vote; empty where it did.
    """

    close: datetime
    now: datetime
    votes: Mapping[str, tuple[Vote, ...]]
    weights: Mapping[str, float]
    last_bars: Mapping[str, datetime]
    opens: frozenset[str]
    tables: Mapping[str, int]
    bars: pl.DataFrame
    without_advice: str = ""


def read_market(lake: "Lake", close: datetime, now: datetime, equity: float, home: "Path") -> DeskMarket:
    """Read votes, weights and bars as known at the market's now.

    Raises
    ------
    NotReadyError
        If no strategy has a forecast at the close: the desk then decides nothing, rather than on old ones.
    """
    inputs = read_inputs(lake, FixedClock(now), load_strategy(SELECTED))
    since = calendars.close_before(close, SESSIONS_READ, lake.market.grid) or close
    bars = lake.read_as_of(BARS, now, where=pl.col("event_time").is_between(since, close))
    strategies, weights = _strategy_votes(inputs, bars, close, lake)
    if not strategies:
        raise NotReadyError(
            f"No model has a forecast from the close of {close:%Y-%m-%d %H:%M} UTC, so no strategy can vote. "
            f"`{lake.market.next_run}` makes them."
        )
    advice, why = _advice_votes(lake, tuple(strategies), close, now, equity, home)
    last = bars.group_by("symbol").agg(pl.col("event_time").max())
    current = bars.filter(pl.col("event_time") == close, pl.col("open").is_not_null())
    read = [spec for spec in (BARS, FORECASTS, SELECTIONS, STRATEGY_RETURNS) if lake.exists(spec)]
    return DeskMarket(
        close=close,
        now=now,
        votes={symbol: (*votes, *advice.get(symbol, ())) for symbol, votes in strategies.items()},
        weights=weights,
        last_bars=dict(last.iter_rows()),
        opens=frozenset(current["symbol"]),
        tables=lake.versions(read),
        bars=bars,
        without_advice=why,
    )


def inputs_of(
    account: DeskAccount, market: DeskMarket, statement: BrokerStatement, switch: SwitchReading, grid: str
) -> list[DecisionInputs]:
    """Return the inputs of every decision of a session, in the order of the symbols.

    A symbol that never had a bar while the account was open has no price, and is left out.
    """
    equity = statement.valuation.equity
    priced = [symbol for symbol in sorted(market.votes) if symbol in statement.closes]
    quoted = [symbol for symbol in priced if market.last_bars.get(symbol) == market.close]
    gross = sum(abs(_wanted(market.votes[symbol], market.weights)) for symbol in priced)
    made = []
    for symbol in priced:
        held = statement.book.positions.get(symbol)
        state = switch.state_of(account.name, "", symbol)
        book = DeskSituation(
            account=account.name,
            symbol=symbol,
            close=market.close,
            decided_at=market.now,
            held=held.quantity if held else 0.0,
            average_cost=held.average_cost if held else 0.0,
            price=statement.closes[symbol],
            equity=equity,
            gross_wanted=gross,
            equal_weight_target=1.0 / len(quoted) if symbol in quoted else 0.0,
            stale_sessions=calendars.count_closes(market.last_bars[symbol], market.close, grid),
            has_open=symbol in market.opens,
            switch=state,
            switch_reason="" if state == "active" else why_switched(switch, state),
        )
        made.append(
            DecisionInputs(market.votes[symbol], book, account.rules, account.limits, market.weights, market.tables)
        )
    return made


def why_switched(switch: SwitchReading, state: str) -> str:
    """Return why trading is not active, in the words of who or what stopped it."""
    if switch.problem:
        return switch.problem
    return next((f"{each.reason} ({each.by})" for each in switch.restrictions[::-1] if each.state == state), state)


def _wanted(votes: tuple[Vote, ...], weights: Mapping[str, float]) -> float:
    return sum(weights.get(each.source, 0.0) * (each.target or 0.0) for each in votes)


def _strategy_votes(
    inputs: TargetInputs, bars: pl.DataFrame, close: datetime, lake: "Lake"
) -> tuple[dict[str, list[Vote]], dict[str, float]]:
    """Return the votes of the strategies by symbol, and the evidence weight of each strategy at the close."""
    at = pl.lit(close, BARS.schema["event_time"])
    made = inputs.forecasts.filter(pl.col("event_time") == at, pl.col("horizon_sessions") == FORECAST_HORIZON)
    if made.is_empty() or inputs.weights is None:
        return {}, {}
    expires = calendars.next_closes(close, 1, lake.market.grid)[0] + lake.market.decided_after
    rows = {(row["model_name"], row["symbol"]): row for row in made.iter_rows(named=True)}
    votes: dict[str, list[Vote]] = {}
    for strategy in inputs.pool:
        held = positions(
            strategy, inputs.forecasts, bars.select("symbol", "event_time"), lake.market.delisted_after_bars
        )
        of_close = held.filter(pl.col("event_time") == at).select("symbol", "position")
        for symbol, target in of_close.iter_rows():
            vote = _vote_of(STRATEGY + strategy.name, target, rows.get((strategy.model, symbol)), expires)
            votes.setdefault(symbol, []).append(vote)
    weights = inputs.weights.filter(pl.col("event_time") == at).select("strategy", "weight")
    return votes, {STRATEGY + name: weight for name, weight in weights.iter_rows()}


def _vote_of(source: str, target: float, row: Mapping[str, Any] | None, expires: datetime) -> Vote:
    if row is None:
        return Vote(source, "strategy", target, 0.5, expires, "", "Its model has no forecast, so its position fades.")
    reason = f"Median {row['p50']:+.3%} within {row['p10']:+.2%} and {row['p90']:+.2%}: target {target:+.2%}."
    version = f"{row['model_name']} {row['model_version']} {row['model_digest'][:12]}"
    sure = confidence(row["p10"], row["p50"], row["p90"])
    return Vote(source, "strategy", target, sure, expires, version, reason, row["forecast_id"])


def _advice_votes(
    lake: "Lake", symbols: tuple[str, ...], close: datetime, now: datetime, equity: float, home: "Path"
) -> tuple[dict[str, tuple[Vote, ...]], str]:
    """Return what would be advised to an account of this equity that holds nothing, as votes by symbol."""
    if equity <= 0:
        return {}, "the account has no equity"
    context = api.PortfolioContext(current_position=0.0, equity=equity, risk_tolerance=TOLERANCE, time_horizon="short")
    try:
        answers, without = advice_for(lake, symbols, context, now, home=home)
    except NotReadyError:
        return {}, f"none of the {len(symbols)} symbols has an answered forecast to advise on"
    found: dict[str, tuple[Vote, ...]] = {}
    for answer in answers:
        told, price = answer.recommendation, answer.reference_price
        if answer.as_of != close:
            continue
        target = (told.target_position or 0.0) * (price or 0.0) / equity
        vote = Vote(
            ADVICE, "advice", target, told.confidence, told.expires_at, told.reason, told.reasoning,
            answer.prediction_id,
        )  # fmt: skip
        found[answer.symbol] = (vote,)
    missing = [each.symbol for each in without]
    return found, f"no answered forecast to advise on: {', '.join(missing)}" if missing else ""
