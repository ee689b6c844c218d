"""Models of a stored forecast: the engines that computed it, and the typical windows of their training."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from lake.errors import ModelError, NotReadyError
from serving.engines import PROVIDERS, Background, Bundle, Engine, OnnxEngine, load_engine

if TYPE_CHECKING:
    from collections.abc import Iterable

    from serving.deployment import Champions
    from serving.receipts import ModelUse


@dataclass(frozen=True)
class ExplainedModel:
    """One model of a forecast.

    Parameters
    ----------
    use
        Its part in the forecast, by the receipt.
    engine
        Engine that computes the file of that digest.
    bundle
        Its checked files.
    """

    use: "ModelUse"
    engine: Engine
    bundle: Bundle

    @property
    def background(self) -> Background | None:
        """Typical windows of its training; None where its bundle has none."""
        return self.bundle.background

    def require_background(self) -> Background:
        """Return its typical windows.

        Raises
        ------
        NotReadyError
            If its bundle was exported without them.
        """
        if self.background is None:
            raise NotReadyError(
                f"Version {self.use.version} of model '{self.use.name}' was exported without typical windows of its "
                "training, which an explanation compares with. Materialise the asset `served_models`: it exports the "
                "models in service again, with the windows."
            )
        return self.background


class ExplainedModels:
    """Models by the digests in receipts: those in service first, others from their folders, each loaded once.

    Parameters
    ----------
    champions
        Models in service.
    """

    def __init__(self, champions: "Champions") -> None:
        self._champions = champions
        self._loaded: dict[tuple[str, str, str], tuple[Engine, Bundle]] = {}

    def take(self, use: "ModelUse") -> ExplainedModel:
        """Return a model that took part in a forecast.

        A file of the same digest that was exported again with typical windows stands in for one without them.

        Raises
        ------
        ModelError
            If its file is missing, altered, or another one lies in its place.
        """
        for engine, bundle in self._in_service():
            if bundle.digest == use.digest:
                return ExplainedModel(use, engine, bundle)
        key = (use.name, use.version, use.digest)
        if key not in self._loaded:
            self._loaded[key] = self._load(use)
        engine, bundle = self._loaded[key]
        return ExplainedModel(use, engine, bundle)

    def _in_service(self) -> "Iterable[tuple[Engine, Bundle]]":
        models = self._champions.current()
        yield from ((models.engines[name], bundle) for name, bundle in models.bundles.items())
        yield from ((each.loaded.engine, each.loaded.bundle) for each in models.challengers)

    def _load(self, use: "ModelUse") -> tuple[Engine, Bundle]:
        configured = self._champions.configured
        bundle = Bundle.load(configured.models / use.name / use.version, version=use.version)
        if bundle.digest != use.digest:
            raise ModelError(
                f"The forecast was made by version {use.version} of '{use.name}' with digest {use.digest[:12]}, and "
                f"{bundle.folder} holds {bundle.digest[:12]}: the files were exchanged. Restore the file from a backup."
            )
        if use.engine.is_exact:
            return OnnxEngine(bundle, provider=PROVIDERS["cpu"], threads=max(use.engine.threads, 1)), bundle
        return load_engine(bundle, configured), bundle
