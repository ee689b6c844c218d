"""A hidden Markov model is fitted on its training sessions and filtered forward: what comes later changes nothing."""

import json
from itertools import pairwise, product
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import norm

from feature_repo.regimes import hidden_markov
from feature_repo.regimes.daily import HIDDEN, SHIFT_SESSIONS, compute_regimes
from feature_repo.regimes.hidden_markov import HiddenMarkov, fit
from lake.errors import ConfigError
from lake.sources import tiny_market
from lake.tables import REGIMES
from lake.universe import MARKET
from support.properties import examples

CHAIN = HiddenMarkov((0.7, 0.3), ((0.9, 0.1), (0.2, 0.8)), (0.1, -0.2), (0.5, 2.0))
TRAINING = 150


def two_states(sessions: int, seed: int, calm: float = 0.5, stormy: float = 2.0) -> tuple[np.ndarray, np.ndarray]:
    """A series and the states it was drawn from, each lasting some forty sessions."""
    random = np.random.default_rng(seed)
    state = np.cumsum(random.random(sessions) < 1 / 40) % 2
    return random.standard_normal(sessions) * np.where(state, stormy, calm), state


def sum_over_all_paths(model: HiddenMarkov, series: np.ndarray) -> np.ndarray:
    """The probability of each state at the last session, from every path the states may have taken."""
    density = norm.pdf(series[:, None], model.mean, np.sqrt(model.variance))
    density[np.isnan(series)] = 1.0
    total = np.zeros(2)
    for path in product(range(2), repeat=len(series)):
        probability = model.start[path[0]]
        for before, after in pairwise(path):
            probability *= model.transition[before][after]
        total[path[-1]] += probability * np.prod(density[range(len(path)), path])
    return total / total.sum()


def as_hmmlearn(model: HiddenMarkov):
    from hmmlearn.hmm import GaussianHMM

    theirs = GaussianHMM(2)
    theirs.startprob_, theirs.transmat_ = np.array(model.start), np.array(model.transition)
    theirs.means_, theirs.covars_ = np.array(model.mean)[:, None], np.array(model.variance)[:, None]
    return theirs


def test_the_filter_is_the_sum_over_all_paths() -> None:
    series = np.random.default_rng(3).normal(0, 1.2, 10)
    series[4] = np.nan  # nothing seen: only time has passed
    ours = CHAIN.filtered(series)
    for session in range(len(series)):
        np.testing.assert_allclose(ours[session], sum_over_all_paths(CHAIN, series[: session + 1]), rtol=1e-12)


def test_the_filter_is_hmmlearns_posterior_at_the_last_session_of_every_prefix() -> None:
    series, _ = two_states(300, 5)
    ours, theirs = CHAIN.filtered(series), as_hmmlearn(CHAIN)
    last = [theirs.predict_proba(series[: session + 1, None])[-1] for session in range(len(series))]
    np.testing.assert_allclose(ours, last, rtol=1e-9, atol=1e-300)


def smoothed(model: HiddenMarkov, series: np.ndarray) -> np.ndarray:
    """The mutant: hmmlearn's posterior over the whole series, which has seen what came after each session."""
    return as_hmmlearn(model).predict_proba(series[:, None])


def assert_later_sessions_change_nothing(filtered, series: np.ndarray, cut: int, other: np.ndarray) -> None:
    before = filtered(CHAIN, series)
    after = filtered(CHAIN, np.concatenate([series[:cut], other]))
    np.testing.assert_array_equal(after[:cut], before[:cut])


@given(st.integers(1, 80), st.integers(0, 60), st.integers(0, 2**31), st.sampled_from([0.01, 1.0, 50.0]))
@examples(15)
def test_no_later_session_changes_a_probability(cut: int, later: int, seed: int, scale: float) -> None:
    random = np.random.default_rng(seed)
    series = random.standard_normal(80)
    other = scale * random.standard_normal(later)
    assert_later_sessions_change_nothing(HiddenMarkov.filtered, series, cut, other)


def test_a_smoothed_probability_fails_that_property() -> None:
    series, _ = two_states(80, 1)
    with pytest.raises(AssertionError, match="not equal"):
        assert_later_sessions_change_nothing(smoothed, series, 60, np.full(20, 5.0))


