"""How a symbol moves with the index, `M`, and whether that has changed; both returns between the same two closes."""

from feature_repo.catalog.technical import NO_MARKET
from feature_repo.compute import cross_asset
from feature_repo.compute.market import market_beta
from feature_repo.spec import Feature, FeatureGroup

SHORT, LONG = 20, 120
FISHER = "Fisher, On the 'Probable Error' of a Coefficient of Correlation Deduced from a Small Sample, 1921"
INPUTS = ("close", "market_close")


def _correlation(sessions: int) -> Feature:
    return Feature(
        name=f"market_correlation_{sessions}d",
        function=cross_asset.market_correlation,
        inputs=INPUTS,
        parameters=(sessions,),
        lookback=sessions + 1,
        unit="correlation",
        formula=f"cov(r, r_market) / sqrt(var(r) x var(r_market)) over the last {sessions} r",
        meaning=f"correlation with the market over {sessions} bars",
        null_rule=f"{NO_MARKET}, within the last {sessions + 1} bars, or all returns of either are equal",
        minimum=-1,
        maximum=1,
    )


def _beta(sessions: int) -> Feature:
    return Feature(
        name=f"market_beta_{sessions}d",
        function=market_beta,
        inputs=INPUTS,
        parameters=(sessions,),
        lookback=sessions + 1,
        unit="ratio",
        formula=f"cov(r, r_market) / var(r_market) over the last {sessions} r, sample moments",
        meaning=f"how strongly the symbol moves with the market, over {sessions} bars",
        null_rule=f"{NO_MARKET}, within the last {sessions + 1} bars, or all returns of the index are equal",
    )


CROSS_ASSET = FeatureGroup(
    name="cross_asset",
    meaning="How every symbol moved with the index, and whether that has changed.",
    features=(
        *(_correlation(sessions) for sessions in (20, 60, 120, 252)),
        *(_beta(sessions) for sessions in (20, 60, 120)),
        Feature(
            name="correlation_shift_score",
            function=cross_asset.correlation_shift_score,
            inputs=INPUTS,
            parameters=(SHORT, LONG),
            lookback=SHORT + LONG + 1,
            unit="standard errors",
            formula=(
                f"(atanh(c) - atanh(C)) / sqrt(1 / {SHORT - 3} + 1 / {LONG - 3}), c the correlation with the market of "
                f"the last {SHORT} r, C that of the {LONG} before"
            ),
            meaning="change of the correlation with the market",
            null_rule=f"{NO_MARKET}, within the last {SHORT + LONG + 1} bars, or c or C is unknown, -1 or 1",
            source=FISHER,
        ),
        Feature(
            name="correlation_shift",
            function=cross_asset.has_correlation_shifted,
            inputs=INPUTS,
            parameters=(SHORT, LONG),
            lookback=SHORT + LONG + 1,
            unit="flag",
            formula="1 if |correlation_shift_score| > 1.96 else 0",
            meaning="whether the correlation with the market has changed, at the 5 % level",
            null_rule="where correlation_shift_score is null",
            source=FISHER,
            minimum=0,
            maximum=1,
        ),
    ),
)
