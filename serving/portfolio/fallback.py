"""A method's targets, or those of a named fallback with the reason: never silently other weights."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from serving.portfolio.methods import cap_of, capped, method_named

if TYPE_CHECKING:
    from serving.evidence import FloatArray
    from serving.portfolio.declaration import DeclaredPortfolio
    from serving.portfolio.inputs import PortfolioInputs

LAST_WEIGHTS, INVERSE_VOLATILITY, EQUAL = "last_weights", "inverse_volatility", "equal"
TOLERANCE = 1e-4
"""By how much solved weights may miss their limits and their sum; they are then put right."""
LEAST_VOLATILITY = 1e-10
ALIKE = 1e-10
"""Least eigenvalue of a sample correlation, below which some symbols stand in for others exactly."""


@dataclass(frozen=True)
class ChosenWeights:
    """Targets, and how they came about.

    Parameters
    ----------
    weights
        ``[symbol]``: 0 to the limit, summing to one.
    used
        The declared method, or ``last_weights``, ``inverse_volatility`` or ``equal``.
    reason
        Why the declared method gave none; None where it did.
    expected
        ``[symbol]``: returns that the method expects; None where it uses none, and of a fallback.
    """

    weights: "FloatArray"
    used: str
    reason: str | None = None
    expected: "FloatArray | None" = None


def target_weights(
    inputs: "PortfolioInputs", declared: "DeclaredPortfolio", held: "FloatArray | None" = None
) -> ChosenWeights:
    """Return the targets of the declared method, or of the first fallback that there is.

    The fallbacks are, in this order: the weights that are held, inverse volatility, 1/N.

    Parameters
    ----------
    held
        ``[symbol]``: weights held before this close's trades; None before the first.
    """
    method = method_named(declared.method)
    reason = problem_of(inputs, declared, method.needs)
    if reason is None:
        try:
            answer = method.ask(inputs, declared, held)
        except Exception as error:  # noqa: BLE001 - whatever the solver raises, the fallback is named with it
            reason = f"the method failed: {_first_line(error)}"
        else:
            reason = _wrong(answer.weights, cap_of(declared, inputs.count))
            if reason is None:
                return ChosenWeights(_put_right(answer.weights), declared.method, None, answer.expected)
    return _fallback(inputs, declared, held, reason)


def problem_of(inputs: "PortfolioInputs", declared: "DeclaredPortfolio", needs: str) -> str | None:
    """Say what is wrong with inputs for what a method needs, ``nothing``, ``volatility`` or ``covariance``; or None."""
    if needs == "nothing":
        return None
    bars, count = inputs.returns.shape
    least = declared.least_bars if needs == "volatility" else max(declared.least_bars, count + 1)
    with np.errstate(all="ignore"):
        if not np.isfinite(inputs.returns).all():
            bad = [
                name for name, column in zip(inputs.symbols, inputs.returns.T, strict=True) if not _is_finite(column)
            ]
            return f"returns of {_named(bad)} are missing or infinite"
        if bars < least:
            return f"{bars} bars are too few for {count} symbols: {least} are needed"
        still = [
            name for name, each in zip(inputs.symbols, inputs.volatilities, strict=True) if not each > LEAST_VOLATILITY
        ]
        if still:
            return f"{_named(still)} did not move"
        return _singular(inputs) if needs == "covariance" else None


def _singular(inputs: "PortfolioInputs") -> str | None:
    if inputs.count == 1:
        return "there is one symbol only, which leaves nothing to choose"
    standardised = (inputs.returns - inputs.returns.mean(axis=0)) / inputs.volatilities
    correlation = standardised.T @ standardised / (len(standardised) - 1)
    if not np.isfinite(correlation).all():
        return "the covariance is not finite"
    values = np.linalg.eigvalsh(correlation)
    if values[0] > ALIKE:
        return None
    alike = np.argwhere(np.triu(np.abs(correlation) > 1 - ALIKE, 1))
    pairs = [f"{inputs.symbols[a]} and {inputs.symbols[b]}" for a, b in alike[:1]]
    return f"the covariance is singular: {pairs[0]} move alike" if pairs else "the covariance is singular"


def _fallback(
    inputs: "PortfolioInputs", declared: "DeclaredPortfolio", held: "FloatArray | None", reason: str
) -> ChosenWeights:
    cap = cap_of(declared, inputs.count)
    if held is not None and np.isfinite(held).all() and held.sum() > 0:
        return ChosenWeights(capped(np.maximum(held, 0.0), cap), LAST_WEIGHTS, reason)
    if problem_of(inputs, declared, "volatility") is None:
        return ChosenWeights(capped(1.0 / inputs.volatilities, cap), INVERSE_VOLATILITY, reason)
    return ChosenWeights(np.full(inputs.count, 1.0 / inputs.count), EQUAL, reason)


def _wrong(weights: "FloatArray", cap: float) -> str | None:
    """Say what is wrong with the weights that a solver gave, or None."""
    if not np.isfinite(weights).all():
        return "the method failed: it gave weights that are not finite"
    if abs(weights.sum() - 1.0) > TOLERANCE or weights.min() < -TOLERANCE or weights.max() > cap + TOLERANCE:
        return (
            f"the method failed: its weights sum to {weights.sum():.4f} and lie from {weights.min():.4f} to "
            f"{weights.max():.4f}"
        )
    return None


def _put_right(weights: "FloatArray") -> "FloatArray":
    """Weights within the solver's tolerance of what they have to be, put onto it."""
    cut = np.where(weights < TOLERANCE / 100, 0.0, weights)
    right: FloatArray = cut / cut.sum()
    return right


def _is_finite(column: "FloatArray") -> bool:
    return bool(np.isfinite(column).all())


def _named(symbols: "list[str]") -> str:
    more = f" and {len(symbols) - 3} more" if len(symbols) > 3 else ""  # noqa: PLR2004 - a sentence
    return ", ".join(symbols[:3]) + more


def _first_line(error: Exception) -> str:
    text = str(error).strip().splitlines()
    return f"{type(error).__name__}" + (f", {text[0][:120]}" if text else "")
