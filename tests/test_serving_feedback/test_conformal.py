"""The tracker covers what it promises, whatever the band was, and learns from nothing that it could not know."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from lake.errors import ConfigError
from serving.calibration import TAIL, track
from serving.calibration.conformal import ForecastPanel, Tracked, TrackingRule
from serving.forecasts import calibrate, widened

SYMBOLS = 20
CLOSES = [datetime(2005, 1, 3, 21, tzinfo=UTC) + timedelta(days=n) for n in range(1_500)]
RULE = TrackingRule()
NO_RULE = TrackingRule(shared_gain=0.0, shared_floor=0.0, regime_gain=0.0, surprise_gain=0.0)


def panel_of(horizon: int = 1, scale: float = 0.7, seed: int = 3, closes: int = 1_500) -> ForecastPanel:
    """Returns that move together within a session, in three regimes, the last of them rare and wild."""
    random = np.random.default_rng(seed)
    regime = random.choice(3, p=[0.7, 0.25, 0.05], size=closes)
    session = np.repeat(np.arange(closes), SYMBOLS)
    common = np.repeat(random.normal(size=closes), SYMBOLS)
    wildness = np.array([1.0, 1.2, 1.5])[regime][session]
    realised = 0.01 * wildness * (0.6 * common + 0.8 * random.normal(size=len(session)))
    centre = random.normal(scale=0.0005, size=len(session))
    band = 1.2816 * 0.01 * scale
    quantiles = np.stack([centre - band, centre, centre + band], axis=1)
    known = np.minimum(session + horizon, closes)
    realised[known == closes] = np.nan
    return ForecastPanel(horizon, CLOSES[:closes], regime, session, quantiles, realised, known)


def coverage(panel: ForecastPanel, tracked: Tracked, regime: int, *, after: int = 0) -> tuple[float, float]:
    """Shares of outcomes below and above the band of one regime."""
    session = panel.session
    said = widened(panel.quantiles, tracked.factors[session, panel.regime[session]])
    mine = (panel.regime[session] == regime) & (session >= after) & ~np.isnan(panel.realised)
    return (panel.realised < said[:, 0])[mine].mean(), (panel.realised > said[:, 2])[mine].mean()


@pytest.mark.parametrize("scale", [0.7, 1.0, 1.6])
@pytest.mark.parametrize("horizon", [1, 5])
def test_each_tail_of_each_common_regime_holds_what_was_promised(scale: float, horizon: int) -> None:
    panel = panel_of(horizon, scale)
    tracked = track(panel, 3, RULE)
    for regime in (0, 1):
        assert np.allclose(coverage(panel, tracked, regime, after=250), TAIL, atol=0.01)


@pytest.mark.parametrize("scale", [0.7, 1.0])
def test_a_regime_of_seventy_sessions_is_on_its_way(scale: float) -> None:
    """It has its own part, which moves slowly: halfway from what the models said, beyond what all share."""
    panel = panel_of(scale=scale)
    raw, shared, own = (
        sum(coverage(panel, track(panel, 3, rule), 2, after=250))
        for rule in (NO_RULE, TrackingRule(regime_gain=0.0), RULE)
    )
    assert 2 * TAIL < own < shared < raw
    assert own - 2 * TAIL < 0.6 * (raw - 2 * TAIL)


def test_without_learning_it_would_not() -> None:
    """The mutant: a rule that never moves."""
    panel = panel_of(scale=0.7)
    assert min(coverage(panel, track(panel, 3, NO_RULE), 0)) > TAIL + 0.05


def test_one_regime_alone_would_leave_the_others_wrong() -> None:
    """The mutant without regimes: the mean is right and each regime is not."""
    panel = panel_of(scale=1.0)
    together = track(panel._replace(regime=np.zeros_like(panel.regime)), 1, RULE)
    blind = Tracked(np.repeat(together.factors, 3, axis=1), together.trust, together.seen)
    assert sum(coverage(panel, blind, 1, after=250)) > 2 * TAIL + 0.04


@pytest.mark.parametrize("horizon", [1, 5])
def test_outcomes_that_were_not_known_yet_change_nothing(horizon: int) -> None:
    assert leaks(panel_of(horizon, closes=300), at=150) == 0


def test_a_tracker_that_knew_outcomes_at_the_forecast_would_be_caught() -> None:
    """The mutant: outcomes five sessions ahead, taken as known at once."""
    panel = panel_of(5, closes=300)
    assert leaks(panel._replace(known=panel.session), at=150) > 0


def leaks(panel: ForecastPanel, at: int) -> int:
    """Count what changes at closes up to `at` when every outcome that came after it is another one."""
    came_later = panel.session + panel.horizon > at
    other = np.where(came_later, -3 * panel.realised + 0.5, panel.realised)
    first, second = (track(panel._replace(realised=realised), 3, RULE) for realised in (panel.realised, other))
    assert not np.array_equal(first.factors[-1], second.factors[-1]), "the other outcomes are learned from later"
    return sum(int((one[: at + 1] != two[: at + 1]).sum()) for one, two in zip(first, second, strict=True))


def test_going_through_history_day_by_day_gives_what_one_jump_gives() -> None:
    panel = panel_of(5, closes=200)
    whole = track(panel, 3, RULE)
    for last in (60, 61, 140):
        mine = panel.session <= last
        known = np.where(panel.known <= last, panel.known, last + 1)
        cut = ForecastPanel(
            5,
            panel.closes[: last + 1],
            panel.regime[: last + 1],
            panel.session[mine],
            panel.quantiles[mine],
            np.where(known <= last, panel.realised, np.nan)[mine],
            known[mine],
        )
        for part, of in zip(track(cut, 3, RULE), whole, strict=True):
            assert np.array_equal(part, of[: last + 1])


def test_a_session_counts_once_however_many_symbols_it_has() -> None:
    panel = panel_of(closes=50)
    thrice = ForecastPanel(
        1,
        panel.closes,
        panel.regime,
        np.repeat(panel.session, 3),
        np.repeat(panel.quantiles, 3, axis=0),
        np.repeat(panel.realised, 3),
        np.repeat(panel.known, 3),
    )
    for once, three in zip(track(panel, 3, RULE), track(thrice, 3, RULE), strict=True):
        assert np.allclose(once, three, rtol=1e-12)


def test_an_outcome_that_comes_late_counts_when_it_comes() -> None:
    panel = panel_of(closes=40)
    late = panel.known.copy()
    late[5 * SYMBOLS] = 20
    tracked = track(panel._replace(known=late), 3, RULE)
    assert tracked.seen[19].sum() == pytest.approx(19 - 1 / SYMBOLS)
    assert tracked.seen[20].sum() == pytest.approx(20)


def test_a_regime_never_seen_has_what_all_share() -> None:
    panel = panel_of(closes=200)
    tracked = track(panel, 4, RULE)
    shared = tracked.factors[-1, 3]
    assert (tracked.seen[:, 3] == 0).all()
    assert not np.allclose(shared, 1.0)
    without = track(panel, 3, TrackingRule(regime_gain=0.0))
    assert np.allclose(without.factors[-1], without.factors[-1, :1])


def test_trust_falls_for_a_direction_that_is_no_better_than_a_coin_and_stays_for_one_that_is() -> None:
    random = np.random.default_rng(7)
    panel = panel_of(scale=1.0)
    sure = panel.quantiles + 0.01
    assert track(panel._replace(quantiles=sure), 3, RULE).trust[-1] < 0.3
    lifted = panel.realised + 0.01 + random.normal(scale=1e-6, size=len(sure))
    assert track(panel._replace(quantiles=sure, realised=lifted), 3, RULE).trust[-1] == pytest.approx(1.0, abs=0.2)


def test_factors_stay_within_a_tenth_and_ten_for_a_band_without_width() -> None:
    panel = panel_of(closes=300)
    flat = np.repeat(panel.quantiles[:, 1:2], 3, axis=1)
    tracked = track(panel._replace(quantiles=flat), 3, TrackingRule(shared_floor=1.0))
    assert tracked.factors.max() == pytest.approx(10.0)
    assert (calibrate(flat[:, None], (1,), [None] * len(flat))[:, 0] == flat).all()


def test_a_rule_that_cannot_learn_is_refused() -> None:
    with pytest.raises(ConfigError, match="Gains are at least 0"):
        TrackingRule(regime_gain=-0.1)
    with pytest.raises(ConfigError, match="deviation is above 0"):
        TrackingRule(trust_deviation=0.0)
    with pytest.raises(ConfigError, match="the decay is from 0 to below 1"):
        TrackingRule(surprise_decay=1.0)


def test_after_a_shock_of_the_whole_market_bands_are_wider_within_sessions() -> None:
    """Volatility doubles at session 1,000; the models go on saying the old one."""
    panel = panel_of(scale=1.0, closes=1_040)
    panel = panel._replace(realised=np.where(panel.session >= 1_000, 2 * panel.realised, panel.realised))
    calm = panel._replace(regime=np.zeros_like(panel.regime))
    tracked = track(calm, 1)
    below, above = coverage(calm, tracked, 0, after=1_010)
    slow_below, slow_above = coverage(calm, track(calm, 1, TrackingRule(surprise_gain=0.0)), 0, after=1_010)
    assert below + above < 0.75 * (slow_below + slow_above)
    assert tracked.factors[990].max() < 1.3, "nothing was wrong before"
    assert tracked.factors[1_020].min() > 1.25


@pytest.mark.parametrize("spread", [0.0, 1e-300])
def test_bands_without_width_surprise_nobody(spread: float) -> None:
    panel = panel_of(closes=60)
    flat = np.tile(panel.quantiles[:, 1:2], 3) + np.array([-spread, 0.0, spread])
    assert np.isfinite(track(panel._replace(quantiles=flat), 3).factors).all()
