"""The models in service, held in memory and exchanged when a promotion says so."""

import logging
import threading
from typing import TYPE_CHECKING

from feature_repo.windows import FORECAST_V1
from lake.errors import ModelError, NotReadyError, QuantlakeError
from serving.bundles import SERVING_FILE, Bundle, load_champions
from serving.runtime import load_engine

if TYPE_CHECKING:
    from feature_repo.windows import WindowSpec
    from lake.settings import Settings
    from serving.runtime.base import Engine

logger = logging.getLogger("quantlake.serving")


class LoadedModels:
    """One consistent set of loaded models: an answer is computed from one set, whatever is promoted meanwhile."""

    def __init__(self, configured: "Settings", window_spec: "WindowSpec" = FORECAST_V1) -> None:
        self.bundles: dict[str, Bundle] = load_champions(configured)
        for bundle in self.bundles.values():
            bundle.signature.require_match(window_spec)
        self.engines: dict[str, Engine] = {n: load_engine(b, configured) for n, b in self.bundles.items()}
        shared = {bundle.signature.horizons for bundle in self.bundles.values()}
        if len(shared) != 1:
            raise ModelError(
                f"The models in service forecast different horizons: {sorted(shared)}. Promote a set that fits."
            )
        self.horizons: tuple[int, ...] = shared.pop()


class Champions:
    """The models in service, reloaded beside the running ones when ``serving.json`` changes.

    A set that cannot be loaded is never activated: the former one goes on answering, and `problem` says why.

    Parameters
    ----------
    configured
        Says where the models lie and which engine computes them.
    """

    def __init__(self, configured: "Settings") -> None:
        self._configured = configured
        self._lock = threading.Lock()
        self._stamp: tuple[int, int] | None = None
        self._loaded: LoadedModels | None = None
        self.problem: str | None = None

    def current(self) -> LoadedModels:
        """Return the set in service.

        Raises
        ------
        ModelError
            If there is none, with the reason.
        """
        stamp = self._read_stamp()
        # While one request loads the new set, the others go on with the old one; only the first load is waited for.
        if stamp != self._stamp and self._lock.acquire(blocking=self._loaded is None):
            try:
                self._reload(stamp)
            finally:
                self._lock.release()
        if self._loaded is None:
            raise ModelError(self.problem or "No model is in service. Train and promote with `make demo`.")
        return self._loaded

    def _reload(self, stamp: tuple[int, int] | None) -> None:
        if stamp == self._stamp:
            return
        try:
            self._loaded = LoadedModels(self._configured)
        except (QuantlakeError, OSError) as error:
            self.problem = str(error)
            logger.error("models are not exchanged: %s", error)  # noqa: TRY400 - the message says it all
            if isinstance(error, NotReadyError):
                self._loaded = None
        else:
            self.problem = None
            logger.info("models in service: %s", {n: b.version for n, b in self._loaded.bundles.items()})
        self._stamp = stamp

    def _read_stamp(self) -> tuple[int, int] | None:
        try:
            stat = (self._configured.models / SERVING_FILE).stat()
        except OSError:
            return None
        return stat.st_mtime_ns, stat.st_ino
