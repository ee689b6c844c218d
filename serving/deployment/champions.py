"""The models in service, held in memory and exchanged when the deployment changes."""

import logging
import os
import threading
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from lake.clock import SystemClock
from lake.disk import identity_of
from lake.errors import ModelError, NotReadyError, QuantlakeError
from serving.deployment.candidates import LoadedModel, load_candidate
from serving.deployment.record import read_deployment, serving_file
from serving.deployment.refusals import ModelRefusal
from serving.monitoring import metrics

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Self

    from lake.settings import Settings
    from serving.deployment.record import Challenger, Deployment, Release
    from serving.engines import Bundle, Engine

logger = logging.getLogger("quantlake.serving")

LOOK_SECONDS = 0.5
DIGEST_LETTERS = 12
"""Of a digest in the metrics, enough to tell versions apart."""
FIRST_SECONDS = 60.0
"""Longest wait for the first set, while the process starts."""


class LoadedChallenger(NamedTuple):
    """A challenger and its engine."""

    trial: "Challenger"
    loaded: LoadedModel


@dataclass(frozen=True)
class LoadedModels:
    """One consistent set of loaded models: an answer is computed from one set, whatever is moved meanwhile.

    Parameters
    ----------
    champions
        Loaded model by name.
    challengers
        Versions on trial; see `serving.predict.forecasting`.
    horizons
        Every horizon that one of the champions forecasts, ascending.
    untrained
        For each of them, the champions that were not trained for it.
    """

    champions: "Mapping[str, LoadedModel]"
    challengers: tuple[LoadedChallenger, ...] = ()
    bundles: "dict[str, Bundle]" = field(init=False)
    engines: "dict[str, Engine]" = field(init=False)
    horizons: tuple[int, ...] = field(init=False)
    untrained: tuple[frozenset[str], ...] = field(init=False)

    def __post_init__(self) -> None:
        loaded = dict(sorted(self.champions.items()))
        object.__setattr__(self, "bundles", {name: model.bundle for name, model in loaded.items()})
        object.__setattr__(self, "engines", {name: model.engine for name, model in loaded.items()})
        trained = {name: bundle.signature.horizons for name, bundle in self.bundles.items()}
        horizons = sorted({horizon for each in trained.values() for horizon in each})
        lacking = (frozenset(name for name, each in trained.items() if horizon not in each) for horizon in horizons)
        object.__setattr__(self, "horizons", tuple(horizons))
        object.__setattr__(self, "untrained", tuple(lacking))

    def is_same(self, other: "LoadedModels | None") -> bool:
        """Whether another set consists of the same loaded models."""
        return (
            other is not None
            and self.challengers == other.challengers
            and self.champions.keys() == other.champions.keys()
            and all(model is other.champions[name] for name, model in self.champions.items())
        )


