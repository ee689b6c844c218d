"""Moves of prices and volumes: their correlations, how often and how far they went up and down."""

from feature_repo.catalog.alpha158.operators import IS_FLAT, NO_VOLUME, TRADED, Operator
from feature_repo.compute.alpha import bar_shape, counts, prices, regressions

CORRELATIONS = (
    Operator(
        "corr",
        regressions.price_volume_correlation,
        ("close", "volume"),
        "Corr($close, Log($volume+1), {n})",
        "correlation of close and log volume over {n} bars",
        first=2,
        unit="fraction",
        null_rule=f"{NO_VOLUME}, or {IS_FLAT}",
        minimum=-1,
        maximum=1,
        intervals=TRADED,
    ),
    Operator(
        "cord",
        regressions.change_correlation,
        ("close", "volume"),
        "Corr($close/Ref($close,1), Log($volume/Ref($volume, 1)+1), {n})",
        "correlation of the changes of close and log volume over {n} bars",
        first=3,
        before=1,
        unit="fraction",
        null_rule=f"{NO_VOLUME}, or {IS_FLAT}",
        minimum=-1,
        maximum=1,
    ),
)


def _moves(name: str, formula: str, meaning: str, rises: float, falls: float) -> Operator:
    """One of the shares of bars on which the close moved; known from the first bar, which counts as no move."""
    return Operator(
        name,
        counts.share_of_moves,
        ("close",),
        formula,
        meaning,
        constants=(rises, falls),
        before=1,
        unit="fraction",
        null_rule="never",
        minimum=min(falls, 0),
        maximum=1,
    )


def _changes(name: str, field: str, meaning: str, gains: float, losses: float) -> Operator:
    """One of the shares of gains and losses in all changes of a field."""
    gain = f"Sum(Greater(${field}-Ref(${field}, 1), 0), {{n}})"
    loss = f"Sum(Greater(Ref(${field}, 1)-${field}, 0), {{n}})"
    counted = f"({gain}-{loss})" if losses < 0 else gain if gains else loss
    return Operator(
        name,
        counts.share_of_change,
        (field,),
        f"{counted}/(Sum(Abs(${field}-Ref(${field}, 1)), {{n}})+1e-12)",
        meaning,
        constants=(gains, losses),
        first=2,
        before=1,
        unit="fraction",
        null_rule=NO_VOLUME if field == "volume" else "never after the first value",
        minimum=min(losses, 0),
        maximum=1,
    )


RISES, FALLS = "Mean($close>Ref($close, 1), {n})", "Mean($close<Ref($close, 1), {n})"
MOVES = (
    _moves("cntp", RISES, "share of {n} bars on which the close rose", 1.0, 0.0),
    _moves("cntn", FALLS, "share of {n} bars on which the close fell", 0.0, 1.0),
    _moves("cntd", f"{RISES}-{FALLS}", "share of {n} bars on which the close rose, less those it fell on", 1.0, -1.0),
    _changes("sump", "close", "gains of {n} bars in all changes of the close", 1.0, 0.0),
    _changes("sumn", "close", "losses of {n} bars in all changes of the close", 0.0, 1.0),
    _changes("sumd", "close", "gains less losses of {n} bars in all changes of the close", 1.0, -1.0),
)

VOLUMES = (
    Operator(
        "vma",
        prices.relative_mean,
        ("volume",),
        "Mean($volume, {n})/($volume+1e-12)",
        "mean volume of {n} bars against the newest",
        constants=(bar_shape.NEAR_ZERO,),
        null_rule=NO_VOLUME,
        intervals=TRADED,
    ),
    Operator(
        "vstd",
        prices.relative_std,
        ("volume",),
        "Std($volume, {n})/($volume+1e-12)",
        "deviation of the volumes of {n} bars against the newest",
        constants=(bar_shape.NEAR_ZERO,),
        first=2,
        null_rule=NO_VOLUME,
        intervals=TRADED,
    ),
    Operator(
        "wvma",
        counts.weighted_volatility,
        ("close", "volume"),
        "Std(Abs($close/Ref($close, 1)-1)*$volume, {n})/(Mean(Abs($close/Ref($close, 1)-1)*$volume, {n})+1e-12)",
        "deviation of the price moves of {n} bars, weighted by volume, against their mean",
        first=3,
        before=1,
        null_rule=NO_VOLUME,
    ),
    _changes("vsump", "volume", "increases of {n} bars in all changes of the volume", 1.0, 0.0),
    _changes("vsumn", "volume", "decreases of {n} bars in all changes of the volume", 0.0, 1.0),
    _changes("vsumd", "volume", "increases less decreases of {n} bars in all changes of the volume", 1.0, -1.0),
)
