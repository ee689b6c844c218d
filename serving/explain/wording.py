"""Sentences of an explanation, made of its numbers alone; they say what contributes and never what causes."""

from typing import TYPE_CHECKING

from serving.api.explanations import Quantity

if TYPE_CHECKING:
    from lake.horizons import Horizon
    from serving.explain.result import Contribution, Explanation

NAMES: dict[Quantity, str] = {
    "p10": "10 % quantile",
    "p50": "median",
    "p90": "90 % quantile",
    "width": "width of the band p10..p90",
}
NAMED = 3
"""Features that get a sentence of their own."""
NOTHING = 5e-7
"""Contribution, as a fraction of price, that rounds to nothing in `percent`."""


def percent(value: float, *, signed: bool = True) -> str:
    """Return a fraction of price as percent, to four digits behind the point.

    Examples
    --------
    >>> percent(0.01234567), percent(0.05, signed=False)
    ('+1.2346 %', '5.0000 %')
    """
    return f"{100 * value:{'+' if signed else ''}.4f} %"


def reasoning(explanation: "Explanation", quantity: Quantity, ahead: "Horizon") -> list[str]:
    """Return the sentences: the forecast and the typical one, the largest contributions, the rest."""
    is_signed = quantity != "width"
    value, base = (percent(of[quantity], signed=is_signed) for of in (explanation.values, explanation.base_values))
    regimes = sorted({background.regime for background in explanation.backgrounds})
    sentences = [
        f"The {NAMES[quantity]} of {explanation.symbol} {ahead} ahead is {value}.",
        f"Over typical windows of the regime {' and '.join(regimes)} it is {base} on average.",
    ]
    largest = [each for each in explanation.largest(quantity) if abs(each.contribution) > NOTHING]
    if not largest:
        return [
            *sentences,
            f"No feature contributes to the {NAMES[quantity]}: the models give the same for all of them.",
        ]
    sentences += [_sentence(each) for each in largest[:NAMED]]
    rest = largest[NAMED:]
    if rest:
        together = percent(sum(each.contribution for each in rest))
        sentences.append(f"{len(rest)} further features together contribute {together}.")
    fidelity = explanation.fidelity_r2
    if fidelity is not None:
        sentences.append(f"These are slopes of a straight line that explains {fidelity[quantity]:.1%} of the variance.")
    if explanation.unexplained_share:
        sentences.append(
            f"Models without gradients make up {explanation.unexplained_share:.1%} of the forecast; what they add is "
            "not split by feature."
        )
    return sentences


def _sentence(each: "Contribution") -> str:
    held = "" if each.value is None else f" ({each.value:.4g}{_rank(each)})"
    error = "" if each.standard_error is None else f" +- {percent(each.standard_error, signed=False)}"
    return f"{each.player}{held} contributes {percent(each.contribution)}{error}."


def _rank(each: "Contribution") -> str:
    return "" if each.percentile is None else f", percentile {each.percentile:.0f} of training"
