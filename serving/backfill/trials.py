"""Forecasts of versions on trial: each challenger on its own, at every close since its trial began."""

import time
from typing import TYPE_CHECKING

import polars as pl

from feature_repo.targets import FORECAST_V2, WindowSpec
from lake.errors import EngineError
from lake.report import Report
from lake.tables import FORECASTS
from serving.backfill.walk_forward import Walk, forecast_sessions, pending_sessions
from serving.forecasts import TRIAL

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from lake.clock import Clock
    from lake.store import Lake
    from serving.deployment import LoadedChallenger


def forecast_trials(
    lake: "Lake", challengers: "Sequence[LoadedChallenger]", clock: "Clock", spec: WindowSpec = FORECAST_V2
) -> Report:
    """Forecast the sessions of each trial that its version has not forecast yet, for each symbol and horizon.

    A version forecasts on its own, neither blended nor calibrated, whether or not its model has a weight in the blend,
    and for every symbol: the share of a trial concerns answers. The first call after a trial began forecasts the newest
    session; later ones go on from there, so that no session in between is left out. Sessions that the version was
    trained on, and those before the trial, are never forecast.

    Parameters
    ----------
    challengers
        Loaded versions on trial.

    Returns
    -------
    Report
        Of `forecasts`; ``details["trials"]`` counts the new forecasts by model and version, as ``"lstm 4"``. A version
        whose engine fails is named in ``warnings`` and tried again by the next call: it keeps no other from its work.
    """
    started, added = time.perf_counter(), 0
    counts: dict[str, int] = {}
    warnings: list[str] = []
    for challenger in challengers:
        trial, engine = challenger.trial, challenger.loaded.engine
        pending = [at for at in _pending(lake, challenger, clock) if at > engine.signature.train_until]
        if not pending:
            continue
        try:
            made = forecast_sessions(lake, [Walk(engine, pending)], TRIAL, spec)
        except EngineError as error:
            warnings.append(
                f"Version {trial.version} of '{trial.model}', which is on trial, has not forecast: {error} The next "
                f"update tries again; `quantlake models rollback {trial.model}` ends the trial."
            )
            continue
        added += made.added
        if made.added:
            counts[f"{trial.model} {trial.version}"] = made.added
    report = lake.report(FORECASTS, added=added, started=started) if lake.exists(FORECASTS) else Report(FORECASTS.name)
    return report.with_details(trials=counts, warnings=tuple(warnings))


def _pending(lake: "Lake", challenger: "LoadedChallenger", clock: "Clock") -> "list[datetime]":
    """Sessions since the first that was forecast in this trial, by now the newest one, without a forecast so far.

    A forecast that the same version made in an earlier trial is not made again, and does not say where this one began.
    """
    trial = challenger.trial
    if not lake.exists(FORECASTS):
        return pending_sessions(lake, clock, (), None, 1)
    is_mine = (
        (pl.col("kind") == TRIAL)
        & (pl.col("model_name") == trial.model)
        & (pl.col("model_version") == trial.version)
        & (pl.col("model_digest") == trial.digest)
    )
    rows = lake.scan(FORECASTS).filter(is_mine).select("event_time", "made_at").unique().collect()
    of_this_trial = rows.filter(pl.col("made_at") >= trial.since)["event_time"].to_list()
    return pending_sessions(lake, clock, rows["event_time"].to_list(), min(of_this_trial, default=None), 1)
