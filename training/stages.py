"""The stages of training as plain functions, for an asset, a verb or a notebook cell; each does nothing twice."""

import json
import time
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

import polars as pl

from lake.care import pin
from lake.clock import FixedClock
from lake.disk import write_durably
from lake.errors import DamagedFileError, NotReadyError
from lake.ledger import TrialLedger, families_of
from lake.report import Report
from lake.settings import Settings
from lake.sources import caveats_of
from lake.store import Lake, digest_of_file
from lake.store import forget_verified_files as forget_verified
from lake.tables import EVALUATIONS, LABELS, VERDICTS
from training.data import (
    WindowSet,
    assert_learnt_before,
    assert_no_overlap,
    build_window_set,
    champion_split,
    sessions_of,
    walk_forward,
)
from training.experiments import Experiment, Workspace
from training.ledger import ledger_of, model_families
from training.models import card_of
from training.runs import FRAME, TARGETS, TRAINING_SET, track, track_trials
from training.tracking import Measure, Progress, no_progress

if TYPE_CHECKING:
    from datetime import datetime

    from training.judge import FoldForecast

TUNED, EVALUATED, CHAMPIONS = "tuned_parameters", "evaluations", "trained_models"
"""The stages after the training set, by the assets that run them."""
SHOWN = ("windows", "epochs", "seconds", "seed", "is_constant", "run_id")
"""What a report says of each fitted model."""
SCORES = ("model", "horizon_sessions", "pinball_loss", "coverage", "hit_rate", "beats_naive")
"""What it says of each judged one; `evaluations` has every score."""


def make_training_set(
    lake: Lake, settings: Settings, experiment: Experiment, progress: Progress = no_progress
) -> Report:
    """Retrieve the frame that models learn from through Feast, and keep it with the table versions it was read from.

    Returns
    -------
    Report
        Of the frame: rows known at the end of knowledge, nothing later. `details` has its path, the table versions and
        the fingerprint of the training.

    Raises
    ------
    ConfigError
        If the experiment declares a horizon that the market does not.
    """
    started = time.perf_counter()
    experiment.horizon_bars(lake.market)  # one that the market does not declare is said before anything is read
    work = Workspace(lake, settings, experiment)
    record, was_done = work.once(TRAINING_SET, lambda: _retrieve(work, progress))
    first, last = (
        pl.scan_parquet(work.folder / FRAME)
        .select(pl.col("event_time").min().alias("first"), pl.col("event_time").max().alias("last"))
        .collect()
        .row(0)
    )
    report = Report(TRAINING_SET, rows=record["rows"], added=0 if was_done else record["rows"], first=first, last=last)
    return _completed(report, work, was_done, started).with_details(
        path=work.folder / FRAME, versions=record["versions"]
    )


def tune(lake: Lake, settings: Settings, experiment: Experiment, progress: Progress = no_progress) -> Report:
    """Search the parameters of the networks before the first test interval begins.

    Returns
    -------
    Report
        `details` has the parameters found, and the validation loss they reached beside that of the declared ones.
    """
    started = time.perf_counter()
    work = Workspace(lake, settings, experiment)
    found, was_done = work.once(TUNED, lambda: _search(work, progress))
    report = Report(TUNED, rows=sum(result["trials"] for result in found.values()))
    return _completed(report, work, was_done, started).with_details(**found)


def evaluate(lake: Lake, settings: Settings, experiment: Experiment, progress: Progress = no_progress) -> Report:
    """Judge every model walk-forward, write the model table into `evaluations`, and track plots and figures.

    Returns
    -------
    Report
        Of `evaluations`; `details` has the model table over all folds, the verdicts against the best baseline, which
        are in the table `verdicts` too, what the trial ledger said of each family when they were judged, and the plots;
        `warnings` names the models that beat no baseline.
    """
    started = time.perf_counter()
    work = Workspace(lake, settings, experiment)
    record, was_done = work.once(EVALUATED, lambda: _judge(work, progress))
    report = _completed(lake.report(EVALUATIONS, added=0 if was_done else record["added"]), work, was_done, started)
    plots = {name: work.folder / path for name, path in record["plots"].items()}
    return report.with_details(
        model_table=record["model_table"],
        verdicts=record["verdicts"],
        trial_ledger=record["ledger"],
        warnings=tuple(record["warnings"]),
        **plots,
    )


