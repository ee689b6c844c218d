"""The benchmark of back-tests compares before it measures, and says what it could not measure."""

from dataclasses import replace

import numpy as np
import pytest

from benchmarks import backtest
from benchmarks.rivals.environments import Answer, Unavailable
from lake.execution import NO_COSTS, simulate_targets

NO_VECTORBT = Unavailable("vectorbt could not be installed (vectorbt): no network")


def test_every_row_has_its_figures_and_a_missing_rival_its_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backtest, "hold_targets", lambda *_, **__: NO_VECTORBT)
    topic = backtest.measure(12, 3, 12, 2, repetitions=1)
    assert all(len(row) == len(topic.header) for row in topic.rows)
    assert topic.rows[0][1] == NO_VECTORBT.reason
    assert topic.rows[0][-1] == "not measured"
    assert topic.notes[0] == f"nothing was compared: {NO_VECTORBT.reason}"


def test_a_rival_that_makes_other_fills_is_not_measured() -> None:
    panel, weights = backtest.made_up_market(12, 3)
    ours = simulate_targets(panel, weights, replace(NO_COSTS, fee_bps=backtest.FEE_BPS), cash=backtest.CASH)
    same = {"equity": ours.equity, "cash": ours.cash, "orders": np.array(ours.fills)}
    backtest.compare(ours, Answer(1.0, same))
    with pytest.raises(AssertionError, match="computes the cash differently by"):
        backtest.compare(ours, Answer(1.0, {**same, "cash": ours.cash + 1.0}))
    with pytest.raises(AssertionError, match="made other orders"):
        backtest.compare(ours, Answer(1.0, {**same, "orders": np.array(1)}))
