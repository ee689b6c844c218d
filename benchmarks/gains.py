"""The proof of a gain in simulated worlds: how seldom it proves what is not there, and how soon what is."""

from collections.abc import Callable, Iterator

import numpy as np
import numpy.typing as npt

from benchmarks.report import Topic
from serving.evidence import Evidence, GainEvidence
from serving.strategies import SelectionRule

Values = npt.NDArray[np.float64]
World = Callable[[np.random.Generator, tuple[int, int]], Values]
DEVIATION, COST, SESSIONS, WORLDS, SEED = 0.01, 0.0002, 1000, 500, 1
"""Daily deviation of the gains of one unit of exposure, cost a session, sessions, worlds, and their seed."""
BURN_IN = 100
LOSSES, EVERY = (0.05, 0.1, 0.2, 0.4), (100, 250, 500, 1000)
SHARPES, LOOKS, PATIENCE = (0.05, 0.1, 0.15, 0.2), (250, 500, 1000), 8000
OLD_BOUND, OTHER_LOSSES = 0.02, (0.1, 0.2)
"""Clip of the earlier rule, and largest losses that somebody might rather assume."""


def normal(rng: np.random.Generator, shape: tuple[int, int]) -> Values:
    """Draw gains ``[world, session]`` that are independent and normal."""
    return DEVIATION * rng.standard_normal(shape)


def student(rng: np.random.Generator, shape: tuple[int, int]) -> Values:
    """Draw from Student's t with 3 degrees of freedom, of the same deviation."""
    return DEVIATION * rng.standard_t(3, shape) / np.sqrt(3)


def garch(rng: np.random.Generator, shape: tuple[int, int]) -> Values:
    """Draw gains whose variance is ``0.02 + 0.07 g^2 + 0.91 v``: volatility clusters."""
    gains, variance = rng.standard_normal((shape[0], shape[1] + BURN_IN)), np.ones(shape[0])
    for session in range(gains.shape[1]):
        gains[:, session] *= np.sqrt(variance)
        variance = 0.02 + 0.07 * gains[:, session] ** 2 + 0.91 * variance
    return DEVIATION * gains[:, BURN_IN:]


def autoregressive(coefficient: float, scale: float = 1.0) -> World:
    """World of gains that carry over: zero on average, not given the gain before."""

    def draw(rng: np.random.Generator, shape: tuple[int, int]) -> Values:
        gains = rng.standard_normal((shape[0], shape[1] + BURN_IN))
        for session in range(1, gains.shape[1]):
            gains[:, session] = coefficient * gains[:, session - 1] + np.sqrt(1 - coefficient**2) * gains[:, session]
        return scale * DEVIATION * gains[:, BURN_IN:]

    return draw


def costly(rng: np.random.Generator, shape: tuple[int, int]) -> Values:
    """Draw gains of zero before cost, and below it after."""
    return normal(rng, shape) - COST


def skewed(rng: np.random.Generator, shape: tuple[int, int]) -> Values:
    """Draw many small gains and few large losses: an exponential, reflected."""
    return DEVIATION * (1 - rng.exponential(size=shape))


def insurance(loss: float, every: int) -> World:
    """World of a premium each session and a loss once in so many, which it compensates exactly."""

    def draw(rng: np.random.Generator, shape: tuple[int, int]) -> Values:
        premium = loss / (every - 1)
        noise = DEVIATION / 10 * rng.standard_normal(shape)
        return np.where(rng.random(shape) < 1 / every, -loss, premium) + noise

    return draw


def overlapping(rng: np.random.Generator, shape: tuple[int, int]) -> Values:
    """Draw the sum of the next five normal gains, in each session anew."""
    sums = np.cumsum(normal(rng, (shape[0], shape[1] + 5)), axis=1)
    return sums[:, 5:] - sums[:, :-5]


WITHOUT_GAIN: dict[str, World] = {
    "independent, normal": normal,
    "Student's t, 3 degrees of freedom": student,
    "GARCH": garch,
    "AR(1) 0.2": autoregressive(0.2),
    "AR(1) 0.5": autoregressive(0.5),
    "AR(1) 0.5, twice as volatile": autoregressive(0.5, 2.0),
    "zero before a cost of 2 bp": costly,
    "left skew": skewed,
    **{f"insurance seller, {loss:.0%} once in {every:,}": insurance(loss, every) for loss in LOSSES for every in EVERY},
}
"""Worlds in which there is nothing to prove."""
BEYOND: dict[str, World] = {
    "beyond the promise: AR(1) 0.5, three times as volatile": autoregressive(0.5, 3.0),
    "beyond the promise: insurance seller, 60% once in 250": insurance(0.6, 250),
    "refused: five-session gains of every session": overlapping,
}
"""Worlds that break its conditions further than it can bear."""


