"""The trial ledger counts each scored configuration once, loses none, and says what the best of a family is worth."""

import json
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from lake.errors import NotReadyError
from lake.ledger import (
    FamilyRecord,
    ScoredTrial,
    TrialLedger,
    deflated_sharpe,
    families_of,
    overfitting,
    sharpe_statistics,
)
from lake.store import Lake
from lake.tables import HOLDOUT_OPENINGS, TRIAL_GAINS, TRIAL_LEDGER

NOW = datetime(2012, 12, 31, 21, tzinfo=UTC)
FIRST = datetime(2011, 1, 3, 21, tzinfo=UTC)
FAMILY = "ridge, forecast_v2, 1 session"


@pytest.fixture
def ledger(tmp_path: Path) -> TrialLedger:
    return TrialLedger(Lake(tmp_path / "tables"), NOW, data="rows", code="code", table_versions={"labels": 3})


def gains(seed: int, sessions: int = 120, mean: float = 0.0) -> pl.DataFrame:
    days = pl.Series(
        "event_time", [FIRST + timedelta(days=n) for n in range(sessions)], TRIAL_GAINS.schema["event_time"]
    )
    return pl.DataFrame([days, pl.Series("gain", np.random.default_rng(seed).normal(mean, 0.01, sessions))])


def trial(seed: int, *, family: str = FAMILY, **changes: Any) -> ScoredTrial:
    kept = {"gains": gains(seed), "score": 0.2 + seed, "seconds": 1.5} | changes
    return ScoredTrial(family, "search", "ridge", {"penalty": seed}, seed=7, **kept)


def pruned(seed: int) -> ScoredTrial:
    return trial(seed, gains=None, score=None, is_failed=True)


def only(lake: Lake, at: datetime = NOW) -> FamilyRecord:
    (found,) = families_of(lake, at)
    return found


def test_a_row_holds_the_configuration_and_the_statistics_of_its_gains(ledger: TrialLedger) -> None:
    one = trial(1)
    assert ledger.record([one]) == 1
    row = ledger.lake.read(TRIAL_LEDGER).row(0, named=True)
    found = sharpe_statistics(gains(1)["gain"].to_numpy())
    assert found is not None
    assert row["trial_id"] == one.identity("rows", "code")
    assert (row["sharpe"], row["skewness"], row["kurtosis"]) == found[:3]
    assert (row["sessions"], row["effective_sessions"]) == (120, found.effective_sessions)
    assert json.loads(row["parameters"]) == {"penalty": 1}
    assert json.loads(row["table_versions"]) == {"labels": 3}
    assert row["event_time"] == gains(1)["event_time"].max()
    stored = ledger.lake.read(TRIAL_GAINS).sort("event_time")
    assert stored["gain"].equals(gains(1)["gain"])
    assert set(stored["trial_id"]) == {row["trial_id"]}


def test_scoring_the_same_thing_again_adds_nothing(ledger: TrialLedger) -> None:
    trials = [trial(1), trial(2), pruned(3)]
    assert ledger.record(trials) == 3
    later = replace(ledger, now=NOW + timedelta(days=30), table_versions={"labels": 33})
    again = [replace(one, seconds=9.0, score=5.0) for one in trials]
    assert (ledger.record(again), later.record(again), ledger.record([])) == (0, 0, 0)
    assert ledger.lake.read(TRIAL_LEDGER).height == 3
    assert ledger.lake.read(TRIAL_GAINS).height == 240


@pytest.mark.parametrize(
    "other",
    [
        {"family": "ridge, forecast_v2, 5 sessions"},
        {"kind": "walk_forward"},
        {"subject": "lasso"},
        {"parameters": {"penalty": 2}},
        {"seed": 8},
    ],
)
def test_what_differs_in_one_choice_is_another_trial(ledger: TrialLedger, other: dict[str, Any]) -> None:
    assert ledger.record([trial(1), replace(trial(1), **other)]) == 2


@pytest.mark.parametrize("other", [{"data": "more rows"}, {"code": "newer code"}])
def test_other_rows_and_other_code_make_another_trial(ledger: TrialLedger, other: dict[str, str]) -> None:
    assert ledger.record([trial(1)]) == replace(ledger, **other).record([trial(1)]) == 1


def test_failed_trials_count_and_have_no_ratio(ledger: TrialLedger) -> None:
    ledger.record([trial(1), trial(2), pruned(3), pruned(4), pruned(5)])
    found = only(ledger.lake)
    assert (found.trials, found.failed) == (5, 3)
    rows = ledger.lake.read(TRIAL_LEDGER, where=pl.col("is_failed"))
    assert rows["sharpe"].null_count() == 3
    fewer = TrialLedger(Lake(ledger.lake.root.parent / "fewer"), NOW)
    fewer.record([trial(1), trial(2)])
    assert found.deflated_sharpe is not None
    assert found.deflated_sharpe < (only(fewer.lake).deflated_sharpe or 0)


def test_a_trial_that_failed_and_was_scored_when_it_was_repeated_counts_once_and_is_scored(
    ledger: TrialLedger,
) -> None:
    assert ledger.record([pruned(1)]) == ledger.record([trial(1)]) == 1
    assert ledger.record([pruned(1)]) == 0
    assert (only(ledger.lake).trials, only(ledger.lake).failed, only(ledger.lake).sessions) == (1, 0, 120)
    ledger.record([trial(2, gains=None)])
    ledger.record([trial(2)])
    assert (only(ledger.lake).trials, only(ledger.lake).failed, only(ledger.lake).overfitting is None) == (2, 0, False)


