"""Skill and coverage of each model beside the same ones worked out by hand, row by row."""

import math
from collections import defaultdict

import polars as pl
import pytest
from scipy.stats import binomtest

from lake.clock import DEMO_START, FixedClock
from lake.tables import FORECASTS, OUTCOMES
from serving.backfill import replay_forecasts
from serving.outcomes import Figures, mature
from serving.outcomes.live_records import coverage_figures, skill_figures

NOW = FixedClock(DEMO_START)
LIVED = 25
SHORT = 15


@pytest.fixture(scope="module")
def lived(made_market, engines, tmp_path_factory, copy_lake):
    lake = copy_lake(made_market, tmp_path_factory.mktemp("records") / "tables")
    replay_forecasts(lake, engines, NOW, sessions=LIVED)
    said = lake.read(FORECASTS)
    # A challenger is no model of ours yet, and a question that was asked again is no second forecast.
    lake.merge(FORECASTS, said.with_columns(pl.lit("trial").alias("kind"), pl.col("forecast_id") + "-trial"))
    again = said.with_columns(pl.col("forecast_id") + "-again", pl.col("made_at").dt.offset_by("1s"))
    lake.merge(FORECASTS, again)
    mature(lake, NOW)
    return lake


def matured(lake, sessions, at):
    """Rows with their outcome by model and horizon, of the newest sessions over the horizon."""
    outcomes = {row["forecast_id"]: row for row in lake.read(OUTCOMES).iter_rows(named=True) if row["known_time"] <= at}
    rows = [
        row | {"loss": outcomes[row["forecast_id"]]["pinball_loss"], "held": outcomes[row["forecast_id"]]["is_covered"]}
        for row in lake.read(FORECASTS).iter_rows(named=True)
        if row["kind"] == "replay" and row["forecast_id"] in outcomes and not row["forecast_id"].endswith("-again")
    ]
    found = defaultdict(list)
    for horizon in {row["horizon_sessions"] for row in rows}:
        of_horizon = [row for row in rows if row["horizon_sessions"] == horizon]
        newest = set(sorted({row["event_time"] for row in of_horizon})[-sessions:])
        for row in of_horizon:
            if row["event_time"] in newest:
                found[row["model_name"], horizon].append(row)
    return found


@pytest.mark.parametrize("sessions", [60, SHORT])
def test_skill_is_one_less_the_losses_as_a_share_of_naive_s(lived, sessions):
    rows = matured(lived, sessions, NOW.now())
    found = {(each.model, each.horizon_sessions): each for each in skill_figures(lived, NOW, sessions=sessions)}
    assert set(found) == {key for key in rows if key[0] != "naive"}
    for key, figure in found.items():
        beside = {(row["symbol"], row["event_time"]): row["loss"] for row in rows["naive", key[1]]}
        pairs = [(row["loss"], beside[row["symbol"], row["event_time"]]) for row in rows[key]]
        losses, naive = map(sum, zip(*pairs, strict=True))
        assert figure.skill == pytest.approx(1 - losses / naive, abs=1e-9)
        assert figure.low <= figure.skill <= figure.high
        assert figure.sessions == len({row["event_time"] for row in rows[key]}) <= sessions


def test_the_interval_of_one_session_is_that_of_the_ratio_of_two_sums(lived):
    """Horizons of one session do not overlap: the variance is the sum of squares of `loss - ratio x naive`."""
    rows = matured(lived, 60, NOW.now())
    beside = {(row["symbol"], row["event_time"]): row["loss"] for row in rows["naive", 1]}
    by_close = defaultdict(lambda: [0.0, 0.0])
    for row in rows["ridge", 1]:
        by_close[row["event_time"]][0] += row["loss"]
        by_close[row["event_time"]][1] += beside[row["symbol"], row["event_time"]]
    naive = sum(one[1] for one in by_close.values())
    ratio = sum(one[0] for one in by_close.values()) / naive
    reach = 1.6448536269514722 * math.sqrt(sum((one[0] - ratio * one[1]) ** 2 for one in by_close.values())) / naive
    (figure,) = [each for each in skill_figures(lived, NOW) if (each.model, each.horizon_sessions) == ("ridge", 1)]
    assert (figure.low, figure.high) == pytest.approx((1 - ratio - reach, 1 - ratio + reach), abs=1e-9)


@pytest.mark.parametrize("sessions", [250, SHORT])
def test_coverage_is_the_share_that_held_with_its_binomial_interval(lived, sessions):
    rows = matured(lived, sessions, NOW.now())
    found = {(each.model, each.horizon_sessions): each for each in coverage_figures(lived, NOW, sessions=sessions)}
    assert set(found) == set(rows)
    for (model, horizon), figure in found.items():
        held = [row["held"] for row in rows[model, horizon]]
        assert (figure.outcomes, figure.coverage) == (len(held), pytest.approx(sum(held) / len(held)))
        assert figure.low <= figure.coverage <= figure.high
        # Never narrower than that of sessions that do not overlap, rounded up to whole ones.
        independent = math.ceil(len({row["event_time"] for row in rows[model, horizon]}) / horizon)
        whole = binomtest(round(figure.coverage * independent), independent).proportion_ci(0.9, "wilson")
        assert figure.high - figure.low == pytest.approx(whole.high - whole.low, rel=0.35)


def test_nothing_counts_that_is_not_known_yet(lived):
    earlier = FixedClock(sorted(lived.read(OUTCOMES)["known_time"].unique())[-5])
    then = matured(lived, 250, earlier.now())
    found = {(each.model, each.horizon_sessions): each.outcomes for each in coverage_figures(lived, earlier)}
    assert found == {key: len(rows) for key, rows in then.items()}
    assert sum(found.values()) < sum(each.outcomes for each in coverage_figures(lived, NOW))


def test_an_empty_lake_has_no_records(lake):
    assert skill_figures(lake, NOW) == coverage_figures(lake, NOW) == ()
    assert Figures().skills == ()
