"""Volatility that is expected over the coming sessions: EWMA, HAR and GARCH. Every forecast is scaled by the last.

HAR and GARCH are refitted at the first bar of each calendar year on the three years before it, and filtered forward.
"""

from feature_repo.compute import IS_ASKED, garch, har, volatility
from feature_repo.spec import Feature

FITTED_SESSIONS = 756
"""Returns that a year's parameters are fitted on: three years of an exchange."""
YEAR_BARS = 366
"""Most bars of a calendar year, on a market that never closes."""
DECAY = 0.94
EWMA_FORGETS = 420
"""Bars after which the exponential mean has forgotten its seed to a relative 1e-9."""


def _name(family: str, horizon: int) -> str:
    return f"volatility_{family}" if horizon == 1 else f"volatility_{family}_{horizon}d"


def _har(horizon: int) -> Feature:
    return Feature(
        name=_name("har", horizon),
        function=har.har_volatility,
        inputs=("close", "year", IS_ASKED),
        parameters=(FITTED_SESSIONS, horizon),
        lookback=har.QUARTER + 1,
        warm_up=1 + har.QUARTER + FITTED_SESSIONS + horizon + YEAR_BARS,
        unit="per year",
        formula=f"sqrt(252 pi / 2) x mean |r| of the next {horizon}, linear in its means over 1, 5, 22, 66 bars",
        meaning="volatility expected by a heterogeneous autoregression",
        source="Corsi, A Simple Approximate Long-Memory Model of Realized Volatility, 2009",
        minimum=0,
    )


def _garch(horizon: int) -> Feature:
    return Feature(
        name=_name("garch", horizon),
        function=garch.garch_volatility,
        inputs=("close", "year", IS_ASKED),
        parameters=(FITTED_SESSIONS, horizon),
        lookback=garch.SEED_SESSIONS + 1,
        warm_up=1 + FITTED_SESSIONS + YEAR_BARS,
        unit="per year",
        formula=f"sqrt(252 x mean variance of the next {horizon} r by GJR-GARCH(1,1) with Student's t)",
        meaning="volatility expected by GARCH",
        null_rule="while the price has not moved at all in what was fitted on",
        source="Glosten, Jagannathan and Runkle, On the Relation between the Expected Value and the Volatility, 1993",
        minimum=0,
    )


CONDITIONAL_VOLATILITY: tuple[Feature, ...] = (
    Feature(
        name="volatility_ewma_94",
        function=volatility.ewma_volatility,
        inputs=("close",),
        parameters=(DECAY,),
        lookback=21,
        warm_up=EWMA_FORGETS,
        unit="per year",
        formula=f"sqrt(252 x exponential mean of r^2 with decay {DECAY}), seeded with the plain mean of the first 20",
        meaning="volatility by an exponential mean",
        source="J. P. Morgan, RiskMetrics Technical Document, 1996",
        minimum=0,
    ),
    *(_har(horizon) for horizon in (1, 5)),
    *(_garch(horizon) for horizon in (1, 5)),
)
"""The features in the order of the columns, each family by horizon."""
