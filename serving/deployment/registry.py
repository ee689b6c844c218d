"""Registration and promotion: the only writer of the registry's alias."""

import json
import re
import shutil
import time
import warnings
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

import numpy as np
import polars as pl

from lake.errors import ModelError, UnknownNameError
from lake.report import Report
from lake.tables import PROMOTIONS
from serving.deployment.confirmed import is_confirmed, note_confirmed, registry_digest
from serving.deployment.moves import CHAMPION, DeploymentContext, Move, write_down
from serving.deployment.placing import place
from serving.deployment.record import Release, deployment_or_none, moving, write_deployment
from serving.deployment.refusals import lift_refusal
from serving.engines import SIGNATURE_FILE, Bundle, Signature, files_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from lake.clock import Clock
    from lake.settings import Settings
    from lake.store import Lake

ALIAS = CHAMPION
EXPERIMENT = "promotions"
PURPOSE = (
    "One run per model version that was put in service: the exported file, and the proof that it computes what the "
    "trained model does. The tag `training_run` of the registered version names the run of its training."
)
DIGEST_TAG, FINGERPRINT_TAG = "digest", "signature"
TRAINING_TAG, VERSION_TAG = "training_run", "registered_version"
"""Of a version the run that trained and judged it, and of that run the version it became."""
MODEL_NOTE = """
**{name}** as it is served: one ONNX file with its signature and the proof that it computes what the trained model does.
The version with the alias `champion` answers; each version leads to the run of its training and evaluation.
"""
SHA256 = re.compile(r"[0-9a-f]{64}")


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
    context = DeploymentContext(lake=lake, configured=configured, clock=clock, who=decided_by)
    with moving(configured):
        if version := version_in_service(checked, lake, configured):
            Bundle.load(configured.models / checked.name / version)
            return lake.report(PROMOTIONS, started=started).with_details(
                reason=f"version {version} of '{checked.name}' is in service already", model_version=version
            )
        registry = Registry(configured)
        version = registry.version_of(checked) or registry.register(checked, evidence or {})
        deployment = deployment_or_none(configured)
        is_moved = _last_move(lake, checked.name) != (version, checked.digest)
        place(checked, configured.models / checked.name / version)
        if is_moved:
            write_down(context, promotion_of(checked, version, deployment.versions.get(checked.name), evidence or {}))
        registry.move(checked.name, version)
        release = Release(version=version, digest=checked.digest)
        write_deployment(configured, deployment.promoted(checked.name, release).in_line(checked.name, version))
        lift_refusal(configured, checked.name)
    return lake.report(PROMOTIONS, added=int(is_moved), started=started).with_details(
        model_version=version, model_digest=checked.digest, bytes=len(checked.content)
    )


def version_in_service(bundle: Bundle, lake: "Lake", configured: "Settings") -> str | None:
    """Version under which a file is in service by the record, the moves and the registry; None where one says no.

    The registry is asked where its file is not the one that was asked last: a registry on a server always is.
    """
    version = deployment_or_none(configured).versions.get(bundle.name)
    if version is None or _last_move(lake, bundle.name) != (version, bundle.digest):
        return None
    if is_confirmed(configured, bundle, version, registry_digest(configured)):
        return version
    registry = Registry(configured)
    asked = registry_digest(configured)  # opened: that of a moved home is written to by that
    if registry.version_of(bundle) != version or registry.alias(bundle.name) != version:
        return None
    note_confirmed(configured, bundle, version, asked)
    return version


def register(bundle: Bundle, configured: "Settings", *, evidence: "Mapping[str, Any] | None" = None) -> str:
    """Register an exported model and place its files, so that it can be put on trial; nothing answers by it yet.

    Returns
    -------
    str
        Its version; that of before when this very file and signature were registered already.
    """
    checked = Bundle.load(bundle.folder)
    with moving(configured):
        registry = Registry(configured)
        version = registry.version_of(checked) or registry.register(checked, evidence or {})
        place(checked, configured.models / checked.name / version)
        release = Release(version=version, digest=checked.digest)
        write_deployment(configured, deployment_or_none(configured).knowing(checked.name, release))
    return version


def fetch(configured: "Settings", model: str, version: str) -> Release:
    """Fetch and check the files of a registered version, so that it can be promoted or put on trial.

    Raises
    ------
    UnknownNameError
        If the registry has no such version.
    ModelError
        If its files are missing, altered, or others than the registry says.
    """
    with moving(configured):
        deployment = deployment_or_none(configured)
        if version in deployment.registered.get(model, {}):
            return deployment.release(model, version)
        release = fetch_files(Registry(configured), configured, model, version)
        write_deployment(configured, deployment.knowing(model, release))
    return release


