"""One portfolio and its 1/N from one close to the next: what moved, what is traded, and what it earns."""

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from serving.portfolio.fallback import ChosenWeights, target_weights
from serving.portfolio.methods import BLACK_LITTERMAN, BPS
from serving.portfolio.moments import risk_shares
from serving.portfolio.rebalancing import NoTradeBand, trades_worth_their_cost, trigger_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from serving.evidence import FloatArray
    from serving.portfolio.book import HeldPortfolio
    from serving.portfolio.declaration import DeclaredPortfolio
    from serving.portfolio.inputs import PortfolioInputs
    from serving.portfolio.known import KnownPrices
    from serving.portfolio.rebalancing import RebalancingTrades

VOLATILITY_BARS = 60
"""Newest bars that the volatility of what is held is measured over."""
DUST = 1e-12
NO_REVIEW = "none"


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


@dataclass(frozen=True)
class ClosingStep:
    """One close of one portfolio.

    Parameters
    ----------
    declared
        What the portfolio declares.
    held
        After the close before; a new one before the first.
    inputs
        Of this close, with at least one symbol.
    prices, members
        As they were known when the close was decided.
    bars_per_year
        Of the market.
    """

    declared: "DeclaredPortfolio"
    held: "HeldPortfolio"
    inputs: "PortfolioInputs"
    prices: "KnownPrices"
    members: "Sequence[str]"
    bars_per_year: int

    def row(self) -> dict[str, Any]:
        """Return the row of `portfolio_weights`, but for its ``known_time``, ``next_review`` and evidence."""
        declared, held, after, equal = self.declared, self.held, self._after, self._equal_after
        volatility = self._volatility(after.weights)
        return {
            "portfolio": declared.name,
            "event_time": self.inputs.close,
            "method": declared.method,
            "used": self._target.used,
            "fallback_reason": self._target.reason,
            "trigger": self.trigger,
            "reason": _reason(self.trigger, after, declared, held),
            "symbols": self.symbols,
            "left_out": sorted(set(self.members) - set(self.symbols)),
            **self._lists(),
            "bought": after.bought,
            "sold": after.sold,
            "cost": after.cost,
            "expected_gain": after.gain,
            "equal_cost": equal.cost,
            "net_return": (1.0 + self._mine.earned) * (1.0 - after.cost) - 1.0,
            "equal_net_return": (1.0 + self._null.earned) * (1.0 - equal.cost) - 1.0,
            "active_exposure": float(np.abs(self._listed(held.weights) - self._listed(held.equal)).sum()),
            "volatility": volatility,
            "equal_volatility": self._volatility(equal.weights),
            "review_volatility": volatility if self._is_review else held.review_volatility,
            "bars_since_review": 0 if self._is_review else held.bars_since_review + 1,
            "market_weights": self._market_weights,
            "views": len(self._views),
            "declaration": declared.to_json() if self._is_review else held.declaration,
        }

    @cached_property
    def symbols(self) -> list[str]:
        """Those that may have a weight, then those that are held beside them."""
        held = set(self.held.weights) | set(self.held.equal)
        return [*self.inputs.symbols, *sorted(held - set(self.inputs.symbols))]

    @cached_property
    def trigger(self) -> str:
        """Why targets are made anew at this close; ``none`` where they are not."""
        held, drifted = self.held, self._mine.weights
        if held.is_new:
            return "first"
        if held.declaration != self.declared.to_json():
            return "declaration"
        if (drifted + self._null.weights)[self._gone].sum() > 0:
            return "universe"
        reviewed, since = self._listed(held.reviewed), held.bars_since_review + 1
        found = trigger_of(
            self.declared.rebalancing, reviewed, drifted, since, self._volatility(drifted), held.review_volatility
        )
        return found or NO_REVIEW

    def _lists(self) -> dict[str, Any]:
        """Columns with an entry for each symbol."""
        after, target = self._after, self._target
        band = after.band
        low, high = (self._listed(each, np.nan) for each in (self.held.low, self.held.high))
        return {
            "weights": after.weights.tolist(),
            "drifted_weights": self._mine.weights.tolist(),
            "targets": self._all(target.weights, 0.0).tolist()
            if self._is_review
            else self._listed(self.held.targets).tolist(),
            "reviewed_weights": (after.weights if self._is_review else self._listed(self.held.reviewed)).tolist(),
            "equal_weights": self._equal_after.weights.tolist(),
            "risk_shares": _known(self._risk_shares()),
            "band_low": _known(low if band is None else band.low),
            "band_high": _known(high if band is None else band.high),
            "expected_returns": _known(self._listed(self._expected, np.nan)),
            "view_returns": _known(self._listed(self._views, np.nan)),
            "marked_at": [self.prices.last_bar(name) or self.held.marked_at.get(name) for name in self.symbols],
        }

    @cached_property
    def _is_review(self) -> bool:
        return self.trigger != NO_REVIEW

    @cached_property
    def _gone(self) -> "np.ndarray":
        """``[symbol]``: whether it has left the market, and has to be sold."""
        return np.array([name not in self.members for name in self.symbols])

    @cached_property
    def _mine(self) -> _Moved:
        return self._moved(self.held.weights)

    @cached_property
    def _null(self) -> _Moved:
        return self._moved(self.held.equal)

    @cached_property
    def _target(self) -> ChosenWeights:
        """Targets of this review, or those of the last one."""
        if not self._is_review:
            held = self.held
            return ChosenWeights(self._listed(held.targets), held.used, held.fallback_reason)
        start = None if self.held.is_new else _rescaled(self._mine.weights[: self.inputs.count])
        return target_weights(self.inputs, self.declared, start)

    @cached_property
    def _after(self) -> _Traded:
        return self._traded(self._target.weights, self._mine) if self._is_review else _untraded(self._mine)

    @cached_property
    def _equal_after(self) -> _Traded:
        equal = np.full(self.inputs.count, 1.0 / self.inputs.count)
        return self._traded(equal, self._null) if self._is_review else _untraded(self._null)

    @property
    def _expected(self) -> dict[str, float]:
        if not self._is_review:
            return self.held.expected
        found = self._target.expected
        return {} if found is None else dict(zip(self.inputs.symbols, found.tolist(), strict=True))

    @property
    def _views(self) -> dict[str, float]:
        if not self._is_review:
            return self.held.views
        views = self.inputs.views
        if views is None or self.declared.method != BLACK_LITTERMAN:
            return {}
        named = zip(self.inputs.symbols, views.medians.tolist(), views.is_there.tolist(), strict=True)
        return {name: median for name, median, is_there in named if is_there}

    @property
    def _market_weights(self) -> str | None:
        if not self._is_review:
            return self.held.market_weights
        return self.inputs.market_weights_by if self.declared.method == BLACK_LITTERMAN else None

    def _moved(self, side: "Mapping[str, float]") -> _Moved:
        """Weights of one side after the market moved, and what it earned."""
        weights = self._listed(side)
        if weights.sum() == 0:
            return _Moved(weights, 0.0)
        marks = self.held.marked_at
        moves = np.array([self.prices.moved_since(s, marks[s]) if s in marks else 0.0 for s in self.symbols])
        earned = float(weights @ moves)
        return _Moved(weights * (1.0 + moves) / (1.0 + earned), earned)

    def _traded(self, wanted: "FloatArray", side: _Moved) -> _Traded:
        """All of the first purchase; later the trades that are worth their cost, and what has to be sold."""
        cost, targets = self.declared.cost_bps * BPS, self._all(wanted, 0.0)
        if self.held.is_new:
            band = self._worth(targets, targets, np.zeros(len(targets), bool)).band
            return _Traded(targets, cost, 1.0, 0.0, None, band)
        is_halted = np.arange(len(targets)) >= self.inputs.count
        start = np.where(self._gone, 0.0, side.weights)
        found = self._worth(targets, start, is_halted | self._gone)
        trades = found.weights - side.weights
        trades[np.abs(trades) < DUST] = 0.0
        bought, sold = float(trades[trades > 0].sum()), float(np.abs(trades[trades < 0]).sum())
        return _Traded(found.weights, cost * (bought + sold), bought, sold, found.gain, found.band)

    def _worth(self, targets: "FloatArray", start: "FloatArray", fixed: "np.ndarray") -> "RebalancingTrades":
        count = self.inputs.count
        covariance = np.zeros((len(targets), len(targets)))
        if np.isfinite(self.inputs.returns).all():  # else no trade is known to be worth its cost
            covariance[:count, :count] = self.inputs.covariance
        declared = self.declared
        bars, cost = declared.rebalancing.review_bars, declared.cost_bps * BPS
        return trades_worth_their_cost(targets, start, covariance, declared.risk_aversion, bars, cost, fixed)

    def _risk_shares(self) -> "FloatArray":
        weights, count = self._after.weights, self.inputs.count
        found = np.full(len(weights), np.nan)
        if np.isfinite(self.inputs.returns).all() and weights[count:].sum() < DUST:
            found[:count] = risk_shares(weights[:count], self.inputs.covariance)
            found[count:] = 0.0
        return found

    def _volatility(self, weights: "FloatArray") -> float | None:
        """Volatility that these weights had over the newest bars; None for fewer than two."""
        places = [self.prices.place.get(symbol) for symbol in self.symbols]
        named = zip(weights, places, strict=True)
        kept = [(weight, place) for weight, place in named if weight > 0 and place is not None]
        if not kept or len(self.prices.returns) < 2:  # noqa: PLR2004 - a deviation needs two
            return None
        held, columns = np.array([weight for weight, _ in kept]), [place for _, place in kept]
        earned = np.nan_to_num(self.prices.returns[-VOLATILITY_BARS:, columns]) @ held
        return float(earned.std(ddof=1) * np.sqrt(self.bars_per_year))

    def _listed(self, by_symbol: "Mapping[str, float]", otherwise: float = 0.0) -> "FloatArray":
        return np.array([by_symbol.get(symbol, otherwise) for symbol in self.symbols])

    def _all(self, values: "FloatArray", otherwise: float) -> "FloatArray":
        """Values of the symbols that may have a weight, and another one of the others."""
        return np.concatenate([values, np.full(len(self.symbols) - len(values), otherwise)])


def _untraded(side: _Moved) -> _Traded:
    return _Traded(side.weights, 0.0, 0.0, 0.0, 0.0)


def _rescaled(weights: "FloatArray") -> "FloatArray":
    total = weights.sum()
    scaled: FloatArray = weights / total if total > 0 else np.full(len(weights), 1.0 / len(weights))
    return scaled


def _known(values: "FloatArray") -> list[float | None]:
    """Values with null in place of what is not known."""
    return [float(value) if np.isfinite(value) else None for value in values]


def _reason(trigger: str, traded: _Traded, declared: "DeclaredPortfolio", held: "HeldPortfolio") -> str:
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
