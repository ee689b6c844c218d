"""Small seeded windows for the tests of fitting and judging."""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from feature_repo.targets import FORECAST_V2, HORIZONS
from lake.calendars import session_closes
from lake.ledger import TrialLedger
from lake.store import Lake
from training.data import WindowSet
from training.experiments import Experiment, parse_experiment
from training.models.volatility import NaiveForecaster

MakeWindows = Callable[..., WindowSet]
NOW = datetime(2012, 12, 31, 21, tzinfo=UTC)


@pytest.fixture(scope="session")
def make_windows() -> MakeWindows:
    """Return a maker of windows over consecutive sessions: seeded noise, and as much signal as is asked for."""
    return _make


@pytest.fixture
def ledger(tmp_path: Path) -> TrialLedger:
    """Return an empty trial ledger."""
    return TrialLedger(Lake(tmp_path / "tables"), NOW, data="rows", code="code")


@pytest.fixture(scope="session")
def tiny() -> Experiment:
    """Return an experiment of seconds."""
    return parse_experiment(
        {
            "name": "tiny",
            "splits": {"validation_sessions": 40, "train_stride_sessions": 5, "test_stride_sessions": 10},
            "optimisation": {"epochs": 2, "batch_windows": 64, "threads": 1},
            "search": {"trials": 3, "startup_trials": 2, "epochs": 2, "hidden": [4, 8]},
            "parameters": {
                "ridge": {"penalty": 10},
                "lightgbm": {"rounds": 3, "leaves": 4, "rows_per_leaf": 20},
                "lstm": {"hidden": 4, "learning_rate": 0.01},
                "tft": {"hidden": 4, "heads": 1, "learning_rate": 0.01},
            },
        }
    )


def _make(
    symbols: int = 3,
    *,
    start: datetime = datetime(2008, 1, 1, tzinfo=UTC),
    end: datetime = datetime(2008, 7, 1, tzinfo=UTC),
    signal: float = 0.0,
    seed: int = 0,
) -> WindowSet:
    """Return one window per symbol and session; `signal` is how far the first feature moves the return, in sigmas."""
    random = np.random.default_rng(seed)
    sessions = session_closes(start, end)
    sessions, ends = sessions[: -max(HORIZONS)], sessions[max(HORIZONS) :]
    count, (length, features) = len(sessions) * symbols, FORECAST_V2.shape
    values = random.standard_normal((count, length, features))
    volatility = 0.2 + 0.2 * random.random((count, length))
    for name in (*FORECAST_V2.scales, *NaiveForecaster.volatilities):
        values[..., FORECAST_V2.features.index(name)] = volatility
    sigma = volatility[:, -1, None] * np.sqrt(np.array(HORIZONS) / 252)  # [window, horizon]
    y = sigma * (signal * values[:, -1, 0, None] + random.standard_normal((count, len(HORIZONS))))
    keys = pl.DataFrame(
        {
            "symbol": [f"S{number}" for number in range(symbols)] * len(sessions),
            "event_time": [at for at in sessions for _ in range(symbols)],
            "label_end": [at for at in ends for _ in range(symbols)],
        },
        schema_overrides={name: pl.Datetime("us", "UTC") for name in ("event_time", "label_end")},
    )
    x = np.concatenate([values, np.ones_like(values)], axis=-1).astype(np.float32)
    return WindowSet(x, y.astype(np.float32), keys)
