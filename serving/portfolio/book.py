"""What a portfolio and its 1/N hold after a close: all that the next close follows from."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping


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
    views, market_weights
        Forecasts that were views at the last review, and what stood for the market's weights then; empty and None where
        the method uses none.
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
    views: dict[str, float] = field(default_factory=dict)
    marked_at: dict[str, datetime] = field(default_factory=dict)
    market_weights: str | None = None
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
            views=by_symbol("view_returns"),
            marked_at=by_symbol("marked_at"),
            market_weights=row["market_weights"],
            used=row["used"],
            fallback_reason=row["fallback_reason"],
            review_volatility=row["review_volatility"],
            bars_since_review=row["bars_since_review"],
            declaration=row["declaration"],
        )
