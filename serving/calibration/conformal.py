"""Online conformal calibration: learns per regime by how much a band is widened or narrowed to keep its coverage.

Quantile tracking (Angelopoulos, Candes and Tibshirani 2023, "Conformal PID control for time series prediction", the
proportional part), a form of adaptive conformal inference (Gibbs and Candes 2021): a factor grows when more outcomes
than promised fell beyond its side of the band, and shrinks when fewer did. Whatever the market does, the share of
outcomes beyond converges to what is promised; nothing needs to be exchangeable.
"""

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt

from lake.errors import ConfigError
from serving.forecasts import sign_probability, widened

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

FloatArray = npt.NDArray[np.float64]

TAIL = 0.1
"""Share of outcomes promised below p10, and above p90."""
FACTOR_LOGS = np.log(10.0)
"""A factor stays within a tenth and ten."""
MOST_TRUST = 2.0


@dataclass(frozen=True)
class TrackingRule:
    """Learning rates of the tracking.

    Parameters
    ----------
    shared_gain, shared_decay
        The part of a factor that all regimes share moves by ``gain x n^-decay`` per session in its n-th session: far at
        first, little later (Angelopoulos, Barber and Bates 2024, "Online conformal prediction with decaying step
        sizes").
    shared_floor
        It never moves by less, so that a change of the market or of the models is followed.
    regime_gain
        Each regime's own part moves by this, from zero: a regime hardly seen has the factor that all share.
    surprise_gain, surprise_decay
        A factor moves with ``log(recent / usual)`` of the outcomes' distances from the median in half-bands, averaged
        over the symbols of a session: the market as a whole tells of a storm sooner than any symbol's own volatility.
        Recent is an exponential mean that keeps `surprise_decay` of itself per session. The gain is for one session
        ahead, and divided by the horizon, whose outcomes are known that much later.
    trust_deviation
        How far from 1 the trust in the forecast's own probabilities is believed to lie before any outcome.

    Notes
    -----
    All were chosen by losses of 2004 to 2008.
    """

    shared_gain: float = 0.5
    shared_decay: float = 0.6
    shared_floor: float = 0.02
    regime_gain: float = 0.05
    surprise_gain: float = 0.5
    surprise_decay: float = 0.9
    trust_deviation: float = 0.5

    def __post_init__(self) -> None:
        """Refuse a rule that cannot learn."""
        gains = (self.shared_gain, self.shared_floor, self.regime_gain, self.surprise_gain)
        if min(gains) < 0 or self.trust_deviation <= 0 or not 0 <= self.surprise_decay < 1:
            raise ConfigError(
                f"The rule of calibration has gains {', '.join(map(str, gains))}, surprise_decay {self.surprise_decay} "
                f"and trust_deviation {self.trust_deviation}. Gains are at least 0, the decay is from 0 to below 1, "
                "the deviation is above 0."
            )

    def shared_step(self, sessions: float) -> float:
        """Step of the shared part per unit of error after a number of sessions."""
        return max(self.shared_gain * float(max(sessions, 1.0) ** -self.shared_decay), self.shared_floor)


class ForecastPanel(NamedTuple):
    """Forecasts of one horizon and their outcomes, in the order of their sessions.

    Parameters
    ----------
    horizon
        As `lake.market.Market.horizon_bars` counts.
    closes
        Closes of the sessions ``[session]``, ascending.
    regime
        Number of the regime at each close ``[session]``.
    session
        Place of the session of each forecast ``[row]``, ascending.
    quantiles
        p10, p50 and p90 ``[row, quantile]`` before calibration.
    realised
        What came ``[row]``; NaN while it is open.
    known
        Place of the first close at which the outcome was known ``[row]``; the number of sessions while it is open.
    bars
        How many bars the horizon spans at most; 0 where the horizon itself says so.
    """

    horizon: int
    closes: "Sequence[datetime]"
    regime: npt.NDArray[np.int64]
    session: npt.NDArray[np.int64]
    quantiles: FloatArray
    realised: FloatArray
    known: npt.NDArray[np.int64]
    bars: int = 0

    @property
    def overlapping(self) -> int:
        """How many sessions share a stretch of their outcomes with one, itself included."""
        return self.bars or self.horizon


class Tracked(NamedTuple):
    """Corrections in force at each close, for a forecast made at it.

    Parameters
    ----------
    factors
        Factors of the lower and the upper part of the band ``[session, regime, side]``.
    trust
        Share of the distance of the forecast's own probability from a half that is believed ``[session]``.
    seen
        Sessions learned from, of each regime ``[session, regime]``; a session counts by the share of its outcomes.
    """

    factors: FloatArray
    trust: FloatArray
    seen: FloatArray


