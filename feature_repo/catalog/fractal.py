"""How rough the path of a price is."""

from feature_repo.compute import fractal
from feature_repo.spec import Feature, FeatureGroup

LAGS = 6


def _hurst(sessions: int) -> Feature:
    largest = sessions // 2
    return Feature(
        name=f"hurst_{sessions}d",
        function=fractal.hurst_exponent,
        inputs=("close",),
        parameters=(sessions,),
        lookback=sessions + 1,
        unit="exponent",
        formula=(
            f"0.5 + slope of ln(mean R/S / E[R/S]) on ln(n), blocks of n = {fractal.SMALLEST_BLOCK} ... {largest} in "
            f"the last {sessions} ln(P_t / P_{{t-1}})"
        ),
        meaning="Hurst exponent: above 0.5 where moves persist, below where they revert",
        null_rule="where the price moves evenly or stands still throughout a block",
        source="Hurst, 1951; Anis and Lloyd, 1976; as combined by Weron, 2002",
    )


def _dimension(sessions: int) -> Feature:
    return Feature(
        name=f"fractal_dimension_{sessions}d",
        function=fractal.higuchi_dimension,
        inputs=("close",),
        parameters=(sessions, LAGS),
        lookback=sessions,
        unit="dimension",
        formula=(
            f"- slope of ln(L(k)) on ln(k), k = 1 ... {LAGS}; L(k) = {sessions - 1} / k^2 x mean of "
            f"|ln(P_t / P_{{t-k}})| within the last {sessions} bars"
        ),
        meaning="Higuchi's fractal dimension: 1 for a trend, 1.5 for a random walk, 2 for noise",
        null_rule=f"where no close differs from the one k bars before, for some k up to {LAGS}",
        source="Higuchi, Approach to an Irregular Time Series on the Basis of the Fractal Theory, 1988",
    )


FRACTAL = FeatureGroup(
    name="fractal",
    meaning="How rough the path of the price to every bar was.",
    features=(
        *(_hurst(sessions) for sessions in (128, 256)),
        *(_dimension(sessions) for sessions in (60, 120)),
    ),
)
