"""The explanation process: computes explanations beside the service, so that they take nothing from forecasts.

- `questions`: what can be asked about a stored forecast, and how an `Explainer` answers it
- `explanations`, `turns`: answers by an explainer of the same process, one at a time
- `remote`, `server`, `wire`: the same answers by the explanation process, over its socket
- ``python -m serving.explain.worker``: that process
"""

from serving.explain.worker.explanations import Explanations, LocalExplanations
from serving.explain.worker.questions import (
    DEEP,
    DRIVERS,
    EXPLAIN,
    SHORT,
    WHAT_IF,
    AboutDeepPart,
    AboutForecast,
    ExplanationQuestion,
)
from serving.explain.worker.remote import RemoteExplanations
from serving.explain.worker.server import socket_path

__all__ = [
    "DEEP",
    "DRIVERS",
    "EXPLAIN",
    "SHORT",
    "WHAT_IF",
    "AboutDeepPart",
    "AboutForecast",
    "ExplanationQuestion",
    "Explanations",
    "LocalExplanations",
    "RemoteExplanations",
    "socket_path",
]
