"""What was tried, kept where it can be looked at: MLflow, on SQLite and files by default, on a server by URL."""

import json
import logging
import os
import time
import warnings
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lake.errors import ConfigError
from lake.settings import Settings
from training.tracking.addresses import artifact_root, localize
from training.tracking.provenance import LearntTable, source_tags

if TYPE_CHECKING:
    from mlflow import MlflowClient

TRACKED = "quantlake"
"""Name of the MLflow experiment of the trainings."""
FINGERPRINT_TAG = "quantlake.fingerprint"
CLAIM, MARKET_TAG = "quantlake", "quantlake.market"
"""Experiment of a tracking server, and its tag, that say which market's models are in it."""
PARENT_TAG, NOTE_TAG = "mlflow.parentRunId", "mlflow.note.content"
"""Tags of MLflow's own: the run that a run is shown below, and a description in markdown."""
KIND = {"mlflow.experimentKind": "custom_model_development"}
"""Tag of an experiment whose page shows runs and charts; without it MLflow opens one for language models."""
PURPOSE = (
    "One run per model and training: parameters, scores of the walk-forward evaluation, plots, the fitted model, and "
    "the tables it learnt from. The trials of a parameter search are the runs below its run."
)
"""What the list of experiments says of `TRACKED`."""
MOST_KEYS = 40
"""More metric keys than this freeze the charts of the tracking UI."""


@dataclass(frozen=True)
class Measure:
    """One number of a run.

    Parameters
    ----------
    key
        Its name; a number followed over folds or epochs keeps its name and changes its step.
    value
        The number.
    step
        Test year of a fold, number of an epoch or a trial; 0 where there is only one.
    """

    key: str
    value: float
    step: int = 0


class Tracker:
    """The tracking store of one experiment.

    Parameters
    ----------
    settings
        Say where the store is.
    experiment, purpose
        Name that the runs are listed under, and its description in the web UI.
    """

    def __init__(self, settings: Settings, experiment: str, purpose: str = "") -> None:
        self._client, self._experiment = open_store(settings, experiment, purpose)

    def run(self, name: str, fingerprint: str, parent: str | None = None) -> str:
        """Return the id of the run of that name and fingerprint; it is created the first time.

        Everything that is learnt about one model from the same data and experiment ends up in one run, whichever
        stage learns it. It says which commit of the code made it.

        Parameters
        ----------
        parent
            Run that it is shown below, as a trial is below its search.
        """
        wanted = f"tags.`{FINGERPRINT_TAG}` = '{fingerprint}' and attributes.run_name = '{name}'"
        found = self._client.search_runs([self._experiment], wanted, max_results=1)
        if found:
            return str(found[0].info.run_id)
        tags = {FINGERPRINT_TAG: fingerprint, **source_tags("training.stages")}
        tags |= {PARENT_TAG: parent} if parent else {}
        made = self._client.create_run(self._experiment, run_name=name, tags=tags)
        return str(made.info.run_id)

    def log(
        self,
        run_id: str,
        *,
        parameters: Mapping[str, Any] | None = None,
        measures: Iterable[Measure] = (),
        tags: Mapping[str, Any] | None = None,
        files: Mapping[str, Iterable[Path]] | None = None,
        tables: Iterable[LearntTable] = (),
        note: str = "",
    ) -> None:
        """Add to a run and close it.

        Parameters
        ----------
        parameters
            What the model was fitted with; logging another value for the same name is refused by the store.
        measures
            At most `MOST_KEYS` different keys.
        tags
            What it was made from; values that are no text become JSON.
        files
            Files or folders by the folder of the run they go to; "" is its top.
        tables
            What was learnt from; logging the same again adds nothing.
        note
            Description in markdown, the one shown beside the run.
        """
        from mlflow.entities import Metric, Param, RunTag

        numbers = list(measures)
        keys = {measure.key for measure in numbers}
        if len(keys) > MOST_KEYS:
            raise ConfigError(
                f"A run was given {len(keys)} metric keys, at most {MOST_KEYS} are shown well. Use steps for folds and "
                "epochs, and a table for symbols."
            )
        now, described = int(time.time() * 1000), {**({NOTE_TAG: note} if note else {}), **(tags or {})}
        self._client.log_batch(
            run_id,
            metrics=[Metric(measure.key, measure.value, now, measure.step) for measure in numbers],
            params=[Param(name, str(value)) for name, value in (parameters or {}).items()],
            tags=[RunTag(name, _text(value)) for name, value in described.items()],
        )
        if inputs := [table.as_input() for table in tables]:
            self._client.log_inputs(run_id, inputs)
        for place, paths in (files or {}).items():
            for path in paths:
                add = self._client.log_artifacts if path.is_dir() else self._client.log_artifact
                add(run_id, str(path), place or None)
        self._client.set_terminated(run_id)


def open_store(settings: Settings, experiment: str, purpose: str = "") -> "tuple[MlflowClient, str]":
    """Return a client of the tracking store and the id of an experiment in it, made the first time; say nothing.

    The artefact addresses of a local store are those of this home afterwards, wherever the home was before.

    Parameters
    ----------
    purpose
        Description of the experiment in the web UI; one that was edited there stays.
    """
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ.setdefault("MLFLOW_ALLOW_PICKLE_DESERIALIZATION", "false")
    from mlflow import MlflowClient

    for name in ("mlflow", "alembic"):
        logging.getLogger(name).setLevel(logging.WARNING)
    is_local = settings.mlflow_tracking_uri is None
    if is_local:
        settings.mlflow.mkdir(parents=True, exist_ok=True)
        localize(settings)
    place = artifact_root(settings) if is_local else None
    with warnings.catch_warnings():
        # MLflow 3.17 maps its tables in a way that SQLAlchemy means to drop; both versions are pinned.
        warnings.filterwarnings("ignore", message=".*noload.*")
        client = MlflowClient(tracking_uri=settings.tracking_uri, registry_uri=settings.tracking_uri)
        if not is_local:
            _require_own_server(client, settings.declared_market.name)
        found = client.get_experiment_by_name(experiment)
    tags = KIND | ({NOTE_TAG: purpose} if purpose else {})
    made = found.experiment_id if found else client.create_experiment(experiment, artifact_location=place, tags=tags)
    for name in tags.keys() - found.tags.keys() if found else ():
        client.set_experiment_tag(made, name, tags[name])
    if not found:
        localize(settings)  # a store made just now has an experiment of MLflow's own
    return client, str(made)


def _require_own_server(client: "MlflowClient", market: str) -> None:
    """Claim a tracking server for a market, or refuse the one of another: registered models have the same names.

    Raises
    ------
    ConfigError
        Naming the other market, and what to do.
    """
    from mlflow.exceptions import MlflowException

    found = client.get_experiment_by_name(CLAIM)
    if found is None:
        with suppress(MlflowException):  # another process of this market makes it at this moment
            client.create_experiment(CLAIM, tags={MARKET_TAG: market})
        found = client.get_experiment_by_name(CLAIM)
    held = found.tags.get(MARKET_TAG) if found else market
    if held is None and found:
        client.set_experiment_tag(found.experiment_id, MARKET_TAG, market)
    elif held != market:
        raise ConfigError(
            f"The tracking server of MLFLOW_TRACKING_URI holds the models of the market '{held}', and this home is of "
            f"'{market}': each would promote under the other's names. Nothing was written. Give each market its own "
            f"server, or unset MLFLOW_TRACKING_URI; delete the experiment '{CLAIM}' if the other market is gone."
        )


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, sort_keys=True, default=str)
