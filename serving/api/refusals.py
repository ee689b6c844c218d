"""Problem documents as exceptions: raised by a client when the service refuses."""

from lake.errors import (
    EngineError,
    ExplainerUnavailableError,
    FailedJobError,
    LogError,
    ModelError,
    NotReadyError,
    OnlineStoreError,
    OverloadedError,
    QuantlakeError,
    UnknownNameError,
)
from serving.api import Problem
from serving.api import problem_kinds as kinds


class RefusedError(QuantlakeError):
    """The service refused; the message is what it found and what to do.

    Parameters
    ----------
    problem
        What it said.
    """

    def __init__(self, problem: Problem) -> None:
        # Not `super()`: the kinds below are errors that are built from other things than a problem.
        end = "" if problem.detail.endswith((".", "?", "!")) else "."
        Exception.__init__(self, f"{problem.detail}{end} {problem.hint}".strip())
        self.problem = problem


class UnknownNameRefusedError(RefusedError, UnknownNameError):
    """A name that does not exist; `nearest` holds the names closest to it."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem)
        self.kind, self.nearest = problem.type.rpartition("unknown-")[2], problem.nearest
        self.name = problem.detail.partition("'")[2].partition("'")[0]


class NotReadyRefusedError(RefusedError, NotReadyError):
    """It exists in principle and has not been made yet."""


class OnlineStoreRefusedError(RefusedError, OnlineStoreError):
    """The service's online store does not answer."""


class ModelRefusedError(RefusedError, ModelError):
    """The service has no model to answer with."""


class EngineRefusedError(RefusedError, EngineError):
    """The service's engine refused."""


class LogRefusedError(RefusedError, LogError):
    """The service cannot write down what it would answer."""


class OverloadedRefusedError(RefusedError, OverloadedError):
    """The service is asked more than it can or may answer now."""


class ExplainerUnavailableRefusedError(RefusedError, ExplainerUnavailableError):
    """The process that computes the service's explanations does not answer."""


class FailedJobRefusedError(RefusedError, FailedJobError):
    """A job of the service ended without an answer."""


REFUSALS: dict[str, type[RefusedError]] = {
    kinds.UNKNOWN_SYMBOL.type: UnknownNameRefusedError,
    kinds.UNKNOWN_PREDICTION.type: UnknownNameRefusedError,
    kinds.UNKNOWN_RECOMMENDATION.type: UnknownNameRefusedError,
    kinds.UNKNOWN_PORTFOLIO.type: UnknownNameRefusedError,
    kinds.UNKNOWN_HORIZON.type: UnknownNameRefusedError,
    kinds.UNKNOWN_EXPLANATION.type: UnknownNameRefusedError,
    kinds.EXPLANATION_FAILED.type: FailedJobRefusedError,
    kinds.NO_EXPLAINER.type: ExplainerUnavailableRefusedError,
    kinds.NOT_READY.type: NotReadyRefusedError,
    kinds.NO_ONLINE_STORE.type: OnlineStoreRefusedError,
    kinds.NO_MODEL.type: ModelRefusedError,
    kinds.ENGINE_REFUSED.type: EngineRefusedError,
    kinds.NO_LOG.type: LogRefusedError,
    kinds.OVERLOADED.type: OverloadedRefusedError,
    kinds.TOO_MANY_REQUESTS.type: OverloadedRefusedError,
}


def refusal(problem: Problem) -> RefusedError:
    """Return the error for a problem, of the kind that the rest of the platform raises for the same thing."""
    return REFUSALS.get(problem.type, RefusedError)(problem)
