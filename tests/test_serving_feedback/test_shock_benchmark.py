"""The bands hold after a doubling of volatility: a short run of `python -m benchmarks shock`."""

import numpy as np

from benchmarks import shock


def test_within_twenty_sessions_of_a_doubling_seventy_percent_are_inside() -> None:
    found = shock.coverage(12, seed=4)
    names = [name for name, _ in shock.scales(shock.world(np.random.default_rng(1)))]
    assert [*found] == [f"{name}{how}" for name in names for how in ("", ", calibrated")]
    place = shock.SPANS.index((1, 20))
    assert found["garch, calibrated"][place] >= shock.ASKED - 0.02, "twelve worlds, not two hundred"
    assert found["garch, calibrated"][place] > found["garch"][place] + 0.04
    assert found["garch, calibrated"][-1] > 0.77
