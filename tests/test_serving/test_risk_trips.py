"""Trips: one bad tick never stops trading, a true loss does with its third quote, and a restart forgets nothing."""

from hypothesis import given, settings
from hypothesis import strategies as st

from serving.risk import Bound, Limits, LossWatch, RiskAccount, RiskGuard, read_latch, restrict, resume
from serving.risk.states import Scope

LIMITS = Limits(daily_loss_of_equity=Bound(0.02, 0.04), drawdown_of_peak=Bound(0.1, 0.2))
SHARES = {"AAA": 1_000.0, "BBB": -500.0}


def watch() -> LossWatch:
    """One million of equity: 950,000 in cash, AAA for 100,000 and BBB sold short for 50,000."""
    references = {"AAA": 100.0, "BBB": 100.0}
    return LossWatch(LIMITS, day_start_equity=1e6, peak_equity=1e6, references=references)


def guard(home) -> RiskGuard:
    held = RiskAccount(equity=1e6)
    for symbol, shares in SHARES.items():
        held.hold(symbol, shares, price=100.0, priced_at=0.0)
    return RiskGuard(home, "paper", held, LIMITS, watch=watch())


def test_a_true_loss_trips_with_its_third_quote_and_the_trip_outlives_the_process(tmp_path):
    resume(tmp_path, by="A. Reviewer", reason="test")
    guarded = guard(tmp_path)
    for n in (1, 2):
        assert guarded.quote("AAA", 50.0, float(n), 950_000.0) == ()
    (breach,) = guarded.quote("AAA", 50.0, 3.0, 950_000.0)
    assert (breach.limit, round(breach.used, 12), breach.confirmations) == ("daily_loss_of_equity", 0.05, 3)
    found = read_latch(tmp_path)  # what a process that starts anew sees
    assert found.state_of("paper", "trend", "AAA") == "reducing"
    assert found.state_of("another", "trend", "AAA") == "active"
    assert [(event["kind"], event["confirmations"]) for event in found.events][-1] == ("trip", 3)
    guarded.quote("AAA", 50.0, 4.0, 950_000.0)
    assert len(read_latch(tmp_path).events) == len(found.events)


def test_a_trip_leaves_a_halt_as_it_is(tmp_path):
    resume(tmp_path, by="A. Reviewer", reason="test")
    restrict(tmp_path, "halted", by="tests", reason="x", scope=Scope("account", "paper"))
    guarded = guard(tmp_path)
    for n in (1, 2, 3):
        guarded.quote("AAA", 50.0, float(n), 950_000.0)
    assert read_latch(tmp_path).state_of("paper", "", "AAA") == "halted"


def test_the_same_quote_again_confirms_nothing():
    watched = watch()
    for _ in range(10):
        watched.quote("AAA", 50.0, 1.0)
        assert watched.look(950_000.0, SHARES) == ()


def test_quotes_of_others_confirm_no_bad_tick():
    watched = watch()
    watched.quote("AAA", 1.0, 1.0)
    for n in range(2, 20):
        watched.quote("BBB", 100.0, float(n))
        assert watched.look(950_000.0, SHARES) == ()


def test_a_spike_up_raises_no_peak_that_an_ordinary_price_falls_from():
    watched = watch()
    for n, price in enumerate((100.0, 100.0, 1e6, 100.0, 100.0, 100.0)):
        watched.quote("AAA", price, float(n))
        assert watched.look(950_000.0, SHARES) == ()
    assert watched.peak_equity < 1.1e6


@given(
    st.lists(st.floats(99, 101), min_size=12, max_size=12),
    st.integers(0, 11),
    st.sampled_from([1e-6, 1.0, 30.0, 1_000.0, 1e9]),
    st.sampled_from(["AAA", "BBB"]),
)
@settings(max_examples=60, derandomize=True, deadline=None)
def test_one_bad_tick_anywhere_never_trips(prices, where, bad, symbol):
    watched = watch()
    for n, price in enumerate(prices):
        other = "BBB" if symbol == "AAA" else "AAA"
        watched.quote(symbol, bad if n == where else price, float(n))
        watched.quote(other, price, float(n))
        assert watched.look(950_000.0, SHARES) == ()
