"""Backups of the whole platform: a consistent copy of a home, and the proof that a restored home is whole."""

import shutil
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl

from feature_repo.catalog import SPECS
from lake.care import backup as store
from lake.care import examine
from lake.errors import BackupError, ConfigError, QuantlakeError
from lake.report import Report
from lake.store import Lake
from lake.tables import FORECASTS
from serving import audit
from serving.access import keys
from serving.deployment import deployment_or_none, moving
from serving.engines import Bundle
from serving.forecast_log import log_paths
from serving.monitoring.backup_state import note_backup
from serving.replay import replay_sample
from training.tracking import localize

if TYPE_CHECKING:
    from lake.care.backup import Manifest
    from lake.settings import Settings

DRILL = "backup_drill"
SCRATCH = ".drill-"
AMONG, SAMPLE = 5_000, 50
"""How many of the newest forecasts a drill draws from, and how many it draws and makes again."""
DRAINED = "SELECT forecast_id FROM forecasts WHERE is_in_lake = 1"
UNSET = "QUANTLAKE_BACKUPS is not set, so it is not known where backups go"


def folder_of(configured: "Settings", given: Path | None = None) -> Path:
    """Return the folder of the backups, the given one first.

    Raises
    ------
    ConfigError
        If neither a folder is given nor the setting says one.
    """
    found = given or configured.backups
    if found is None:
        raise ConfigError(
            "Where the backups are is not known. Name the folder, `quantlake backup create --to FOLDER`, or set "
            "QUANTLAKE_BACKUPS."
        )
    return found.expanduser().absolute()


def create(configured: "Settings", root: Path, *, who: str, full: bool = False) -> "Manifest":
    """Back up a home while its service answers, and write that down in its audit trail.

    The caller holds the `lake.disk.job_lock`: jobs and maintenance wait. Registry, deployment and audit trail are
    held for the moment in which they, the tables' logs and the small files are copied; forecasts are made and logged
    meanwhile.
    """
    made = store.create(configured.home, root, held=lambda: _agreeing(configured), full=full)
    note_backup(configured, backed_up_at=made.created_at)
    details = {"backup": made.id, "files": len(made.files), "bytes": made.size}
    audit.record(Lake.open(configured), who=who, what="backup.create", details=details)
    return made


def restore(configured: "Settings", root: Path, backup: "Manifest", into: Path, *, who: str) -> "Settings":
    """Lay a backup out as a home of its own; MLflow's addresses are those of the new place, nothing else is absolute.

    Returns
    -------
    Settings
        These settings with the new home.
    """
    restored = _at(configured, store.restore(root, backup, into))
    localize(restored)
    audit.record(Lake.open(restored), who=who, what="backup.restore", details={"backup": backup.id})
    return restored


def faults(configured: "Settings", *, seed: str, sample: int = SAMPLE) -> list[str]:
    """Check the consistency of a home; returns one sentence per fault.

    Files of all tables, forecasts marked as drained against the table, the audit trail, the keys, the models in
    service against their files and the registry, and a sample of the newest forecasts made again.
    """
    lake = Lake.open(configured)
    found = [
        f"table '{spec.name}': {damage.kind} {damage.path}, {damage.meaning}"
        for spec in SPECS
        if lake.exists(spec)
        for damage in examine(lake, spec)
    ]
    found += [f"audit row {finding.sequence} {finding.meaning}" for finding in audit.verify(lake)]
    for look in (_lost_forecasts, _unreadable_keys, _models_amiss):
        try:
            found += look(configured)
        except (QuantlakeError, OSError, sqlite3.Error) as error:
            found.append(str(error))
    if not found:
        again = replay_sample(lake, configured, among=AMONG, size=sample, seed=seed)
        found += sorted({f"forecast {result.forecast_id}: {fault}" for result in again for fault in result.faults})
    return found


