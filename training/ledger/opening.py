"""The trial ledger as a training writes it: what its trials are scored on, and by which code."""

from typing import TYPE_CHECKING, Any

from lake.ledger import TrialLedger
from training.experiments import Workspace, code_fingerprint

if TYPE_CHECKING:
    from collections.abc import Mapping


def ledger_of(work: Workspace, training_set: "Mapping[str, Any]") -> TrialLedger:
    """Return the ledger for the trials of a training.

    Parameters
    ----------
    training_set
        What the stage of that name wrote down: ``versions`` of the tables, and ``digests`` of the rows that were
        known, which stay the same when the market goes on.
    """
    digests = training_set.get("digests") or {"training": work.fingerprint}  # trainings of earlier versions had none
    return TrialLedger(
        work.lake,
        work.settings.clock.now(),
        data=" ".join(digests[name] for name in sorted(digests)),
        code=code_fingerprint(),
        table_versions=training_set["versions"],
    )
