"""The figures an operator sees, against the same ones worked out by hand from the tables."""

from collections import defaultdict

import polars as pl
import pytest

from lake.clock import DEMO_START, FixedClock
from lake.settings import Settings
from lake.store import Lake
from lake.tables import FORECASTS, OUTCOMES
from serving.backfill import replay_forecasts
from serving.monitoring import metrics
from serving.outcomes import figures_path, mature, read_figures, show_figures, update_figures
from serving.outcomes.live_quality import model_errors

NOW = FixedClock(DEMO_START)
LIVED = 25


@pytest.fixture(scope="module")
def lived(made_market: Lake, engines, tmp_path_factory, copy_lake) -> Lake:
    lake = copy_lake(made_market, tmp_path_factory.mktemp("matured") / "tables")
    replay_forecasts(lake, engines, NOW, sessions=LIVED)
    said = lake.read(FORECASTS, where=pl.col("model_name") == min(engines))
    lake.merge(FORECASTS, said.with_columns(pl.lit("served").alias("kind"), pl.col("forecast_id") + "-served"))
    mature(lake, NOW)
    return lake


def by_hand(lake, sessions, kinds):
    """Mean absolute error and pinball loss by model and horizon, row by row."""
    outcomes = {row["forecast_id"]: row for row in lake.read(OUTCOMES).iter_rows(named=True)}
    said = [
        row
        for row in lake.read(FORECASTS).iter_rows(named=True)
        if row["kind"] in kinds and row["forecast_id"] in outcomes
    ]
    groups = defaultdict(list)
    for row in said:
        groups[row["model_name"], row["horizon_sessions"]].append(row)
    for key, rows in groups.items():
        newest = sorted({row["event_time"] for row in rows})[-sessions:]
        errors, losses = [], []
        for row in rows:
            if row["event_time"] in newest:
                truth = outcomes[row["forecast_id"]]["realised_return"]
                errors.append(abs(row["p50"] - truth))
                gaps = [(q, truth - row[name]) for q, name in ((0.1, "p10"), (0.5, "p50"), (0.9, "p90"))]
                losses.append(sum(max(q * gap, (q - 1) * gap) for q, gap in gaps) / 3)
        yield key, (len(errors), sum(errors) / len(errors), sum(losses) / len(losses))


@pytest.mark.parametrize("sessions", [60, 7])
def test_errors_are_those_of_the_newest_sessions_whose_outcome_is_known(lived, sessions):
    found = model_errors(lived, NOW, sessions=sessions, kinds=("replay",))
    expected = dict(by_hand(lived, sessions, ("replay",)))
    assert len(found) == len(expected) > 2
    for row in found.iter_rows():
        assert row[2:] == pytest.approx(expected[row[:2]], abs=1e-9)


def test_nothing_that_is_not_known_yet_counts(lived):
    earlier = FixedClock(sorted(lived.read(OUTCOMES)["known_time"].unique())[-5])
    assert model_errors(lived, earlier)["forecasts"].sum() < model_errors(lived, NOW)["forecasts"].sum()


def test_the_file_says_it_and_is_written_only_when_something_changed(lived, tmp_path):
    configured = Settings(home=tmp_path)
    report = update_figures(lived, configured, NOW)
    figures = read_figures(configured)
    assert not report.skipped
    assert report.details["answered"] == sum(band.forecasts for band in figures.bands) > 0
    assert {band.horizon_sessions for band in figures.bands} == {1, 5}
    written = figures_path(configured).stat().st_mtime_ns
    again = update_figures(lived, configured, NOW)
    assert (again.skipped, again.details["reason"]) == (True, "no figure has changed")
    assert figures_path(configured).stat().st_mtime_ns == written
    show_figures(figures)
    (first, *_) = figures.models
    shown = metrics.FORECAST_ERROR.labels(first.model, str(first.horizon_sessions))
    assert shown._value.get() == first.mean_absolute_error


def test_an_empty_lake_has_no_figures(lake, tmp_path):
    configured = Settings(home=tmp_path)
    assert update_figures(lake, configured, NOW).rows == 0
    assert read_figures(configured).models == ()


@pytest.mark.parametrize("content", [None, "", "{", '{"models": 1}', '{"unknown": []}'])
def test_a_file_that_cannot_be_read_is_as_none(tmp_path, content):
    configured = Settings(home=tmp_path)
    if content is not None:
        figures_path(configured).write_text(content)
    assert read_figures(configured) is None
