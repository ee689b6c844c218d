"""When a canary is taken back: seldom when it is as good, soon when it is worse, and on pairs of one cause only."""

from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pytest

from benchmarks import canary
from lake.clock import FixedClock
from lake.settings import Settings
from lake.store import Lake
from lake.tables import FORECASTS, OUTCOMES, PROMOTIONS, TRIAL_GAINS, TRIAL_LEDGER
from serving.deployment import read_deployment, roll_back_canary, verdict
from serving.deployment.record import Challenger, Deployment, Release, write_deployment
from serving.deployment.verdict import SessionPair, judge_challenger, paired_losses

DIGEST = {"3": "3" * 64, "4": "4" * 64}
START = datetime(2012, 6, 1, 20, tzinfo=UTC)
NOW = FixedClock(START + timedelta(days=200))
MARGIN, ALPHA, SESSIONS = 0.02, 0.05, 250


def losses(worlds, excess, seed=0):
    """Mean pinball losses of challenger and champion per world and session: fat tails, a common part, own noise."""
    random = np.random.default_rng(seed)
    common = 0.004 * np.exp(0.5 * random.standard_t(4, (worlds, SESSIONS)))
    own = np.exp(0.15 * random.standard_t(4, (2, worlds, SESSIONS)))
    return common * own[0] * (1 + excess), common * own[1]


def pairs_of(challenger, champion):
    return [SessionPair(*pair) for pair in zip(challenger, champion, strict=True)]


def share_rolled_back(worlds, excess, margin):
    return np.mean(
        [
            judge_challenger(pairs_of(*pair), margin=margin, alpha=ALPHA).is_worse
            for pair in zip(*losses(worlds, excess), strict=True)
        ]
    )


@pytest.mark.parametrize("margin", [0.0, MARGIN])
def test_of_two_equal_models_the_canary_is_taken_back_in_at_most_one_world_of_twenty(margin):
    assert share_rolled_back(400, 0.0, margin) <= ALPHA


def test_a_canary_that_is_worse_within_the_margin_stays():
    assert share_rolled_back(200, MARGIN * 0.9, MARGIN) <= ALPHA


def test_a_clearly_worse_canary_is_taken_back_in_weeks():
    taken = [canary.taken_back_at(pairs_of(*pair)) for pair in zip(*losses(40, 0.25, seed=1), strict=True)]
    assert None not in taken
    assert np.median(taken) <= 40


def test_a_look_every_day_finds_what_one_look_at_the_end_finds():
    """The verdict is about the whole path, so a later recovery does not hide what was seen."""
    challenger, champion = losses(1, 0.5, seed=2)
    first = canary.taken_back_at(pairs_of(challenger[0], champion[0]))
    recovered = [*challenger[0][:first], *champion[0][first:] * 0.5]
    assert judge_challenger(pairs_of(recovered, champion[0]), margin=MARGIN, alpha=ALPHA).is_worse


@pytest.mark.slow
@pytest.mark.parametrize(("excess", "margin"), [(0.0, 0.0), (0.0, MARGIN), (MARGIN, MARGIN)])
def test_the_promise_holds_over_thousands_of_worlds(excess, margin):
    assert share_rolled_back(5_000, excess, margin) <= ALPHA


@pytest.fixture(scope="module")
def worlds():
    """What becomes of each challenger in simulated markets; `python -m benchmarks canary` has five hundred."""
    random = np.random.default_rng(11)
    return [canary.trials(canary.world(random)) for _ in range(40)]


@pytest.mark.parametrize(("narrow", "within"), [("bands x 0.6", 60), ("bands x 0.7", 120)])
def test_bands_that_are_too_narrow_are_taken_back(worlds, narrow, within):
    """Their losses are smaller in most sessions: it is their coverage that gives them away."""
    at = [world[narrow][2] for world in worlds]
    assert np.mean([session is not None and session <= within for session in at]) >= 0.95


@pytest.mark.parametrize("good", ["the champion itself", "bands x 1.25", "exact", "GARCH"])
def test_what_is_as_good_or_better_stays(worlds, good):
    assert np.mean([world[good][2] is not None for world in worlds]) <= ALPHA


def test_a_ratio_of_the_sessions_own_losses_would_take_back_wide_bands_and_leave_narrow_ones():
    """In nine calm sessions of ten narrow bands lose a tenth less, in the tenth twice as much: 10 % more in all."""
    champion = np.tile([1.0] * 9 + [4.0], 25)
    narrow = np.tile([0.9] * 9 + [6.2], 25)
    assert narrow.mean() > 1.08 * champion.mean()
    assert np.mean(2 * (narrow - champion) / (narrow + champion)) < 0
    verdict = judge_challenger(pairs_of(narrow, champion), margin=MARGIN, alpha=ALPHA)
    assert verdict.excess > 0.08