def test_an_impossible_state_stays_impossible_and_numbers_stay_finite() -> None:
    stuck = HiddenMarkov((1.0, 0.0), ((1.0, 0.0), (0.0, 1.0)), (0.0, 0.0), (1.0, 4.0))
    rows = stuck.filtered(np.array([0.0, 1e3, -1e3, np.nan]))
    np.testing.assert_array_equal(rows, np.tile([1.0, 0.0], (4, 1)))


def test_the_fit_finds_the_states_a_series_was_drawn_from() -> None:
    series, state = two_states(1200, 11)
    model = fit(series)
    assert np.sqrt(model.variance) == pytest.approx([0.5, 2.0], rel=0.1)
    assert np.diag(model.transition) == pytest.approx([1 - 1 / 40] * 2, abs=0.02)
    is_right = (model.filtered(series)[:, 1] > 0.5) == state
    assert is_right.mean() > 0.92


@pytest.mark.parametrize("seed", [0, 1])
def test_states_keep_their_names_whatever_the_seed(seed: int) -> None:
    series, _ = two_states(600, 4)
    assert fit(series, seed=seed).variance == pytest.approx(fit(series, seed=7).variance, rel=1e-4)
    shifted = series * 0.2 + np.where(np.arange(600) % 120 < 60, -1.0, 1.0)
    low, high = fit(shifted, "mean", seed=seed).mean
    assert low < -0.5 < 0.5 < high


def test_the_unit_of_a_series_does_not_matter_to_its_states() -> None:
    series, _ = two_states(400, 9)
    there, here = fit(series), fit(series * 1e-4 + 3.0)
    np.testing.assert_allclose(there.filtered(series), here.filtered(series * 1e-4 + 3.0), rtol=1e-6, atol=1e-9)


def test_a_gap_is_fitted_around_and_filtered_through() -> None:
    series, _ = two_states(500, 2)
    series[[0, 100, 101, 350]] = np.nan
    model = fit(series)
    assert np.isfinite(model.filtered(series)).all()


def test_a_fit_is_remembered_by_what_it_was_fitted_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    series, _ = two_states(200, 6)
    fitted = fit(series, cache_folder=tmp_path)

    def refuse(*_: object) -> HiddenMarkov:
        raise AssertionError("fitted again")

    monkeypatch.setattr(hidden_markov, "_fit_standard", refuse)
    assert fit(series, cache_folder=tmp_path) == fitted
    with pytest.raises(AssertionError, match="fitted again"):
        fit(series[1:], cache_folder=tmp_path)


def test_a_torn_memory_is_fitted_again(tmp_path: Path) -> None:
    series, _ = two_states(200, 6)
    fitted = fit(series, cache_folder=tmp_path)
    (path,) = tmp_path.iterdir()
    path.write_text("{", encoding="utf-8")
    assert fit(series, cache_folder=tmp_path) == fitted


def test_a_stored_fit_that_was_changed_is_fitted_again(tmp_path: Path) -> None:
    series, _ = two_states(200, 6)
    fitted = fit(series, cache_folder=tmp_path)
    (path,) = tmp_path.iterdir()
    stored = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps(stored | {"start": [0.25, 0.75]}), encoding="utf-8")
    assert fit(series, cache_folder=tmp_path) == fitted


@pytest.mark.parametrize("series", [np.zeros(100), np.array([1.0, 2.0]), np.array([np.inf, 1.0, 2.0, 3.0, 4.0])])
def test_a_series_without_states_is_refused(series: np.ndarray) -> None:
    with pytest.raises(ConfigError, match=r"needs a finite series that varies.*more training sessions"):
        fit(series)


@pytest.fixture(scope="module")
def bars() -> pl.DataFrame:
    return tiny_market([*(f"S{n}" for n in range(5)), MARKET], 420, 3)


