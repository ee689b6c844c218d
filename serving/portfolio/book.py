"""One portfolio and its 1/N from one close to the next: what moved, what is traded, and what it earns."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

import numpy as np

from serving.portfolio.fallback import TargetWeights, target_weights
from serving.portfolio.methods import BPS
from serving.portfolio.moments import risk_shares
from serving.portfolio.rebalancing import NoTradeBand, trades_worth_their_cost, trigger_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from serving.evidence import FloatArray
    from serving.portfolio.declaration import DeclaredPortfolio
    from serving.portfolio.inputs import PortfolioInputs
    from serving.portfolio.known import KnownPrices

VOLATILITY_BARS = 60
"""Newest bars that the volatility of what is held is measured over."""
DUST = 1e-12


@dataclass(frozen=True)
class HeldPortfolio:
    """What a portfolio and its 1/N hold after a close, by symbol.

    Parameters
    ----------
    weights, equal
        Held by the portfolio, and by 1/N.
    targets, reviewed
        Targets of the last review, and the weights after it.
    low, high
        No-trade band of the last review.
    expected
        Returns that the method expected at the last review; empty where it used none.
    marked_at
        Close of the bar that each was last valued at.
    used, fallback_reason
        Method whose targets are in force, and why it is not the declared one.
    review_volatility, bars_since_review
        Volatility at the last review, and bars since.
    declaration
        What was declared at the last review.
    """

    weights: dict[str, float] = field(default_factory=dict)
    equal: dict[str, float] = field(default_factory=dict)
    targets: dict[str, float] = field(default_factory=dict)
    reviewed: dict[str, float] = field(default_factory=dict)
    low: dict[str, float] = field(default_factory=dict)
    high: dict[str, float] = field(default_factory=dict)
    expected: dict[str, float] = field(default_factory=dict)
    marked_at: dict[str, datetime] = field(default_factory=dict)
    used: str = ""
    fallback_reason: str | None = None
    review_volatility: float | None = None
    bars_since_review: int = 0
    declaration: str = ""

    @property
    def is_new(self) -> bool:
        """Whether nothing was bought yet."""
        return not self.weights

    @classmethod
    def of(cls, row: "Mapping[str, Any]") -> "HeldPortfolio":
        """Return what a row of `portfolio_weights` left behind."""

        def by_symbol(name: str) -> dict[str, Any]:
            pairs = zip(row["symbols"], row[name], strict=True)
            return {symbol: value for symbol, value in pairs if value is not None}

        is_held = {symbol: value for symbol, value in by_symbol("weights").items() if value > 0}
        equal = {symbol: value for symbol, value in by_symbol("equal_weights").items() if value > 0}
        return cls(
            weights=is_held,
            equal=equal,
            targets=by_symbol("targets"),
            reviewed=by_symbol("reviewed_weights"),
            low=by_symbol("band_low"),
            high=by_symbol("band_high"),
            expected=by_symbol("expected_returns"),
            marked_at=by_symbol("marked_at"),
            used=row["used"],
            fallback_reason=row["fallback_reason"],
            review_volatility=row["review_volatility"],
            bars_since_review=row["bars_since_review"],
            declaration=row["declaration"],
        )


@dataclass(frozen=True)
class _Moved:
    """Weights of one side after the market moved, and what it earned."""

    weights: "FloatArray"
    earned: float


@dataclass(frozen=True)
class _Traded:
    """Weights of one side after its trades, and what they cost and gain."""

    weights: "FloatArray"
    cost: float
    bought: float
    sold: float
    gain: float | None
    band: NoTradeBand | None = None


def next_row(
    declared: "DeclaredPortfolio",
    held: HeldPortfolio,
    inputs: "PortfolioInputs",
    prices: "KnownPrices",
    members: "Sequence[str]",
    bars_per_year: int,
) -> dict[str, Any]:
    """Return the row of one close, but for its evidence and dates.

    Parameters
    ----------
    held
        After the close before; a new one before the first.
    inputs
        Of this close, with at least one symbol.
    prices, members
        As they were known when the close was decided.

    Returns
    -------
    dict
        Columns of `portfolio_weights` by name; `serving.portfolio.updating` adds ``known_time``, ``next_review``,
        ``e_value`` and ``sessions``.
    """
    symbols = [*inputs.symbols, *sorted((set(held.weights) | set(held.equal)) - set(inputs.symbols))]
    count, all_count = inputs.count, len(symbols)
    moves = np.array([prices.moved_since(s, held.marked_at[s]) if s in held.marked_at else 0.0 for s in symbols])
    mine, null = (_moved(_listed(side, symbols), moves) for side in (held.weights, held.equal))
    gone = np.array([symbol not in members for symbol in symbols])
    fixed = np.arange(all_count) >= count
    fixed &= ~gone
    volatility = _volatility(mine.weights, symbols, prices, bars_per_year)
    reviewed = _listed(held.reviewed, symbols)
    trigger = _trigger(declared, held, reviewed, mine.weights, gone, volatility)
    if trigger == "none":
        target = TargetWeights(
            _listed(held.targets, inputs.symbols),
            held.used,
            held.fallback_reason,
            np.array([held.expected.get(s, np.nan) for s in inputs.symbols]),
        )
        traded = [_untraded(side) for side in (mine, null)]
    else:
        start = None if held.is_new else _rescaled(mine.weights[:count])
        target = target_weights(inputs, declared, start)
        equal = np.full(count, 1.0 / count)
        traded = [
            _traded(declared, held, inputs, wanted, side.weights, fixed, gone)
            for wanted, side in ((target.weights, mine), (equal, null))
        ]
    after, after_equal = traded
    is_review = trigger != "none"
    volatility = _volatility(after.weights, symbols, prices, bars_per_year)
    band = after.band or NoTradeBand(
        np.array([held.low.get(s, np.nan) for s in symbols]), np.array([held.high.get(s, np.nan) for s in symbols])
    )
    expected = np.full(all_count, np.nan)
    if target.expected is not None:
        expected[:count] = target.expected
    views = np.full(all_count, np.nan)
    if inputs.views is not None:
        views[:count] = np.where(inputs.views.is_there, inputs.views.medians, np.nan)
    uses_views = declared.method == "black_litterman"
    return {
        "portfolio": declared.name,
        "event_time": inputs.close,
        "method": declared.method,
        "used": target.used,
        "fallback_reason": target.reason,
        "trigger": trigger,
        "reason": _reason(trigger, after, declared, held),
        "symbols": symbols,
        "weights": after.weights.tolist(),
        "drifted_weights": mine.weights.tolist(),
        "targets": np.concatenate([target.weights, np.zeros(all_count - count)]).tolist(),
        "reviewed_weights": (after.weights if is_review else reviewed).tolist(),
        "equal_weights": after_equal.weights.tolist(),
        "risk_shares": _known(_shares(after.weights, inputs)),
        "band_low": _known(band.low),
        "band_high": _known(band.high),
        "expected_returns": _known(expected),
        "view_returns": _known(views if uses_views else np.full(all_count, np.nan)),
        "marked_at": [prices.last_bar(s) or held.marked_at.get(s) for s in symbols],
        "left_out": sorted(set(members) - set(symbols)),
        "bought": after.bought,
        "sold": after.sold,
        "cost": after.cost,
        "expected_gain": after.gain,
        "equal_cost": after_equal.cost,
        "net_return": (1.0 + mine.earned) * (1.0 - after.cost) - 1.0,
        "equal_net_return": (1.0 + null.earned) * (1.0 - after_equal.cost) - 1.0,
        "active_exposure": float(np.abs(_listed(held.weights, symbols) - _listed(held.equal, symbols)).sum()),
        "volatility": volatility,
        "equal_volatility": _volatility(after_equal.weights, symbols, prices, bars_per_year),
        "review_volatility": volatility if is_review else held.review_volatility,
        "bars_since_review": 0 if is_review else held.bars_since_review + 1,
        "market_weights": inputs.market_weights_by if uses_views else None,
        "views": int(inputs.views.is_there.sum()) if uses_views and inputs.views is not None else 0,
        "declaration": declared.to_json() if is_review else held.declaration,
    }


def _trigger(
    declared: "DeclaredPortfolio",
    held: HeldPortfolio,
    reviewed: "FloatArray",
    drifted: "FloatArray",
    gone: "np.ndarray",
    volatility: float | None,
) -> str:
    if held.is_new:
        return "first"
    if held.declaration != declared.to_json():
        return "declaration"
    if drifted[gone].sum() > 0:
        return "universe"
    since = held.bars_since_review + 1
    return trigger_of(declared.rebalancing, reviewed, drifted, since, volatility, held.review_volatility) or "none"


def _moved(weights: "FloatArray", moves: "FloatArray") -> _Moved:
    if weights.sum() == 0:
        return _Moved(weights, 0.0)
    earned = float(weights @ moves)
    return _Moved(weights * (1.0 + moves) / (1.0 + earned), earned)


def _untraded(side: _Moved) -> _Traded:
    return _Traded(side.weights, 0.0, 0.0, 0.0, 0.0)


def _traded(
    declared: "DeclaredPortfolio",
    held: HeldPortfolio,
    inputs: "PortfolioInputs",
    wanted: "FloatArray",
    drifted: "FloatArray",
    fixed: "np.ndarray",
    gone: "np.ndarray",
) -> _Traded:
    """Trades of one side: all of the first purchase, then those that are worth their cost, and what has to be sold."""
    count, cost = inputs.count, declared.cost_bps * BPS
    rest = np.zeros(len(drifted) - count)
    if held.is_new:
        weights = np.concatenate([wanted, rest])
        return _Traded(weights, cost, 1.0, 0.0, None, _band(inputs, declared, wanted, len(drifted)))
    targets = np.concatenate([wanted, rest])
    covariance = np.zeros((len(drifted), len(drifted)))
    covariance[:count, :count] = _usable_covariance(inputs)
    start = np.where(gone, 0.0, drifted)
    found = trades_worth_their_cost(
        targets, start, covariance, declared.risk_aversion, declared.rebalancing.review_bars, cost, fixed | gone
    )
    trades = found.weights - drifted
    trades[np.abs(trades) < DUST] = 0.0
    bought, sold = float(trades[trades > 0].sum()), float(-trades[trades < 0].sum())
    return _Traded(found.weights, cost * (bought + sold), bought, sold, found.gain, found.band)


def _band(inputs: "PortfolioInputs", declared: "DeclaredPortfolio", wanted: "FloatArray", count: int) -> NoTradeBand:
    """Band about targets that are held."""
    bars, cost = declared.rebalancing.review_bars, declared.cost_bps * BPS
    found = trades_worth_their_cost(wanted, wanted, _usable_covariance(inputs), declared.risk_aversion, bars, cost).band
    rest = np.zeros(count - inputs.count)
    return NoTradeBand(np.concatenate([found.low, rest]), np.concatenate([found.high, rest]))


def _usable_covariance(inputs: "PortfolioInputs") -> "FloatArray":
    """The covariance, or none at all where the returns are not finite: then no trade is known to be worth its cost."""
    return inputs.covariance if np.isfinite(inputs.returns).all() else np.zeros((inputs.count, inputs.count))


def _shares(weights: "FloatArray", inputs: "PortfolioInputs") -> "FloatArray":
    found = np.full(len(weights), np.nan)
    if np.isfinite(inputs.returns).all() and weights[inputs.count :].sum() < DUST:
        found[: inputs.count] = risk_shares(weights[: inputs.count], inputs.covariance)
        found[inputs.count :] = 0.0
    return found


def _volatility(
    weights: "FloatArray", symbols: "Sequence[str]", prices: "KnownPrices", bars_per_year: int
) -> float | None:
    """Volatility that these weights had over the newest bars; None for fewer than two."""
    places = [prices.place.get(symbol) for symbol in symbols]
    kept = [(weight, place) for weight, place in zip(weights, places, strict=True) if weight > 0 and place is not None]
    if not kept or len(prices.returns) < 2:  # noqa: PLR2004 - a deviation needs two
        return None
    held, columns = np.array([weight for weight, _ in kept]), [place for _, place in kept]
    earned = np.nan_to_num(prices.returns[-VOLATILITY_BARS:, columns]) @ held
    return float(earned.std(ddof=1) * np.sqrt(bars_per_year))


def _rescaled(weights: "FloatArray") -> "FloatArray":
    total = weights.sum()
    scaled: FloatArray = weights / total if total > 0 else np.full(len(weights), 1.0 / len(weights))
    return scaled


def _listed(by_symbol: "Mapping[str, float]", symbols: "Sequence[str]") -> "FloatArray":
    return np.array([by_symbol.get(symbol, 0.0) for symbol in symbols])


def _known(values: "FloatArray") -> list[float | None]:
    """Values with null in place of what is not known."""
    return [float(value) if np.isfinite(value) else None for value in values]


def _reason(trigger: str, traded: _Traded, declared: "DeclaredPortfolio", held: HeldPortfolio) -> str:
    rule = declared.rebalancing
    why = {
        "first": "The first purchase: every symbol is bought at its target",
        "calendar": f"A review is due every {rule.review_bars} bars",
        "threshold": f"A weight has moved by more than {100 * rule.drift_points:g} points or "
        f"{rule.drift_share:.0%} of itself since the last review",
        "volatility": f"The volatility of what is held has moved by more than {rule.volatility_share:.0%} since the "
        "last review",
        "universe": "A symbol that is held has left the market and is sold",
        "declaration": "The portfolio was declared anew",
        "none": f"No review is due, {held.bars_since_review + 1} bars after the last one",
    }[trigger]
    if trigger in {"none", "first"}:
        return f"{why}."
    if traded.bought + traded.sold < DUST:
        return f"{why}; no trade is worth its cost."
    return f"{why}; {traded.sold:.1%} of equity was sold and {traded.bought:.1%} bought."