def test_a_trial_that_gains_further_sessions_stays_one_trial(ledger: TrialLedger) -> None:
    whole, start = gains(1), gains(1).head(100)
    assert ledger.record([trial(1, gains=start)]) == 1
    later = replace(ledger, now=NOW + timedelta(days=1))
    changed = whole.with_columns(pl.when(pl.int_range(pl.len()) < 100).then(0.5).otherwise("gain").alias("gain"))
    assert later.record([trial(1, gains=whole)]) == 1
    assert later.record([trial(1, gains=changed)]) == 0
    assert ledger.lake.read(TRIAL_GAINS).sort("event_time")["gain"].equals(whole["gain"])
    assert (only(ledger.lake).trials, only(ledger.lake).sessions) == (1, 100), "as it was known before"
    assert (only(ledger.lake, later.now).trials, only(ledger.lake, later.now).sessions) == (1, 120)


def test_a_trial_without_a_spread_counts_and_is_not_the_best(ledger: TrialLedger) -> None:
    cash = gains(1).with_columns(gain=pl.lit(0.0))
    ledger.record([trial(1, gains=cash)])
    assert (only(ledger.lake).trials, only(ledger.lake).sharpe) == (1, None)
    assert "none has a Sharpe ratio" in str(only(ledger.lake))
    ledger.record([trial(2)])
    assert only(ledger.lake).parameters == {"penalty": 2}


def test_the_best_of_a_family_is_deflated_by_all_its_trials(ledger: TrialLedger) -> None:
    many = [trial(seed) for seed in range(30)] + [trial(99, gains=gains(99, mean=0.004))]
    ledger.record([*many, trial(7, family="another, forecast_v2, 1 session"), pruned(200)])
    _, found = families_of(ledger.lake, NOW)
    statistics = [sharpe_statistics(one.gains["gain"].to_numpy()) for one in many if one.gains is not None]
    ratios = np.array([one.ratio for one in statistics if one is not None])
    assert statistics[-1] is not None
    assert (found.family, found.trials, found.failed) == (FAMILY, 32, 1)
    assert found.parameters == {"penalty": 99}
    assert found.deflated_sharpe == pytest.approx(deflated_sharpe(statistics[-1], 32, ratios.var(ddof=1)), abs=1e-12)
    ordered = sorted(many, key=lambda one: one.identity("rows", "code"))
    table = np.column_stack([one.gains["gain"].to_numpy() for one in ordered if one.gains is not None])
    assert found.overfitting == overfitting(table)
    assert families_of(ledger.lake, NOW, [FAMILY], with_overfitting=False) == [replace(found, overfitting=None)]


def test_few_sessions_with_a_high_ratio_are_not_the_best(ledger: TrialLedger) -> None:
    lucky = pl.DataFrame([gains(1)["event_time"].head(12), pl.Series("gain", [0.02, 0.01, -0.005] * 4)])
    ledger.record([trial(1, gains=lucky), trial(2, gains=gains(2, sessions=700, mean=0.006)), trial(3), trial(4)])
    ratios = dict(ledger.lake.read(TRIAL_LEDGER).select("parameters", "sharpe").iter_rows())
    assert max(ratios, key=lambda name: ratios[name]) == '{"penalty":1}'
    assert only(ledger.lake).parameters == {"penalty": 2}
    assert only(ledger.lake).overfitting == overfitting(
        np.column_stack([one.gains["gain"].to_numpy() for one in _by_identity(trial(3), trial(4))])
    ), "trials on the same sessions are compared"


def _by_identity(*trials: ScoredTrial) -> list[Any]:
    return sorted(trials, key=lambda one: one.identity("rows", "code"))


def test_every_look_at_the_last_interval_is_counted(ledger: TrialLedger) -> None:
    ledger.record([trial(1)])
    assert str(only(ledger.lake)).endswith("last test interval opened never")
    for reason in ("judged", "judged again", "looked at"):
        ledger.open_holdout([FAMILY, "other"], FIRST, NOW, who="a test", reason=reason)
    assert only(ledger.lake).openings == 3
    rows = ledger.lake.read(HOLDOUT_OPENINGS, where=pl.col("family") == FAMILY).sort("event_time")
    assert rows["reason"].to_list() == ["judged", "judged again", "looked at"]
    assert set(rows["known_time"]) == {NOW}
    assert only(ledger.lake).last_opened == rows["event_time"].max()
    assert str(only(ledger.lake)).endswith("opened 3 times")


def test_nothing_scored_is_said_with_the_next_step(tmp_path: Path) -> None:
    with pytest.raises(NotReadyError, match=r"the trial ledger is empty.*run `quantlake"):
        families_of(Lake(tmp_path), NOW)


WRITER = """
import sys
from datetime import datetime
from pathlib import Path
from lake.ledger import ScoredTrial, TrialLedger
from lake.store import Lake
root, own = sys.argv[1:]
ledger = TrialLedger(Lake(Path(root)), datetime.fromisoformat("2012-12-31T21:00:00+00:00"), data="rows", code="code")
for penalty in ["shared", own, "shared too"]:
    ledger.record([ScoredTrial("family", "search", "ridge", {"penalty": penalty}, is_failed=True, seconds=len(own))])
"""


def test_several_processes_lose_no_trial_and_count_a_shared_one_once(tmp_path: Path) -> None:
    paths = {"PYTHONPATH": str(Path(__file__).parents[2]), "QUANTLAKE_HOME": str(tmp_path)}
    writers = [
        subprocess.Popen([sys.executable, "-c", WRITER, str(tmp_path / "tables"), "x" * (number + 1)], env=paths)
        for number in range(3)
    ]
    assert [writer.wait(120) for writer in writers] == [0, 0, 0]
    parameters = Lake(tmp_path / "tables").read(TRIAL_LEDGER)["parameters"].to_list()
    assert len(parameters) == len(set(parameters)) == 5
