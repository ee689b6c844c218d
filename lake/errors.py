"""One exception tree. Every message says what, what was found, what was expected, and the next step.

::

    QuantlakeError
    ├── ConfigError          a setting or an experiment value is wrong
    ├── SourceError          a source has no data, or data it should not have
    │   ├── OutageError        it does not answer, or its answer is torn; asking again is right
    │   ├── ThrottledError     it was asked too often; asking again after a wait is right
    │   ├── QuotaError         its allowance is used up until a stated instant
    │   ├── AuthError          it refuses the key, or there is none
    │   ├── EntitlementError   the plan behind the key does not include what was asked
    │   ├── MissingPackageError the package or file that carries it is not installed
    │   ├── UnknownSymbolError it has no such symbol; never the same as having no rows
    │   └── ContractError      its answer lacks, or contradicts, what it is documented to hold
    ├── SchemaError          a frame does not fit its table
    ├── TableNotFoundError   a table has no rows yet
    ├── DamagedTableError    a table's log or files are torn, empty or missing
    ├── DamagedFileError     another file of the home is not what was written
    ├── BackupError          a backup cannot be made, is damaged, or cannot be restored there
    ├── ConflictError        a row contradicts one that is already stored
    ├── DataQualityError     a table fails its expectations
    ├── FeatureError         a feature cannot be computed
    ├── LookAheadError       something saw what was not yet known
    ├── UnknownNameError     no such symbol, feature, model, strategy; lists the nearest
    ├── FullWatchListError    a watch list would hold more symbols than it may
    ├── ImpossibleChangeError a what-if asks for a value that a feature cannot have
    ├── NotReadyError        the thing exists in principle but has not been made yet
    ├── OnlineStoreError     Redis does not answer
    ├── LogError             the forecast log cannot be written, so nothing was answered
    ├── OverloadedError      more is asked than can be answered in time
    ├── ExplainerUnavailableError the process that computes explanations does not answer
    ├── WriterError          a language model does not answer, or its answer is not in the asked form
    ├── EmbedderError        the files of the embedder are incomplete, altered, or cannot be loaded
    ├── FailedJobError       a job ended without an answer; asking again starts another
    └── ModelError           a model artefact is missing, altered, or answers nonsense
        ├── RefusedModelError  a version that was to answer fails a check
        ├── NoAttentionError no graph answers where the network looked
        ├── NoGradientsError no model of a forecast has gradients
        ├── ParityError      the exported model does not compute what the trained one does
        └── EngineError      the engine refused its input or output
"""

from difflib import get_close_matches
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime


class QuantlakeError(Exception):
    """Base of every error this project raises on purpose."""


class ConfigError(QuantlakeError):
    """A setting or an experiment value is wrong."""


class SourceError(QuantlakeError):
    """A source has no data, or data it should not have."""


class OutageError(SourceError):
    """A source does not answer, or its answer is torn or is no answer of its service; asking again is right."""


class ThrottledError(SourceError):
    """A source was asked too often.

    Parameters
    ----------
    wait_seconds
        How long the source wants to be left alone; None where it does not say.
    """

    def __init__(self, message: str, wait_seconds: float | None = None) -> None:
        super().__init__(message)
        self.wait_seconds = wait_seconds


class QuotaError(SourceError):
    """The allowance of a source is used up.

    Parameters
    ----------
    resume_at
        Instant, in UTC, from which on it answers again.
    """

    def __init__(self, message: str, resume_at: "datetime") -> None:
        super().__init__(f"{message} It answers again from {resume_at:%Y-%m-%d %H:%M:%S} UTC on.")
        self.resume_at = resume_at


class AuthError(SourceError):
    """A source refuses the key, or no key is set."""


class EntitlementError(SourceError):
    """The plan behind a key does not include what was asked."""


class MissingPackageError(SourceError):
    """A package that carries a source's data is not installed, or no longer has the file."""


class UnknownSymbolError(SourceError):
    """A source has no such symbol; a symbol that it knows and has no rows for is an empty answer instead."""


class ContractError(SourceError):
    """An answer lacks, or contradicts, what it is documented to hold."""


class SchemaError(QuantlakeError):
    """A frame does not fit the table it was meant for."""


class TableNotFoundError(QuantlakeError):
    """A table has no rows yet."""


class DamagedTableError(QuantlakeError):
    """A table's log or data files are torn, empty or missing."""


class DamagedFileError(QuantlakeError):
    """A file of the home other than a table's is torn, empty, or not what was written."""


