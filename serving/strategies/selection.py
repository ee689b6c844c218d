"""Strategy selection by regime: weights from paper returns, in force once a sequential test has proven them.

Every strategy of the pool is run on paper, so its net return is known whether it was followed or not: nothing has to
be tried. Five steps (docs/selection.md says why):

1. `serving.strategies.equal_volatility.at_equal_volatility`: strategies are held, and compared, at equal volatility.
2. `serving.evidence.posterior.posterior`: per regime, what is known of each strategy's mean excess over the pool.
3. `serving.evidence.posterior.probability_of_being_best`: weights, by seeded posterior draws.
4. Reviews every few sessions, with a band within which weights are left as they are.
5. `serving.evidence.gains.GainEvidence`: an e-value on what the weights gained over equal weights, net of cost. Until
   it crosses its threshold, the pool has equal weights.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import product

import numpy as np

from lake.errors import ConfigError
from lake.tables import REGIMES
from serving.evidence import FloatArray, GainEvidence, Prior, posterior, probability_of_being_best, probability_of_gain
from serving.strategies.paper import PaperReturns, refuse_overlap
from serving.strategies.pool import COST_BPS, EQUAL_WEIGHT

KNOWN_REGIMES: tuple[str, ...] = tuple(
    f"{volatility}_{trend}"
    for volatility, trend in product(REGIMES.column("volatility_state").allowed, REGIMES.column("trend_state").allowed)
)
"""Every regime there can be; decisions are made for all of them, seen or not."""


CONFIDENCE_SESSIONS = 20
"""Sessions that the confidence of a decision looks ahead."""


@dataclass(frozen=True)
class SelectionRule:
    """Everything that decides a selection besides the returns.

    Parameters
    ----------
    review_sessions
        Weights are looked at every so many sessions, counted from the first return.
    band
        Weights stay as they are unless half the sum of absolute changes exceeds this.
    alpha
        Chance of ever leaving equal weights when no weights gain over them: the e-value must reach 1 / alpha.
    draws, seed
        Posterior draws per review and regime, and what they are drawn from.
    prior
        Belief about an excess before any session was seen.
    largest_loss
        Most that one unit of exposure loses in a session, as a fraction: up to it the promise of alpha is exact.
    bet_sessions
        Sessions over which the e-value's stake stays the same, so that autocorrelated gains prove nothing.
    cost_bps
        Cost of moving from one strategy to another, per side.
    """

    review_sessions: int = 5
    band: float = 0.1
    alpha: float = 0.05
    draws: int = 2000
    seed: int = 20121231
    prior: Prior = field(default_factory=Prior)
    largest_loss: float = 0.4
    bet_sessions: int = 20
    cost_bps: float = COST_BPS

    def __post_init__(self) -> None:
        """Refuse a rule that cannot select, or would prove something with nothing."""
        others = (self.review_sessions, self.largest_loss, self.bet_sessions, self.draws)
        if not 0 < self.alpha < 1 or min(others) <= 0:
            raise ConfigError(
                f"The selection rule has alpha {self.alpha}, review_sessions {self.review_sessions}, largest_loss "
                f"{self.largest_loss}, bet_sessions {self.bet_sessions} and draws {self.draws}. Alpha lies between 0 "
                "and 1, the others above 0."
            )


@dataclass(frozen=True)
class SelectionDecision:
    """Decision for one regime at one review.

    Parameters
    ----------
    session
        Close at which it was decided, and from which it is in force.
    weights, probabilities
        Weights in force, and the posterior probabilities of being best, in the order of the pool.
    e_value
        Evidence against equal weights at that close.
    confidence
        Probability that the weights in force earn more than equal weights over the next `CONFIDENCE_SESSIONS` of the
        regime, by the posterior predictive of what they have gained so far; 0.5 for equal weights.
    seen
        Sessions of this regime whose returns were known.
    """

    session: datetime
    regime: str
    selected: str
    weights: tuple[float, ...]
    probabilities: tuple[float, ...]
    e_value: float
    confidence: float
    seen: int
    reason: str


@dataclass(frozen=True)
class Selection:
    """All decisions, and the return of following them.

    Parameters
    ----------
    decisions
        By review and regime.
    selected, ungated, equal
        Net return per session ``[session]`` of the weights in force, of the posterior's weights without the proof, and
        of equal weights; moving between strategies is paid for.
    e_values
        Evidence after each session.
    """

    decisions: tuple[SelectionDecision, ...]
    selected: FloatArray
    ungated: FloatArray
    equal: FloatArray
    e_values: FloatArray


def select(returns: PaperReturns, now: datetime, rule: SelectionRule, regimes: Sequence[str]) -> Selection:
    """Live through the returns and decide at each review, knowing what was known by then.

    Parameters
    ----------
    returns
        Paper returns of the pool, at equal volatility where that is what is held; those of a session are used from the
        close at which they were known.
    now
        Last close; a decision is made at it if it is due.
    regimes
        Regimes to decide for, seen or not.

    Returns
    -------
    Selection
        Cutting the returns off at any close changes no earlier decision and no earlier return.

    Raises
    ------
    ConflictError, LookAheadError
        If holding periods overlap, or a return is known before its own has ended; a late one is neither.
    """
    refuse_overlap(returns)
    return _SelectionWalk(returns, rule, tuple(regimes)).to(now)


class _SelectionWalk:
    """A selection on its way through the sessions: what it has learnt, and the proof so far."""

    def __init__(self, returns: PaperReturns, rule: SelectionRule, regimes: tuple[str, ...]) -> None:
        self.returns, self.rule = returns, rule
        self.regimes = tuple(dict.fromkeys((*regimes, *returns.regime)))
        size = len(returns.strategies)
        self.equal = np.full(size, 1 / size)
        self.learnt, self.best = (dict.fromkeys(self.regimes, self.equal) for _ in range(2))
        self.seen = dict.fromkeys(self.regimes, 0)
        self.evidence = GainEvidence(rule.largest_loss, rule.bet_sessions)
        self.is_proven = False
        self.decisions: list[SelectionDecision] = []
        zeros = np.zeros(len(returns.sessions))
        self.selected, self.ungated, self.e_values, self.moved = (zeros.copy() for _ in range(4))
        self.settled = 0

    def to(self, now: datetime) -> Selection:
        """Go through every close up to now."""
        sessions = self.returns.sessions
        before = followed = self.equal
        for position, close in enumerate((*sessions, now) if sessions[-1] < now else sessions):
            self._settle(close, position)
            if position % self.rule.review_sessions == 0:
                self._review(close)
            if position < len(sessions):
                weights = self.learnt[self.returns.regime[position]]
                in_force = weights if self.is_proven else self.equal
                self.ungated[position] = self._earned(position, weights, before)
                self.moved[position] = self._apart(position, weights, before)
                self.selected[position] = self._earned(position, in_force, followed)
                before, followed = weights, in_force
        self._settle(now, len(sessions))
        equal = self.returns.net @ self.equal
        return Selection(tuple(self.decisions), self.selected, self.ungated, equal, self.e_values)

    def _settle(self, close: datetime, before: int) -> None:
        """Update with the gains known by a close, of sessions before a position."""
        while self.settled < before and self.returns.known[self.settled] <= close:
            position = self.settled
            gain = self.ungated[position] - self.returns.net[position] @ self.equal
            self.evidence.settle(gain, self.moved[position])
            self.e_values[position] = self.evidence.e_value.item()
            self.settled += 1

    def _review(self, close: datetime) -> None:
        e_value = self.evidence.e_value.item()
        # Proven from 1 / alpha on, and until half of the bettor's capital is lost again.
        self.is_proven = e_value >= (0.5 if self.is_proven else 1.0) / self.rule.alpha
        seen = np.array(self.returns.regime[: self.settled])
        net = self.returns.net[: self.settled]
        excess = net - net.mean(axis=1, keepdims=True)
        for index, regime in enumerate(self.regimes):
            in_regime = excess[seen == regime]
            if len(in_regime) > self.seen[regime]:
                rng = np.random.default_rng([self.rule.seed, index, len(in_regime)])
                self.best[regime] = probability_of_being_best(
                    posterior(in_regime, self.rule.prior), self.rule.draws, rng
                )
                self.seen[regime] = len(in_regime)
            best = self.best[regime]
            moved = 0.5 * np.abs(best - self.learnt[regime]).sum()
            if moved > self.rule.band:
                self.learnt[regime] = best
            gained = (self.ungated[: self.settled] - net @ self.equal)[seen == regime]
            self.decisions.append(self._decision(close, regime, best, e_value, gained))

    def _decision(
        self, close: datetime, regime: str, best: FloatArray, e_value: float, gained: FloatArray
    ) -> SelectionDecision:
        names, needed, seen = self.returns.strategies, 1 / self.rule.alpha, len(gained)
        weights = self.learnt[regime] if self.is_proven else self.equal
        confidence = confidence_in(gained, self.rule.prior) if self.is_proven else 0.5
        leader = int(weights.argmax())
        reason = (
            f"Weights by the probability of being best in {seen} sessions of this regime, led by {names[leader]}: they "
            f"gained over equal weights with evidence {e_value:.3g}."
            if self.is_proven
            else f"Equal weights: the evidence that other weights gain is {e_value:.3g}, and {needed:.3g} is needed."
        )
        selected = names[leader] if self.is_proven else EQUAL_WEIGHT
        found = tuple(weights), tuple(best)
        return SelectionDecision(close, regime, selected, *found, e_value, confidence, seen, reason)

    def _earned(self, position: int, weights: FloatArray, before: FloatArray) -> float:
        """Net return of weights over one session, what it costs to move to them included.

        Moving costs at most the change of weight times what the strategy held: the sum over symbols of
        ``|sum_s (w_s p_s - w'_s p'_s)|`` is at most ``sum_s w_s |p_s - p'_s| + |w_s - w'_s| |p'_s|``, and the first
        part is in each strategy's own cost.
        """
        moving = self.rule.cost_bps / 1e4 * self._moved(position, weights, before)
        return float(self.returns.net[position] @ weights - moving)

    def _apart(self, position: int, weights: FloatArray, before: FloatArray) -> float:
        """Exposure that a gain over equal weights is at risk with: the larger side, and what is on the move.

        The sides are the positions of strategies held above their equal weight, and of those held below it.
        """
        sides = (weights - self.equal) * self.returns.exposure[position]
        larger = max(sides[sides > 0].sum(), -sides[sides < 0].sum())
        return float(larger) + self._moved(position, weights, before)

    def _moved(self, position: int, weights: FloatArray, before: FloatArray) -> float:
        """Largest sum of absolute positions that are moved from one strategy to another at a close."""
        held = self.returns.exposure[position - 1] if position else np.zeros(len(weights))
        return float(np.abs(weights - before) @ held)


def confidence_in(gains: FloatArray, prior: Prior) -> float:
    """Probability that learnt weights gain over equal weights in the next `CONFIDENCE_SESSIONS` of a regime.

    Parameters
    ----------
    gains
        ``[session]``: what the weights gained in the sessions of the regime so far, each by weights that were learnt
        before it. Gains of today's weights on the sessions that they were learnt from say too much.
    """
    return float(probability_of_gain(posterior(gains[:, None], prior), CONFIDENCE_SESSIONS)[0])
