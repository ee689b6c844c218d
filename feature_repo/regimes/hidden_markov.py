"""A hidden Markov model of one series: fitted once on its first sessions, then filtered forward and never back.

What is hidden is a state that tends to last, calm or stormy; what is seen is one number per session, drawn from the
normal distribution of the state (J. D. Hamilton, *A new approach to the economic analysis of nonstationary time series
and the business cycle*, Econometrica 57, 1989). hmmlearn fits the parameters. Its `predict_proba` smooths: it tells the
state of a session from the sessions that came after it too, which no one at that close could know. The recursion here
looks back only.
"""

import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import lru_cache
from hashlib import sha256
from math import inf, log, pi
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from lake.disk import write_durably
from lake.errors import ConfigError

Series = npt.NDArray[np.float64]
Order = Literal["variance", "mean"]

STATES = 2
RESTARTS = 5
ITERATIONS = 100
"""Passes of each fit. Always as many: where a fit that stops by itself stops hangs on its last digits."""
TIE = 1e-6
"""Starts whose log-likelihoods differ by less have found the same model; the first of them is taken."""
STAYS = 50.0
"""Sessions of staying that each state is given before any data speaks, so that one wild day is no state of its own."""
DIGITS = 9
"""The fit sees its series rounded to this many decimals, in standard deviations: a last digit that another processor
or a rescaled history computes differently changes no parameter."""
RECIPE = f"{STATES} {RESTARTS} {ITERATIONS} {TIE} {STAYS} {DIGITS}"
"""What a fit follows from besides the series."""
SEAL = "sha256"
"""Key of the digest of stored parameters."""


@dataclass(frozen=True)
class HiddenMarkov:
    """A fitted model of one series.

    Parameters
    ----------
    start
        Probability of each state before the first session.
    transition
        ``transition[i][j]``: probability that the session after one in state i is in state j.
    mean, variance
        Of the series in each state, in its own unit; states ascend in `Order`.
    """

    start: tuple[float, ...]
    transition: tuple[tuple[float, ...], ...]
    mean: tuple[float, ...]
    variance: tuple[float, ...]

    def filtered(self, series: Series) -> Series:
        """Return the probability of each state at each session, given the sessions up to and with it.

        Parameters
        ----------
        series
            ``[session]``, oldest first; where it is NaN nothing was seen, and only time has passed.

        Returns
        -------
        Series
            ``[session, state]``, each row adding up to one. A row depends on no later entry of `series`.
        """
        with np.errstate(divide="ignore"):  # a state may be impossible: the logarithm of zero is what is meant
            believed, move = np.log(self.start), np.log(self.transition)
        seen = self._log_likelihood(series)
        rows = np.empty_like(seen)
        for session, likelihood in enumerate(seen):
            if session:
                believed = np.logaddexp.reduce(believed[:, None] + move, axis=0)
            believed = believed + likelihood
            believed = believed - np.logaddexp.reduce(believed)
            rows[session] = believed
        return np.exp(rows)

    def _log_likelihood(self, series: Series) -> Series:
        """``[session, state]``: log density of what was seen; zero where nothing was."""
        variance = np.array(self.variance)
        distance = (series[:, None] - np.array(self.mean)) ** 2 / variance
        return np.where(np.isnan(series)[:, None], 0.0, -0.5 * (np.log(2 * pi * variance) + distance))


def fit(
    training: Series, order: Order = "variance", *, seed: int = 7, cache_folder: Path | None = None
) -> HiddenMarkov:
    """Fit a model with two states to a series, the best of several seeded starts.

    Parameters
    ----------
    training
        ``[session]``, the training sessions and no other, oldest first. A NaN is a session without a value: the series
        before and after it are fitted as two.
    order
        What ascends from the first state to the last, so that a state keeps its name whatever the seed.
    cache_folder
        Folder of parameters by what they were fitted on; a series fitted before is not fitted again.

    Raises
    ------
    ConfigError
        If the series has no spread, or an infinite value.
    """
    known = training[~np.isnan(training)]
    if known.size < 2 * STATES or not np.isfinite(known).all() or not np.ptp(known) > 0:
        raise ConfigError(
            f"A hidden Markov model needs a finite series that varies, found {known.size} known values from "
            f"{known.min(initial=np.inf):g} to {known.max(initial=-np.inf):g}. Give it more training sessions."
        )
    mean, spread = known.mean(), known.std()
    standard = np.round((training - mean) / spread, DIGITS)
    model = _recalled(standard, order, seed, cache_folder)
    return HiddenMarkov(
        model.start,
        model.transition,
        tuple(float(value * spread + mean) for value in model.mean),
        tuple(float(value * spread**2) for value in model.variance),
    )