def capital(gains: Values, rule: SelectionRule) -> Iterator[Values]:
    """Evidence ``[world]`` after each session of gains ``[world, session]`` at an exposure of 1, by the rule in use."""
    evidence = GainEvidence(rule.largest_loss, rule.bet_sessions, worlds=len(gains))
    for gain in gains.T:
        evidence.settle(gain)
        yield evidence.e_value


def capital_of_clipped(gains: Values, bound: float) -> Iterator[Values]:
    """Evidence after each session by the earlier rule: gains and losses clipped, several stakes, settled daily."""
    logs = np.zeros((len(gains), len(Evidence.STAKES)))  # [world, stake]
    for gain in np.clip(gains, -bound, bound).T / bound:
        logs += np.log1p(gain[:, None] * Evidence.STAKES)
        yield np.exp(logs).mean(axis=1)


def sessions_until_proof(values: Iterator[Values], alpha: float) -> Values:
    """First session ``[world]`` after which the evidence has reached 1 / alpha; infinity where it never does."""
    first: Values | None = None
    for session, value in enumerate(values, start=1):
        first = np.full(value.shape, np.inf) if first is None else first
        first[(value >= 1 / alpha) & np.isinf(first)] = session
    return np.array([]) if first is None else first


def false_proofs(world: World, rule: SelectionRule, worlds: int = WORLDS, seed: int = SEED) -> float:
    """Share of worlds of 1,000 sessions in which a gain is proven at some time."""
    gains = world(np.random.default_rng(seed), (worlds, SESSIONS))
    return _proven(gains, rule)


def measure_false_proofs(worlds: int = WORLDS, seed: int = SEED) -> Topic:
    """Let every world without a gain try to prove one, by the rule in use and by the one before."""
    rule, rows = SelectionRule(), []
    for name, world in {**WITHOUT_GAIN, **BEYOND}.items():
        gains = world(np.random.default_rng(seed), (worlds, SESSIONS))
        old = [sessions_until_proof(capital_of_clipped(gains, bound), rule.alpha) for bound in (OLD_BOUND, 0.1)]
        rows.append((name, *(f"{np.isfinite(each).mean():.1%}" for each in old), f"{_proven(gains, rule):.1%}"))
    text = (
        f"Part of {worlds} worlds of {SESSIONS:,} sessions in which a gain is proven at some time; {rule.alpha:.0%} is "
        f"promised: one unit of exposure, a daily deviation of {DEVIATION:.0%} (the noise beside an insurance "
        f"seller's premium: {DEVIATION / 10:.1%}), no gain on average. A loss of {rule.largest_loss:.0%} is assumed "
        "possible."
    )
    header = ("world", "both clipped at 2 %", "both clipped at 10 %", "losses in full")
    return Topic("False proofs in worlds without a gain", text, header, tuple(rows), (f"seed {seed}",))


def measure_power(worlds: int = WORLDS, seed: int = SEED) -> Topic:
    """Let gains of several Sharpe ratios be proven, by the rule in use, the one before, and smaller largest losses."""
    rule = SelectionRule()
    rows = []
    for sharpe in SHARPES:
        rng = np.random.default_rng(seed)
        gains = DEVIATION * (sharpe + rng.standard_normal((worlds, PATIENCE)))
        name = f"{sharpe:g} ({100 * 252 * sharpe * DEVIATION:.0f} % a year)"
        rows.append((name, "both clipped at 2 %", *_times(capital_of_clipped(gains, OLD_BOUND), rule), ""))
        for loss in (*OTHER_LOSSES, rule.largest_loss):
            limit = np.log(1 / rule.alpha) * loss / (sharpe * DEVIATION)
            how = f"losses in full, {loss:.0%} possible"
            times = _times(capital(gains, SelectionRule(largest_loss=loss)), rule)
            rows.append((name, how, *times, f"{limit:,.0f}"))
    text = (
        f"Normal gains of one unit of exposure with a daily deviation of {DEVIATION:.0%}, {worlds} worlds. The limit "
        "is `ln(20) x largest loss / gain a session`: sooner, no test tells the gain from an insurance seller's."
    )
    header = ("daily Sharpe ratio", "proof", "median", *(f"within {look:,}" for look in LOOKS), "limit")
    return Topic("Sessions until a gain is proven", text, header, tuple(rows), (f"seed {seed}",))


def _proven(gains: Values, rule: SelectionRule) -> float:
    return float(np.isfinite(sessions_until_proof(capital(gains, rule), rule.alpha)).mean())


def _times(values: Iterator[Values], rule: SelectionRule) -> tuple[str, ...]:
    first = sessions_until_proof(values, rule.alpha)
    return f"{np.median(first):,.0f}", *(f"{(first <= look).mean():.0%}" for look in LOOKS)
