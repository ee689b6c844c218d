"""Volume against the direction of the price and against its own past. `V` is the volume adjusted for splits."""

from feature_repo.catalog.technical import NO_RANGE, NO_VOLUME
from feature_repo.compute import on_balance
from feature_repo.compute.returns import simple_return
from feature_repo.spec import Feature, FeatureGroup

GRANVILLE = "Granville, New Key to Stock Market Profits, 1963"


def _change(sessions: int) -> Feature:
    return Feature(
        name=f"volume_change_{sessions}d",
        function=simple_return,
        inputs=("volume",),
        parameters=(sessions,),
        lookback=sessions + 1,
        unit="fraction",
        formula=f"V_t / V_{{t-{sessions}}} - 1",
        meaning=f"rate of change of the volume over {sessions} bars",
        null_rule=f"{NO_VOLUME}, or nothing was traded {sessions} bars before",
        minimum=-1,
    )


def _on_balance(sessions: int) -> Feature:
    return Feature(
        name=f"obv_{sessions}d",
        function=on_balance.on_balance_volume,
        inputs=("close", "volume"),
        parameters=(sessions,),
        lookback=sessions + 1,
        unit="shares",
        formula=f"sum of sign(P_t - P_{{t-1}}) x V_t over the last {sessions} bars",
        meaning=f"what on-balance volume gained over {sessions} bars (its total depends on where the history begins)",
        null_rule=NO_VOLUME,
        source=GRANVILLE,
        is_scale_free=False,
    )


def _on_balance_share(sessions: int) -> Feature:
    return Feature(
        name=f"obv_share_{sessions}d",
        function=on_balance.on_balance_share,
        inputs=("close", "volume"),
        parameters=(sessions,),
        lookback=sessions + 1,
        unit="fraction",
        formula=f"sum of sign(P_t - P_{{t-1}}) x V_t / sum of V, over the last {sessions} bars",
        meaning=f"what on-balance volume gained over {sessions} bars, as a share of the volume",
        null_rule=f"{NO_VOLUME}, or all volumes are zero",
        source=GRANVILLE,
        minimum=-1,
        maximum=1,
    )


def _weighted_price(sessions: int) -> Feature:
    return Feature(
        name=f"vwap_{sessions}d",
        function=on_balance.volume_weighted_price,
        inputs=("high", "low", "close", "volume"),
        parameters=(sessions,),
        lookback=sessions,
        unit="price",
        formula=f"sum of (high + low + P) / 3 x V / sum of V, over the last {sessions} bars",
        meaning="stand-in for the volume-weighted average price, from daily bars",
        null_rule=f"{NO_RANGE} or no volume, or all volumes are zero",
        minimum=0,
        is_scale_free=False,
    )


def _weighted_gap(sessions: int) -> Feature:
    return Feature(
        name=f"vwap_gap_{sessions}d",
        function=on_balance.volume_weighted_gap,
        inputs=("high", "low", "close", "volume"),
        parameters=(sessions,),
        lookback=sessions,
        unit="fraction",
        formula=f"P / vwap_{sessions}d - 1",
        meaning="how far the close lies above the volume-weighted price",
        null_rule=f"{NO_RANGE} or no volume, or all volumes are zero",
        minimum=-1,
    )


VOLUME = FeatureGroup(
    name="volume",
    meaning="Volume of every bar against the direction of the price and against its own past.",
    features=(
        *(_on_balance(sessions) for sessions in (20, 60)),
        *(_on_balance_share(sessions) for sessions in (20, 60)),
        *(_weighted_price(sessions) for sessions in (5, 20)),
        *(_weighted_gap(sessions) for sessions in (5, 20)),
        *(_change(sessions) for sessions in (1, 5, 20)),
    ),
)
