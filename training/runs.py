"""The run of a model in the tracking store: every stage of a training adds to it what it learnt."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import polars as pl

from lake.tables import LABELS
from training.experiments import Workspace
from training.tracking import PURPOSE, TRACKED, LearntTable, Measure, Tracker, finished_trials

TRAINING_SET = "training_set"
"""Stage that reads the tables, by the asset that runs it."""
FRAME, TARGETS = "frame.parquet", "labels.parquet"
"""Files that it keeps: features, and labels."""
SEARCHED = "search.sqlite"
"""File of a search's trials, as `training.fit.study` names it; an edit there would have every model fitted anew."""
NOTE = """
**{name}** of the training `{label}`: everything that was learnt about it, whichever stage learnt it.

- *Parameters*: of the search where there was one, whose trials are the runs below this one, else the declared ones.
- *Metrics*: scores of the walk-forward evaluation, as in the table `evaluations`: the step is the test year, the number
  at the end of a name the horizon in bars, and `overall_` stands for all test years together; validation loss by epoch
  of the fit for service. The verdict against the best baseline is in the table `verdicts`.
- *Datasets*: the tables as they were read; nothing was known later than {until}.
- *Artifacts*: plots of forecasts against outcomes, and the fitted model. What is served is its export, in the model
  registry under the same name, whose description leads back here.
"""


def track(
    work: Workspace,
    name: str,
    *,
    parameters: dict[str, Any] | None = None,
    measures: list[Measure],
    tags: dict[str, Any] | None = None,
    files: dict[str, Iterable[Path]] | None = None,
) -> str:
    """Add to the one run that holds all about a model from this training, and return its id."""
    tracker = Tracker(work.settings, TRACKED, PURPOSE)
    run_id = tracker.run(f"{name} {work.label}", work.fingerprint)
    record = work.read(TRAINING_SET)
    about = {
        "model": name,
        "experiment": work.label,
        "table_versions": record["versions"],
        "train_until": work.experiment.train_until,
        "seeds": work.experiment.seeds,
    }
    note = NOTE.format(name=name, label=work.label, until=f"{work.experiment.train_until:%Y-%m-%d}")
    tags = about | (tags or {})
    tables = _learnt_tables(work, record)
    tracker.log(run_id, parameters=parameters, measures=measures, tags=tags, files=files, tables=tables, note=note)
    return run_id


def track_trials(work: Workspace, name: str, search: str) -> None:
    """Show each trial of a search below the run of its model: what was tried, and what came of it."""
    tracker = Tracker(work.settings, TRACKED, PURPOSE)
    for number, trial in enumerate(finished_trials(name, work.folder / SEARCHED)):
        run_id = tracker.run(f"{name} {work.label} trial {number + 1}", work.fingerprint, parent=search)
        losses = [Measure("validation_loss", loss, epoch) for epoch, loss in trial.losses.items()]
        tracker.log(run_id, parameters=trial.parameters, measures=losses, tags={"model": name, "state": trial.state})


def _learnt_tables(work: Workspace, record: dict[str, Any]) -> list[LearntTable]:
    """The tables of a training, by the files that their rows were kept in; none of one whose files have no digest."""
    kept = {LABELS.name: TARGETS} | {name: FRAME for name in record["versions"] if name != LABELS.name}
    rows = {FRAME: record["rows"], TARGETS: record["labels"]}
    digests = record.get("digests", {})
    columns = {file: _columns(work.folder / file) for file in rows if file in digests}
    return [
        LearntTable(name, version, digests[kept[name]], rows[kept[name]], columns[kept[name]])
        for name, version in record["versions"].items()
        if kept[name] in digests
    ]


def _columns(file: Path) -> dict[str, str]:
    return {name: str(kind) for name, kind in pl.read_parquet_schema(file).items()}
