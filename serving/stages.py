"""The stages between training and feedback as plain functions: put the champions in service, and forecast with them."""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import polars as pl

from feature_repo.targets.windows import FORECAST_V2
from lake.care import pin
from lake.clock import Clock
from lake.errors import ModelError
from lake.market import Market
from lake.report import Report
from lake.settings import Settings
from lake.store import Lake
from lake.tables import EVALUATIONS, FORECASTS, REGIMES, VERDICTS
from serving.backfill import forecast_trials, score_newest
from serving.deployment import LoadedModels, deployment_or_none
from serving.deployment.registry import register_and_promote, version_in_service
from serving.engines import PARITY_WINDOWS, Background, Bundle, choose_background
from serving.explanation_log import drain_explanations
from serving.forecast_log import drain
from serving.recommendation_log import drain_recommendations

if TYPE_CHECKING:
    from training.data import WindowSet

Say = Callable[[str], None]

PROOF_WINDOWS = 2 * PARITY_WINDOWS
"""Newest training windows that an export is proved on."""


def promote_champions(lake: Lake, settings: Settings, clock: Clock, experiment: Any, say: Say) -> Report:
    """Export every model of the latest training, prove the export, and put it in service.

    A model whose forecasts do not vary is refused: the one in service before stays, or none. One that does not beat the
    best baseline in the walk-forward evaluation is put in service, so that its forecasts are logged and judged on
    paper, and `warnings` says so: no answer gives it a weight.

    Parameters
    ----------
    experiment
        The experiment the champions were fitted under (`training.experiments.Experiment`).

    Returns
    -------
    Report
        One row per model put in service; `details` has version, digest, bytes and parity of each: the largest
        difference of a quantile between export and trained model, and on how many windows. Skipped when all were in
        service. The verdicts of a model are in the evidence of its row in `promotions`.

    Raises
    ------
    ParityError
        If an export does not compute what the trained model does; the models in service stay as they are.
    """
    from training.stages import champions

    started = time.perf_counter()
    training = _Training(lake, settings, experiment)
    promoted: list[dict[str, Any]] = []
    bundles: list[Bundle] = []
    warnings: list[str] = []
    added = 0
    for name, champion in champions(settings).items():
        if champion["is_constant"]:
            warnings.append(_refusal(name, champion["variation"], deployment_or_none(settings).versions.get(name)))
            say(warnings[-1])
            continue
        folder = settings.models / "exports" / champion["fingerprint"][:16] / name
        bundle = _exported(folder, name)
        if bundle is None:
            bundle = _export(name, champion, training, folder)
            say(
                f"{name} exported: torch and ONNX Runtime differ by {bundle.parity.max_absolute_difference:.1e} at most"
            )
        pin(lake, f"model:{bundle.digest}", bundle.signature.table_versions)
        verdicts = _verdicts(lake, champion["experiment"], name)
        warnings += [_on_paper(verdict, lake.market) for verdict in verdicts if _is_beaten(verdict)]
        scores = _scores(lake, champion["experiment"], name)
        evidence = {"scores": scores, "verdicts": verdicts, "run_id": champion["run_id"]}
        report = register_and_promote(bundle, lake, settings, clock=clock, evidence=evidence)
        bundles.append(bundle)
        added += report.added
        promoted.append(_row(bundle, report))
    if added:  # each promotion changed the registry, which the next run need not ask again
        for bundle in bundles:
            version_in_service(bundle, lake, settings)
    done = Report("served_models", rows=len(promoted), added=added, seconds=time.perf_counter() - started)
    report = done.with_details(models=promoted, warnings=tuple(warnings))
    return report if added else _skipped(report, "every champion is in service already")


def update_forecasts(
    lake: Lake, settings: Settings, clock: Clock, say: Say, *, models: LoadedModels, sessions: int = 250
) -> Report:
    """Drain the logs of forecasts, explanations and recommendations, and forecast what has no forecast yet.

    The models in service and the versions on trial forecast each session that they have not forecast.

    Parameters
    ----------
    models
        Champions and challengers, loaded.
    sessions
        How many sessions a model that never forecast is taken through; see `serving.backfill.scoring.score_newest`.

    Returns
    -------
    Report
        Of `forecasts`; skipped when none of them brought a row. ``details`` count the rows: ``served`` in all,
        ``replayed`` by model, ``trials`` by model and version, ``explanations`` and ``recommendations`` that were
        brought in.
    """
    started = time.perf_counter()
    served = drain(lake, settings)
    if served.added:
        say(f"{served.added:,} answers of the service brought in")
    explained = drain_explanations(lake, settings)
    if explained.added:
        say(f"{explained.added:,} explanations of the service brought in")
    advised = drain_recommendations(lake, settings)
    if advised.added:
        say(f"{advised.added:,} recommendations of the service brought in")
    scored = score_newest(lake, models.engines, clock, sessions=sessions)
    if scored.added:
        say(f"{scored.added:,} forecasts made, sessions replayed: {scored.details.get('sessions', 0)}")
    tried = forecast_trials(lake, models.challengers, clock)
    if tried.added:
        say(f"{tried.added:,} forecasts made by versions on trial: {', '.join(tried.details['trials'])}")
    report = lake.report(FORECASTS, added=served.added + scored.added + tried.added, started=started)
    counts = scored.details.get("scored", scored.details.get("replayed", {}))
    report = report.with_details(
        served=served.added,
        replayed=counts,
        trials=tried.details["trials"],
        explanations=explained.added,
        recommendations=advised.added,
        warnings=explained.warnings + advised.warnings + tried.warnings,
    )
    if report.skipped:
        return report.with_details(reason="every model has forecast every session, and no answer waits")
    return report