class BackupError(QuantlakeError):
    """A backup cannot be made, is damaged, or cannot be restored where it was asked for."""


class ConflictError(QuantlakeError):
    """A row contradicts one that is already stored."""


class DataQualityError(QuantlakeError):
    """A table fails its expectations."""


class FeatureError(QuantlakeError):
    """A feature cannot be computed."""


class LookAheadError(QuantlakeError):
    """Something saw what was not yet known."""


class ImpossibleChangeError(QuantlakeError):
    """A forecast of a changed input was asked for with a value that the feature cannot have."""


class FullWatchListError(QuantlakeError):
    """A watch list would hold more symbols than it may, so it was not changed."""


class NotReadyError(QuantlakeError):
    """The thing asked for has not been made yet."""


class OnlineStoreError(QuantlakeError):
    """The online store does not answer."""


class LogError(QuantlakeError):
    """The forecast log cannot be written, so nothing was answered."""


class OverloadedError(QuantlakeError):
    """More is asked than can be answered in time; asking again later is right."""


class ExplainerUnavailableError(QuantlakeError):
    """The process that computes explanations does not answer; it is started again, so asking again later is right."""


class WriterError(QuantlakeError):
    """A language model does not answer in time, or its answer does not have the form that was asked for."""


class EmbedderError(QuantlakeError):
    """The embedder is incomplete, altered, or cannot be loaded."""


class FailedJobError(QuantlakeError):
    """A job ended without an answer, or was lost with the process that worked on it; asking again starts another."""


class ModelError(QuantlakeError):
    """A model artefact is missing, was altered, or answers nonsense."""


class RefusedModelError(ModelError):
    """A version that was to answer, or to be on trial, fails a check; nothing was changed."""


class NoAttentionError(ModelError):
    """A model has no graph that answers where its network looked."""


class NoGradientsError(ModelError):
    """A forecast is to be explained by gradients, and none of its models has any."""


class ParityError(ModelError):
    """The exported model does not compute what the trained one does."""


class EngineError(ModelError):
    """An engine refused its input or its output."""


NEAR = {"symbol": 0.65, "horizon": 1.0, "setting": 0.8}
"""How alike a name must be to be suggested, from 0 to 1, by kind; `ALIKE` for others. Of symbols one letter may differ:
no one who asks for TSLA means META. Names of settings have the beginning in common."""
ALIKE = 0.4
MOST_NAMED = 20
"""Unknown names that a message lists."""


class UnknownNameError(QuantlakeError):
    """A name that does not exist; `nearest` holds the names closest to it.

    Parameters
    ----------
    kind
        What was looked for, in the singular: ``symbol``, ``feature``, ``strategy``.
    name
        The name that was asked for.
    known
        Every name that would have been right.
    others
        Further names that were asked for and do not exist either.
    remedy
        What follows at the end of the message, e.g. how to make one.
    """

    def __init__(
        self, kind: str, name: str, known: "Iterable[str]", *, others: "Sequence[str]" = (), remedy: str = ""
    ) -> None:
        names = sorted(known)
        folded = {candidate.lower(): candidate for candidate in names}
        self.kind, self.name, self.others = kind, name, tuple(others)
        cutoff = NEAR.get(kind, ALIKE)
        near = [match for each in (name, *others[:MOST_NAMED]) for match in _alike(each, folded, cutoff)]
        self.nearest = [folded[match] for match in dict.fromkeys(near)]
        listed = f"Known: {', '.join(names[:30])}." if names else ""
        hint = f"Did you mean {', '.join(self.nearest)}?" if self.nearest else listed
        further = f", and no {', '.join(map(repr, others[:MOST_NAMED]))}" if others else ""
        more = f" and {len(others) - MOST_NAMED:,} more" if len(others) > MOST_NAMED else ""
        super().__init__(f"There is no {kind} '{name}'{further}{more}. {hint}{remedy}".strip())


def kind_of(error: BaseException) -> str:
    """Return the name of the kind of an error as the tree above has it, whatever subclass of it was raised.

    Examples
    --------
    >>> narrower = type("RefusedHereError", (NotReadyError,), {"__module__": "elsewhere"})
    >>> kind_of(narrower("later")), kind_of(OSError("full"))
    ('NotReadyError', 'OSError')
    """
    named = (each.__name__ for each in type(error).mro() if each.__module__ == __name__)
    return next((name for name in named if name != "QuantlakeError"), type(error).__name__)


def _alike(name: str, known: "Iterable[str]", cutoff: float) -> list[str]:
    return get_close_matches(name.lower(), known, n=3, cutoff=cutoff)
