"""The nine shapes of a bar, and its prices against its close."""

from feature_repo.catalog.alpha158.operators import NO_PRICE, SOURCE
from feature_repo.compute.alpha import bar_shape, prices
from feature_repo.compute.kernel import Kernel
from feature_repo.spec import Feature

OHLC = ("open", "high", "low", "close")


def _of_bar(
    name: str, function: Kernel, inputs: tuple[str, ...], formula: str, meaning: str, minimum: float | None = 0
) -> Feature:
    return Feature(
        name=name,
        function=function,
        inputs=inputs,
        lookback=1,
        unit="ratio",
        formula=formula,
        meaning=meaning,
        null_rule=NO_PRICE,
        source=SOURCE,
        minimum=minimum,
    )


BAR = (
    _of_bar("kmid", bar_shape.body, ("open", "close"), "($close-$open)/$open", "body against the open", -1),
    _of_bar("klen", bar_shape.length, ("open", "high", "low"), "($high-$low)/$open", "range against the open"),
    _of_bar(
        "kmid2",
        bar_shape.body_of_range,
        OHLC,
        "($close-$open)/($high-$low+1e-12)",
        "body against the range",
        -1,
    ),
    _of_bar(
        "kup",
        bar_shape.upper_shadow,
        ("open", "high", "close"),
        "($high-Greater($open, $close))/$open",
        "upper shadow against the open",
    ),
    _of_bar(
        "kup2",
        bar_shape.upper_shadow_of_range,
        OHLC,
        "($high-Greater($open, $close))/($high-$low+1e-12)",
        "upper shadow against the range",
    ),
    _of_bar(
        "klow",
        bar_shape.lower_shadow,
        ("open", "low", "close"),
        "(Less($open, $close)-$low)/$open",
        "lower shadow against the open",
    ),
    _of_bar(
        "klow2",
        bar_shape.lower_shadow_of_range,
        OHLC,
        "(Less($open, $close)-$low)/($high-$low+1e-12)",
        "lower shadow against the range",
    ),
    _of_bar(
        "ksft",
        bar_shape.shift,
        OHLC,
        "(2*$close-$high-$low)/$open",
        "twice the distance of the close from the middle of the range, against the open",
        None,
    ),
    _of_bar(
        "ksft2",
        bar_shape.shift_of_range,
        ("high", "low", "close"),
        "(2*$close-$high-$low)/($high-$low+1e-12)",
        "twice the distance of the close from the middle of the range, against the range",
        -1,
    ),
    *(
        _of_bar(
            f"{name}0",
            prices.relative_price,
            (name, "close"),
            f"${name}/$close",
            f"{name} of the bar against its close",
        )
        for name in ("open", "high", "low")
    ),
    _of_bar(
        "vwap0",
        prices.relative_typical_price,
        ("high", "low", "close"),
        "$vwap/$close, $vwap for ($high+$low+$close)/3",
        "typical price of the bar against its close",
    ),
)