def drill(configured: "Settings", *, who: str = "pipeline", keep: int | None = None) -> Report:
    """Back up the home, restore the backup into a scratch folder, look at everything in it, and remove it again.

    Returns
    -------
    Report
        ``rows`` counts the files restored. Skipped, with the reason, where no folder of backups is configured.

    Raises
    ------
    BackupError
        If what was restored is not whole.
    """
    if configured.backups is None:
        return Report(DRILL, skipped=True, details={"reason": f"nothing could be done, because {UNSET}"})
    started = time.perf_counter()
    root = folder_of(configured)
    made = create(configured, root, who=who)
    with _scratch(root, made.id) as scratch:
        restored = _at(configured, store.restore(root, made, scratch))
        localize(restored)
        if amiss := faults(restored, seed=made.id):
            raise BackupError(
                f"Backup {made.id} was restored, and {len(amiss)} things in it are not as they should be: {amiss[0]}. "
                "Run `quantlake lake doctor` and `quantlake audit verify` on the home it was made from."
            )
    note_backup(configured, drilled_at=datetime.now(UTC))
    gone = store.prune(root, keep)[0] if keep else []
    report = Report(DRILL, rows=len(made.files), added=len(made.files), seconds=time.perf_counter() - started)
    return report.with_details(backup=made.id, bytes=made.size, point_seconds=made.point_seconds, pruned=len(gone))


@contextmanager
def _agreeing(configured: "Settings") -> Iterator[None]:
    """Lock out moves of models and writes to the audit trail."""
    with moving(configured), audit.held(Lake.open(configured)):
        yield


@contextmanager
def _scratch(root: Path, name: str) -> Iterator[Path]:
    """A folder to restore into, among the backups, because there is room for one; gone afterwards."""
    for left in root.glob(f"{SCRATCH}*"):
        shutil.rmtree(left, ignore_errors=True)
    folder = root / f"{SCRATCH}{name}"
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _at(configured: "Settings", home: Path) -> "Settings":
    return configured.model_copy(update={"home": home})


def _lost_forecasts(configured: "Settings") -> list[str]:
    """Forecasts that the log says are in the lake, and that are not."""
    drained: set[str] = set()
    for path in log_paths(configured):
        with closing(sqlite3.connect(path)) as connection:
            drained |= {row[0] for row in connection.execute(DRAINED)}
    lake = Lake.open(configured)
    stored = lake.scan(FORECASTS).select(pl.col("forecast_id")).collect() if lake.exists(FORECASTS) else None
    lost = drained - (set() if stored is None else set(stored["forecast_id"]))
    return [f"{len(lost)} forecasts left the log and are not in the lake, e.g. {min(lost)}"] if lost else []


def _unreadable_keys(configured: "Settings") -> list[str]:
    keys.listing(configured)  # raises what is wrong
    return []


def _models_amiss(configured: "Settings") -> list[str]:
    """Models in service whose files, or whose entry in the local registry, are not those of the deployment."""
    deployment = deployment_or_none(configured)
    found = []
    for name, release in sorted(deployment.champions.items()):
        bundle = Bundle.load(configured.models / name / release.version)
        if release.digest and bundle.digest != release.digest:
            found.append(f"model {name} {release.version}: file {bundle.digest[:12]}, in service {release.digest[:12]}")
        elif configured.mlflow_tracking_uri is None and (configured.mlflow / "mlflow.db").exists():
            found += _not_in_registry(configured, name, release.version, bundle.digest)
    return found


def _not_in_registry(configured: "Settings", name: str, version: str, digest: str) -> list[str]:
    from serving.deployment.registry import Registry

    registry = Registry(configured)
    if registry.tags(name, version)[0] != digest:
        return [f"model {name} {version}: the registry has another file than {digest[:12]}"]
    with registry.files(name, version) as folder:
        if not folder.resolve().is_relative_to(configured.home.resolve()):
            return [f"model {name} {version}: its files in the registry are outside the home, in {folder}"]
        return [] if Bundle.load(folder).digest == digest else [f"model {name} {version}: the registry's file differs"]
