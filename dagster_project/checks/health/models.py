"""Checks of the models: deployment, files of each version, and the registry's copies."""

import hashlib
import json
import os
import shlex
import sqlite3
from contextlib import closing
from pathlib import Path
from urllib.parse import quote, unquote, urlsplit

from dagster_project.checks.health.finding import HealthFinding, set_aside
from lake.settings import Settings

VERSIONS = """
SELECT version.name, version.version, version.source, tag.value FROM model_versions AS version
JOIN model_version_tags AS tag ON tag.name = version.name AND tag.version = version.version AND tag.key = 'digest'
"""


def deployment(configured: Settings) -> list[HealthFinding]:
    """Check the deployment, and that the files of each version in use are the registered ones."""
    from lake.errors import ModelError, NotReadyError
    from serving.deployment import read_deployment, serving_file

    path = serving_file(configured)
    try:
        record = read_deployment(configured)
    except NotReadyError:
        return []
    except (ModelError, UnicodeDecodeError) as error:
        meaning = f"{str(error).splitlines()[0].split('. `quantlake')[0]}. A service that starts now has no model"
        return [HealthFinding("damaged deployment", path, meaning, "quantlake models restore")]
    used = {(name, release.version): release.digest for name, release in record.champions.items()}
    used |= {(challenger.model, challenger.version): challenger.digest for challenger in record.challengers}
    return [
        finding for (name, version), digest in used.items() for finding in _placed(configured, name, version, digest)
    ]


def every_version(configured: Settings) -> list[HealthFinding]:
    """Look at the files of every version that was placed here, in use or not, and at the registry's copies."""
    from lake.errors import ModelError, NotReadyError
    from serving.deployment import read_deployment

    try:
        known = read_deployment(configured).registered
    except (ModelError, NotReadyError, UnicodeDecodeError):
        known = {}
    placed = [
        finding
        for name, versions in known.items()
        for version, digest in versions.items()
        for finding in _placed(configured, name, version, digest)
    ]
    found = {finding.path: finding for finding in [*deployment(configured), *placed, *registered(configured)]}
    return list(found.values())


def registered(configured: Settings) -> list[HealthFinding]:
    """Look at the registry's own copy of each version, where it lies under the home."""
    database = configured.mlflow / "mlflow.db"
    if configured.mlflow_tracking_uri or not database.is_file():
        return []
    try:
        with closing(sqlite3.connect(f"file:{quote(str(database))}?mode=ro", uri=True, timeout=2)) as registry:
            versions = registry.execute(VERSIONS).fetchall()
    except sqlite3.Error:  # the check of the registry names what is wrong
        return []
    found = []
    for name, version, source, digest in versions:
        place = urlsplit(str(source))
        if place.scheme not in {"", "file"}:
            continue
        path = Path(unquote(place.path)) / "model.onnx"
        if (fault := _fault_of_model(path, digest)) and configured.home in path.parents:
            own = configured.models / str(name) / str(version) / "model.onnx"
            meaning = f"version {version} of {name} in the registry: {fault}. What is in service is not affected"
            command = f"cp {shlex.quote(str(own))} {shlex.quote(str(path))}"
            found.append(HealthFinding("damaged registered model", path, meaning, command))
    return found


def training(configured: Settings) -> list[HealthFinding]:
    """Look at the pointer to the models that were trained last."""
    path = configured.home / "training" / "champions.json"
    if not path.exists():
        return []
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        is_whole = (path.parent / content["folder"]).is_dir()
    except (ValueError, KeyError, TypeError):
        is_whole = False
    if is_whole:
        return []
    meaning = "which models were trained last is not known; the next training writes it anew from what is there"
    return [HealthFinding("damaged training pointer", path, meaning, set_aside(path))]


def _placed(configured: Settings, name: str, version: str, digest: str | None) -> list[HealthFinding]:
    """Faults of the files of one version in the folder that the service reads."""
    from lake.errors import ModelError
    from serving.engines import Bundle

    folder = configured.models / name / version
    try:
        found = Bundle.load(folder, version=version).digest
        if digest is None or found == digest:
            return []
        fault = f"its file has digest {found[:12]}, registered was {digest[:12]}"
    except (ModelError, OSError) as error:
        fault = str(error).splitlines()[0].rstrip(".")
    meaning = f"version {version} of {name}: {fault}. It is refused by a service that starts now"
    return [HealthFinding("damaged model", folder, meaning, "quantlake models restore")]


def _fault_of_model(path: Path, digest: str) -> str | None:
    try:
        with open(path, "rb") as content:  # noqa: PTH123 - as hashlib wants it
            found = hashlib.file_digest(content, "sha256").hexdigest()
    except OSError as error:
        return f"its file cannot be read: {os.strerror(error.errno or 0)}"
    return None if found == digest else f"its file has digest {found[:12]}, its tag says {digest[:12]}"
