"""Sample models for a generated market: fitted in seconds on a few of its symbols."""

from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from feature_repo.catalog import FEATURES_TECHNICAL
from feature_repo.targets import FORECAST_V2
from lake.clock import Clock
from lake.settings import Settings
from lake.store import Lake
from lake.tables import LABELS, REGIMES
from serving.deployment.registry import register_and_promote
from serving.engines import choose_background
from serving.engines.export import export_model

if TYPE_CHECKING:
    from datetime import datetime

    from training.data import WindowSet

EXPERIMENT = "test"
SYMBOLS, STRIDE_SESSIONS = 60, 5
"""How many symbols, and every which session, the models are fitted on."""


def put_sample_models_in_service(
    lake: Lake, settings: Settings, clock: Clock, say: Callable[[str], None], models: tuple[str, ...] = ()
) -> list[str]:
    """Fit the models of the experiment `test` on a few symbols, export them with their proof, and promote them.

    Parameters
    ----------
    models
        Which ones; by default all of the experiment.

    Returns
    -------
    list[str]
        Names of the models in service.
    """
    from training.experiments import load_experiment
    from training.fit import fit_model

    experiment, windows = load_experiment(EXPERIMENT), _windows(lake, clock)
    experiment = experiment.model_copy(update={"calendar": lake.market.grid})
    order = windows.keys["event_time"].arg_sort().to_numpy().astype(np.int64)
    cut = len(order) * 3 // 4
    train, valid = windows.take(order[:cut]), windows.take(order[cut:])
    names = models or tuple(experiment.models)
    until: datetime = windows.keys.select(pl.col("label_end").max()).item()
    versions = lake.versions([FEATURES_TECHNICAL])
    regimes = lake.read_as_of(REGIMES, clock.now()).select("event_time", "regime")
    background = choose_background(windows.x, windows.keys, regimes, FORECAST_V2.features)
    for name in names:
        fitted = fit_model(name, train, valid, experiment)
        with TemporaryDirectory() as folder:
            bundle = export_model(
                fitted.network,
                name,
                FORECAST_V2,
                versions,
                windows.x[-2_000:],
                Path(folder) / name,
                train_until=until,
                horizons=windows.horizons,
                background=background,
            )
            register_and_promote(bundle, lake, settings, clock=clock)
        say(f"{name} fitted on {len(train):,} windows, exported and in service")
    return list(names)


def _windows(lake: Lake, clock: Clock) -> "WindowSet":
    """Windows of some symbols that end before the newest session, with their outcomes."""
    from training.data import build_window_set

    features = lake.scan(FEATURES_TECHNICAL)
    some = features.select("symbol").unique().sort("symbol").head(SYMBOLS).collect()["symbol"]
    is_sampled = pl.col("symbol").is_in(some.implode())
    at = features.select("event_time").unique().sort("event_time").collect()["event_time"].gather_every(STRIDE_SESSIONS)
    rows = lake.read_as_of(FEATURES_TECHNICAL, clock.now(), where=is_sampled)
    labels = lake.read_as_of(LABELS, clock.now(), where=is_sampled)
    return build_window_set(rows, labels, at=at.to_list(), horizons=lake.market.horizon_bars)