def test_coverage_alone_is_evidence_and_a_storm_that_both_miss_is_none():
    narrow = [SessionPair(1.0, 1.0, 0.45, 0.2)] * 40
    storm = [SessionPair(1.0, 1.0, 0.6, 0.6)] * 250
    assert judge_challenger(narrow, margin=MARGIN, alpha=ALPHA).is_worse
    assert not judge_challenger(storm, margin=MARGIN, alpha=ALPHA).is_worse


def test_the_scale_is_known_before_the_session():
    """A session's own losses, however large, change nothing in how it is scaled."""
    calm = [SessionPair(1.0, 1.0)] * 30
    for size in (1.0, 100.0):
        verdict = judge_challenger([*calm, SessionPair(1.4 + size, 1.0 + size)], margin=0.0, alpha=ALPHA)
        same = judge_challenger([*calm, SessionPair(1.4, 1.0)], margin=0.0, alpha=ALPHA)
        assert verdict.worse == pytest.approx(same.worse, rel=1e-9)
        assert verdict.worse > judge_challenger(calm, margin=0.0, alpha=ALPHA).worse


def test_without_a_session_nothing_is_said():
    verdict = judge_challenger([], margin=MARGIN, alpha=ALPHA)
    assert (verdict.sessions, verdict.worse, verdict.is_worse) == (0, 1.0, False)


@pytest.fixture
def settings(tmp_path):
    return Settings(home=tmp_path)


@pytest.fixture
def lake(settings):
    return Lake.open(settings)


def on_trial(settings, mode="canary", share=0.5, since=START - timedelta(days=1)):
    challenger = Challenger(model="lstm", version="4", digest=DIGEST["4"], mode=mode, share=share, since=since)
    champions = {"lstm": Release(version="3", digest=DIGEST["3"]), "ridge": Release(version="1")}
    write_deployment(settings, Deployment(champions=champions, challengers=(challenger,), registered={"lstm": DIGEST}))
    return challenger


def say(day, symbol, kind, model_version, loss, horizon=1, name="lstm", copy=0, is_covered=True):
    """One matured forecast and its outcome."""
    at, known = START + timedelta(days=day), START + timedelta(days=day + horizon)
    identity = f"{day}-{symbol}-{kind}-{name}-{model_version}-{horizon}-{copy}"
    row = {
        "forecast_id": identity, "kind": kind, "symbol": symbol, "event_time": at, "known_time": at,
        "made_at": at + timedelta(seconds=copy), "horizon_sessions": horizon, "p10": -0.01, "p50": 0.0, "p90": 0.01,
        "reference_price": 1.0, "model_name": name, "model_version": model_version, "model_digest": "d",
        "strategy": None, "regime": "calm", "feature_table_versions": "{}", "feature_hash": "h",
        "latency_ms": None, "degraded": False,
    }  # fmt: skip
    outcome = {
        "forecast_id": identity, "event_time": known, "known_time": known, "realised_return": 0.0, "error": 0.0,
        "pinball_loss": loss, "is_covered": is_covered, "is_direction_hit": None,
    }  # fmt: skip
    return row, outcome


def store(lake, said):
    lake.merge(FORECASTS, pl.DataFrame([row for row, _ in said], schema=FORECASTS.schema))
    lake.merge(OUTCOMES, pl.DataFrame([outcome for _, outcome in said], schema=OUTCOMES.schema))


def test_losses_are_paired_on_symbol_and_session_and_over_all_symbols(settings, lake):
    challenger = on_trial(settings, share=0.01)
    store(
        lake,
        [
            say(0, "A", "trial", "4", 0.5),
            say(0, "A", "replay", "3", 0.25),
            say(0, "A", "replay", "3", 9.0, copy=1),  # made again: the first one counts
            say(0, "B", "trial", "4", 0.7, is_covered=False),
            say(0, "B", "replay", "3", 0.75),
            say(0, "C", "replay", "3", 9.0),  # the challenger forecast nothing
            say(1, "A", "trial", "4", 0.3),  # its champion forecast nothing
            say(2, "A", "trial", "4", 0.1),
            say(2, "A", "replay", "2", 0.2),  # another champion at the time
            say(3, "A", "trial", "4", 0.1, horizon=5),
            say(3, "A", "replay", "3", 0.2, horizon=5),
        ],
    )
    pairs = paired_losses(lake, NOW, challenger)
    assert pairs["symbols"].to_list() == [2, 1]
    assert pairs["challenger"].to_list() == pytest.approx([0.6, 0.1])
    assert pairs["challenger_outside"].to_list() == [0.5, 0.0]
    assert pairs["champion"].to_list() == pytest.approx([0.5, 0.2])