def fit_champions(lake: Lake, settings: Settings, experiment: Experiment, progress: Progress = no_progress) -> Report:
    """Fit every model on all that is known at the end of knowledge, keep it, and point `champions` at it.

    Returns
    -------
    Report
        One row per model; `details` has windows, epochs, seconds and seed of each, whether it is constant, and its run.
    """
    started = time.perf_counter()
    work = Workspace(lake, settings, experiment)
    fitted, was_done = work.once(CHAMPIONS, lambda: _fit(work, progress))
    pointer = settings.home / "training" / "champions.json"
    current = {"label": work.label, "folder": work.folder.name}
    if not pointer.is_file() or json.loads(pointer.read_text(encoding="utf-8")) != current:
        write_durably(pointer, json.dumps(current, indent=1))
    report = Report(CHAMPIONS, rows=len(fitted), added=0 if was_done else len(fitted))
    models = [{"model": name} | {key: model.get(key) for key in SHOWN} for name, model in fitted.items()]
    return _completed(report, work, was_done, started).with_details(models=models)


def champions(settings: Settings) -> dict[str, dict[str, Any]]:
    """Return where the models of the latest training lie, by name.

    Returns
    -------
    dict
        For each model ``path`` (a folder for `training.fit.load_fitted`), ``run_id`` (in the tracking store),
        ``fingerprint`` of the training, ``versions`` of the tables it learnt from, ``experiment`` (as in the table
        `evaluations`), ``train_until`` (ISO instant), ``seed``, ``is_constant`` (its forecasts do not vary, and it
        is no baseline) and ``variation`` (how much they vary, a sentence).

    Raises
    ------
    NotReadyError
        If no training was finished yet.
    """
    pointer = settings.home / "training" / "champions.json"
    if not pointer.is_file():
        command = settings.declared_market.first_run
        raise NotReadyError(f"No models were trained yet: there is no {pointer}. Train them with `{command}`.")
    current = json.loads(pointer.read_text(encoding="utf-8"))
    folder = pointer.parent / current["folder"]
    shared = json.loads((folder / f"{TRAINING_SET}.json").read_text(encoding="utf-8"))
    fitted = json.loads((folder / f"{CHAMPIONS}.json").read_text(encoding="utf-8"))
    return {
        name: {
            "path": folder / model["path"],
            "run_id": model["run_id"],
            "seed": model["seed"],
            "is_constant": model.get("is_constant", False),  # trainings of earlier versions did not say
            "variation": model.get("variation", "not measured"),
            "experiment": current["label"],
            **{key: shared[key] for key in ("fingerprint", "versions", "train_until")},
        }
        for name, model in fitted.items()
    }


def load_windows(lake: Lake, settings: Settings, experiment: Experiment) -> WindowSet:
    """Return the windows of the training set, for a closer look.

    Raises
    ------
    NotReadyError
        If the training set was not made yet.
    """
    return _windows(Workspace(lake, settings, experiment))


def _retrieve(work: Workspace, progress: Progress) -> dict[str, Any]:
    from feature_repo.retrieval import training_frame

    forget_verified()  # a bit that flipped since this process read a file must not be learnt from
    progress("retrieving the training frame through Feast's point-in-time join")
    end = work.experiment.knowledge_end
    retrieved = training_frame(work.lake, work.settings, clock=FixedClock(end))
    frame = retrieved.frame.sort("symbol", "event_time")
    labels = work.lake.read_as_of(LABELS, end)
    frame.write_parquet(work.folder / FRAME)
    labels.write_parquet(work.folder / TARGETS)
    versions = retrieved.versions | work.lake.versions([LABELS])
    pin(work.lake, f"training:{work.fingerprint}", versions)
    progress(f"{frame.height:,} rows of features and {labels.height:,} labels known by {end:%Y-%m-%d}")
    return {
        "fingerprint": work.fingerprint,
        "rows": frame.height,
        "labels": labels.height,
        "versions": versions,
        "digests": {name: digest_of_file(work.folder / name) for name in (FRAME, TARGETS)},
        "train_until": end.isoformat(),
        "experiment": work.experiment.model_dump(mode="json"),
    }


