"""How often bands held and what was gained on naive, each with the interval that its number of outcomes allows."""

import math
from typing import TYPE_CHECKING, Any, NamedTuple

import polars as pl

from lake.calendars import bars_of_session
from serving import api
from serving.forecasts import COVERAGE_TARGET

if TYPE_CHECKING:
    import numpy as np

    from lake.market import Market

LEAST_OUTCOMES = 30
"""Fewest outcomes of which a share is told."""
DECIMALS = 12
"""Sums of many numbers differ in their last bits from read to read; the same outcomes give the same figures."""
Z90 = 1.6448536269514722
"""Standard normal quantile of 95 %: both ends of a 90 % interval."""


class ClosesOf(NamedTuple):
    """Outcomes of one group, summed by close.

    Parameters
    ----------
    closes
        ``event_time``, ``outcomes``, ``held``, ``compared`` (outcomes with a naive loss), ``loss`` and ``naive_loss``
        (sums over those), one row per close in order.
    overlap
        Bars of the horizon: that many closes in a row share part of their outcome.
    """

    closes: pl.DataFrame
    overlap: int


def by_close(matured: pl.LazyFrame, *groups: str) -> pl.LazyFrame:
    """Sum matured forecasts by group and close, as `ClosesOf` wants them, sorted by the close.

    Parameters
    ----------
    matured
        As `outcomes.matured_of` returns them, one forecast of each model, close and horizon.
    """
    is_compared = pl.col("naive_loss").is_not_null()
    return (
        matured.group_by(*groups, "event_time")
        .agg(
            pl.len().cast(pl.Int64).alias("outcomes"),
            pl.col("is_covered").sum().cast(pl.Int64).alias("held"),
            is_compared.sum().cast(pl.Int64).alias("compared"),
            pl.col("pinball_loss").filter(is_compared).sum().alias("loss"),
            pl.col("naive_loss").sum(),
        )
        .sort("event_time")
    )


def held_by_symbol(matured: pl.DataFrame) -> pl.DataFrame:
    """Count ``outcomes``, those ``held`` by their band, and ``sessions``, the closes among them, of each ``symbol``.

    Parameters
    ----------
    matured
        ``symbol``, ``event_time`` and ``is_covered``, one row per forecast.
    """
    return matured.group_by("symbol").agg(
        pl.len().cast(pl.Int64).alias("outcomes"),
        pl.col("is_covered").sum().cast(pl.Int64).alias("held"),
        pl.col("event_time").n_unique().cast(pl.Int64).alias("sessions"),
    )


def overlap_of(market: "Market", horizon: int) -> int:
    """Return the bars of a horizon, as the tables count it.

    Examples
    --------
    >>> from lake.market import Market
    >>> minutes = Market("m", interval="60m", horizons=("60 minutes", "1 session"))
    >>> overlap_of(Market("d"), 5), overlap_of(minutes, 1_000)
    (5, 7)
    """
    ahead = market.horizon_of(horizon)
    return ahead.n * bars_of_session(market.grid) if ahead.unit == "session" else horizon


def group_record(name: str, summed: ClosesOf, *, verb: str = "held") -> api.GroupRecord:
    """Return band and skill of one group; the verb is that of `band_record`."""
    closes = summed.closes
    counts = int(closes["outcomes"].sum()), int(closes["held"].sum()), closes.height
    band = band_record(*counts, summed.overlap, verb=verb)
    return api.GroupRecord(group=name, band=band, skill=skill_record(summed))


def band_record(outcomes: int, held: int, sessions: int, overlap: int, *, verb: str = "held") -> api.BandRecord:
    """Return how often bands held the outcome.

    The interval is Wilson's (1927, JASA 22) at 90 %. It counts closes that do not overlap, not outcomes: those of one
    close share the market's move, and those of neighbouring closes share most of their horizon.

    Parameters
    ----------
    outcomes, held
        Matured forecasts, and those whose outcome fell within p10..p90.
    sessions
        Closes among them.
    overlap
        Bars of the horizon.
    verb
        What the sentence says that bands did.

    Examples
    --------
    >>> band_record(outcomes=212, held=164, sessions=212, overlap=1).sentence
    '80 % band held 77 % (72-82 %, n=212)'
    >>> band_record(outcomes=12, held=12, sessions=12, overlap=1).sentence
    'not enough outcomes (n=12)'
    """
    independent = sessions / overlap
    counted: dict[str, Any] = {
        "outcomes": outcomes,
        "sessions": sessions,
        "independent": independent,
        "target": COVERAGE_TARGET,
    }
    if outcomes < LEAST_OUTCOMES:
        return api.BandRecord(**counted, held=None, low=None, high=None, is_enough=False, sentence=_too_few(outcomes))
    share = held / outcomes
    low, high = wilson(share, independent)
    said = f"{COVERAGE_TARGET:.0%} band {verb} {share:.0%} ({100 * low:.0f}-{high:.0%}, n={outcomes})".replace(
        "%", " %"
    )
    return api.BandRecord(**counted, held=share, low=low, high=high, is_enough=True, sentence=said)