def test_no_later_bar_changes_a_regime(bars: pl.DataFrame) -> None:
    full = compute_regimes(bars, training_sessions=TRAINING)
    assert REGIMES.conform(full)["correlation_shift_probability"].null_count() < full.height / 2
    sessions = bars["event_time"].unique().sort()
    random = np.random.default_rng(0)
    for cut in (sessions[-1 - n] for n in (1, 2, 17, 60, 120)):
        is_past = pl.col("event_time") <= cut
        noise = pl.Series(np.exp(random.normal(0, 0.3, bars.height)))
        for other in (bars.filter(is_past), bars.with_columns(pl.when(is_past).then("close").otherwise(noise * 50))):
            past = compute_regimes(other, training_sessions=TRAINING).filter(is_past)
            assert past.equals(full.filter(is_past))


def test_hidden_states_are_null_until_their_training_ends(bars: pl.DataFrame) -> None:
    regimes = compute_regimes(bars, training_sessions=330)
    times = bars["event_time"].unique().sort()
    unknown = {"high_volatility_probability": 330, "uptrend_probability": 330 + 59}
    for column, first in unknown.items():
        known = regimes.filter(pl.col(column).is_not_null())
        assert known["event_time"].min() == times[first]  # the first return is that of the second session
    assert compute_regimes(bars)[[hidden.probability for hidden in HIDDEN]].null_count().row(0) == (regimes.height,) * 3


def test_training_sessions_alone_decide_the_parameters(bars: pl.DataFrame) -> None:
    """One more session leaves every stored probability as it was, and one training bar less changes them."""
    times = bars["event_time"].unique().sort()
    full = compute_regimes(bars, training_sessions=TRAINING)
    without_first = compute_regimes(bars.filter(pl.col("event_time") > times[0]), training_sessions=TRAINING)
    kept = without_first["event_time"].implode()
    assert not without_first["high_volatility_probability"].equals(
        full.filter(pl.col("event_time").is_in(kept))["high_volatility_probability"]
    )


def test_the_correlation_shift_compares_with_the_state_of_twenty_sessions_ago(bars: pl.DataFrame) -> None:
    rows = compute_regimes(bars, training_sessions=TRAINING)
    probability = rows["high_correlation_probability"].to_list()
    checked = 0
    for t, row in enumerate(rows.iter_rows(named=True)):
        if t < SHIFT_SESSIONS or probability[t - SHIFT_SESSIONS] is None:
            continue
        was_high = probability[t - SHIFT_SESSIONS] > 0.5
        expected = 1 - probability[t] if was_high else probability[t]
        assert row["correlation_shift_probability"] == expected
        assert row["correlation_shift"] == (expected > 0.5)
        checked += 1
    assert checked > 100


def test_average_correlation_is_that_of_standardised_returns(bars: pl.DataFrame) -> None:
    """Against numpy: every pair's product of standardised returns, summed over the last 20 sessions."""
    names = sorted(set(bars["symbol"]) - {MARKET})
    close = np.stack([bars.filter(pl.col("symbol") == name).sort("event_time")["close"].to_numpy() for name in names])
    returns = close[:, 1:] / close[:, :-1] - 1
    t = 300
    standard = np.stack(
        [returns[:, s - 1] / returns[:, s - 60 : s].std(axis=1, ddof=1) for s in range(t - 19, t + 1)]
    )  # [session, symbol]
    pairs = [standard[:, i] @ standard[:, j] for i in range(5) for j in range(5) if i != j]
    expected = sum(pairs) / (4 * (standard**2).sum())
    times = bars["event_time"].unique().sort()
    row = compute_regimes(bars).filter(pl.col("event_time") == times[t])
    assert row["average_correlation"][0] == pytest.approx(expected, rel=1e-9)


def test_the_real_market_was_stormy_and_falling_together_in_the_autumn_of_2008(real_bars: pl.DataFrame) -> None:
    regimes = compute_regimes(real_bars)
    year, month = pl.col("event_time").dt.year(), pl.col("event_time").dt.month()
    autumn = regimes.filter(year == 2008, month.is_in([10, 11]))
    assert set(autumn["hidden_volatility_state"]) == {"high_volatility"}
    assert autumn["uptrend_probability"].mean() < 0.1
    assert autumn["high_correlation_probability"].mean() > 0.9
    calm = regimes.filter(year == 2006)
    assert calm["high_volatility_probability"].mean() < 0.05
    assert calm["uptrend_probability"].mean() > 0.6
