"""Restores the files of the models in service, and the deployment itself, from the registry."""

import shutil
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from lake.disk import flush
from lake.errors import ModelError, NotReadyError
from serving.deployment.following import RegistryFollower
from serving.deployment.moves import note
from serving.deployment.record import Release, moving, read_deployment, serving_file
from serving.deployment.registry import Registry, fetch_files
from serving.engines import Bundle

if TYPE_CHECKING:
    from pathlib import Path

    from lake.settings import Settings
    from serving.deployment.moves import DeploymentContext
    from serving.deployment.record import Deployment

FOLDER = ".damaged"
"""Folder under the home where what is replaced is kept."""


def restore(context: "DeploymentContext") -> list[str]:
    """Fetch the files of every damaged placed version again, and rewrite the deployment.

    A deployment that cannot be read is kept in ``.damaged``; the registry's aliases then say which versions are in
    service, each checked as a promotion checks it. Trials, and where a roll-back leads, are lost with it.

    Returns
    -------
    list[str]
        What was done, in sentences; none where everything was whole.

    Raises
    ------
    ModelError
        If the registry's copy of a version is damaged as well. The others are restored before.
    """
    done = list[str]()
    with moving(context.configured):
        deployment = _readable(context.configured)
        if deployment is None:
            place = _keep(context.configured, serving_file(context.configured))
            done.append(f"What was written down about the deployment is in {place}.")
        else:
            done += _fetch_damaged(context.configured, deployment)
    if deployment is None:
        done += [f"{sentence[:1].upper()}{sentence[1:]}." for sentence in RegistryFollower(context).look()]
    if done:
        note(context, "model.restore", "done", {"what": done})
    return done


def _readable(configured: "Settings") -> "Deployment | None":
    """The deployment; None where it cannot be read.

    Raises
    ------
    NotReadyError
        If nothing was promoted yet, so there is nothing to restore.
    """
    try:
        return read_deployment(configured)
    except NotReadyError:
        raise
    except (ModelError, UnicodeDecodeError):
        return None


def _fetch_damaged(configured: "Settings", deployment: "Deployment") -> list[str]:
    """Replace the folders of damaged versions by the registry's copies; one that is damaged there as well stays."""
    used = {
        (name, version): Release(version=version, digest=digest)
        for name, versions in deployment.registered.items()
        for version, digest in versions.items()
    }
    used |= {(name, release.version): release for name, release in deployment.champions.items()}
    used |= {(challenger.model, challenger.version): challenger.release for challenger in deployment.challengers}
    registry, done, failed = Registry(configured), list[str](), list[ModelError]()
    for (name, version), release in used.items():
        folder = configured.models / name / version
        if _is_whole(folder, release):
            continue
        place = _keep(configured, folder) if folder.exists() else None
        try:
            fetch_files(registry, configured, name, version)
        except ModelError as error:
            failed.append(error)
            if place is not None:
                shutil.move(place, folder)
            continue
        kept = f"; the damaged files are in {place}" if place else ""
        done.append(f"Version {version} of {name} was fetched from the registry again{kept}.")
    if failed:
        raise failed[0]
    return done


def _is_whole(folder: "Path", release: Release) -> bool:
    try:
        return release.digest in {None, Bundle.load(folder).digest}
    except (ModelError, OSError):
        return False


def _keep(configured: "Settings", path: "Path") -> "Path":
    """Move a file or folder into the folder for damaged files, durably."""
    store = configured.home / FOLDER / f"{datetime.now(UTC):%Y%m%dT%H%M%S%f}"
    place = store / path.relative_to(configured.home)
    place.parent.mkdir(parents=True, mode=0o700)
    shutil.move(path, place)
    for changed in (path.parent, place.parent):
        flush(changed)
    return place