def _recalled(standard: Series, order: Order, seed: int, folder: Path | None) -> HiddenMarkov:
    """Return the parameters from the folder, or fit them and leave them there."""
    if folder is None:
        return _fit_standard(standard.tobytes(), order, seed)
    identity = f"{order} {seed} {RECIPE}".encode() + standard.tobytes()
    path = folder / f"{sha256(identity).hexdigest()[:32]}.json"
    try:
        return _from_json(path.read_bytes())
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        model = _fit_standard(standard.tobytes(), order, seed)
        path.parent.mkdir(parents=True, exist_ok=True)
        write_durably(path, json.dumps(asdict(model) | {SEAL: _seal(asdict(model))}))
        return model


def _from_json(content: bytes) -> HiddenMarkov:
    """Return stored parameters; ValueError where they are not those that were sealed."""
    stored = json.loads(content)
    if stored.pop(SEAL) != _seal(stored):
        raise ValueError("the parameters changed since they were stored")
    return HiddenMarkov(
        tuple(stored["start"]),
        tuple(map(tuple, stored["transition"])),
        tuple(stored["mean"]),
        tuple(stored["variance"]),
    )


def _seal(parameters: dict[str, Any]) -> str:
    return sha256(json.dumps(parameters).encode()).hexdigest()


@lru_cache(maxsize=32)
def _fit_standard(standard: bytes, order: Order, seed: int) -> HiddenMarkov:
    """Fit a standardised series, given as the bytes of its numbers so that a fit can be cached."""
    series = np.frombuffer(standard)
    pieces = [piece for piece in _pieces(series) if piece.size]
    values, lengths = np.concatenate(pieces)[:, None], [piece.size for piece in pieces]
    with _quiet(), np.errstate(divide="ignore", invalid="ignore"):
        fitted = [model.fit(values, lengths) for model in _starts(np.random.default_rng(seed))]
    alive = [model for model in fitted if np.isfinite(model.means_).all()]  # a state may have starved
    if not alive:
        raise ConfigError(f"None of {RESTARTS} starts found {STATES} states in {len(values)} sessions. Give it more.")
    scores = np.array([model.score(values, lengths) for model in alive])
    best = alive[int(np.argmax(scores >= scores.max() - TIE))]
    mean, variance = best.means_[:, 0], best.covars_[:, 0, 0]
    ascending = np.argsort(variance if order == "variance" else mean, kind="stable")
    return HiddenMarkov(
        tuple(best.startprob_[ascending].tolist()),
        tuple(map(tuple, best.transmat_[np.ix_(ascending, ascending)].tolist())),
        tuple(mean[ascending].tolist()),
        tuple(variance[ascending].tolist()),
    )


def _pieces(series: Series) -> list[Series]:
    """Cut a series at its unknown values, and leave those out."""
    unknown = np.isnan(series)
    return [piece[~np.isnan(piece)] for piece in np.split(series, np.flatnonzero(unknown))]


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep hmmlearn from warning that the likelihood fell: with a prior, the fit raises the posterior instead."""
    log_of_fit = logging.getLogger("hmmlearn")
    level = log_of_fit.level
    log_of_fit.setLevel(logging.ERROR)
    try:
        yield
    finally:
        log_of_fit.setLevel(level)


def _starts(random: np.random.Generator) -> Iterator[Any]:
    """Models at their seeded starting points: means and variances differ, both states tend to last."""
    from hmmlearn.hmm import GaussianHMM

    prior = np.full((STATES, STATES), 1.0) + STAYS * np.eye(STATES)
    for _ in range(RESTARTS):
        model = GaussianHMM(STATES, n_iter=ITERATIONS, tol=-inf, init_params="", transmat_prior=prior)
        model.startprob_ = np.full(STATES, 1 / STATES)
        model.transmat_ = np.where(np.eye(STATES) > 0, 0.97, 0.03 / (STATES - 1))
        model.means_ = np.sort(random.normal(0, 0.7, STATES))[:, None]
        model.covars_ = np.sort(np.exp(random.normal(log(0.6), 0.8, STATES)))[:, None]
        yield model
