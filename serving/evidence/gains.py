"""Sequential test of whether a portfolio gains on average, with losses counted in full."""

import math

import numpy as np

from lake.errors import ConfigError
from serving.evidence.posterior import FloatArray

STAKE = 0.9
"""Part ``f`` of its capital that a bettor would lose if a session lost the most it can."""
LEAST_EXPOSURE = 0.1
"""Exposure that counts at least: below it, trading costs are no longer small beside the largest loss."""


class GainEvidence:
    """Evidence that gains have a positive mean: a bet against "they have none", settled in blocks of sessions.

    Each session's gain ``g`` is measured by the most that can be lost, ``r = min(g / (L e), 1)`` with exposure ``e``
    and the largest loss ``L`` of a unit of exposure. With ``C`` the capital at the start of a block, 1 at first, each
    of its sessions does

        capital = capital + min(f C, capital) x r

    The stake is known before the session, and no more than is there. So if no session loses more than ``L`` per unit
    of exposure, and the expected gain of a session, given everything before it, is never above zero, the capital is a
    non-negative supermartingale: it ever reaches ``1 / alpha`` with probability at most alpha (Ville 1939, Étude
    critique de la notion de collectif; Waudby-Smith and Ramdas 2024, Estimating means of bounded random variables by
    betting, JRSS B 86(1), section 3). Gains are clipped from above, which only lowers their mean. Losses are never
    clipped: clipped losses would make a gain of many small premiums and a rare large loss.

    The stake stays the same within a block, as an amount. So the logarithm of the capital loses half the variance of
    the blocks' sums, autocovariances included: gains that carry over from session to session, zero on average but not
    given the session before, which the condition above excludes, are held down by the volatility that they add up to.
    That is a measured property and no theorem; `docs/selection.md` has the figures.

    No test that keeps this promise is much faster. A portfolio that earns ``m`` a session and loses ``L`` with
    probability ``m / (L + m)`` has no mean, and survives ``n`` sessions with probability about ``exp(-n m / L)``: a
    gain ``m`` cannot reliably be told from it before ``ln(1 / alpha) L / m`` sessions. The bet needs about a quarter
    more.

    Parameters
    ----------
    largest_loss
        ``L``, as a fraction above 0: the most that one unit of exposure loses in a session.
    block_sessions
        Sessions of a block, at least 1, counted from the first one settled.
    worlds
        How many streams of gains are bet on separately, side by side; `settle` then takes ``[world]``.

    Raises
    ------
    ConfigError
        If the largest loss or the length of a block proves nothing.

    Examples
    --------
    A gain of 0.2 % of equity in each of 800 sessions, at an exposure of one half, against a loss of 40 % of exposure:

    >>> evidence = GainEvidence(largest_loss=0.4, block_sessions=20)
    >>> for _ in range(800):
    ...     evidence.settle(0.002, exposure=0.5)
    >>> evidence.e_value.item() > 20
    True
    >>> evidence.settle(-0.2, exposure=0.5)  # the loss that was thinkable
    >>> for _ in range(19):
    ...     evidence.settle(0.0, exposure=0.5)
    >>> evidence.e_value.item() < 200
    True
    """

    def __init__(self, largest_loss: float, block_sessions: int, worlds: int = 1) -> None:
        if not (0 < largest_loss < math.inf and block_sessions >= 1):
            raise ConfigError(
                f"Gains cannot be proven with largest_loss {largest_loss} and block_sessions {block_sessions}. The "
                "largest loss of one unit of exposure is a fraction above 0, 0.4 for 40 %, and a block has a session."
            )
        self._largest, self._block = largest_loss, block_sessions
        self._capital, self._at_start = np.ones(worlds), np.ones(worlds)
        self._settled = 0

    @property
    def e_value(self) -> FloatArray:
        """Capital ``[world]`` after the last whole block; 1 before the first one."""
        return self._at_start

    def settle(self, gain: FloatArray | float, exposure: FloatArray | float = 1.0) -> None:
        """Update with the gain of one session.

        Parameters
        ----------
        gain
            Fraction of equity, costs included; one number, or ``[world]``.
        exposure
            Positions that the gain came from, as a sum of absolute fractions of equity, known before the session.
            Counted as at least `LEAST_EXPOSURE`.
        """
        possible = self._largest * np.maximum(exposure, LEAST_EXPOSURE)
        stake = np.minimum(STAKE * self._at_start, self._capital)
        # Below zero only if more was lost than can be: ruin, for good.
        self._capital = np.maximum(self._capital + stake * np.minimum(gain / possible, 1.0), 0.0)
        self._settled += 1
        if self._settled % self._block == 0:
            self._at_start = self._capital
