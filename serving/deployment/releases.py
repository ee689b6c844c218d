"""Loads the releases that ``serving.json`` names: checked bundles and their engines, by model."""

from typing import TYPE_CHECKING

from lake.errors import ModelError
from serving.deployment.record import Release, read_deployment
from serving.engines import Bundle, load_engine

if TYPE_CHECKING:
    from lake.settings import Settings
    from serving.engines import Engine


def champion_versions(configured: "Settings") -> dict[str, str]:
    """Version in service of each model, as promotion wrote it.

    Raises
    ------
    NotReadyError
        If nothing has been promoted yet.
    ModelError
        If the file cannot be read.
    """
    return read_deployment(configured).versions


def load_champions(configured: "Settings") -> dict[str, Bundle]:
    """Every model in service, checked, by name."""
    champions = sorted(read_deployment(configured).champions.items())
    return {name: load_release(configured, name, release) for name, release in champions}


def load_release(configured: "Settings", name: str, release: Release) -> Bundle:
    """Read and check a placed version of a model, against what the registry said of it as well.

    Raises
    ------
    ModelError
        If its files do not hold together, are another model's, or have another digest than the registry's.
    ParityError
        If its proof is missing or proves too little.
    """
    folder = configured.models / name / release.version
    if folder.parent.is_symlink():
        raise ModelError(f"{folder.parent} is a link. A served model is a plain file in a plain folder.")
    bundle = Bundle.load(folder, version=release.version)
    if bundle.name != name:
        raise ModelError(f"{folder} holds model '{bundle.name}', not '{name}'. Promote '{name}' again.")
    if release.digest not in {None, bundle.digest}:
        raise ModelError(
            f"Version {release.version} of '{name}' has digest {bundle.digest[:12]} in {folder}, but the registry gave "
            f"{str(release.digest)[:12]}: the files were exchanged after promotion. Promote the model again."
        )
    return bundle


def load_engines(configured: "Settings") -> "dict[str, Engine]":
    """Load every model in service, by name."""
    return {name: load_engine(bundle, configured) for name, bundle in load_champions(configured).items()}