def fetch_files(registry: "Registry", configured: "Settings", model: str, version: str) -> Release:
    """Fetch the files of a version, check them against the registry's own tags, and place them."""
    with registry.files(model, version) as folder:
        bundle = Bundle.load(folder)
        digest, fingerprint = registry.tags(model, version)
        if (bundle.name, bundle.digest, bundle.signature.fingerprint) != (model, digest, fingerprint):
            raise ModelError(
                f"Version {version} of '{model}' is tagged in the registry with file {str(digest)[:12]} and signature "
                f"{str(fingerprint)[:12]}, but its files are model '{bundle.name}' with {bundle.digest[:12]} and "
                f"{bundle.signature.fingerprint[:12]}. Register the model again."
            )
        place(bundle, configured.models / model / version)
    return Release(version=version, digest=bundle.digest)


def promotion_of(bundle: Bundle, version: str, previous: str | None, evidence: "Mapping[str, Any]") -> Move:
    """Describe how a version becomes champion; its parity proof joins the evidence."""
    details = {"parity": bundle.parity.model_dump(mode="json"), **evidence}
    return Move(
        model=bundle.name,
        alias=ALIAS,
        version=version,
        digest=bundle.digest,
        previous=previous,
        what="model.promote",
        evidence=details,
    )


class Registry:
    """The model registry of the tracking server, as far as a promotion needs it."""

    def __init__(self, configured: "Settings") -> None:
        from training.tracking import open_store

        self._client, self._experiment = open_store(configured, EXPERIMENT, PURPOSE)
        self._uri, self._market = configured.tracking_uri, configured.declared_market

    def version_of(self, bundle: Bundle) -> str | None:
        """Version under which this very file and signature are registered, if they are."""
        for found in self._client.search_model_versions(f"name = '{bundle.name}'"):
            tags = found.tags
            if tags.get(DIGEST_TAG) == bundle.digest and tags.get(FINGERPRINT_TAG) == bundle.signature.fingerprint:
                return str(found.version)
        return None

    def register(self, bundle: Bundle, evidence: "Mapping[str, Any]") -> str:
        """Log file, signature and proof in a run of their own, and make a version that leads to its training."""
        from mlflow.exceptions import MlflowException

        training = self._training(str(evidence.get("run_id", "")))

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
            self._client.create_registered_model(bundle.name, description=MODEL_NOTE.format(name=bundle.name))
        source = f"{self._client.get_run(run_id).info.artifact_uri}/bundle"
        made = self._client.create_model_version(
            bundle.name,
            source,
            run_id=run_id,
            tags={DIGEST_TAG: bundle.digest, FINGERPRINT_TAG: bundle.signature.fingerprint}
            | ({TRAINING_TAG: training.run_id} if training else {}),
            description=self._note(bundle, run_id, training),
        )
        if training:
            self._client.set_tag(training.run_id, VERSION_TAG, f"{bundle.name} {made.version}")
        return str(made.version)

    def _training(self, run_id: str) -> Any:
        """What is said of the run that trained a model; None where this server has no such run."""
        from mlflow.exceptions import MlflowException

        try:
            return self._client.get_run(run_id).info if run_id else None
        except MlflowException:  # it was trained into another server
            return None

    def _note(self, bundle: Bundle, export: str, training: Any) -> str:
        """Describe a version in markdown: its training, whose run has the evaluation too, and its export."""
        signature = bundle.signature
        links = {"Export, parity proof and the evidence of the promotion": (self._experiment, export)}
        if training:
            told = f"Training and walk-forward evaluation: {training.run_name}"
            links = {told: (training.experiment_id, training.run_id)} | links
        lines = [f"- [{text}](#/experiments/{place}/runs/{run})" for text, (place, run) in links.items()]
        read = ", ".join(f"{table} {version}" for table, version in signature.table_versions.items())
        lines += [f"- Learnt until {signature.train_until:%Y-%m-%d} from versions {read}"]
        lines += [f"- Windows of {signature.sessions} bars of {len(signature.features)} features"]
        lines += [f"- Horizons {', '.join(str(self._market.horizon_of(bars)) for bars in signature.horizons)}"]
        return "\n".join([*lines, f"- Code {signature.code_version}"])

    def alias(self, name: str) -> str | None:
        """Version the alias points at."""
        version = self._client.get_registered_model(name).aliases.get(ALIAS)
        return None if version is None else str(version)

    def aliases(self) -> dict[str, str]:
        """Version that the alias of each registered model points at, where there is one."""
        aliases: dict[str, str] = {}
        token: str | None = None
        while True:
            page = self._client.search_registered_models(max_results=200, page_token=token)
            aliases |= {found.name: str(found.aliases[ALIAS]) for found in page if ALIAS in found.aliases}
            token = page.token
            if not token:
                return aliases

    def is_ours(self, name: str, version: str) -> bool:
        """Whether a version was registered by this project."""
        return self.tags(name, version)[0] is not None

    def tags(self, name: str, version: str) -> tuple[str | None, str | None]:
        """Digest and fingerprint that a version was registered with; None for what is missing or is no SHA-256."""
        tags = self._version(name, version).tags
        digest, fingerprint = (tags.get(tag, "") for tag in (DIGEST_TAG, FINGERPRINT_TAG))
        return (digest if SHA256.fullmatch(digest) else None), (fingerprint if SHA256.fullmatch(fingerprint) else None)

    @contextmanager
    def files(self, name: str, version: str) -> "Iterator[Path]":
        """Yield a temporary folder with the files of a version; only these files are fetched."""
        source = str(self._version(name, version).source).removesuffix("/")
        place = urlsplit(source)
        if place.scheme in {"", "file"}:
            yield Path(unquote(place.path))
            return
        with TemporaryDirectory() as folder:
            self._fetch(source, SIGNATURE_FILE, folder, f"Version {version} of '{name}'")
            signature = Signature.from_json((Path(folder) / SIGNATURE_FILE).read_text(encoding="utf-8"))
            for file in files_of(signature):
                if file != SIGNATURE_FILE:
                    self._fetch(source, file, folder, f"Version {version} of '{name}'")
            yield Path(folder)

    def _fetch(self, source: str, file: str, folder: str, of: str) -> None:
        from mlflow.artifacts import download_artifacts
        from mlflow.exceptions import MlflowException

        try:
            download_artifacts(f"{source}/{file}", dst_path=folder, tracking_uri=self._uri)
        except (MlflowException, OSError) as error:
            raise ModelError(f"{of} has no {file} in the registry: {error}. Register it again.") from error

    def move(self, name: str, version: str) -> None:
        """Point the alias at a version."""
        self._client.set_registered_model_alias(name, ALIAS, version)

    def _versions(self, name: str) -> list[str]:
        return [f"{name} {found.version}" for found in self._client.search_model_versions(f"name = '{name}'")]

    def _version(self, name: str, version: str) -> Any:
        from mlflow.exceptions import MlflowException

        try:
            return self._client.get_model_version(name, version)
        except MlflowException as error:
            raise UnknownNameError("model version", f"{name} {version}", self._versions(name)) from error


