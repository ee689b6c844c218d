"""Value at risk and expected shortfall by filtered historical simulation: past surprises on today's volatility.

A session's return divided by the volatility that was expected for it is its surprise. The quantile of past surprises,
times the volatility that is expected now, is the value at risk (Barone-Adesi, Giannopoulos and Vosper, 1999); the mean
beyond it is the expected shortfall. Both are losses: positive, as shares of equity, for one session.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from lake.errors import NotReadyError

Reals = npt.NDArray[np.float64]

LEVELS = (0.95, 0.99)
WINDOW_SESSIONS, LEAST_SESSIONS = 500, 250
"""Surprises that a figure rests on, and the fewest without which there is none: five lie beyond 99 % of 500."""
DECAY = 0.94
"""Weight of yesterday in the expected variance, as RiskMetrics (1996) has it for daily returns."""
WARM_UP_SESSIONS = 40


class TailRisk(NamedTuple):
    """Loss that is reached in one of 20, or one of 100, sessions, and the mean loss of those.

    Parameters
    ----------
    level
        0.95 or 0.99.
    value_at_risk, expected_shortfall
        Losses as shares of equity for one session, positive; the second is never the smaller.
    """

    level: float
    value_at_risk: float
    expected_shortfall: float


class TailForecasts(NamedTuple):
    """Figures that were made before each session, beside what it brought.

    Parameters
    ----------
    returns
        Of each session ``[session]``.
    value_at_risk, expected_shortfall
        As they were known the session before ``[session]``.
    volatility
        That was expected ``[session]``.
    surprises
        That each figure rests on ``[session, window]``.
    """

    returns: Reals
    value_at_risk: Reals
    expected_shortfall: Reals
    volatility: Reals
    surprises: Reals


def expected_volatility(returns: Reals, decay: float = DECAY) -> Reals:
    """Return the volatility expected for each session from the sessions before, and for the next one at the end.

    Parameters
    ----------
    returns
        Per session, without gaps ``[session]``.
    decay
        Weight of the earlier variance.

    Returns
    -------
    numpy.ndarray
        ``[session + 1]``; value ``t`` uses returns before ``t`` alone, and the first `WARM_UP_SESSIONS` are NaN.

    Examples
    --------
    >>> expected_volatility(np.full(41, 0.01))[-1].round(6)
    np.float64(0.01)
    """
    variance = np.full(returns.size + 1, np.nan)
    if returns.size >= WARM_UP_SESSIONS:
        current = float(np.mean(returns[:WARM_UP_SESSIONS] ** 2))
        variance[WARM_UP_SESSIONS] = current
        for t in range(WARM_UP_SESSIONS, returns.size):
            current = decay * current + (1 - decay) * returns[t] ** 2
            variance[t + 1] = current
    return np.asarray(np.sqrt(np.maximum(variance, 1e-16)))


def tail_of(profits: Reals, level: float) -> TailRisk:
    """Return the tail of simulated profits.

    Parameters
    ----------
    profits
        One session's profit, or return, in each scenario ``[scenario]``.

    Examples
    --------
    >>> tail_of(np.arange(-100.0, 0.0), 0.95)
    TailRisk(level=0.95, value_at_risk=96.0, expected_shortfall=98.0)
    """
    count = tail_count(profits.size, level)
    worst = np.partition(profits, count - 1)[:count]
    value_at_risk, shortfall = -float(worst.max()), -float(worst.mean())
    return TailRisk(level, max(value_at_risk, 0.0), max(shortfall, value_at_risk, 0.0))


def tail_count(scenarios: int, level: float) -> int:
    """Return how many of so many scenarios are the tail beyond a level; the mildest of them is the value at risk.

    The next surprise is as likely to fall into each of the ``scenarios + 1`` gaps between those before, where they are
    alike. So it is below the k-th worst with the chance ``k / (scenarios + 1)``, and the largest k is taken that keeps
    this at ``1 - level``; the worst alone where there are too few.

    Examples
    --------
    >>> tail_count(500, 0.99), tail_count(500, 0.95), tail_count(50, 0.99)
    (5, 25, 1)
    """
    return max(int(np.floor((scenarios + 1) * (1 - level) + 1e-9)), 1)


def filtered_scenarios(returns: Reals, volatility: Reals) -> Reals:
    """Return scenarios of the next session: the newest surprises, times the volatility expected for it.

    Parameters
    ----------
    returns
        Per session, the oldest first ``[session]``.
    volatility
        Expected for each of them, and for the next one at the end ``[session + 1]``.

    Raises
    ------
    NotReadyError
        If fewer than `LEAST_SESSIONS` have both.
    """
    surprises = returns / volatility[:-1]
    known = surprises[np.isfinite(surprises)][-WINDOW_SESSIONS:]
    if known.size < LEAST_SESSIONS or not np.isfinite(volatility[-1]):
        raise NotReadyError(
            f"A value at risk needs {LEAST_SESSIONS} sessions with a return and an expected volatility, and there are "
            f"{known.size}. It comes with further sessions; `quantlake update` brings them in."
        )
    return np.asarray(known * volatility[-1])


def tail_forecasts(
    returns: Reals, level: float, *, volatility: Reals | None = None, window: int = WINDOW_SESSIONS
) -> TailForecasts:
    """Return the figures as they would have been made before each session: none sees its own session or a later one.

    Parameters
    ----------
    volatility
        As for `filtered_scenarios`; `expected_volatility` of the returns by default.
    window
        Surprises per figure.
    """
    expected = expected_volatility(returns) if volatility is None else volatility
    surprises = returns / expected[:-1]
    first = int(np.argmax(np.isfinite(surprises))) if np.isfinite(surprises).any() else surprises.size
    if surprises.size - first <= window:
        raise NotReadyError(
            f"The figures of past sessions need more than {window} surprises each, and there are "
            f"{surprises.size - first}. They come with further sessions."
        )
    windows = np.lib.stride_tricks.sliding_window_view(surprises[first:-1], window)  # [session, window]
    own = slice(first + window, returns.size)
    count = tail_count(window, level)
    worst = np.partition(windows, count - 1, axis=1)[:, :count]
    scale = expected[:-1][own]
    return TailForecasts(
        returns=returns[own],
        value_at_risk=-worst.max(axis=1) * scale,
        expected_shortfall=-worst.mean(axis=1) * scale,
        volatility=scale,
        surprises=windows,
    )