def _search(work: Workspace, progress: Progress) -> dict[str, Any]:
    from training.fit import search_parameters

    windows = _windows(work)
    split = walk_forward(windows.keys, work.experiment)[0]
    train, valid, _ = windows.parts_of(split)
    assert_no_overlap(split, train.keys, valid.keys)
    found = {}
    for name in work.experiment.tuned:
        result = search_parameters(
            name, train, valid, work.experiment, work.folder, ledger=_ledger(work), progress=progress
        )
        found[name] = asdict(result)
        if result.constant == result.trials:
            progress(
                f"{name}: the forecasts of none of {result.trials} trials vary, so the declared parameters stay. "
                "Give search.epochs or optimisation.epoch_windows of the experiment more."
            )
        measures = [Measure("trial_loss", loss, number) for number, loss in enumerate(result.losses)]
        track_trials(work, name, track(work, name, measures=measures, tags={"search": found[name]}))
    return found


def _judge(work: Workspace, progress: Progress) -> dict[str, Any]:
    from training.judge import (
        OVERALL,
        compare_with_best_baseline,
        forecast_folds,
        score_folds,
        verdict_table,
    )

    experiment, windows, parameters = work.experiment, _windows(work), _parameters(work)
    forecasts = forecast_folds(windows, experiment, parameters, ledger=_ledger(work), progress=progress)
    now = work.settings.clock.now()
    stride, grid = experiment.splits.test_stride_sessions, experiment.calendar
    table = score_folds(forecasts, experiment=work.label, known_time=now, stride_sessions=stride, grid=grid)
    report = work.lake.merge(EVALUATIONS, table)
    judged = verdict_table(forecasts, experiment=work.label, known_time=now, stride_sessions=stride, grid=grid)
    work.lake.merge(VERDICTS, judged)
    plots: dict[str, str] = {}
    for name in experiment.models:
        ours = [forecast for forecast in forecasts if forecast.model == name]
        plots |= _publish(work, name, ours, table.filter(pl.col("model") == name), parameters)
    verdicts = compare_with_best_baseline(forecasts, stride_sessions=stride, grid=grid)
    sentences, warnings = list(map(str, verdicts)), [str(verdict) for verdict in verdicts if not verdict.beats]
    for sentence in sentences:
        progress(sentence)
    overall = table.filter(pl.col("fold") == OVERALL).select(SCORES)
    return {
        "added": report.added,
        "model_table": overall.to_dicts(),
        "verdicts": sentences,
        "warnings": warnings,
        "ledger": [str(family) for family in families_of(work.lake, now, _families(work, windows))],
        "plots": plots,
    }


def _families(work: Workspace, windows: WindowSet) -> list[str]:
    return model_families(work.experiment.models, windows.horizons, work.experiment.calendar)


def _publish(
    work: Workspace, name: str, forecasts: "list[FoldForecast]", table: pl.DataFrame, parameters: dict[str, Any]
) -> dict[str, str]:
    """Draw the plots of one model and add them, with its scores, to its run; return the plots within the folder.

    Of several seeds the first is drawn; scores are means over all.
    """
    from training.judge import measures_of, plot_calibration, plot_forecast_against_truth

    folder, caveats, grid = work.folder / "plots", _caveats(work), work.experiment.calendar
    first = [forecast for forecast in forecasts if forecast.seed == forecasts[0].seed]
    forecasts_path, calibration_path = (folder / f"{name}_{what}.png" for what in ("forecasts", "calibration"))
    drawn = {
        f"{name}_forecast_against_truth": plot_forecast_against_truth(first, grid, forecasts_path, caveats=caveats),
        f"{name}_calibration": plot_calibration(first, grid, calibration_path),
    }
    measures, tags = measures_of(table), {"caveats": "\n".join(caveats)}
    track(work, name, parameters=parameters[name], measures=measures, tags=tags, files={"plots": drawn.values()})
    return {key: str(path.relative_to(work.folder)) for key, path in drawn.items()}


