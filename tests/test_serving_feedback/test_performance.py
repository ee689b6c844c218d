"""Scores worked out by hand, and groups that add up."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from lake.clock import DEMO_START, FixedClock
from lake.errors import NotReadyError
from lake.store import Lake
from lake.tables import FORECASTS, OUTCOMES, PERFORMANCE, STRATEGY_RETURNS
from serving.backfill import replay_forecasts
from serving.outcomes import mature, update_performance, update_strategy_returns
from serving.outcomes.performance import performance_of
from serving.strategies import drawdown_of, sharpe_of

START = datetime(2012, 1, 3, 21, tzinfo=UTC)


def earned(net: list[float], regimes: list[str], exposure: float = 1.0) -> pl.DataFrame:
    days = [START + timedelta(days=day) for day in range(len(net) + 1)]
    return pl.DataFrame(
        {
            "strategy": ["ridge"] * len(net),
            "event_time": days[:-1],
            "known_time": days[1:],
            "regime": regimes,
            "gross_return": net,
            "cost": [0.0] * len(net),
            "net_return": net,
            "turnover": [0.0] * len(net),
            "exposure": [exposure] * len(net),
        },
        schema=STRATEGY_RETURNS.schema,
    )


NOTHING_JUDGED = FORECASTS.empty().join(OUTCOMES.empty().drop("event_time", "known_time"), on="forecast_id")


def test_sharpe_and_drawdown_are_as_by_hand() -> None:
    # mean 0.01, deviation 0.01
    assert sharpe_of(np.array([0.0, 0.01, 0.02])) == pytest.approx(np.sqrt(252))
    assert sharpe_of(np.array([0.0, 0.01, 0.02]), "24/7@60m") == pytest.approx(np.sqrt(365 * 24))
    # 1, 1.1, 0.88, 0.924: the fall from 1.1 to 0.88
    assert drawdown_of(np.array([0.1, -0.2, 0.05])) == pytest.approx(0.2)
    assert drawdown_of(np.array([-0.5])) == pytest.approx(0.5)
    assert drawdown_of(np.array([0.1, 0.1])) == 0


@pytest.mark.parametrize("net", [[], [0.01], [0.0, 0.0, 0.0]])
def test_what_has_no_deviation_has_no_sharpe_ratio(net: list[float]) -> None:
    assert sharpe_of(np.array(net)) is None


def test_windows_look_back_on_sessions_of_the_market() -> None:
    net = [0.01] * 40 + [-0.01] * 60
    rows = performance_of(earned(net, ["calm"] * 40 + ["wild"] * 60), NOTHING_JUDGED)
    found = {(row["regime"], row["window"]): row for row in rows.iter_rows(named=True)}
    assert found["all", "60"]["sessions"] == 60
    assert found["all", "60"]["net_return"] == pytest.approx(-0.6)
    assert found["all", "250"]["sessions"] == found["all", "all"]["sessions"] == 100
    assert found["calm", "all"]["net_return"] == pytest.approx(0.4)
    assert ("calm", "60") not in found, "the regime did not occur in the window"
    assert found["all", "all"]["win_rate"] == pytest.approx(0.4)
    assert rows["event_time"].unique().to_list() == [START + timedelta(days=99)]


def test_a_strategy_in_cash_has_no_win_rate() -> None:
    rows = performance_of(earned([0.0, 0.0], ["calm"] * 2, exposure=0.0), NOTHING_JUDGED)
    assert rows["win_rate"].unique().to_list() == [None]


@pytest.fixture
def lived(made_market: Lake, engines, tmp_path: Path, copy_lake: Callable[[Lake, Path], Lake]) -> Lake:
    lake = copy_lake(made_market, tmp_path / "lived" / "tables")
    clock = FixedClock(DEMO_START)
    replay_forecasts(lake, engines, clock, sessions=20)
    mature(lake, clock)
    return lake


def test_regimes_add_up_to_all_of_them_and_forecasts_are_the_models_own(lived: Lake) -> None:
    clock = FixedClock(DEMO_START)
    lived.merge(STRATEGY_RETURNS, STRATEGY_RETURNS.empty())
    with pytest.raises(NotReadyError, match="No strategy has a settled session yet"):
        update_performance(lived, clock)
    update_strategy_returns(lived, clock)
    report = update_performance(lived, clock)
    rows = lived.read(PERFORMANCE).filter(window="all")
    summed = ["sessions", "forecasts", "net_return"]
    parts = rows.filter(pl.col("regime") != "all").group_by("strategy").agg(pl.col(summed).sum()).sort("strategy")
    whole = rows.filter(regime="all").sort("strategy").select("strategy", *summed)
    assert report.added == lived.read(PERFORMANCE).height
    assert parts.drop("net_return").equals(whole.drop("net_return"))
    np.testing.assert_allclose(parts["net_return"], whole["net_return"], atol=1e-12)
    judged = lived.read(FORECASTS).join(lived.read(OUTCOMES), on="forecast_id")
    ridge = judged.filter(model_name="ridge", horizon_sessions=1)
    row = whole.join(rows.filter(regime="all"), on="strategy").filter(strategy="ridge").row(0, named=True)
    assert row["forecasts"] == ridge.height == 19 * 4
    assert row["mean_absolute_error"] == pytest.approx(ridge["error"].abs().mean())
    assert row["hit_rate"] == pytest.approx(ridge["is_direction_hit"].mean())
    assert rows.filter(strategy="naive", regime="all")["hit_rate"].item() is None
    again = update_performance(lived, clock)
    assert (again.skipped, again.details["reason"]) == (True, "no session has settled since the last one")
