"""The selection of strategies in simulated worlds: of noise, and with an edge planted in each regime."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import numpy as np
import numpy.typing as npt

from benchmarks.gains import (
    LOSSES,
    OLD_BOUND,
    SESSIONS,
    WITHOUT_GAIN,
    capital_of_clipped,
    measure_false_proofs,
    measure_power,
    sessions_until_proof,
)
from benchmarks.report import Topic
from serving.evidence import posterior
from serving.strategies import CONFIDENCE_SESSIONS, PaperReturns, Selection, SelectionRule, confidence_in, select

Values = npt.NDArray[np.float64]
REGIMES = ("calm", "wild")
START = datetime(2010, 1, 4, 21, tzinfo=UTC)
EXPOSURE = 0.8
WORLDS = (
    ("noise, 20 strategies", 20, 250, 0.0, 300),
    ("noise, 6 strategies", 6, 750, 0.0, 60),
    ("edge of 10 bp a day by regime", 6, 750, 0.0010, 40),
    ("edge of 20 bp", 6, 750, 0.0020, 40),
    ("edge of 30 bp", 6, 250, 0.0030, 40),
    ("edge of 30 bp", 6, 750, 0.0030, 40),
)
"""What, strategies, sessions, edge of the best of a regime a session, how many."""
KINDS = (
    "independent, normal",
    "Student's t, 3 degrees of freedom",
    "GARCH",
    "AR(1) 0.2",
    "AR(1) 0.5",
    "left skew",
    *(f"insurance seller, {loss:.0%} once in 250" for loss in LOSSES),
)
"""Worlds of `benchmarks.gains` of which pools are made."""
POOL, POOLS = 6, 100
HEADER = ("world", "leaves equal weights", "selection", "without proof", "one a day")


def measure(share: float = 1.0) -> Iterator[Topic]:
    """Let gains alone be proven; then live through many worlds of each kind, or a share of them."""
    yield measure_false_proofs()
    yield measure_power()
    yield measure_edges(share)
    yield measure_confidence(share)
    yield measure_pools(max(2, round(POOLS * share)))


def measure_edges(share: float = 1.0) -> Topic:
    """Live through worlds of noise, and worlds with an edge in each regime."""
    rows = tuple(
        _row(f"{name}, {sessions} sessions", strategies, sessions, edge, max(2, round(worlds * share)))
        for name, strategies, sessions, edge, worlds in WORLDS
    )
    text = (
        "A daily deviation of 0.8 % per strategy beside a common factor, two regimes of 80 sessions on average, 10 bp "
        "a side; gain over equal weights per year. One a day draws one strategy a session from the same posterior "
        "(Thompson sampling)."
    )
    return Topic("Selection in simulated worlds", text, HEADER, rows)


def measure_confidence(share: float = 1.0) -> Topic:
    """Compare the confidence in learnt weights with how often they gained afterwards, proven or not."""
    confidences: list[float] = []
    gained: list[bool] = []
    for _, strategies, sessions, edge, worlds in WORLDS:
        for seed in range(max(2, round(worlds * share))):
            returns = world(strategies, sessions, seed, edge)
            found, regime = select(returns, returns.known[-1], SelectionRule(), REGIMES), np.array(returns.regime)
            gains = found.ungated - found.equal
            for at in range(0, sessions, SelectionRule().review_sessions):
                for name in REGIMES:
                    before, after = gains[:at][regime[:at] == name], gains[at:][regime[at:] == name]
                    if len(after) >= CONFIDENCE_SESSIONS and len(before):
                        confidences.append(confidence_in(before, SelectionRule().prior))
                        gained.append(bool(after[:CONFIDENCE_SESSIONS].sum() > 0))
    rows = [
        (
            f"{low:.0%} to {low + 0.1:.0%}",
            f"{inside.sum():,}",
            f"{values[inside].mean():.1%}",
            f"{came[inside].mean():.1%}",
        )
        for values, came in [(np.array(confidences), np.array(gained))]
        for low in np.arange(0.0, 1.0, 0.1).round(1)
        if (inside := (values >= low) & (values < low + 0.1)).any()
    ]
    text = (
        f"Of the worlds above: the confidence in learnt weights at every review, and how often they gained on equal "
        f"weights in the next {CONFIDENCE_SESSIONS} sessions of the regime, net of cost. "
        "`heuristic_confidence` is this number once weights are proven, and 50 % before."
    )
    return Topic("Confidence in strategy weights", text, ("confidence", "reviews", "said", "gained"), tuple(rows))


def measure_pools(pools: int = POOLS) -> Topic:
    """Live through pools in which no strategy gains anything."""
    rule, rows = SelectionRule(), []
    for name in KINDS:
        for sellers in (1, POOL) if "insurance" in name else (POOL,):
            old, left, gains = [], [], []
            for seed in range(pools):
                returns = pool_without_gain(name, sellers, seed)
                found = select(returns, returns.known[-1], rule, REGIMES)
                old.append(
                    sessions_until_proof(capital_of_clipped((found.ungated - found.equal)[None], OLD_BOUND), rule.alpha)
                )
                left.append(_is_left(found))
                gains.append(252 * float((found.selected - found.equal).mean()))
            what = name if sellers == POOL else f"one {name}, beside noise"
            rows.append(
                (
                    what,
                    f"{np.isfinite(old).mean():.1%}",
                    f"{np.mean(left):.1%}",
                    f"{round(np.mean(gains), 4) + 0.0:+.2%}",
                )
            )
    text = (
        f"Part of {pools} pools in which equal weights are ever left, over {SESSIONS:,} sessions: {POOL} strategies of "
        "one kind with an exposure of 1, beside a common factor, two regimes, 10 bp a side, and no gain in any of them."
    )
    header = ("pool", "both clipped at 2 %", "losses in full", "gain over equal weights a year")
    return Topic("Selection in pools without a gain", text, header, tuple(rows), (f"seeds 0 to {pools - 1}",))


def pool_without_gain(name: str, sellers: int, seed: int) -> PaperReturns:
    """Paper returns of so many strategies of a world of `benchmarks.gains`, and normal noise for the others."""
    rng = np.random.default_rng(seed)
    noise = world(POOL, SESSIONS, seed, 0.0)
    special = WITHOUT_GAIN[name](rng, (sellers, SESSIONS)).T
    common = 0.01 * rng.standard_normal((SESSIONS, 1))
    ordinary = 0.008 * rng.standard_normal((SESSIONS, POOL - sellers))
    return noise._replace(net=common + np.hstack([special, ordinary]), exposure=np.ones((SESSIONS, POOL)))


def world(strategies: int, sessions: int, seed: int, edge: float) -> PaperReturns:
    """Paper returns with a common factor; in regime r, strategy r earns `edge` more a session than the others."""
    rng = np.random.default_rng(seed)
    regime = np.zeros(sessions, dtype=int)
    for position in range(1, sessions):
        regime[position] = rng.integers(2) if rng.random() < 1 / 40 else regime[position - 1]
    net = 0.008 * rng.standard_normal((sessions, strategies)) + 0.01 * rng.standard_normal((sessions, 1))
    for number in range(len(REGIMES)):
        net[regime == number, number] += edge
    days = tuple(START + timedelta(days=day) for day in range(sessions + 1))
    names = tuple(f"s{number}" for number in range(strategies))
    regimes = tuple(REGIMES[number] for number in regime)
    return PaperReturns(names, days[:-1], days[1:], days[1:], regimes, net, np.full(net.shape, EXPOSURE))


def one_a_day(returns: PaperReturns, rule: SelectionRule, seed: int) -> Values:
    """Net return per session of the strategy whose drawn mean is largest, moving paid for on both sides."""
    rng, excess = np.random.default_rng(seed), returns.net - returns.net.mean(axis=1, keepdims=True)
    regime, earned, before = np.array(returns.regime), np.empty(len(returns.net)), -1
    for position, name in enumerate(returns.regime):
        known = posterior(excess[:position][regime[:position] == name], rule.prior)
        spread = np.sqrt(known.scale / (known.shape * known.sessions))
        chosen = int((known.mean + spread * rng.standard_t(2 * known.shape, size=len(spread))).argmax())
        moved = 0.0 if chosen == before or before < 0 else 2 * EXPOSURE
        earned[position] = returns.net[position, chosen] - rule.cost_bps / 1e4 * moved
        before = chosen
    return earned


def _row(name: str, strategies: int, sessions: int, edge: float, worlds: int) -> tuple[str, ...]:
    rule, left, gains = SelectionRule(), [], []
    for seed in range(worlds):
        returns = world(strategies, sessions, seed, edge)
        found: Selection = select(returns, returns.known[-1], rule, REGIMES)
        left.append(_is_left(found))
        ways = (found.selected, found.ungated, one_a_day(returns, rule, seed))
        gains.append([252 * float((way - found.equal).mean()) for way in ways])
    return f"{name}, {worlds} worlds", f"{np.mean(left):.1%}", *(f"{gain:+.1%}" for gain in np.mean(gains, axis=0))


def _is_left(found: Selection) -> bool:
    return any(decision.selected != "equal_weight" for decision in found.decisions)
