"""Similar past windows by real engines: nearest by the percentiles of training, known by then, none told twice."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from feature_repo.catalog import FEATURES_TECHNICAL
from lake.errors import NotReadyError
from lake.store import Lake
from lake.tables import FORECASTS, LABELS
from serving.deployment import Champions
from serving.explain.models import ExplainedModels
from serving.explain.remaking import RemadeForecast
from serving.explain.similar import MOST_SIMILAR, SimilarWindow, apart, similar_windows
from serving.replay import inputs_of
from support import receipts as at_home


@pytest.fixture(scope="module")
def mine(home: Any, tmp_path_factory: pytest.TempPathFactory) -> at_home.Home:
    """A home with replayed forecasts of each model alone; to read only."""
    made = at_home.copied(home.settings, tmp_path_factory.mktemp("mine") / "home", with_forecasts=False)
    assert at_home.backfill(made, 1) == 150
    return made


@pytest.fixture(scope="module")
def forecast(mine: at_home.Home) -> RemadeForecast:
    """A forecast over five sessions."""
    is_asked = (pl.col("model_name") == "ridge") & (pl.col("horizon_sessions") == 5) & (pl.col("symbol") == "KO")
    row = mine.lake.read(FORECASTS, where=is_asked).row(0, named=True)
    return RemadeForecast.of(
        inputs_of(mine.lake, mine.settings, row["forecast_id"]), ExplainedModels(Champions(mine.settings))
    )


@pytest.fixture(scope="module")
def labels(mine: at_home.Home) -> pl.DataFrame:
    """What followed each close of the symbol over five sessions, as stored."""
    return mine.lake.read(LABELS, where=(pl.col("symbol") == "KO") & (pl.col("horizon_sessions") == 5)).sort(
        "event_time"
    )


def lake_of(mine: at_home.Home, folder: Path, labels: pl.DataFrame) -> Lake:
    """A lake with the features of the home and some labels."""
    made = Lake(folder)
    made.merge(FEATURES_TECHNICAL, mine.lake.read(FEATURES_TECHNICAL, where=pl.col("symbol") == "KO"))
    made.merge(LABELS, labels)
    return made


def by_hand(mine: at_home.Home, forecast: RemadeForecast, labels: pl.DataFrame) -> list[tuple[Any, float, float]]:
    """Every past window with its distance, value by value and without arrays; the nearest first."""
    names, background = forecast.inputs.spec.features, forecast.models[0].require_background()
    asked = dict(zip(names, forecast.inputs.window[-1].tolist(), strict=True))
    rows = mine.lake.read(FEATURES_TECHNICAL, where=pl.col("symbol") == "KO").rows_by_key(
        "event_time", named=True, unique=True
    )
    found = []
    for label in labels.iter_rows(named=True):
        if label["known_time"] > forecast.inputs.row["event_time"]:
            continue
        squares = []
        for name in names:
            value, other = rows[label["event_time"]][name], asked[name]
            if value is None or np.isnan(other):
                squares.append(0.0 if value is None and np.isnan(other) else 100.0**2)
                continue
            shares = [background.percentile_of(name, float(np.float32(each))) for each in (value, other)]
            squares.append((shares[0] - shares[1]) ** 2)
        found.append((label["event_time"], (sum(squares) / len(squares)) ** 0.5, label["forward_return"]))
    return sorted(found, key=lambda each: each[1])


def test_the_nearest_are_those_that_a_count_by_hand_finds(
    mine: at_home.Home, forecast: RemadeForecast, labels: pl.DataFrame
) -> None:
    found, closes = similar_windows(forecast, mine.lake), labels["event_time"].to_list()
    chosen: list[tuple[Any, float, float]] = []
    for each in by_hand(mine, forecast, labels):
        place = closes.index(each[0])
        if len(chosen) < MOST_SIMILAR and all(abs(place - closes.index(other[0])) >= 5 for other in chosen):
            chosen.append(each)
    assert [each.as_of for each in found] == [at for at, _, _ in chosen]
    assert [each.distance for each in found] == pytest.approx([distance for _, distance, _ in chosen])
    assert [each.outcome for each in found] == [outcome for _, _, outcome in chosen]


def test_no_horizon_overlaps_with_another_or_with_the_forecast(
    mine: at_home.Home, forecast: RemadeForecast, labels: pl.DataFrame
) -> None:
    ends = dict(labels.select("event_time", "known_time").iter_rows())
    found = sorted(similar_windows(forecast, mine.lake), key=lambda each: each.as_of)
    assert len(found) == MOST_SIMILAR
    assert all(ends[one.as_of] <= other.as_of for one, other in pairwise(found))
    assert ends[found[-1].as_of] <= forecast.inputs.row["event_time"]


def test_of_two_windows_whose_horizons_overlap_the_nearer_one_is_told() -> None:
    starts = [datetime(2012, 1, 1, tzinfo=UTC) + timedelta(days=day) for day in range(30)]
    ends = [start + timedelta(days=5) for start in starts]
    assert apart([10, 11, 6, 5, 15, 14, 24, 20, 29, 0], starts, ends) == [10, 5, 15, 24, 29]


def test_an_outcome_that_came_late_counts_from_when_it_was_known(
    mine: at_home.Home, forecast: RemadeForecast, labels: pl.DataFrame, tmp_path: Path
) -> None:
    nearest = similar_windows(forecast, mine.lake)[0]
    known = forecast.inputs.row["known_time"]
    late = pl.when(pl.col("event_time") == nearest.as_of).then(pl.lit(known + timedelta(microseconds=1)))
    lake = lake_of(mine, tmp_path, labels.with_columns(late.otherwise("known_time").alias("known_time")))
    assert nearest.as_of not in [each.as_of for each in similar_windows(forecast, lake)]
    later = replace(
        forecast, inputs=replace(forecast.inputs, row=forecast.inputs.row | {"known_time": known + timedelta(hours=1)})
    )
    assert similar_windows(later, lake)[0] == nearest


def test_a_symbol_without_a_known_outcome_has_none_and_says_so(
    mine: at_home.Home, forecast: RemadeForecast, labels: pl.DataFrame, tmp_path: Path
) -> None:
    lake = lake_of(mine, tmp_path, labels.filter(pl.col("event_time") >= forecast.inputs.row["event_time"]))
    with pytest.raises(NotReadyError, match="No past window of KO"):
        similar_windows(forecast, lake)


def test_the_same_window_is_at_no_distance(mine: at_home.Home, forecast: RemadeForecast) -> None:
    past = mine.lake.read(FEATURES_TECHNICAL, where=pl.col("symbol") == "KO").sort("event_time").row(-30, named=True)
    window = forecast.inputs.window.copy()
    window[-1] = [np.nan if past[name] is None else past[name] for name in forecast.inputs.spec.features]
    found = similar_windows(replace(forecast, inputs=replace(forecast.inputs, window=window)), mine.lake)
    assert isinstance(found[0], SimilarWindow)
    assert (found[0].as_of, found[0].distance) == (past["event_time"], 0.0)
