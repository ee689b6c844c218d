"""Candidates: every check and the first forecasts of a version before it is put in service."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from feature_repo.targets import FORECAST_V2, QUANTILES
from lake.errors import ModelError, QuantlakeError, RefusedModelError
from serving.deployment.releases import load_release
from serving.engines import load_engine, warm

if TYPE_CHECKING:
    from feature_repo.targets import WindowSpec
    from lake.market import Market
    from lake.settings import Settings
    from serving.deployment.record import Release
    from serving.engines import Bundle, Engine


@dataclass(frozen=True)
class LoadedModel:
    """A checked version and its warmed engine, built from the very bytes that were checked."""

    bundle: "Bundle"
    engine: "Engine"

    def is_release(self, name: str, release: "Release") -> bool:
        """Whether this is the given release of the given model; False for a release without a digest."""
        identity = (self.bundle.name, self.bundle.version, self.bundle.digest)
        return identity == (name, release.version, release.digest)


def load_candidate(
    configured: "Settings", name: str, release: "Release", window_spec: "WindowSpec" = FORECAST_V2
) -> LoadedModel:
    """Check a placed version, load it in addition to the models in service, and warm it up.

    Raises
    ------
    ModelError
        If its files, proof, digest, windows, horizons or quantiles are not what they must be, or its engine does not
        load or answers nonsense.
    """
    bundle = load_release(configured, name, release)
    signature = bundle.signature
    signature.require_match(window_spec)
    _require_asked_for(bundle, configured.declared_market, f"Model '{name}' version {release.version}")
    engine = load_engine(bundle, configured)
    warm(engine)
    return LoadedModel(bundle, engine)


def _require_asked_for(bundle: "Bundle", market: "Market", who: str) -> None:
    """Refuse a model of other quantiles, of a horizon that the market does not declare, or without its first."""
    signature = bundle.signature
    again = f"Train and promote the model again with `{market.first_run}`."
    if signature.quantiles != QUANTILES:
        raise ModelError(
            f"{who} forecasts quantiles {list(signature.quantiles)}; {list(QUANTILES)} are served. {again}"
        )
    trained, declared = (
        [str(market.horizon_of(bars)) for bars in each] for each in (signature.horizons, market.horizon_bars)
    )
    if unknown := [horizon for horizon in trained if horizon not in declared]:
        problem = f"{', '.join(unknown)} {'is' if len(unknown) == 1 else 'are'} not among them"
    elif declared[0] not in trained:
        problem = f"without {declared[0]}, on which strategies are judged, no model is put in service"
    else:
        return
    raise ModelError(
        f"{who} was trained for the horizons {', '.join(trained)}, and the market '{market.name}' declares "
        f"{', '.join(declared)}: {problem}. {again}"
    )


def require_candidate(configured: "Settings", name: str, release: "Release") -> LoadedModel:
    """Load a version that is to be put in service or on trial.

    Raises
    ------
    RefusedModelError
        Whatever it fails for; nothing is changed.
    """
    try:
        return load_candidate(configured, name, release)
    except QuantlakeError as error:
        raise RefusedModelError(f"Version {release.version} of '{name}' is refused. {error}") from error
    except Exception as error:
        # A file can make a library raise anything, and whatever it is, it may not answer.
        raise RefusedModelError(
            f"Version {release.version} of '{name}' is refused: {type(error).__name__}: {error}. Promote another one."
        ) from error
