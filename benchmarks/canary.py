"""The verdict on a canary in simulated worlds: how soon narrow bands are taken back, and how seldom good ones are."""

import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from benchmarks.report import Topic
from feature_repo.compute import garch
from feature_repo.targets import QUANTILES
from lake.settings import Settings
from serving.deployment import SessionPair, judge_challenger
from training.judge import quantile_losses

Values = npt.NDArray[np.float64]
SYMBOLS, BEFORE, SESSIONS, LAST = 12, 800, 250, 20
DAILY, YEAR, FITTED = 0.018, 252, 756
MARGIN, ALPHA = (Settings.model_fields[name].default for name in ("canary_margin", "canary_alpha"))
LOOKS = (60, 120, SESSIONS)
HEADER = (
    "challenger", "loss beside the champion's", "coverage",
    *(f"taken back within {look} sessions" for look in LOOKS), "asked",
)  # fmt: skip
ASKED = {
    "the champion itself": "<= 5 %", "bands x 0.6": ">= 95 % within 60", "bands x 0.7": ">= 95 % within 120",
    "bands x 1.25": "<= 5 %", "exact": "<= 5 %", "GARCH": "<= 5 %",
}  # fmt: skip


class World(NamedTuple):
    """Returns ``[session, symbol]`` of a trial, and the volatilities that each forecaster says beforehand."""

    returns: Values
    last: Values
    garch: Values
    exact: Values


def measure(count: int = 500, seed: int = 1) -> Topic:
    """Let every challenger stand trial in so many worlds."""
    random = np.random.default_rng(seed)
    found: dict[str, list[tuple[float, float, int | None]]] = {}
    for _ in range(count):
        for name, outcome in trials(world(random)).items():
            found.setdefault(name, []).append(outcome)
    rows = []
    for name, outcomes in found.items():
        ratio, covered = (np.mean(column) for column in list(zip(*outcomes, strict=True))[:2])
        back = [np.mean([at is not None and at <= look for *_, at in outcomes]) for look in LOOKS]
        rows.append((name, f"{ratio - 1:+.1%}", f"{covered:.0%}", *(f"{share:.1%}" for share in back), ASKED[name]))
    text = (
        f"{count} worlds of {SESSIONS} sessions after {BEFORE}, {SYMBOLS} symbols that share a part of their shocks "
        "(Student's t, 5 degrees of freedom) and a volatility that clusters; one look a day, with the margin and alpha "
        "of the settings. The champion scales by the last 20 returns, all shapes are those of the sessions before."
    )
    return Topic("Canary", text, HEADER, tuple(rows), (f"seed {seed}",))


def world(random: np.random.Generator) -> World:
    """Simulate one: a common variance that follows the square of the common shock."""
    total = BEFORE + SESSIONS
    common, own = (random.standard_t(5, size) / math.sqrt(5 / 3) for size in (total, (total, SYMBOLS)))
    shocks = 0.55 * common[:, None] + math.sqrt(1 - 0.55**2) * own
    variance, level = np.empty(total), 1.0
    for session in range(total):
        variance[session] = level
        level = min(0.015 + 0.915 * level + 0.07 * level * common[session] ** 2, 30.0)
    exact = np.repeat(DAILY * np.sqrt(variance)[:, None], SYMBOLS, axis=1)
    returns = exact * shocks
    year = np.floor(np.arange(total) / YEAR)
    prices = np.cumprod(1 + np.clip(returns, -0.9, None), axis=0)
    asked = np.ones(len(year))
    after = np.stack([garch.garch_volatility(price, year, asked, FITTED, 1) for price in prices.T.copy()], axis=1)
    sums = np.cumsum(np.vstack([np.zeros(SYMBOLS), returns**2]), axis=0)
    last = np.full_like(returns, np.nan)
    last[LAST:] = np.sqrt((sums[LAST:-1] - sums[: -LAST - 1]) / LAST)
    return World(returns, last, np.vstack([np.full(SYMBOLS, np.nan), after[:-1] / math.sqrt(YEAR)]), exact)


def trials(made: World) -> dict[str, tuple[float, float, int | None]]:
    """Put every challenger on trial: loss beside the champion's, coverage, and the session it is taken back at."""
    challengers = {
        "the champion itself": (made.last, 1.0),
        "bands x 0.6": (made.last, 0.6),
        "bands x 0.7": (made.last, 0.7),
        "bands x 1.25": (made.last, 1.25),
        "exact": (made.exact, 1.0),
        "GARCH": (made.garch, 1.0),
    }
    champion = _judged(made.returns, made.last, 1.0)
    found = {}
    for name, (sigma, width) in challengers.items():
        losses, outside = _judged(made.returns, sigma, width)
        pairs = [SessionPair(*map(float, pair)) for pair in zip(losses, champion[0], outside, champion[1], strict=True)]
        found[name] = (float(losses.mean() / champion[0].mean()), float(1 - outside.mean()), taken_back_at(pairs))
    return found


def taken_back_at(pairs: list[SessionPair]) -> int | None:
    """First session after which a daily look takes the canary back; None where none of them does."""
    if not judge_challenger(pairs, margin=MARGIN, alpha=ALPHA).is_worse:
        return None
    low, high = 0, len(pairs)  # once worse is worse for good, so halving finds the first
    while high - low > 1:
        middle = (low + high) // 2
        is_worse = judge_challenger(pairs[:middle], margin=MARGIN, alpha=ALPHA).is_worse
        low, high = (low, middle) if is_worse else (middle, high)
    return high


def _judged(returns: Values, sigma: Values, width: float) -> tuple[Values, Values]:
    """Mean loss and part outside the band in each session of the trial, by the shape of the sessions before."""
    known = returns[LAST + 40 : BEFORE] / sigma[LAST + 40 : BEFORE]
    shape = np.nanquantile(known, QUANTILES)
    bands = width * sigma[BEFORE:, :, None] * shape
    realised = returns[BEFORE:]
    losses = quantile_losses(realised, bands, QUANTILES).mean(axis=(1, 2))
    outside = (realised < bands[..., 0]) | (realised > bands[..., -1])
    return losses, outside.mean(axis=1)
