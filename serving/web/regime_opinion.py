"""What the hidden Markov models of a market say beside its regime by rule, and whether the two agree."""

import math
from collections.abc import Mapping
from typing import Any, Literal

from serving import api

HALF = 0.5


def opinion_of(row: Mapping[str, Any]) -> api.HiddenMarkovOpinion:
    """Compare the hidden states of a row of `regimes` with the states by rule.

    Parameters
    ----------
    row
        ``volatility_state``, ``trend_state``, ``trend_gap`` by rule; ``high_volatility_probability`` and
        ``uptrend_probability`` by the hidden Markov models, null or NaN before they are fit.

    Examples
    --------
    >>> rule = {"volatility_state": "low_volatility", "trend_state": "uptrend", "trend_gap": 0.026}
    >>> found = opinion_of(rule | {"high_volatility_probability": 0.05, "uptrend_probability": 0.003})
    >>> found.volatility, found.drift, found.agrees
    ('calm', 'falling', False)
    >>> print(found.explanation)
    The regime is decided by rule: low volatility, uptrend. The hidden Markov models see calm returns (95 %), as the \
rule does, and a falling mean of returns (100 %), where the rule sees the index 2.6 % above its mean of 200 sessions.
    >>> unfit = opinion_of(rule | {"high_volatility_probability": None, "uptrend_probability": None})
    >>> unfit.agrees, unfit.explanation
    (None, 'The regime is decided by rule: low volatility, uptrend. The hidden Markov models are not fit yet.')
    """
    turbulent, rising = (_known(row[name]) for name in ("high_volatility_probability", "uptrend_probability"))
    volatility: Literal["calm", "turbulent"] | None = None
    drift: Literal["rising", "falling"] | None = None
    of_states, agreed = [], []
    decided = f"The regime is decided by rule: {row['volatility_state'].replace('_', ' ')}, {row['trend_state']}."
    if turbulent is not None:
        volatility = "turbulent" if turbulent > HALF else "calm"
        agreed.append((volatility == "turbulent") == (row["volatility_state"] == "high_volatility"))
        seen = "as the rule does" if agreed[-1] else "where the rule compares with the year's median volatility"
        of_states.append(f"{volatility} returns ({max(turbulent, 1 - turbulent) * 100:.0f} %), {seen}")
    if rising is not None:
        drift = "rising" if rising > HALF else "falling"
        agreed.append((drift == "rising") == (row["trend_state"] == "uptrend"))
        above = f"{abs(row['trend_gap']) * 100:.1f} % {'above' if row['trend_gap'] > 0 else 'below'}"
        seen = "as the rule does" if agreed[-1] else f"where the rule sees the index {above} its mean of 200 sessions"
        of_states.append(f"a {drift} mean of returns ({max(rising, 1 - rising) * 100:.0f} %), {seen}")
    said = f"see {', and '.join(of_states)}" if of_states else "are not fit yet"
    return api.HiddenMarkovOpinion(
        volatility=volatility,
        turbulent_probability=turbulent,
        drift=drift,
        rising_probability=rising,
        agrees=all(agreed) if len(agreed) == len(("volatility", "drift")) else None,
        explanation=f"{decided} The hidden Markov models {said}.",
    )


def _known(value: Any) -> float | None:
    return float(value) if value is not None and math.isfinite(value) else None
