"""Do bands hold after a shock? Coverage in the sessions after volatility has doubled, by the scale of the bands."""

import math
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import numpy as np
import numpy.typing as npt

from benchmarks.report import Topic
from feature_repo.compute import garch, har, volatility
from feature_repo.targets import QUANTILES
from serving.calibration import ForecastPanel, track
from serving.forecasts import COVERAGE_TARGET, widened

Values = npt.NDArray[np.float64]
SYMBOLS, BEFORE, AFTER, LEARNT, YEAR, FITTED = 12, 1_108, 60, 250, 252, 756
"""Symbols; sessions before the shock, after it, and of those before it from which calibration learns."""
SPANS = ((1, 5), (6, 10), (11, 20), (1, 20), (21, 60))
FACTOR, DAILY, COMMON = 2.0, 0.012, 0.55
START = datetime(2000, 1, 3, 21, tzinfo=UTC)
ASKED = 0.70
"""Coverage that is asked for in the first twenty sessions."""
HEADER = ("bands scaled by", *(f"sessions {first} to {last}" for first, last in SPANS))


def measure(count: int = 200, seed: int = 1) -> Topic:
    """Let volatility double in so many worlds."""
    found = coverage(count, seed)
    rows = tuple((name, *(f"{share:.1%}" for share in shares)) for name, shares in found.items())
    text = (
        f"Coverage of bands that promise {COVERAGE_TARGET:.0%}, one session ahead, after the volatility of all "
        f"{SYMBOLS} symbols has doubled over night, in {count} worlds: Student's t with 5 degrees of freedom, a part "
        f"of it common, and a volatility that clusters, {BEFORE:,} sessions before the shock. The shape of the bands "
        f"is that of the sessions before; calibration has learnt from {LEARNT} of them. Asked for: {ASKED:.0%} in "
        "sessions 1 to 20 with the scale of the models, garch."
    )
    return Topic("Coverage after a shock", text, HEADER, rows, (f"seed {seed}",))


def coverage(count: int, seed: int) -> dict[str, list[float]]:
    """Mean coverage in each of the spans, by scale, as the models say and calibrated."""
    random, inside = np.random.default_rng(seed), {}
    for _ in range(count):
        returns = world(random)
        for name, sigma in scales(returns):
            bands = sigma[:, :, None] * shape_of(returns, sigma)
            for what, said in ((name, bands), (f"{name}, calibrated", calibrated(bands, returns))):
                held = (said[..., 0] <= returns) & (returns <= said[..., -1])
                inside.setdefault(what, []).append(held[BEFORE:].mean(axis=1))
    means = {name: np.mean(each, axis=0) for name, each in inside.items()}
    return {
        name: [float(by_session[first - 1 : last].mean()) for first, last in SPANS]
        for name, by_session in means.items()
    }


def world(random: np.random.Generator) -> Values:
    """Simulate returns ``[session, symbol]`` whose volatility doubles after `BEFORE` sessions, and stays so."""
    total = BEFORE + AFTER
    common, own = (random.standard_t(5, size) / math.sqrt(5 / 3) for size in (total, (total, SYMBOLS)))
    shocks = COMMON * common[:, None] + math.sqrt(1 - COMMON**2) * own
    level, variance = 1.0, np.empty(total)
    for session in range(total):
        variance[session] = level
        level = min(0.015 + 0.915 * level + 0.07 * level * common[session] ** 2, 30.0)
    size = DAILY * np.sqrt(variance) * np.where(np.arange(total) < BEFORE, 1.0, FACTOR)
    return size[:, None] * shocks


def scales(returns: Values) -> Iterator[tuple[str, Values]]:
    """Daily volatility that each scale says before a session ``[session, symbol]``, by its name."""
    prices = np.cumprod(1 + np.clip(returns, -0.9, None), axis=0).T.copy()
    year = np.floor(np.arange(len(returns)) / YEAR)
    made = {
        "volatility_20d, as before": [volatility.annualised_volatility(price, 20) for price in prices],
        "ewma": [volatility.ewma_volatility(price, 0.94) for price in prices],
        "har": [har.har_volatility(price, year, np.ones(price.size), FITTED, 1) for price in prices],
        "garch": [garch.garch_volatility(price, year, np.ones(price.size), FITTED, 1) for price in prices],
    }
    for name, columns in made.items():
        known = np.stack(columns, axis=1)[:-1] / math.sqrt(YEAR)
        yield name, np.vstack([np.full(SYMBOLS, np.nan), known])


def shape_of(returns: Values, sigma: Values) -> Values:
    """Quantiles of the returns in units of their scale, over the sessions before the shock."""
    shape: Values = np.nanquantile(returns[:BEFORE] / sigma[:BEFORE], QUANTILES)
    return shape


def calibrated(bands: Values, returns: Values) -> Values:
    """Correct the bands session by session by what was known, as the product does."""
    first = BEFORE - LEARNT
    sessions, symbols = bands.shape[0] - first, bands.shape[1]
    place = np.repeat(np.arange(sessions), symbols)
    quantiles = bands[first:].reshape(-1, len(QUANTILES))
    panel = ForecastPanel(
        horizon=1,
        closes=[START + timedelta(days=day) for day in range(sessions)],
        regime=np.zeros(sessions, np.int64),
        session=place,
        quantiles=quantiles,
        realised=returns[first:].ravel(),
        known=place + 1,
    )
    factors = track(panel, 1).factors[place, 0]
    corrected = bands.copy()
    corrected[first:] = widened(quantiles, factors).reshape(bands[first:].shape)
    return corrected