def _write_mlflow_model(bundle: Bundle, folder: Path) -> None:
    """Lay the bundle out as `mlflow.onnx.load_model` expects it; the model file stays byte for byte the same."""
    import onnx
    import onnxruntime

    # MLflow warns about type hints of its own when this module is imported.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import mlflow.onnx
        from mlflow.models import ModelSignature
        from mlflow.types import Schema, TensorSpec

        said, kind = bundle.signature, np.dtype(bundle.signature.dtype)
        window = TensorSpec(kind, (-1, said.sessions, said.channels), said.input_name)
        quantiles = TensorSpec(kind, (-1, len(said.horizons), len(said.quantiles)), said.output_name)
        mlflow.onnx.save_model(
            onnx.load_model_from_string(bundle.content),
            str(folder),
            signature=ModelSignature(inputs=Schema([window]), outputs=Schema([quantiles])),
            pip_requirements=[f"onnxruntime=={onnxruntime.__version__}"],
            onnx_execution_providers=["CPUExecutionProvider"],
            save_as_external_data=False,
        )
    for name in bundle.files:
        shutil.copyfile(bundle.folder / name, folder / name)


def _last_move(lake: "Lake", name: str) -> tuple[str, str] | None:
    if not lake.exists(PROMOTIONS):
        return None
    rows = lake.read(PROMOTIONS, where=(pl.col("model_name") == name) & (pl.col("alias") == ALIAS)).sort("event_time")
    return None if rows.is_empty() else rows.select("model_version", "model_digest").row(-1)