def track(panel: ForecastPanel, regimes: int, rule: TrackingRule | None = None) -> Tracked:
    """Live through the sessions; at each close the outcomes known by then are learned from, and no other.

    The symbols of a session move together, so a session counts once: each of its n forecasts counts 1 / n.

    Parameters
    ----------
    regimes
        How many regimes there are.

    Returns
    -------
    Tracked
        Changing an outcome changes nothing in force before it was known.
    """
    walk = _TrackingWalk(panel, regimes, rule or TrackingRule())
    order = np.argsort(panel.known, kind="stable")
    edges = np.searchsorted(panel.known[order], np.arange(len(panel.closes) + 1))
    for close, (begin, end) in enumerate(pairwise(edges)):
        for rows in _by_session(order[begin:end], panel.session):
            walk.learn(rows)
        walk.put_in_force(close)
    return walk.tracked


class _TrackingWalk:
    """Calibration on its way through the sessions."""

    def __init__(self, panel: ForecastPanel, regimes: int, rule: TrackingRule) -> None:
        sessions = len(panel.closes)
        self.panel, self.rule = panel, rule
        self.count = np.bincount(panel.session, minlength=sessions)
        self.shared, self.own, self.learned = np.zeros(2), np.zeros((regimes, 2)), np.zeros(regimes)
        self.usual, self.recent = 0.0, 0.0
        # The variance of a hit is a quarter, and outcomes over h sessions overlap: h of them count as one.
        self.edge_hits = self.edge_squares = panel.overlapping * 0.25 / rule.trust_deviation**2
        self.tracked = Tracked(np.ones((sessions, regimes, 2)), np.ones(sessions), np.zeros((sessions, regimes)))

    def learn(self, rows: npt.NDArray[np.int64]) -> None:
        """Update with the outcomes of one session."""
        panel, session = self.panel, int(self.panel.session[rows[0]])
        regime, share = int(panel.regime[session]), len(rows) / self.count[session]
        band = widened(panel.quantiles[rows], self.tracked.factors[session, regime])
        realised = panel.realised[rows]
        beyond = np.array([(realised < band[:, 0]).mean(), (realised > band[:, 2]).mean()])
        self.learned[regime] += share
        moved = share * (beyond - TAIL)
        self.shared = self.shared + self.rule.shared_step(self.learned.sum()) * moved
        self.own[regime] += self.rule.regime_gain * moved
        self._be_surprised(rows, share)
        edge = np.array([sign_probability(*row) for row in band.tolist()]) - 0.5
        is_hit = np.sign(realised) == np.sign(band[:, 1])
        self.edge_hits += share * float((edge * (is_hit - 0.5)).mean())
        self.edge_squares += share * float((edge**2).mean())

    def put_in_force(self, close: int) -> None:
        """Store the corrections of forecasts made at a close."""
        surprise = np.log(self.recent / self.usual) if min(self.recent, self.usual) > 0 else 0.0
        moved = self.shared + self.own + self.rule.surprise_gain / self.panel.overlapping * surprise
        logs = np.clip(moved, -FACTOR_LOGS, FACTOR_LOGS)
        self.tracked.factors[close] = np.exp(logs)
        self.tracked.trust[close] = np.clip(self.edge_hits / self.edge_squares, 0.0, MOST_TRUST)
        self.tracked.seen[close] = self.learned

    def _be_surprised(self, rows: npt.NDArray[np.int64], share: float) -> None:
        """Update the usual distance of an outcome from the median and the recent one, in half-bands as said."""
        p10, p50, p90 = self.panel.quantiles[rows].T
        is_wide = p90 > p10
        if not is_wide.any():
            return
        distance = float((np.abs(self.panel.realised[rows] - p50)[is_wide] / (p90 - p10)[is_wide]).mean())
        first = self.usual == 0.0
        self.usual += (distance - self.usual) * share / self.learned.sum()
        kept = 0.0 if first else self.rule.surprise_decay**share
        self.recent = kept * self.recent + (1 - kept) * distance


def _by_session(rows: npt.NDArray[np.int64], session: npt.NDArray[np.int64]) -> "list[npt.NDArray[np.int64]]":
    """Part rows by their session, in the order of time."""
    if not len(rows):
        return []
    ordered = rows[np.argsort(session[rows], kind="stable")]
    return np.split(ordered, np.flatnonzero(np.diff(session[ordered])) + 1)
