"""Volatility from the range of each bar, and volatility now against volatility before."""

from feature_repo.catalog.technical import NO_RANGE
from feature_repo.compute import range_volatility
from feature_repo.spec import Feature, FeatureGroup


def _garman_klass(sessions: int) -> Feature:
    return Feature(
        name=f"garman_klass_{sessions}d",
        function=range_volatility.garman_klass_volatility,
        inputs=("open", "high", "low", "close"),
        parameters=(sessions,),
        lookback=sessions,
        unit="per year",
        formula=f"sqrt(252 x mean of ln(high / low)^2 / 2 - (2 ln 2 - 1) ln(P / open)^2 over the last {sessions} bars)",
        meaning="Garman-Klass volatility, without what happens overnight",
        null_rule="where the source has no open, high and low",
        source="Garman and Klass, On the Estimation of Security Price Volatilities from Historical Data, 1980",
        minimum=0,
    )


def _parkinson(sessions: int) -> Feature:
    return Feature(
        name=f"parkinson_{sessions}d",
        function=range_volatility.parkinson_volatility,
        inputs=("high", "low"),
        parameters=(sessions,),
        lookback=sessions,
        unit="per year",
        formula=f"sqrt(252 / (4 ln 2) x mean of ln(high / low)^2 over the last {sessions} bars)",
        meaning="Parkinson volatility, without what happens overnight",
        null_rule=NO_RANGE,
        source="Parkinson, The Extreme Value Method for Estimating the Variance of the Rate of Return, 1980",
        minimum=0,
    )


def _ratio(short: int, long: int) -> Feature:
    return Feature(
        name=f"volatility_ratio_{short}d_{long}d",
        function=range_volatility.volatility_ratio,
        inputs=("close",),
        parameters=(short, long),
        lookback=long + 1,
        unit="ratio",
        formula=f"sample standard deviation of the last {short} r / that of the last {long} r",
        meaning="volatility now against volatility before",
        null_rule=f"where the last {long} returns are equal",
        minimum=0,
    )


RANGE_VOLATILITY = FeatureGroup(
    name="range_volatility",
    meaning="Volatility of every bar's past from highs and lows, and short against long volatility.",
    features=(
        *(_garman_klass(sessions) for sessions in (20, 60)),
        *(_parkinson(sessions) for sessions in (20, 60)),
        _ratio(5, 20),
        _ratio(5, 60),
        _ratio(20, 120),
    ),
)