def test_neither_answers_nor_other_models_and_versions_are_evidence(settings, lake):
    """Answers are of the blend, where other models stand beside the challenger and a correction over both."""
    challenger = on_trial(settings)
    store(
        lake,
        [
            say(0, "A", "trial", "4", 0.5, copy=1),
            say(0, "A", "replay", "3", 0.25, copy=1),
            say(0, "A", "trial", "5", 7.0),
            say(0, "A", "trial", "4", 7.0, name="ridge"),
            say(0, "A", "replay", "3", 7.0, name="ridge"),
            *(say(0, "A", kind, "3", 7.0) for kind in ("served", "scheduled", "shadow")),
            say(1, "A", "served", "lstm-4+ridge-1", 7.0, name="blend"),
            say(1, "A", "shadow", "lstm-3+ridge-1", 7.0, name="blend"),
        ],
    )
    pairs = paired_losses(lake, NOW, challenger)
    assert (pairs["challenger"].to_list(), pairs["champion"].to_list()) == ([0.5], [0.25])


def test_forecasts_from_before_the_trial_are_no_evidence(settings, lake):
    """The same version was on trial before: what it said then was judged then."""
    challenger = on_trial(settings, since=START + timedelta(days=37))
    canary_says(lake, 1.4, 40)
    pairs = paired_losses(lake, NOW, challenger)
    assert pairs["event_time"].to_list() == [START + timedelta(days=day) for day in (37, 38, 39)]
    report = roll_back_canary(lake, settings, NOW)
    assert report.details["verdicts"][0]["sessions"] == 3
    assert report.details["rolled_back"] == [], "taken back by losses from before its trial"
    assert read_deployment(settings).challengers


def test_a_challenger_in_the_shadow_is_judged_and_never_taken_back(settings, lake):
    on_trial(settings, mode="shadow")
    days = range(60)
    store(
        lake,
        [say(d, "A", "trial", "4", 0.9) for d in days] + [say(d, "A", "replay", "3", 0.3) for d in days],
    )
    report = roll_back_canary(lake, settings, NOW)
    assert report.details["verdicts"][0]["is_worse"]
    assert report.details["rolled_back"] == []
    assert read_deployment(settings).challengers


def canary_says(lake, ratio, sessions):
    random = np.random.default_rng(5)
    said = []
    for day in range(sessions):
        loss = 0.004 * float(random.uniform(0.5, 1.5))
        said += [
            say(day, "A", "trial", "4", loss * ratio),
            say(day, "A", "replay", "3", loss),
        ]
    store(lake, said)


def test_a_worse_canary_is_taken_back_written_down_and_audited(settings, lake):
    on_trial(settings)
    canary_says(lake, 1.4, 40)
    report = roll_back_canary(lake, settings, NOW)
    assert report.details["rolled_back"] == ["lstm"]
    deployment = read_deployment(settings)
    assert deployment.challengers == ()
    assert deployment.versions["lstm"] == "3"
    (row,) = lake.read(PROMOTIONS).to_dicts()
    assert (row["alias"], row["model_version"], row["previous_version"]) == ("canary", "3", "4")
    assert '"decided_by": "canary rule"' in row["evidence"]
    from lake.tables import AUDIT

    assert lake.read(AUDIT)["what"].to_list() == ["model.rollback"]
    assert roll_back_canary(lake, settings, NOW).skipped


def test_a_canary_that_is_as_good_stays(settings, lake):
    on_trial(settings)
    canary_says(lake, 1.01, 40)
    report = roll_back_canary(lake, settings, NOW)
    assert report.details["verdicts"][0]["sessions"] == 40
    assert report.details["rolled_back"] == []
    assert read_deployment(settings).challengers


def test_what_has_not_matured_says_nothing(settings, lake):
    on_trial(settings)
    canary_says(lake, 1.4, 40)
    early = FixedClock(START + timedelta(days=3))
    report = roll_back_canary(lake, settings, early)
    assert report.details["verdicts"][0]["sessions"] == 3
    assert report.details["rolled_back"] == []


def test_with_nothing_on_trial_nothing_is_judged(settings, lake):
    assert roll_back_canary(lake, settings, NOW).skipped


def test_a_challenger_is_a_trial_of_the_ledger_before_it_is_judged(settings, lake, monkeypatch):
    on_trial(settings)
    assert roll_back_canary(lake, settings, NOW).rows == 1
    assert not lake.exists(TRIAL_LEDGER), "no pair has matured"
    canary_says(lake, 0.9, 40)
    for _ in range(2):
        roll_back_canary(lake, settings, NOW)
        row = lake.read(TRIAL_LEDGER).row(0, named=True)
        assert (row["family"], row["kind"], row["sessions"]) == ("lstm, forecast_v2, 1 session", "challenger", 40)
    pairs = paired_losses(lake, NOW, read_deployment(settings).challengers[0])
    gains = lake.read(TRIAL_GAINS).sort("event_time")["gain"]
    np.testing.assert_allclose(gains, pairs["champion"] - pairs["challenger"])
    monkeypatch.setattr(verdict, "verdict_on", lambda *_: pytest.fail("judged"))
    on_trial(settings, since=START + timedelta(days=5))
    with pytest.raises(pytest.fail.Exception, match="judged"):
        roll_back_canary(lake, settings, NOW)
    assert lake.read(TRIAL_LEDGER)["trial_id"].n_unique() == 2, "a trial that began anew is another one"
