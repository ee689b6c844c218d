"""Makes libraries that the service does not use unimportable."""

import sys

KEPT_OUT = ("torch", "pytorch_lightning", "lightning", "optuna", "mlflow", "dagster", "skfolio", "cvxpy")
"""What the service process must not load: none of it computes a forecast, and torch alone takes 300 MB."""


def keep_out_training() -> None:
    """Make the training libraries unimportable in this process.

    Feast imports torch wherever it is installed, and does without where it is not; a None in ``sys.modules`` is
    Python's own way to say "not here" (https://docs.python.org/3/reference/import.html#the-module-cache).
    """
    for name in KEPT_OUT:
        sys.modules.setdefault(name, None)  # type: ignore[arg-type]
