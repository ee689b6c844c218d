"""Selection on noise, on planted edges, and through the tables: nothing from nothing, something where it is."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from lake.clock import DEMO_START, FixedClock
from lake.errors import ConfigError, ConflictError, LookAheadError, NotReadyError
from lake.ledger import TrialLedger, families_of
from lake.settings import Settings
from lake.store import Lake
from lake.tables import REGIMES, SELECTIONS, STRATEGY_ASSIGNMENTS, STRATEGY_RETURNS, TRIAL_GAINS, TRIAL_LEDGER
from serving.backfill import replay_forecasts
from serving.outcomes import update_strategy_returns
from serving.strategies import KNOWN_REGIMES, at_equal_volatility, update_assignments, update_selections
from serving.strategies.comparison import TWINS, compare, shuffled
from serving.strategies.paper import PaperReturns, paper_returns_of
from serving.strategies.selection import Selection, SelectionRule, select

START = datetime(2010, 1, 4, 21, tzinfo=UTC)
RULE = SelectionRule()
REGIME_NAMES = ("calm", "wild")


def world(strategies: int, sessions: int, seed: int, edge: float = 0.0, cost_of_moving: float = 0.8) -> PaperReturns:
    """Paper returns with a common factor; in regime r, strategy r earns `edge` more a session than the others."""
    rng = np.random.default_rng(seed)
    regime = np.zeros(sessions, dtype=int)
    for position in range(1, sessions):
        regime[position] = rng.integers(2) if rng.random() < 1 / 40 else regime[position - 1]
    net = 0.008 * rng.standard_normal((sessions, strategies)) + 0.01 * rng.standard_normal((sessions, 1))
    for number in range(2):
        net[regime == number, number] += edge
    days = tuple(START + timedelta(days=day) for day in range(sessions + 1))
    names = tuple(f"s{number}" for number in range(strategies))
    regimes = tuple(REGIME_NAMES[number] for number in regime)
    return PaperReturns(names, days[:-1], days[1:], days[1:], regimes, net, np.full(net.shape, cost_of_moving))


def run(returns: PaperReturns, rule: SelectionRule = RULE) -> Selection:
    return select(returns, returns.known[-1], rule, REGIME_NAMES)


def share_of_worlds_left(worlds: int, rule: SelectionRule = RULE) -> float:
    """Share of noise worlds of 20 strategies in which equal weights are ever left, moving being free: the hard case."""
    quick = replace(rule, draws=500)
    found = [run(world(20, 250, seed, cost_of_moving=0.0), quick) for seed in range(worlds)]
    return float(np.mean([any(d.selected != "equal_weight" for d in selection.decisions) for selection in found]))


def test_on_noise_equal_weights_are_left_in_at_most_one_world_of_twenty() -> None:
    assert share_of_worlds_left(40) <= 0.05


def test_without_the_threshold_noise_is_followed_in_most_worlds() -> None:
    assert share_of_worlds_left(8, replace(RULE, alpha=0.999)) > 0.5


@pytest.mark.slow
def test_on_noise_equal_weights_are_left_in_at_most_one_world_of_twenty_in_many_worlds() -> None:
    assert share_of_worlds_left(600) <= 0.05


def test_planted_edges_by_regime_are_found_and_paid_for() -> None:
    found = [run(world(6, 750, seed, edge=0.003)) for seed in range(8)]
    yearly = [252 * (selection.selected - selection.equal).mean() for selection in found]
    assert np.mean(yearly) > 0.08
    assert min(yearly) > 0
    last = {d.regime: d.selected for d in found[0].decisions[-2:]}
    assert last == {"calm": "s0", "wild": "s1"}


def test_until_the_proof_the_selection_earns_equal_weights_and_the_learnt_ones_from_the_next_review_on() -> None:
    sessions = 600
    found = run(world(6, sessions, seed=0, edge=0.003))
    proven = int(np.argmax(found.e_values >= 1 / RULE.alpha))
    assert proven > 30
    np.testing.assert_allclose(found.selected[: proven + 1], found.equal[: proven + 1], rtol=1e-12)
    review = next(n for n in range(proven + 1, sessions) if n % RULE.review_sessions == 0)
    assert not np.isclose(found.selected[review], found.equal[review], rtol=1e-6)
    np.testing.assert_allclose(found.selected[review + 1 : review + 4], found.ungated[review + 1 : review + 4])


def test_proven_weights_are_given_up_once_half_of_the_capital_is_lost() -> None:
    gaining, losing = world(2, 400, seed=0, edge=0.0), world(2, 400, seed=1, edge=0.0)
    edge = np.array([0.006, -0.006])
    turned = np.vstack([gaining.net + edge, losing.net - edge])
    days = tuple(START + timedelta(days=day) for day in range(801))
    returns = PaperReturns(
        gaining.strategies, days[:-1], days[1:], days[1:], ("calm",) * 800, turned, np.full(turned.shape, 0.8)
    )
    found = run(returns)
    in_force = [d for d in found.decisions if d.regime == "calm"]
    taken = next(d for d in in_force if d.selected != "equal_weight")
    assert taken.e_value >= 1 / RULE.alpha
    after = [d for d in in_force if d.session > taken.session and d.selected == "equal_weight"]
    assert after[0].e_value < 0.5 / RULE.alpha
    before = [d for d in in_force if taken.session < d.session < after[0].session]
    assert all(d.e_value >= 0.5 / RULE.alpha for d in before)


def test_decisions_are_made_every_five_sessions_for_every_regime() -> None:
    returns = world(3, 23, seed=0)
    found = run(returns)
    assert [d.session for d in found.decisions[::2]] == [START + timedelta(days=day) for day in (0, 5, 10, 15, 20)]
    assert [d.regime for d in found.decisions[:2]] == list(REGIME_NAMES)
    for decision in found.decisions:
        assert sum(decision.weights) == pytest.approx(1)
        assert sum(decision.probabilities) == pytest.approx(1)
        assert decision.confidence == 0.5, "equal weights are neither better nor worse than themselves"


def test_a_decision_knows_only_returns_of_sessions_that_have_closed() -> None:
    found = run(world(4, 60, seed=3))
    by_session = {}
    for decision in found.decisions:
        by_session[decision.session] = by_session.get(decision.session, 0) + decision.seen
    # Position n earns its return at close n + 1: at review n exactly n returns are known.
    assert list(by_session.values()) == list(range(0, 61, 5))


def test_a_return_that_is_known_late_is_used_late() -> None:
    returns = world(4, 60, seed=3)
    late = run(returns._replace(known=tuple(at + timedelta(days=3) for at in returns.known)))
    seen: dict[datetime, int] = {}
    for decision in late.decisions:
        seen[decision.session] = seen.get(decision.session, 0) + decision.seen
    assert [seen[START + timedelta(days=day)] for day in (0, 5, 10, 55)] == [0, 2, 7, 52]


@pytest.mark.parametrize("cut", [1, 37, 120, 249])
def test_cutting_off_or_changing_the_future_changes_nothing_earlier(cut: int) -> None:
    whole = world(5, 250, seed=4, edge=0.003)
    net = whole.net.copy()
    net[cut:] = np.random.default_rng(0).normal(size=net[cut:].shape)
    changed = run(whole._replace(net=net))
    part = run(PaperReturns(whole.strategies, *(column[:cut] for column in whole[1:])))
    full = run(whole)
    known = [d for d in full.decisions if d.session <= whole.known[cut - 1]]
    assert list(part.decisions) == known
    assert [d for d in changed.decisions if d.session <= whole.known[cut - 1]] == known
    np.testing.assert_array_equal(part.selected, full.selected[:cut])
    np.testing.assert_array_equal(part.e_values, full.e_values[:cut])


def test_weights_stay_within_the_band_and_move_beyond_it() -> None:
    returns = world(4, 200, seed=5, edge=0.004, cost_of_moving=0.0)
    frozen = run(returns, replace(RULE, band=1.0))
    np.testing.assert_allclose(frozen.ungated, frozen.equal)
    moving = run(returns, replace(RULE, band=0.0))
    assert not np.allclose(moving.ungated, moving.equal)


def test_moving_between_strategies_is_paid_for() -> None:
    free, dear = (run(world(4, 200, seed=6, edge=0.004, cost_of_moving=held)) for held in (0.0, 1.0))
    assert dear.ungated.sum() < free.ungated.sum() - 0.001
    np.testing.assert_allclose(dear.equal, free.equal)


def test_a_rule_that_proves_nothing_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"alpha 0.0, review_sessions 5.*Alpha lies between 0 and 1"):
        SelectionRule(alpha=0.0)


def test_overlapping_holding_periods_are_refused_and_the_message_says_what_to_do() -> None:
    returns = world(3, 30, seed=0)
    five = tuple(at + timedelta(days=5) for at in returns.sessions)
    overlapping = returns._replace(ends=five, known=five)
    message = (
        r"The holding periods of 29 of 30 paper returns overlap: positions taken at 2010-01-04 21:00:00\+00:00 were "
        r"held until 2010-01-09 21:00:00\+00:00, the next ones were taken at 2010-01-05.*Expected periods that end by "
        r"the next session.*Pass one-session returns \(FORECAST_HORIZON 1\)"
    )
    with pytest.raises(ConflictError, match=message):
        run(overlapping)


def test_long_holding_periods_that_follow_each_other_are_no_overlap() -> None:
    returns = world(3, 30, seed=0)
    every_fifth = [column[::5] for column in returns[1:]]
    five = tuple(at + timedelta(days=5) for at in every_fifth[0])
    assert run(PaperReturns(returns.strategies, *every_fifth)._replace(ends=five, known=five)).decisions


def test_a_return_that_is_known_before_it_was_earned_is_refused() -> None:
    returns = world(3, 30, seed=0)
    early = returns._replace(known=returns.sessions)
    with pytest.raises(LookAheadError, match=r"known at 2010-01-04 21:00:00\+00:00, before they were sold.*29 others"):
        run(early)


@pytest.mark.parametrize("horizon", [1, 5])
def test_returns_of_the_table_end_with_the_horizon_that_positions_are_revised_by(
    earned: Lake, closes, monkeypatch: pytest.MonkeyPatch, horizon: int
) -> None:
    """A late `known_time` is no overlap; a longer horizon is one, whatever the table says."""
    monkeypatch.setattr("serving.strategies.paper.FORECAST_HORIZON", horizon)
    late = earned.read(STRATEGY_RETURNS).with_columns(pl.col("known_time").dt.offset_by("30d"))
    returns = paper_returns_of(late)
    assert returns.ends[0] == closes[closes.index(returns.sessions[0]) + horizon]
    if horizon == 1:
        assert select(returns, returns.known[-1], RULE, KNOWN_REGIMES).decisions
    else:
        with pytest.raises(ConflictError, match="overlap"):
            select(returns, returns.known[-1], RULE, KNOWN_REGIMES)


def test_a_null_twin_has_the_same_sessions_and_no_edge() -> None:
    returns = world(6, 750, seed=7, edge=0.003)
    twin = shuffled(returns, seed=0)
    np.testing.assert_allclose(np.sort(twin.net, axis=1), np.sort(returns.net, axis=1))
    np.testing.assert_allclose(twin.net.mean(axis=1), returns.net.mean(axis=1))
    assert np.ptp(returns.net.mean(axis=0)) > 2 * np.ptp(twin.net.mean(axis=0))
    assert run(twin).e_values.max() < 20 < run(returns).e_values.max()


def test_the_comparison_stands_beside_its_rivals(tmp_path: Path) -> None:
    returns = world(4, 150, seed=8, edge=0.003)
    found = compare(returns, returns.known[-1], RULE, REGIME_NAMES, ledger=TrialLedger(Lake(tmp_path), DEMO_START))
    figures = {str(row["name"]): row for row in found.figures}
    best = f"best in hindsight (s{returns.net.sum(axis=0).argmax()})"
    assert set(figures) == {
        "selection",
        "selection without proof",
        "equal weights",
        best,
        "null twin without proof",
    }
    assert figures[best]["net_return"] == pytest.approx(returns.net.sum(axis=0).max())
    assert figures["equal weights"]["gain_over_equal"] == 0
    assert len(found.twins) == TWINS
    assert figures["selection without proof"]["gain_over_equal"] > np.median(found.twins)


@pytest.fixture(scope="module")
def earned(made_market: Lake, engines, tmp_path_factory, copy_lake: Callable[[Lake, Path], Lake]) -> Lake:
    lake = copy_lake(made_market, tmp_path_factory.mktemp("earned") / "tables")
    replay_forecasts(lake, engines, FixedClock(DEMO_START), sessions=25)
    update_strategy_returns(lake, FixedClock(DEMO_START))
    return lake


def test_living_day_by_day_appends_the_decisions_of_one_jump(
    earned: Lake, closes, settings: Settings, tmp_path: Path, copy_lake: Callable[[Lake, Path], Lake]
) -> None:
    jump, daily = (copy_lake(earned, tmp_path / name / "tables") for name in ("jump", "daily"))
    report = update_selections(jump, settings, FixedClock(DEMO_START))
    for close in closes[-24:]:
        update_selections(daily, settings, FixedClock(close))
    left, right = (lake.read(SELECTIONS).sort(SELECTIONS.key) for lake in (jump, daily))
    assert left.height == report.added == 5 * len(KNOWN_REGIMES)
    assert left.drop("e_value", "reason").equals(right.drop("e_value", "reason"))
    np.testing.assert_allclose(left["e_value"], right["e_value"], rtol=1e-9)
    assert Path(report.details["picture"]).stat().st_size > 10_000
    assert [row["name"] for row in report.details["comparison"]][:3] == [
        "selection",
        "selection without proof",
        "equal weights",
    ]
    again = update_selections(jump, settings, FixedClock(DEMO_START))
    assert (again.skipped, again.details["reason"]) == (True, "no review is due since the last one")


def test_the_tables_are_decided_and_shown_at_equal_volatility(
    earned: Lake, settings: Settings, tmp_path: Path, copy_lake: Callable[[Lake, Path], Lake]
) -> None:
    lake, clock = copy_lake(earned, tmp_path / "scaled" / "tables"), FixedClock(DEMO_START)
    report = update_selections(lake, settings, clock)
    declared = paper_returns_of(lake.read(STRATEGY_RETURNS))
    scaled = at_equal_volatility(declared)
    assert not np.allclose(scaled.net, declared.net)
    ledger = TrialLedger(lake, clock.now())
    assert report.details["comparison"] == compare(scaled, clock.now(), RULE, KNOWN_REGIMES, ledger=ledger).figures
    last = select(scaled, clock.now(), RULE, KNOWN_REGIMES).decisions[-1]
    stored = lake.read(SELECTIONS).filter(event_time=last.session, regime=last.regime)
    assert stored["probabilities"].item().to_list() == list(last.probabilities)


def test_every_symbol_is_assigned_the_decision_of_the_current_regime(
    earned: Lake, settings: Settings, tmp_path: Path, copy_lake: Callable[[Lake, Path], Lake]
) -> None:
    lake = copy_lake(earned, tmp_path / "assigned" / "tables")
    lake.merge(SELECTIONS, SELECTIONS.empty())
    with pytest.raises(NotReadyError, match="Nothing has been decided for regime"):
        update_assignments(lake, FixedClock(DEMO_START))
    update_selections(lake, settings, FixedClock(DEMO_START))
    report = update_assignments(lake, FixedClock(DEMO_START))
    rows = lake.read(STRATEGY_ASSIGNMENTS)
    assert rows["symbol"].sort().to_list() == ["AAA", "BBB", "CCC", "DDD"]  # those with bars, without the index
    current = lake.read(REGIMES).sort("event_time").tail(1)
    assert rows["event_time"].unique().to_list() == [DEMO_START]
    assert rows["regime"].unique().to_list() == current["regime"].to_list() == [report.details["regime"]]
    assert rows["weights"][0].to_list() == pytest.approx([1 / 3] * 3)
    assert update_assignments(lake, FixedClock(DEMO_START)).skipped


def test_strategies_are_compared_on_the_sessions_all_of_them_have(earned: Lake) -> None:
    rows = earned.read(STRATEGY_RETURNS)
    first = rows["event_time"].min()
    late = rows.filter(~((pl.col("strategy") == "ridge") & (pl.col("event_time") == first)))
    assert paper_returns_of(late).sessions == paper_returns_of(rows).sessions[1:]
    assert paper_returns_of(rows.sample(fraction=1, shuffle=True, seed=1)).strategies == (
        "naive",
        "buy_and_hold",
        "ridge",
    )
    with pytest.raises(NotReadyError, match="No session has a return of every strategy yet"):
        paper_returns_of(rows.clear())


def test_strategies_on_paper_and_ways_to_use_the_pool_are_trials_of_one_family(
    made_market: Lake, engines, closes, settings: Settings, tmp_path: Path, copy_lake: Callable[[Lake, Path], Lake]
) -> None:
    lake = copy_lake(made_market, tmp_path / "trials" / "tables")
    replay_forecasts(lake, engines, FixedClock(DEMO_START), sessions=25)
    for close in (closes[-8], closes[-7], DEMO_START, DEMO_START):
        update_strategy_returns(lake, FixedClock(close))
        update_selections(lake, settings, FixedClock(close))
    rows = lake.read(TRIAL_LEDGER).sort("event_time").unique(["trial_id"], keep="last")
    assert set(rows.select("kind", "subject").iter_rows()) == {
        *(("strategy", name) for name in ("naive", "buy_and_hold", "ridge")),
        *(("selection", name) for name in ("selection", "selection without proof", "equal weights")),
    }
    (family,) = families_of(lake, DEMO_START)
    assert (family.family, family.trials, family.failed) == ("strategies on paper", 6, 0)
    own = rows.filter(pl.col("subject") == "ridge")["trial_id"].item()
    gains = lake.read(TRIAL_GAINS, where=pl.col("trial_id") == own).sort("event_time")
    earned = lake.read(STRATEGY_RETURNS, where=pl.col("strategy") == "ridge").sort("event_time")
    assert gains.select("event_time", "gain").equals(earned.select("event_time", gain="net_return"))
    assert rows.filter(pl.col("subject") == "naive")["sharpe"].to_list() == [None], "cash has no ratio, and counts"


def test_no_figure_of_the_selection_is_told_that_is_not_in_the_ledger(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> int:
        raise OSError("the disk is full")

    returns, ledger = world(4, 60, seed=8), TrialLedger(Lake(tmp_path), DEMO_START)
    monkeypatch.setattr(TrialLedger, "record", refuse)
    with pytest.raises(OSError, match="the disk is full"):
        compare(returns, returns.known[-1], RULE, REGIME_NAMES, ledger=ledger)
