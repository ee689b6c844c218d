"""The twenty technical features, scale-free twins of those that depend on the price level, and expected volatility.

`P` is the adjusted close, `V` the volume adjusted for splits, `r` the return over one bar; every formula looks back
from the bar `t` of one symbol and uses nothing later. Scale-dependent features have a scale-free twin, because an
adjusted price already knows later splits and dividends: models see only what is scale-free.
"""

from feature_repo.catalog.conditional_volatility import CONDITIONAL_VOLATILITY
from feature_repo.compute import momentum, volatility, volume
from feature_repo.compute.market import MARKET_SESSIONS, as_given, market_beta
from feature_repo.compute.returns import simple_return
from feature_repo.spec import Feature, FeatureGroup

NO_VOLUME = "where the source has no volume"
NO_RANGE = "where the source has no high and low"
NO_MARKET = "where the index has no bar at the same close"
FORGETS = 420
"""Bars after which a Wilder mean of 14 or an exponential mean of 26 has forgotten its seed to a relative 1e-9."""


def _return(sessions: int) -> Feature:
    return Feature(
        name=f"return_{sessions}d",
        function=simple_return,
        inputs=("close",),
        parameters=(sessions,),
        lookback=sessions + 1,
        unit="fraction",
        formula=f"P_t / P_{{t-{sessions}}} - 1",
        meaning=f"return over {sessions} bars",
        minimum=-1,
    )


def _volatility(sessions: int) -> Feature:
    return Feature(
        name=f"volatility_{sessions}d",
        function=volatility.annualised_volatility,
        inputs=("close",),
        parameters=(sessions,),
        lookback=sessions + 1,
        unit="per year",
        formula=f"sample standard deviation of the last {sessions} r x sqrt(252)",
        meaning=f"volatility over {sessions} bars",
        minimum=0,
    )


def _volume_ratio(sessions: int) -> Feature:
    return Feature(
        name=f"volume_ratio_{sessions}d",
        function=volume.volume_ratio,
        inputs=("volume",),
        parameters=(sessions,),
        lookback=sessions,
        unit="ratio",
        formula=f"V_t / mean(V over the last {sessions} bars, t included)",
        meaning="volume against its own recent mean",
        null_rule=f"{NO_VOLUME}, or all volumes are zero",
        minimum=0,
    )


TECHNICAL = FeatureGroup(
    name="technical",
    meaning="Technical features of every bar, from what was known at its close.",
    is_online=True,
    features=(
        *(_return(sessions) for sessions in (1, 5, 20, 60, 120, 252)),
        *(_volatility(sessions) for sessions in (5, 20, 60)),
        *(_volume_ratio(sessions) for sessions in (5, 20)),
        Feature(
            name="dollar_volume",
            function=volume.dollar_volume,
            inputs=("close_unadjusted", "volume_unadjusted"),
            lookback=1,
            unit="currency",
            formula="close x volume, the unadjusted pair",
            meaning="money traded",
            null_rule=NO_VOLUME,
            minimum=0,
            is_scale_free=False,
        ),
        Feature(
            name="log_dollar_volume",
            function=volume.log_dollar_volume,
            inputs=("close_unadjusted", "volume_unadjusted"),
            lookback=1,
            unit="log currency",
            formula="ln(close x volume), the unadjusted pair",
            meaning="money traded, as its logarithm",
            null_rule=f"{NO_VOLUME}, or nothing was traded",
        ),
        Feature(
            name="market_beta",
            function=market_beta,
            inputs=("close", "market_close"),
            parameters=(252,),
            lookback=253,
            unit="ratio",
            formula="cov(r, r_market) / var(r_market) over the last 252 r, sample moments",
            meaning="how strongly the symbol moves with the market",
            null_rule=f"{NO_MARKET}, within the last 253 bars",
        ),
        Feature(
            name="market_return",
            function=as_given,
            inputs=("market_return",),
            lookback=1,
            unit="fraction",
            formula="M_t / M_{t-1} - 1, M the close of the S&P 500",
            meaning="return of the market over one session",
            null_rule=f"{NO_MARKET}, and on its first bar",
            minimum=-1,
        ),
        Feature(
            name="market_volatility",
            function=as_given,
            inputs=("market_volatility",),
            lookback=1,
            unit="per year",
            formula=f"sample standard deviation of the last {MARKET_SESSIONS} r_market x sqrt(252)",
            meaning="volatility of the market over 20 sessions",
            null_rule=f"{NO_MARKET}, and on its first {MARKET_SESSIONS} bars",
            minimum=0,
        ),
        Feature(
            name="rsi_14",
            function=momentum.relative_strength_index,
            inputs=("close",),
            parameters=(14,),
            lookback=15,
            warm_up=FORGETS,
            unit="0-100",
            formula="100 x G / (G + L), Wilder means of gains and losses over 14 bars, seeded with their plain mean",
            meaning="Wilder's relative strength index",
            null_rule="while the price has not moved at all",
            minimum=0,
            maximum=100,
        ),
        Feature(
            name="macd",
            function=momentum.macd,
            inputs=("close",),
            parameters=(12, 26),
            lookback=26,
            warm_up=FORGETS,
            unit="price",
            formula="EMA12(P) - EMA26(P), both seeded at bar 26 with the plain mean of their last 12 and 26 closes",
            meaning="moving average convergence/divergence",
            is_scale_free=False,
        ),
        Feature(
            name="macd_signal",
            function=momentum.macd_signal,
            inputs=("close",),
            parameters=(12, 26, 9),
            lookback=34,
            warm_up=FORGETS,
            unit="price",
            formula="EMA9(macd), seeded with the plain mean of its first 9 values",
            meaning="signal line of macd",
            is_scale_free=False,
        ),
        Feature(
            name="macd_relative",
            function=momentum.relative_macd,
            inputs=("close",),
            parameters=(12, 26),
            lookback=26,
            warm_up=FORGETS,
            unit="fraction",
            formula="macd / P",
            meaning="moving average convergence/divergence, as a fraction of the price",
        ),
        Feature(
            name="sma_50_200_cross",
            function=momentum.is_above,
            inputs=("close",),
            parameters=(50, 200),
            lookback=200,
            unit="flag",
            formula="1 if mean(P, 50) > mean(P, 200) else 0",
            meaning="whether the 50-bar mean lies above the 200-bar mean",
            minimum=0,
            maximum=1,
        ),
        Feature(
            name="bollinger_position",
            function=momentum.bollinger_position,
            inputs=("close",),
            parameters=(20, 2.0),
            lookback=20,
            unit="fraction",
            formula="(P - lower) / (upper - lower), bands at mean(P, 20) -/+ 2 population standard deviations",
            meaning="where the close lies between the Bollinger bands",
            null_rule="where the last 20 closes are equal",
        ),
        Feature(
            name="atr_14",
            function=volatility.average_true_range,
            inputs=("high", "low", "close"),
            parameters=(14,),
            lookback=15,
            warm_up=FORGETS,
            unit="price",
            formula="Wilder mean of the true range over 14 bars, seeded with the plain mean of the first 14",
            meaning="Wilder's average true range",
            null_rule=NO_RANGE,
            minimum=0,
            is_scale_free=False,
        ),
        Feature(
            name="atr_relative",
            function=volatility.relative_true_range,
            inputs=("high", "low", "close"),
            parameters=(14,),
            lookback=15,
            warm_up=FORGETS,
            unit="fraction",
            formula="atr_14 / P",
            meaning="Wilder's average true range, as a fraction of the price",
            null_rule=NO_RANGE,
            minimum=0,
        ),
        *CONDITIONAL_VOLATILITY,
    ),
)
