"""No feature, label or regime sees the future, and the checker that says so catches what does."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import polars as pl
import pytest

from feature_repo.catalog import GROUPS, TECHNICAL
from feature_repo.compute.kernel import Bars, kernel
from feature_repo.engines.panel import compute_technical
from feature_repo.leaks import LeakSubject, World, as_values, check, find_leaks, require_causal, subjects
from feature_repo.leaks.counterfactuals import compare, in_this_process, replayed
from feature_repo.leaks.subjects import group_subject, label_subject, regime_subject
from feature_repo.leaks.world import RELEASES, rescaled, restated, trial_world
from feature_repo.regimes.daily import compute_regimes
from feature_repo.spec import Feature, FeatureGroup
from feature_repo.targets.labels import compute_labels
from lake.errors import LookAheadError
from lake.universe import MARKET

RETURN = pl.col("close") / pl.col("close").shift(1) - 1
FEW = 10
"""Sessions replayed here; the slow variant and `make leaks` replay 400."""


@kernel
def planted_tomorrow(close: Bars) -> Bars:
    out = close.copy()
    for t in range(close.size - 1):
        out[t] = close[t + 1] / close[t] - 1
    out[-1] = 0.0
    return out


TOMORROW = Feature("tomorrow", planted_tomorrow, ("close",), 1, unit="", formula="", meaning="")


def consecutive(bars: pl.DataFrame, count: int = 6) -> list:
    """Consecutive sessions near the end, so that each weekday is once the last one known, and two far back."""
    sessions = bars["event_time"].unique().sort()
    return [sessions[40], sessions[len(sessions) // 2], *sessions[-count - 3 : -3].to_list()]


def told(compute: Callable[[pl.DataFrame], pl.DataFrame], **options) -> LeakSubject:
    return LeakSubject("user", "planted", lambda world: compute(world.bars), **options)


@pytest.mark.parametrize("subject", subjects(), ids=lambda subject: subject.name)
def test_nothing_that_is_registered_sees_the_future(subject: LeakSubject) -> None:
    checked = check(subject, replayed=FEW)
    assert checked.passed, checked.leaks[:3]
    assert checked.columns
    assert checked.replayed == FEW


@pytest.mark.slow
@pytest.mark.parametrize("subject", subjects(), ids=lambda subject: subject.name)
def test_nothing_that_is_registered_sees_the_future_in_a_replay_of_every_bar(subject: LeakSubject) -> None:
    checked = check(subject)
    assert checked.passed, checked.leaks[:3]
    assert checked.replayed == 400


def test_every_group_and_every_feature_is_a_subject() -> None:
    declared = {group.table.name: {feature.name for feature in group} for group in GROUPS}
    registered = {subject.name: {*subject.warm_ups} for subject in subjects() if subject.kind == "feature"}
    assert registered == declared


def test_no_feature_of_the_real_market_sees_the_future(real_bars: pl.DataFrame) -> None:
    chosen = real_bars.filter(
        pl.col("symbol").is_in(["AAPL", "META", "JPM", "^GSPC"]), pl.col("event_time").dt.year() >= 2010
    )
    require_causal(compute_technical, chosen, consecutive(chosen, 3))


def test_no_regime_of_the_real_market_sees_the_future(real_bars: pl.DataFrame) -> None:
    few = real_bars.filter(pl.col("symbol").is_in(["AAPL", "JPM", "KO", "XOM", "^GSPC"]))
    assert compute_regimes(few).drop_nulls().height > 1500
    require_causal(compute_regimes, few, consecutive(few, 2)[1:], key=("market", "event_time"))


def test_a_leaking_kernel_among_clean_features_is_the_only_one_named(small_market) -> None:
    bars = small_market(290)
    mixed = [*TECHNICAL, TOMORROW]
    with pytest.raises(LookAheadError, match=r"1 columns change .* 'tomorrow' when the future was cut off, e\.g\. "):
        require_causal(lambda b: compute_technical(b, mixed), bars, consecutive(bars, 2))


def test_a_leak_that_acts_on_one_row_is_found_by_the_replay_alone() -> None:
    world = trial_world(120)
    at = world.sessions[77]

    def leaks_once(bars: pl.DataFrame) -> pl.DataFrame:
        value = pl.when(pl.col("event_time") == at).then(RETURN.shift(-1)).otherwise(RETURN).over("symbol")
        return bars.select("symbol", "event_time", value.alias("once"))

    (leak, *_) = check(told(leaks_once), world).leaks
    assert (leak.how, leak.column, leak.first, leak.example["event_time"]) == ("replayed", "once", at, at)
    assert find_leaks(leaks_once, world.bars, consecutive(world.bars)) == []


def test_truncated_worlds_are_computed_before_the_whole_one(small_market) -> None:
    """What the first call keeps is then of the past; were the whole history given first, the others would know it."""
    kept: list[float] = []

    def fitted_once(bars: pl.DataFrame) -> pl.DataFrame:
        kept.append(bars["close"].std())
        return bars.select("symbol", "event_time", (RETURN.over("symbol") / kept[0]).alias("fitted_once"))

    bars = small_market(60)
    sessions = bars["event_time"].unique().sort()
    cuts = [sessions[20], sessions[40]]
    find_leaks(fitted_once, bars, cuts)
    assert len(kept) == 7
    assert kept[0] == bars.filter(pl.col("event_time") <= cuts[0])["close"].std()


def test_a_row_that_appears_only_with_the_future_is_a_leak(small_market) -> None:
    """A session dropped because of what came after it is seen, although no value of another row changes."""

    def only_before_gains(bars: pl.DataFrame) -> pl.DataFrame:
        return bars.filter((pl.col("close").shift(-1) > pl.col("close")).over("symbol").fill_null(value=True)).select(
            "symbol", "event_time"
        )

    bars = small_market(60)
    assert {leak.column for leak in find_leaks(only_before_gains, bars, consecutive(bars))} == {"the row itself"}


def test_labels_do_see_the_future_and_the_checker_says_so(small_market) -> None:
    bars = small_market(60)
    leaks = find_leaks(compute_labels, bars, consecutive(bars), key=("symbol", "event_time", "horizon_sessions"))
    assert "forward_return" in {leak.column for leak in leaks}


def test_a_label_that_claims_to_be_known_too_early_is_caught() -> None:
    """The mutant of the label's promise: it is compared from its known_time on, so an early one is a leak."""

    def early(world: World) -> pl.DataFrame:
        return compute_labels(world.bars, [5]).with_columns(pl.col("known_time") - timedelta(days=1))

    leaks = check(replace(label_subject(), compute=early), trial_world(80)).leaks
    assert {"replayed", "cut off"} <= {leak.how for leak in leaks}


