"""Trial ledger: every configuration that was scored, and what the best of them is worth given how many there were.

A score is evidence only beside the number of scores that it was chosen from (docs/ledger.md).

- `ScoredTrial`, `family_of`: one configuration with what it gained, and the name of the question that it answers
- `TrialLedger`: writes trials, and looks at a last test interval, before anyone sees the score
- `FamilyRecord`, `families_of`, `deflated_among`: what is known of each question at an instant, and of one trial in it
- `SharpeStatistics`, `sharpe_statistics`, `effective_sessions`, `lags_of`: gains per session
- `expected_maximum`, `ratio_variance`, `deflated_sharpe`: what the best of many trials has by chance, and beyond it
- `OverfittingEstimate`, `overfitting`: how often a choice by the past is below the median afterwards
"""

from lake.ledger.deflated import (
    SharpeStatistics,
    deflated_sharpe,
    effective_sessions,
    expected_maximum,
    lags_of,
    ratio_variance,
    sharpe_statistics,
)
from lake.ledger.families import FamilyRecord, deflated_among, families_of
from lake.ledger.overfitting import OverfittingEstimate, overfitting
from lake.ledger.recording import TrialLedger
from lake.ledger.trials import ScoredTrial, family_of

__all__ = [  # noqa: RUF022 - in the order of the docstring
    "ScoredTrial",
    "family_of",
    "TrialLedger",
    "FamilyRecord",
    "families_of",
    "deflated_among",
    "SharpeStatistics",
    "sharpe_statistics",
    "effective_sessions",
    "lags_of",
    "expected_maximum",
    "ratio_variance",
    "deflated_sharpe",
    "OverfittingEstimate",
    "overfitting",
]
