"""The only mover of a model alias: proof, registry, files, audit row, alias, service, in that order."""

import json
import os
import shutil
import time
import warnings
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import polars as pl
from filelock import FileLock

from lake.clock import SystemClock
from lake.durable import flush, write_durably
from lake.errors import ConfigError, NotReadyError
from lake.report import Report
from lake.tables import PROMOTIONS
from serving.bundles import (
    MODEL_FILE,
    PARITY_FILE,
    SERVING_FILE,
    SIGNATURE_FILE,
    Bundle,
    champion_versions,
)

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from lake.clock import Clock
    from lake.settings import Settings
    from lake.store import Lake

ALIAS = "champion"
EXPERIMENT = "promotions"
DIGEST_TAG, FINGERPRINT_TAG = "digest", "signature"
FILES = (MODEL_FILE, SIGNATURE_FILE, PARITY_FILE)


def register_and_promote(
    bundle: Bundle,
    lake: "Lake",
    configured: "Settings",
    *,
    clock: "Clock",
    evidence: "Mapping[str, Any] | None" = None,
    decided_by: str = "pipeline",
) -> Report:
    """Put an exported model in service.

    Each step looks first whether it is already done, so a promotion that was interrupted is finished by the next one,
    and a second promotion of the same file does nothing.

    Parameters
    ----------
    bundle
        Exported model; its files are read and checked once more.
    clock
        Market clock: `known_time` of the audit row.
    evidence
        Figures behind the decision, e.g. scores; plain values. The parity proof is added.
    decided_by
        Who or what decided.

    Returns
    -------
    Report
        Of `promotions`; skipped when this very file is in service already.

    Raises
    ------
    ModelError
        If a file is missing, altered, a link, or refers to other files.
    ParityError
        If the proof is missing or does not cover the file: such a model cannot be promoted.
    """
    started = time.perf_counter()
    checked = Bundle.load(bundle.folder)
    configured.models.mkdir(parents=True, exist_ok=True)
    with FileLock(configured.models / ".promotion.lock", timeout=120):
        registry = _Registry(configured)
        version = registry.version_of(checked) or registry.register(checked, evidence or {})
        before = _in_service(configured).get(checked.name)
        is_moved = _last_move(lake, checked.name) != (version, checked.digest)
        if before == version and not is_moved and registry.alias(checked.name) == version:
            Bundle.load(configured.models / checked.name / version)
            return lake.report(PROMOTIONS, started=started).having(
                reason=f"version {version} of '{checked.name}' is in service already", model_version=version
            )
        _place(checked, configured.models / checked.name / version)
        if is_moved:
            row = _audit_row(checked, version, before, evidence or {}, decided_by, clock.now())
            lake.merge(PROMOTIONS, row)
        registry.move(checked.name, version)
        serving = _in_service(configured) | {checked.name: version}
        write_durably(configured.models / SERVING_FILE, json.dumps(dict(sorted(serving.items())), indent=2) + "\n")
    return lake.report(PROMOTIONS, added=int(is_moved), started=started).having(
        model_version=version, model_digest=checked.digest, bytes=len(checked.content)
    )


