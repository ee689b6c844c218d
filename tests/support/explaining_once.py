"""Explains one forecast, prints the id of the explanation and the median, and is killed by the next statement."""

import os
import signal
import sys

from lake.settings import settings
from lake.store import Lake
from serving.deployment import Champions
from serving.explain import Explainer, ExplanationKey


def main() -> None:
    configured = settings()
    explainer = Explainer(Lake(configured.tables), Champions(configured))
    said = explainer.explain(ExplanationKey(sys.argv[1]))
    sys.stdout.write(f"{said.explanation_id} {said.values['p50']!r}")
    sys.stdout.flush()
    os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    main()