class Champions:
    """The models in service, loaded and warmed beside the running ones when ``serving.json`` changes.

    A version that fails a check is never activated: the one before goes on answering in its place, and `problem` and
    `refusals` say why. Without `watch`, `current` itself looks whether there is something new, for callers that run
    once in a while. With it, a thread looks, loads and exchanges, and no caller ever waits for a load but the first.

    Parameters
    ----------
    configured
        Says where the models lie and which engine computes them.
    """

    def __init__(self, configured: "Settings") -> None:
        self.configured = configured
        self._lock = threading.Lock()
        self._stamp: tuple[object, object] | None = None
        self._loaded: LoadedModels | None = None
        self._problem: str | None = None
        self._watcher: threading.Thread | None = None
        self._wake, self._is_closed, self._has_looked = threading.Event(), threading.Event(), threading.Event()
        self.refusals: tuple[ModelRefusal, ...] = ()

    @property
    def problem(self) -> str | None:
        """Reason why the newest deployment is not fully in service; None if it is."""
        reasons = [self._problem] if self._problem else []
        return " ".join([*reasons, *(refusal.reason for refusal in self.refusals)]) or None

    def current(self) -> LoadedModels:
        """Return the set in service.

        Raises
        ------
        ModelError
            If there is none, with the reason.
        """
        if self._watcher is None:
            # While one caller loads the new set, the others go on with the old one; only the first load is waited for.
            if self._read_stamp() != self._stamp and self._lock.acquire(blocking=self._loaded is None):
                try:
                    self._reload()
                finally:
                    self._lock.release()
        elif self._loaded is None:
            self._has_looked.wait(FIRST_SECONDS)
        loaded = self._loaded
        if loaded is None:
            command = self.configured.declared_market.first_run
            raise ModelError(self.problem or f"No model is in service. Train and promote with `{command}`.")
        return loaded

    def watch(self) -> "Self":
        """Start a thread that follows the deployment; `close` stops it."""
        self._watcher = threading.Thread(target=self._follow, name="model-watcher", daemon=True)
        self._watcher.start()
        return self

    def look(self) -> None:
        """Load the deployment now, in this thread; refused versions are tried again.

        So do the other processes that follow the deployment, as soon as they see that its file was touched.
        """
        with suppress(OSError):
            os.utime(serving_file(self.configured))
        with self._lock:
            self._stamp = None
            self._reload()

    def close(self) -> None:
        """End the thread, if there is one."""
        self._is_closed.set()
        self._wake.set()
        if self._watcher is not None:
            self._watcher.join()

    def _follow(self) -> None:
        while not self._is_closed.is_set():
            with self._lock:
                try:
                    self._reload()
                except Exception as error:
                    # Whatever a file can do to a library, it must not end the thread that will load the next one.
                    logger.exception("models are not exchanged")
                    self._problem = f"The models could not be looked at: {error}"
            self._has_looked.set()
            self._wake.wait(LOOK_SECONDS)

    def _reload(self) -> None:
        stamp = self._read_stamp()
        if stamp == self._stamp:
            return
        try:
            deployment = read_deployment(self.configured)
        except (QuantlakeError, OSError) as error:
            self._problem = str(error)
            logger.error("models are not exchanged: %s", error)  # noqa: TRY400 - the message says it all
            if isinstance(error, NotReadyError):
                self._loaded, self.refusals = None, ()
        else:
            self._problem = None
            self._exchange(deployment)
        # The file as it was before it was read, the refused versions as they are known only now.
        self._stamp = (stamp[0], self._refused_stamp())

    def _exchange(self, deployment: "Deployment") -> None:
        """Load new versions, keep loaded ones, and exchange the set in one assignment."""
        if not deployment.champions:
            self._loaded, self.refusals = None, ()
            return
        before = self._loaded
        refusals: list[ModelRefusal] = []
        champions: dict[str, LoadedModel] = {}
        for name, release in sorted(deployment.champions.items()):
            found = self._load(name, release, refusals) or (before and before.champions.get(name))
            if found:
                champions[name] = found
        challengers = [
            LoadedChallenger(trial, loaded)
            for trial in deployment.challengers
            if (loaded := self._load(trial.model, trial.release, refusals))
        ]
        self.refusals = tuple(refusals)
        if before is None and len(champions) < len(deployment.champions):
            return  # a service that starts does not answer with half of what it was told to
        fresh = LoadedModels(champions, tuple(challengers))
        if not fresh.is_same(before):
            self._loaded = fresh
            _count_exchange(before, fresh)
            logger.info("models in service: %s", {name: model.bundle.version for name, model in champions.items()})

    def _load(self, name: str, release: "Release", refusals: list[ModelRefusal]) -> LoadedModel | None:
        """Return a version from memory, or load it; a refusal is added to `refusals`."""
        for known in self._in_memory():
            if known.is_release(name, release):
                return known
        try:
            return load_candidate(self.configured, name, release)
        except Exception as error:  # noqa: BLE001 - a file can make a library raise anything, and none of it may answer
            reason = str(error) if isinstance(error, QuantlakeError) else f"{type(error).__name__}: {error}"
            refusal = ModelRefusal(
                model=name,
                version=release.version,
                reason=reason,
                since=SystemClock().now(),
                refused_by="service",
            )
            refusals.append(refusal)
            metrics.MODEL_REFUSALS.labels(name).inc()
            logger.error("version %s of %s is refused: %s", release.version, name, reason)  # noqa: TRY400 - said
            return None

    def _in_memory(self) -> "Iterable[LoadedModel]":
        if self._loaded is not None:
            yield from self._loaded.champions.values()
            yield from (challenger.loaded for challenger in self._loaded.challengers)

    def _read_stamp(self) -> tuple[object, object]:
        """Stamp that changes with the deployment, and with the files of refused versions."""
        return identity_of(serving_file(self.configured), is_lenient=True), self._refused_stamp()

    def _refused_stamp(self) -> object:
        """Files of refused versions: when one is mended, it is tried again."""
        folders = [self.configured.models / refusal.model / refusal.version for refusal in self.refusals]
        return [
            identity_of(path, is_lenient=True) for folder in folders for path in (folder, *sorted(folder.glob("*")))
        ]


def _count_exchange(before: LoadedModels | None, now: LoadedModels) -> None:
    """Update the metrics of versions in service: the former set to 0, then the present one to 1."""
    metrics.MODEL_EXCHANGES.inc()
    for models, is_in_service in ((before, 0), (now, 1)):
        if models is None:
            continue
        named = [("champion", name, model.bundle) for name, model in models.champions.items()]
        named += [(trial.mode, trial.model, loaded.bundle) for trial, loaded in models.challengers]
        for role, name, bundle in named:
            metrics.MODEL_INFO.labels(name, bundle.version, bundle.digest[:DIGEST_LETTERS], role).set(is_in_service)