class _Registry:
    """The model registry of the tracking server, as far as a promotion needs it."""

    def __init__(self, configured: "Settings") -> None:
        from training.tracking import open_store

        self._client, self._experiment = open_store(configured, EXPERIMENT)

    def version_of(self, bundle: Bundle) -> str | None:
        """Version under which this very file and signature are registered, if they are."""
        for found in self._client.search_model_versions(f"name = '{bundle.name}'"):
            tags = found.tags
            if tags.get(DIGEST_TAG) == bundle.digest and tags.get(FINGERPRINT_TAG) == bundle.signature.fingerprint:
                return str(found.version)
        return None

    def register(self, bundle: Bundle, evidence: "Mapping[str, Any]") -> str:
        """Log file, signature and proof in a run of their own, and make a version of them."""
        from mlflow.exceptions import MlflowException

        run_id = self._client.create_run(self._experiment, run_name=f"{bundle.name}-{bundle.digest[:12]}").info.run_id
        self._client.log_param(run_id, "model", bundle.name)
        self._client.log_param(run_id, "table_versions", json.dumps(bundle.signature.table_versions))
        self._client.log_metric(run_id, "parity_max_absolute_difference", bundle.parity.max_absolute_difference)
        self._client.log_metric(run_id, "parity_windows", bundle.parity.windows)
        self._client.log_metric(run_id, "model_bytes", len(bundle.content))
        with TemporaryDirectory() as folder:
            _write_mlflow_model(bundle, Path(folder) / "bundle")
            self._client.log_artifacts(run_id, folder)
        self._client.log_dict(run_id, dict(evidence), "evidence.json")
        self._client.set_terminated(run_id)
        try:
            self._client.get_registered_model(bundle.name)
        except MlflowException:
            self._client.create_registered_model(bundle.name, description="One ONNX file with signature and proof.")
        source = f"{self._client.get_run(run_id).info.artifact_uri}/bundle"
        made = self._client.create_model_version(
            bundle.name,
            source,
            run_id=run_id,
            tags={DIGEST_TAG: bundle.digest, FINGERPRINT_TAG: bundle.signature.fingerprint},
        )
        return str(made.version)

    def alias(self, name: str) -> str | None:
        """Version the alias points at."""
        version = self._client.get_registered_model(name).aliases.get(ALIAS)
        return None if version is None else str(version)

    def move(self, name: str, version: str) -> None:
        """Point the alias at a version."""
        self._client.set_registered_model_alias(name, ALIAS, version)


def _write_mlflow_model(bundle: Bundle, folder: Path) -> None:
    """Lay the bundle out as `mlflow.onnx.load_model` expects it; the model file stays byte for byte the same."""
    import onnx
    import onnxruntime

    # MLflow warns about type hints of its own when this module is imported.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import mlflow.onnx

        mlflow.onnx.save_model(
            onnx.load_model_from_string(bundle.content),
            str(folder),
            pip_requirements=[f"onnxruntime=={onnxruntime.__version__}"],
            onnx_execution_providers=["CPUExecutionProvider"],
            save_as_external_data=False,
        )
    for name in FILES:
        shutil.copyfile(bundle.folder / name, folder / name)


def _in_service(configured: "Settings") -> dict[str, str]:
    try:
        return champion_versions(configured)
    except NotReadyError:
        return {}


def _last_move(lake: "Lake", name: str) -> tuple[str, str] | None:
    if not lake.exists(PROMOTIONS):
        return None
    rows = lake.read(PROMOTIONS, where=(pl.col("model_name") == name) & (pl.col("alias") == ALIAS)).sort("event_time")
    return None if rows.is_empty() else rows.select("model_version", "model_digest").row(-1)


def _place(bundle: Bundle, target: Path) -> None:
    """Copy the files beside their place and rename the folder, so that a service never meets half of it."""
    if target.exists():
        found = Bundle.load(target)
        if found.digest != bundle.digest:
            raise ConfigError(
                f"{target} already holds another model ({found.digest[:12]}, not {bundle.digest[:12]}). The registry "
                "and the models folder belong to different homes: use one QUANTLAKE_HOME for both."
            )
        return
    fresh = target.with_name(f".{target.name}.{os.getpid()}.new")
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir(parents=True)
    for name in FILES:
        shutil.copyfile(bundle.folder / name, fresh / name)
        descriptor = os.open(fresh / name, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    flush(fresh)
    fresh.replace(target)
    flush(target.parent)


def _audit_row(
    bundle: Bundle,
    version: str,
    previous: str | None,
    evidence: "Mapping[str, Any]",
    decided_by: str,
    market_now: "datetime",
) -> pl.DataFrame:
    said = {"parity": bundle.parity.model_dump(mode="json"), "decided_by": decided_by, **evidence}
    return pl.DataFrame(
        {
            "model_name": [bundle.name],
            "alias": [ALIAS],
            "event_time": [SystemClock().now()],
            "known_time": [market_now],
            "model_version": [version],
            "model_digest": [bundle.digest],
            "previous_version": [previous],
            "evidence": [json.dumps(said, sort_keys=True, default=str)],
        },
        schema=PROMOTIONS.schema,
    )