@dataclass(frozen=True)
class _Training:
    """What the exports of one training share; read when the first of them is made."""

    lake: Lake
    settings: Settings
    experiment: Any

    @cached_property
    def proof(self) -> npt.NDArray[np.float32]:
        """Model inputs that exports are proved on."""
        return self._windows.newest(PROOF_WINDOWS).x

    @cached_property
    def background(self) -> Background:
        """Typical windows of the training, by the regimes as they were known at its end."""
        regimes = self.lake.read_as_of(REGIMES, self.experiment.knowledge_end).select("event_time", "regime")
        return choose_background(self._windows.x, self._windows.keys, regimes, FORECAST_V2.features)

    @cached_property
    def _windows(self) -> "WindowSet":
        from training.stages import load_windows

        return load_windows(self.lake, self.settings, self.experiment)


def _exported(folder: Path, name: str) -> Bundle | None:
    """Return the export in a folder; None where there is none that holds together and has what explains the model."""
    from training.models import card_of

    try:
        found = Bundle.load(folder)
    except ModelError:
        return None
    lacks = found.background is None or (card_of(name).has_attention and found.explain_content is None)
    return None if lacks else found


def _export(name: str, champion: dict[str, Any], training: _Training, folder: Path) -> Bundle:
    from serving.engines.export import export_model
    from training.fit import load_fitted

    network = load_fitted(champion["path"]).network
    return export_model(
        network,
        name,
        FORECAST_V2,
        champion["versions"],
        training.proof,
        folder,
        train_until=datetime.fromisoformat(champion["train_until"]),
        horizons=network.outputs.horizons,
        background=training.background,
    )


def _scores(lake: Lake, experiment: str, model: str) -> list[dict[str, Any]]:
    """Overall walk-forward scores of a model, by horizon."""
    overall = (pl.col("experiment") == experiment) & (pl.col("model") == model) & (pl.col("fold") == "overall")
    rows = lake.read(EVALUATIONS, where=overall).sort("horizon_sessions").to_dicts()
    kept = (
        "horizon_sessions",
        "pinball_loss",
        "mean_absolute_error",
        "information_coefficient",
        "coverage",
        "beats_naive",
        "advantage_t",
    )
    return [{name: row[name] for name in kept} for row in rows]


def _verdicts(lake: Lake, experiment: str, model: str) -> list[dict[str, Any]]:
    """Walk-forward verdicts of a model beside the best baseline, by horizon; none where it was not judged."""
    if not lake.exists(VERDICTS):
        return []
    is_ours = (pl.col("experiment") == experiment) & (pl.col("model") == model)
    rows = lake.read(VERDICTS, where=is_ours).sort("horizon_sessions")
    return rows.drop("experiment", "event_time", "known_time").to_dicts()


def _is_beaten(verdict: dict[str, Any]) -> bool:
    return not verdict["is_baseline"] and not verdict["beats_best_baseline"]


def _on_paper(verdict: dict[str, Any], market: Market) -> str:
    """Say that a model which does not beat the best baseline counts for nothing in an answer."""
    ahead = market.horizon_of(verdict["horizon_sessions"])
    return (
        f"{verdict['model']} does not beat {verdict['best_baseline']} {ahead} ahead (pinball loss "
        f"{verdict['gain']:+.2%}, adjusted p {verdict['p_value']:.2g}): it is in service on paper, and has no weight "
        "in answers."
    )


def _refusal(model: str, variation: str, version: str | None) -> str:
    """Say why a fit that does not vary is not put in service, and what is there instead."""
    from training.models import SMALLEST_DEVIATION

    instead = f"Version {version} stays in service" if version else f"No version of '{model}' is in service"
    return (
        f"{model} was not put in service: its forecasts over the newest windows do not vary beyond their volatility "
        f"(standard deviations: {variation}; expected one of {SMALLEST_DEVIATION} at least). {instead}. Give "
        f"optimisation.epochs, optimisation.epoch_windows or parameters.{model}.learning_rate of the experiment more, "
        "and train again."
    )


def _row(bundle: Bundle, report: Report) -> dict[str, Any]:
    return {
        "model": bundle.name,
        "version": report.details["model_version"],
        "digest": bundle.digest[:12],
        "bytes": len(bundle.content),
        "largest_difference": bundle.parity.max_absolute_difference,
        "windows_compared": bundle.parity.windows,
    }


def _skipped(report: Report, reason: str) -> Report:
    return replace(report, skipped=True).with_details(reason=reason)
