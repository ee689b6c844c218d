"""What the trials of a training are: their families, and what each gained on naive per session.

- `ledger_of`: the trial ledger as a training writes it
- `ModelTrials`, `model_families`: one configuration of a model, a trial for each horizon; and their families
"""

from training.ledger.model_trials import ModelTrials, model_families
from training.ledger.opening import ledger_of

__all__ = [  # noqa: RUF022 - in the order of the docstring
    "ledger_of",
    "ModelTrials",
    "model_families",
]