def _caveats(work: Workspace) -> tuple[str, ...]:
    return caveats_of(work.settings.source_name, work.lake.market, work.lake, work.settings.clock.now())


def _fit(work: Workspace, progress: Progress) -> dict[str, Any]:
    from training.fit import fit_best, save_fitted

    windows, parameters = _windows(work), _parameters(work)
    split = champion_split(windows.keys, work.experiment)
    train, valid, _ = windows.parts_of(split)
    assert_no_overlap(split, train.keys, valid.keys)
    found: dict[str, Any] = {}
    for name in work.experiment.models:
        started = time.perf_counter()
        fitted = fit_best(name, train, valid, work.experiment, parameters[name], ledger=_ledger(work))
        assert_learnt_before(split, fitted.learnt_until)
        seconds, variation = time.perf_counter() - started, fitted.variation(valid.x)
        folder = save_fitted(fitted, work.folder / "models" / name)
        epochs = [Measure("validation_loss", loss, epoch) for epoch, loss in enumerate(fitted.history)]
        measures = [*epochs, Measure("fit_seconds", seconds), Measure("train_windows", fitted.learnt_from)]
        run_id = track(work, name, parameters=parameters[name], measures=measures, files={"model": [folder]})
        found[name] = {
            "path": str(folder.relative_to(work.folder)),
            "run_id": run_id,
            "seed": fitted.seed,
            "seconds": round(seconds, 2),
            "epochs": len(fitted.history),
            "epochs_of_refit": fitted.epochs,
            "windows": fitted.learnt_from,
            "labels_until": fitted.learnt_until.isoformat() if fitted.learnt_until else None,
            "is_constant": variation.is_constant and not card_of(name).is_baseline,
            "variation": str(variation),
            "parameters": fitted.parameters,
        }
        refitted = f", {fitted.epochs} of {len(fitted.history)} epochs" if fitted.history else ""
        progress(f"{name} fitted for service on {fitted.learnt_from:,} windows in {seconds:.1f} s{refitted}")
    return found


def _ledger(work: Workspace) -> TrialLedger:
    return ledger_of(work, work.read(TRAINING_SET))


def _windows(work: Workspace) -> WindowSet:
    _require_intact(work)
    frame, labels = (pl.read_parquet(work.folder / name) for name in (FRAME, TARGETS))
    first: datetime = frame.select(pl.col("event_time").min()).item()
    horizons = work.experiment.horizon_bars(work.lake.market)
    return build_window_set(frame, labels, at=sessions_of(work.experiment, first), horizons=horizons)


def _require_intact(work: Workspace) -> None:
    """Refuse a training set whose files are not those that were retrieved; one without digests is older than they."""
    for name, digest in work.read(TRAINING_SET).get("digests", {}).items():
        found = digest_of_file(work.folder / name)
        if found != digest:
            raise DamagedFileError(
                f"The training set {work.folder / name} changed since it was written: its digest is {found}, expected "
                f"{digest}. Nothing was learnt from it. Delete the folder {work.folder}, and train again with "
                f"`{work.lake.market.first_run}`."
            )


def _parameters(work: Workspace) -> dict[str, dict[str, Any]]:
    """Parameters of every model: those found for the tuned ones, the declared ones for the others."""
    tuned = work.read(TUNED)
    declared = {name: work.experiment.parameters_of(name) for name in work.experiment.models}
    return declared | {name: found["parameters"] for name, found in tuned.items()}


def _completed(report: Report, work: Workspace, was_done: bool, started: float) -> Report:
    """Add seconds, the training's label and, where it was done before, the reason to a stage's report."""
    completed = replace(report, seconds=time.perf_counter() - started, skipped=was_done).with_details(
        training=work.label
    )
    if not was_done:
        return completed
    return completed.with_details(
        reason=f"{report.name} of {work.label} is done: neither its data nor its experiment nor its code changed"
    )