def test_a_smoothed_regime_is_caught() -> None:
    """The mutant of the forward filter: hmmlearn's own posterior, which has seen the sessions that came after."""
    from hmmlearn.hmm import GaussianHMM

    theirs = GaussianHMM(2)
    theirs.startprob_, theirs.transmat_ = [0.5, 0.5], [[0.97, 0.03], [0.03, 0.97]]
    theirs.means_, theirs.covars_ = [[0.0], [0.0]], [[1e-4], [4e-4]]

    def smoothed(bars: pl.DataFrame) -> pl.DataFrame:
        index = bars.filter(pl.col("symbol") == MARKET).sort("event_time")
        returns = index.select(RETURN.fill_null(0.0)).to_numpy()
        return index.select("symbol", "event_time").with_columns(
            pl.Series("high_volatility_probability", theirs.predict_proba(returns)[:, 1])
        )

    assert {"replayed", "cut off", "disturbed"} <= {leak.how for leak in check(told(smoothed), trial_world(80)).leaks}


def test_a_declared_warm_up_that_is_too_short_is_caught_and_one_bar_can_decide() -> None:
    (volatility,) = (feature for feature in TECHNICAL if feature.name == "volatility_20d")
    world = trial_world(120)
    assert check(group_subject(FeatureGroup("one", "", (volatility,))), world, replayed=1).passed
    short = replace(volatility, warm_up=0, lookback=volatility.lookback - 1)
    (leak, *_) = check(group_subject(FeatureGroup("one", "", (short,))), world, replayed=1).leaks
    assert (leak.column, leak.how) == ("volatility_20d", "warmed up")


