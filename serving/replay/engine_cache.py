"""Engine cache of the replay: models loaded by the digests in the receipts."""

from typing import TYPE_CHECKING

from lake.errors import ModelError
from serving.engines import PROVIDERS, Bundle, OnnxEngine, load_engine
from serving.receipts import ReplayFinding

if TYPE_CHECKING:
    from lake.settings import Settings
    from serving.engines import Engine
    from serving.receipts import ModelUse


class EngineCache:
    """Engines by version and digest, each loaded once after its file was checked.

    Parameters
    ----------
    configured
        Says where the models lie, and which engine computes what was not computed on a processor.
    """

    def __init__(self, configured: "Settings") -> None:
        self._configured = configured
        self._loaded: dict[tuple[str, str, int], Engine | ReplayFinding] = {}

    def take(self, use: "ModelUse") -> "Engine | ReplayFinding":
        """Return the engine of a model that took part, or a finding about its file."""
        key = (use.version, use.digest, use.engine.threads)  # trained again to the same bits, it has another version
        if key not in self._loaded:
            self._loaded[key] = self._load(use)
        return self._loaded[key]

    def _load(self, use: "ModelUse") -> "Engine | ReplayFinding":
        folder = self._configured.models / use.name / use.version
        try:
            bundle = Bundle.load(folder, version=use.version)
            if bundle.digest != use.digest:
                return ReplayFinding(
                    "model file",
                    str(folder),
                    f"it holds {bundle.digest[:12]}, but {use.digest[:12]} made the forecast: the files were exchanged",
                )
            if use.engine.is_exact:
                return OnnxEngine(bundle, provider=PROVIDERS["cpu"], threads=max(use.engine.threads, 1))
            return load_engine(bundle, self._configured)
        except ModelError as error:
            return ReplayFinding("model file", str(folder), str(error))
