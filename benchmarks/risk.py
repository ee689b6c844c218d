"""The risk gate: time of one verdict, and how soon a runaway and a halt are stopped."""

import tempfile
import time
from pathlib import Path

import numpy as np

from benchmarks.report import Topic
from benchmarks.timing import timed
from lake.execution import Order
from serving.risk import Limits, RiskAccount, RiskGuard, judge, read_latch, restrict, resume

SYMBOLS, SCENARIOS = 25, 500
ORDERS, LOOKS, HALTS = 20_000, 2_000, 50
PARENTS, CHILDREN, MINUTES = 212, 4_000_000, 45
"""Of a runaway of 2012: parents, children that were sent for them, and for how long."""


LIMITS = Limits()


def measure() -> Topic:
    """Time verdicts on a book of 25 symbols, looks at the latch, and a runaway that nothing else holds back."""
    account = _account()
    verdicts, own = zip(*(_verdict(account, n) for n in range(ORDERS)), strict=True)
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        resume(home, by="benchmark", reason="start")
        looks = [timed(lambda: read_latch(home)) for _ in range(LOOKS)]
        halts = [timed(lambda: restrict(home, "halted", by="benchmark", reason="again")) for _ in range(HALTS)]
        resume(home, by="benchmark", reason="again")
        sent, seconds, asked = _runaway(home)
    measured = {
        f"one verdict, {SYMBOLS} symbols, {SCENARIOS} scenarios": verdicts,
        "one look at the latch": looks,
        "a halt, on disk": halts,
    }
    runaway = (
        f"Runaway of 2012 ({PARENTS} parents, a child every {1e3 * MINUTES * 60 / CHILDREN:.2f} ms): {sent} orders "
        f"within {seconds:.2f} s, and {asked} that were asked for, the strategy was halted."
    )
    return Topic(
        title="Risk gate",
        text="Verdicts on single orders, with value at risk; the latch of the switch; and a runaway.",
        header=("what", "median, µs", "p99, µs"),
        rows=tuple(
            (what, *(f"{1e6 * np.quantile(times, part):,.0f}" for part in (0.5, 0.99)))
            for what, times in measured.items()
        ),
        notes=(
            f"Of the verdicts the slowest in a hundred took {1e6 * np.quantile(own, 0.99):,.0f} µs of the processor.",
            runaway,
        ),
    )


def _account() -> RiskAccount:
    account, chance = RiskAccount(equity=1e8), np.random.default_rng(1)
    for n in range(SYMBOLS):
        account.hold(f"S{n}", 1_000.0, price=100.0, priced_at=0.0, volume_shares=1e7)
        account.scenarios[f"S{n}"] = chance.normal(0, 0.01, SCENARIOS)
    return account


def _verdict(account: RiskAccount, n: int) -> tuple[float, float]:
    """Return the seconds on the wall, and those of the processor alone, that one verdict takes."""
    order, before = Order(f"o{n}", "paper", f"S{n % SYMBOLS}", 100.0), time.thread_time()
    taken = timed(lambda: judge(order, account, LIMITS, "active", 0.0))
    return taken, time.thread_time() - before


def _runaway(home: Path) -> tuple[int, float, int]:
    account = RiskAccount(equity=1e8)
    account.hold("S0", 0.0, price=100.0, priced_at=0.0, volume_shares=1e9)
    account.scenarios["S0"] = np.zeros(SCENARIOS)
    for n in range(PARENTS):
        account.instruct(f"p{n}", 1_000)
    guard, sent, last = RiskGuard(home, "paper", account, LIMITS), 0, 0.0
    for n in range(CHILDREN):
        at = n * MINUTES * 60 / CHILDREN
        verdict = guard.submit(Order(f"c{n}", "paper", "S0", 100.0, parent_id=f"p{n % PARENTS}"), at, strategy="router")
        if verdict.action != "refuse":
            sent, last = sent + 1, at
            account.fill(f"c{n}", verdict.quantity)
        elif verdict.limit == "switch":
            return sent, last, n + 1
    return sent, last, CHILDREN