def test_a_price_level_that_claims_to_be_free_of_the_scale_is_caught() -> None:
    (macd,) = (feature for feature in TECHNICAL if feature.name == "macd")
    world = trial_world(120)
    declared = group_subject(FeatureGroup("one", "", (replace(macd, warm_up=0),)))
    assert "rescaled" not in {leak.how for leak in check(declared, world, replayed=1).leaks}
    claimed = group_subject(FeatureGroup("one", "", (replace(macd, warm_up=0, is_scale_free=True),)))
    assert "rescaled" in {leak.how for leak in check(claimed, world, replayed=1).leaks}


def test_a_row_that_hides_a_restatement_is_caught() -> None:
    group = group_subject(TECHNICAL)

    def at_its_close(world: World) -> pl.DataFrame:
        return group.compute(world).with_columns(pl.col("event_time").alias("known_time"))

    leaks = check(replace(group, compute=at_its_close, warm_ups={}), trial_world(120), replayed=1).leaks
    assert {leak.how for leak in leaks} == {"restated"}
    assert "return_1d" in {leak.column for leak in leaks}


def test_a_restatement_and_a_later_split_change_what_they_say() -> None:
    import numpy as np

    world = trial_world(100)
    cut = world.sessions[60]
    changed = restated(world, cut, np.random.default_rng(0)).bars
    is_later = changed["known_time"] > world.sessions[-1]
    assert 10 < is_later.sum() < world.bars.height / 10
    assert changed.filter(is_later)["event_time"].max() <= cut
    split = rescaled(world, cut, np.random.default_rng(0)).bars
    older, index = pl.col("event_time") <= cut, pl.col("symbol") == MARKET
    assert (split.filter(older & ~index)["close"] * 2).equals(world.bars.filter(older & ~index)["close"])
    assert split.filter(~older | index).equals(world.bars.filter(~older | index))
    assert split["close_unadjusted"].equals(world.bars["close_unadjusted"])


def test_what_was_known_then_leaves_out_later_releases() -> None:
    world = trial_world(100)
    known = world.until(world.sessions[30])
    assert known.bars["event_time"].max() == world.sessions[30]
    assert 0 < known.releases.height < world.releases.height
    assert known.releases["known_time"].max() <= world.sessions[30]
    assert dict(world.releases.schema) == RELEASES


def test_the_report_tells_every_column_its_first_offending_row() -> None:
    world = trial_world(80)

    def both(bars: pl.DataFrame) -> pl.DataFrame:
        return bars.select(
            "symbol", "event_time", RETURN.over("symbol").alias("clean"), RETURN.shift(-1).over("symbol").alias("dirty")
        )

    clean, dirty = as_values([check(told(both), world)])
    assert (clean["column"], clean["passed"], clean["leaks"]) == ("clean", True, [])
    assert not dirty["passed"]
    assert dirty["leaks"][0]["how"] == "replayed"
    assert dirty["leaks"][0]["first"] == world.sessions[0].isoformat()


def test_a_replay_compares_nulls_as_values() -> None:
    """A value that was there then and is null now has changed as much as one that was null."""
    world = trial_world(60)

    def forgets(other: World) -> pl.DataFrame:
        last = other.bars["event_time"].max()
        kept = pl.when(pl.col("event_time") == last).then("close")
        return other.bars.select("symbol", "event_time", kept.alias("forgets"))

    others = [replayed(world, world.sessions[-10:])]
    _, (leak,) = compare(others, world, in_this_process(forgets), key=("symbol", "event_time"))
    assert (leak.column, leak.rows) == (
        "forgets",
        world.bars.filter(pl.col("event_time") >= world.sessions[-10])
        .filter(pl.col("event_time") < world.sessions[-1])
        .height,
    )


def test_regimes_are_checked_where_their_hidden_states_are_known() -> None:
    subject = regime_subject()
    rows = subject.compute(trial_world(subject.sessions))
    assert rows["correlation_shift_probability"].drop_nulls().len() > 100
