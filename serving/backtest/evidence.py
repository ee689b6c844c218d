"""Evidence of a back-test: its rows in the trial ledger, written before its score is seen, and what they leave of it.

A back-test is a trial of one question, which strategy to run on the market, and each of its folds is a trial of the
same question about the sessions of the fold. 1/N is a candidate too and is recorded as one; naive and shuffled twins
are nulls and are not.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import polars as pl

from lake.ledger import ScoredTrial, TrialLedger, deflated_among, families_of, sharpe_statistics
from lake.store import LakeReader
from lake.tables import HOLDOUT_OPENINGS, TRIAL_GAINS
from serving.backtest.accounts import AccountPath
from serving.backtest.folds import Fold
from serving.backtest.strategy_file import StrategyFile
from serving.strategies import sharpe_of

BACKTEST, FOLD = "backtest", "backtest_fold"
"""Kinds of trial."""


@dataclass(frozen=True)
class BacktestEvidence:
    """What a back-test proves, given how much was tried.

    Parameters
    ----------
    family
        Question that it answers.
    trials
        Configurations that were back-tested for it so far, this one among them.
    dsr
        Deflated Sharpe ratio: probability that the true ratio exceeds what the best of `trials` has by chance. None
        where the gains have no spread.
    effective_sessions
        Independent sessions that say as much about the mean gain.
    pbo, pbo_low, pbo_high
        Probability of back-test overfitting of the family, and the 5 to 95 % band of its null twins; None for fewer
        than two candidates on the same sessions.
    openings
        How often these sessions were looked at for this question, this time among them.
    """

    family: str
    trials: int
    dsr: float | None
    effective_sessions: float | None
    pbo: float | None
    pbo_low: float | None
    pbo_high: float | None
    openings: int


def family_of_market(market: str) -> str:
    """Return the name of the question that back-tests of a market answer.

    Examples
    --------
    >>> family_of_market("demo")
    'back-tests of demo'
    """
    return f"back-tests of {market}"


def excess_gains(path: AccountPath, cash: AccountPath, places: Sequence[int]) -> pl.DataFrame:
    """Return the gain of an account above cash at each of some sessions: ``event_time``, ``gain``."""
    excess = path.net - cash.net
    return pl.DataFrame(
        {
            "event_time": [path.sessions[place] for place in places],
            "gain": [float(excess[place - 1]) for place in places],
        },
        schema={"event_time": TRIAL_GAINS.schema["event_time"], "gain": pl.Float64},
    )


def trials_of(
    family: str, file: StrategyFile, path: AccountPath, cash: AccountPath, folds: Sequence[Fold], grid: str
) -> list[ScoredTrial]:
    """Return the trial of a back-test and one for each of its folds; gains are net returns above cash, per session.

    Parameters
    ----------
    file
        What was run.
    grid
        Of the market's bars, by which scores are per year.
    """
    scored = [place for fold in folds for place in fold.scored]
    every = [(family, BACKTEST, scored)] + [(f"{family}, fold {fold.name}", FOLD, fold.scored) for fold in folds]
    return [
        ScoredTrial(
            name,
            kind,
            file.described,
            file.scored_parameters(),
            gains=gains if gains.height else None,
            score=sharpe_of(gains["gain"].to_numpy(), grid),
            is_failed=not gains.height,
        )
        for name, kind, places in every
        for gains in [excess_gains(path, cash, places)]
    ]


def record(
    ledger: TrialLedger, family: str, trials: Sequence[ScoredTrial], folds: Sequence[Fold], path: AccountPath, name: str
) -> None:
    """Write down that the sessions are looked at, and every trial, before a score of them is shown to anyone."""
    families = [family, *(f"{family}, fold {fold.name}" for fold in folds)]
    ledger.open_holdout(families, path.sessions[1], path.sessions[-1], who="back-test", reason=f"back-test of {name}")
    ledger.record(trials)


def evidence_of(lake: LakeReader, now: datetime, family: str, gains: pl.DataFrame) -> BacktestEvidence:
    """Return what the ledger says of a back-test that it holds.

    Parameters
    ----------
    gains
        Of the back-test, as `excess_gains` returns them.
    """
    (known,) = families_of(lake, now, [family])
    statistics = sharpe_statistics(gains["gain"].to_numpy())
    found = known.overfitting
    looked = lake.read_as_of(HOLDOUT_OPENINGS, now, where=pl.col("family") == family)
    return BacktestEvidence(
        family=family,
        trials=known.trials,
        dsr=None if statistics is None else deflated_among(lake, now, family, statistics),
        effective_sessions=None if statistics is None else statistics.effective_sessions,
        pbo=None if found is None else found.probability,
        pbo_low=None if found is None else found.low,
        pbo_high=None if found is None else found.high,
        openings=looked.height,
    )