def hit_record(outcomes: int, hits: int, sessions: int, overlap: int) -> api.HitRecord:
    """Return how often the median had the sign of the return, counted as `band_record` counts bands that held.

    Examples
    --------
    >>> found = hit_record(outcomes=100, hits=80, sessions=100, overlap=1)
    >>> round(found.low, 4), round(found.high, 4)
    (0.7267, 0.8575)
    >>> hit_record(outcomes=12, hits=12, sessions=12, overlap=1).share is None
    True
    """
    counted = band_record(outcomes, hits, sessions, overlap)
    return api.HitRecord(
        outcomes=outcomes,
        independent=counted.independent,
        share=counted.held,
        low=counted.low,
        high=counted.high,
        is_enough=counted.is_enough,
    )


def wilson(share: float, count: float, z: float = Z90) -> tuple[float, float]:
    """Return Wilson's interval of a share of `count` independent trials, which need not be a whole number.

    Examples
    --------
    >>> [round(end, 4) for end in wilson(0.8, 100)]  # as scipy.stats.binomtest(80, 100)
    [0.7267, 0.8575]
    """
    weight = z * z / count
    middle = share + weight / 2
    reach = z * math.sqrt(share * (1 - share) / count + weight / (4 * count))
    return max((middle - reach) / (1 + weight), 0.0), min((middle + reach) / (1 + weight), 1.0)


def skill_record(summed: ClosesOf) -> api.SkillRecord:
    """Return the loss of forecasts beside naive's, with the 90 % interval of the skill.

    The skill ``1 - sum(loss) / sum(naive loss)`` is a ratio of sums over closes; its variance is that of the linearised
    residuals ``loss - ratio x naive loss`` by close, with Newey and West's (1987) weights for overlapping horizons.
    """
    compared, loss, naive_loss = (summed.closes[name].to_numpy() for name in ("compared", "loss", "naive_loss"))
    is_compared = compared > 0
    loss, naive_loss = loss[is_compared], naive_loss[is_compared]
    outcomes, sessions = int(compared.sum()), int(is_compared.sum())
    total, beside = float(loss.sum()), float(naive_loss.sum())
    if outcomes < LEAST_OUTCOMES or beside <= 0:
        absent = dict.fromkeys(("pinball_loss", "naive_loss", "skill", "low", "high"))
        return api.SkillRecord(
            outcomes=outcomes, sessions=sessions, **absent, is_enough=False, sentence=_too_few(outcomes)
        )
    ratio = total / beside
    reach = Z90 * math.sqrt(variance_of_sum(loss - ratio * naive_loss, summed.overlap - 1)) / beside
    skill, low, high = (round(end, DECIMALS) for end in (1 - ratio, 1 - ratio - reach, 1 - ratio + reach))
    return api.SkillRecord(
        outcomes=outcomes,
        sessions=sessions,
        pinball_loss=round(total / outcomes, DECIMALS),
        naive_loss=round(beside / outcomes, DECIMALS),
        skill=skill,
        low=low,
        high=high,
        is_enough=True,
        sentence=_skill_sentence(skill, low, high, outcomes),
    )


def variance_of_sum(residuals: "np.ndarray", lags: int) -> float:
    """Return the variance of the sum of a series by Newey and West's estimator with Bartlett weights.

    Examples
    --------
    >>> import numpy as np
    >>> variance_of_sum(np.array([1.0, -1.0, 1.0, -1.0]), 0)
    4.0
    """
    products = [
        float(residuals[lag:] @ residuals[: len(residuals) - lag]) for lag in range(min(lags + 1, len(residuals)))
    ]
    weighted = sum((2 if lag else 1) * (1 - lag / (lags + 1)) * each for lag, each in enumerate(products))
    return max(weighted, 0.0)


def _skill_sentence(skill: float, low: float, high: float, outcomes: int) -> str:
    if low == high == 0:
        return f"the same as naive (n={outcomes})"
    which = "better" if skill > 0 else "worse"
    chance = ", chance alone could explain it" if low <= 0 <= high else ""
    return (
        f"{abs(100 * skill):.1f} % {which} than naive ({100 * low:+.1f} to {100 * high:+.1f} %, n={outcomes}){chance}"
    )


def _too_few(outcomes: int) -> str:
    return f"not enough outcomes (n={outcomes})"
