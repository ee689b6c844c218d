"""A back-test as a whole: out of sample, beside its nulls, in the ledger before its score is seen."""

import copy
import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from lake.clock import DEMO_START, FixedClock
from lake.errors import NotReadyError, SchemaError, UnknownNameError
from lake.ledger import families_of, sharpe_statistics
from lake.settings import Settings
from lake.store import Lake
from lake.tables import (
    BACKTEST_ACCOUNTS,
    BACKTEST_FILLS,
    BACKTEST_SESSIONS,
    BACKTESTS,
    FORECASTS,
    HOLDOUT_OPENINGS,
    TRIAL_GAINS,
    TRIAL_LEDGER,
)
from serving.backtest import (
    backtest_named,
    equity_of,
    fills_of,
    latest_backtest,
    list_backtests,
    require_nulls,
    run_backtest,
)
from serving.backtest.prepared import prepare
from serving.backtest.targets import matched_targets
from support.backtests import NO_COSTS, SYMBOLS, made_market, small_file

CLOCK = FixedClock(DEMO_START)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    return Settings(home=tmp_path_factory.mktemp("backtests"))


@pytest.fixture(scope="module")
def ran(home: Settings) -> Lake:
    """Return a lake in which one back-test was run, to read only."""
    lake = made_market(Lake.open(home))
    run_backtest(lake, home, CLOCK, small_file())
    return lake


def test_every_row_and_report_has_one_over_n_and_naive_beside_it(ran: Lake) -> None:
    (row,) = ran.read(BACKTESTS).iter_rows(named=True)
    report = json.loads(row["report"])
    require_nulls(report)
    assert set(report["accounts"]) == set(BACKTEST_ACCOUNTS)
    for fold in report["folds"]:
        assert set(BACKTEST_ACCOUNTS) <= set(fold)
    assert set(ran.read(BACKTEST_SESSIONS)["account"]) == set(BACKTEST_ACCOUNTS)
    for column in BACKTESTS.columns:
        if column.name.startswith(("equal_weight", "naive")) and not column.name.endswith("sharpe"):
            assert not column.nullable, f"{column.name} may be left out"


def test_one_over_n_at_the_exposure_of_itself_is_one_over_n(home: Settings, ran: Lake) -> None:
    """And at a tenth of it, without costs that grow with size, it earns about a tenth."""
    equal = prepare(ran, home.models, CLOCK, small_file(pool=None, equal_weight=True, costs=NO_COSTS))
    wanted = equal.targets["equal_weight"]
    np.testing.assert_allclose(matched_targets(wanted), wanted)
    np.testing.assert_allclose(matched_targets(-0.1 * wanted), 0.1 * wanted)
    whole, tenth = equal.net_returns(wanted), equal.net_returns(matched_targets(0.1 * wanted))
    assert tenth.sum() == pytest.approx(0.1 * whole.sum(), rel=0.05)


def test_the_first_remark_has_one_over_n_at_the_exposure_of_the_strategy(home: Settings, ran: Lake) -> None:
    report = json.loads(ran.read(BACKTESTS)["report"][0])
    test = prepare(ran, home.models, CLOCK, small_file())
    earned = 100 * (np.prod(1 + test.net_returns(matched_targets(test.targets["strategy"]))) - 1)
    exposure = 100 * report["accounts"]["strategy"]["exposure"]
    assert f"{exposure:.0f} % on average, earned {earned:+.2f} % net" in report["remarks"][0]


@pytest.mark.parametrize("name", BACKTEST_ACCOUNTS)
@pytest.mark.parametrize("where", ["the whole", "fold"])
def test_a_report_without_one_of_its_accounts_is_refused(ran: Lake, name: str, where: str) -> None:
    report = json.loads(ran.read(BACKTESTS)["report"][0])
    del (report["accounts"] if where == "the whole" else report["folds"][-1])[name]
    with pytest.raises(SchemaError, match=f"of '{name}' in"):
        require_nulls(report)


def test_a_report_whose_one_over_n_trades_for_nothing_is_refused(ran: Lake) -> None:
    report = json.loads(ran.read(BACKTESTS)["report"][0])
    free = copy.deepcopy(report)
    free["accounts"]["equal_weight"]["costs"] = dict.fromkeys(report["accounts"]["equal_weight"]["costs"], 0.0)
    with pytest.raises(SchemaError, match="trade for nothing"):
        require_nulls(free)


def test_a_table_row_without_one_over_n_does_not_fit_its_table(ran: Lake) -> None:
    row = ran.read(BACKTESTS)
    with pytest.raises(SchemaError, match="equal_weight_net_return"):
        BACKTESTS.conform(row.with_columns(pl.lit(None, pl.Float64()).alias("equal_weight_net_return")))


def test_the_back_test_and_each_of_its_folds_are_trials_with_their_gains(ran: Lake) -> None:
    report = json.loads(ran.read(BACKTESTS)["report"][0])
    trials = ran.read(TRIAL_LEDGER)
    family = report["evidence"]["family"]
    whole = trials.filter(pl.col("family") == family)
    assert set(whole["kind"]) == {"backtest"}
    assert set(whole["subject"]) == {"ridge of the pool", "equal weights"}
    for fold in report["folds"]:
        of_fold = trials.filter(pl.col("family") == f"{family}, fold {fold['name']}", pl.col("kind") == "backtest_fold")
        assert of_fold.height == 2, "the strategy and 1/N"
        assert set(of_fold["sessions"]) == {fold["sessions"]}
    assert whole["sessions"].unique().to_list() == [sum(fold["sessions"] for fold in report["folds"])]
    opened = ran.read(HOLDOUT_OPENINGS)
    assert set(opened["family"]) == set(trials["family"])


def test_figures_follow_from_the_stored_sessions_and_the_ledger(ran: Lake) -> None:
    """Everything is computed again from the rows: returns, costs, Sharpe ratio, deflated Sharpe ratio."""
    record = latest_backtest(ran, DEMO_START)
    assert record is not None
    curves = equity_of(ran, DEMO_START, record.backtest_id)
    net = {name: curves.filter(pl.col("account") == name)["equity"].to_numpy() for name in BACKTEST_ACCOUNTS}
    gross = curves.filter(pl.col("account") == "strategy")["gross_equity"].to_numpy()
    row = record.row
    assert row["net_return"] == pytest.approx(net["strategy"][-1] / net["strategy"][0] - 1)
    assert row["equal_weight_net_return"] == pytest.approx(net["equal_weight"][-1] / net["equal_weight"][0] - 1)
    paid = sum(value for name, value in row.items() if name.startswith("cost_"))
    assert row["gross_return"] - row["net_return"] == pytest.approx(paid)
    assert (gross[-1] - net["strategy"][-1]) / row["capital"] == pytest.approx(paid)
    excess = np.diff(net["strategy"]) / net["strategy"][:-1] - np.diff(net["naive"]) / net["naive"][:-1]
    assert row["sharpe"] == pytest.approx(excess.mean() / excess.std(ddof=1) * 252**0.5)
    statistics = sharpe_statistics(excess)
    assert statistics is not None
    assert row["effective_sessions"] == pytest.approx(statistics.effective_sessions)
    (family,) = families_of(ran, DEMO_START, [record.report["evidence"]["family"]])
    assert row["trials"] == family.trials == 2
    of_fills = fills_of(ran, DEMO_START, record.backtest_id)
    assert of_fills.select("fee", "spread", "slippage", "impact").sum().row(0) == pytest.approx(
        tuple(row["capital"] * row[f"cost_{name}"] for name in ("fee", "spread", "slippage", "impact"))
    )


def test_one_over_n_pays_what_a_strategy_of_the_same_weights_pays(lake: Lake, settings: Settings) -> None:
    made_market(lake)
    weights = dict.fromkeys(SYMBOLS, 1 / len(SYMBOLS))
    report = run_backtest(lake, settings, CLOCK, small_file(pool=None, weights=weights)).report
    own, equal = report["accounts"]["strategy"], report["accounts"]["equal_weight"]
    assert equal.pop("costs") == pytest.approx(own.pop("costs"), abs=1e-12)
    assert equal == pytest.approx(own, abs=1e-12)
    for point in report["capacity"]["points"]:
        assert point["sharpe"] == pytest.approx(point["equal_weight_sharpe"])


def test_what_is_known_of_the_next_close_cannot_be_earned_by_who_decides_at_this_one(
    lake: Lake, settings: Settings
) -> None:
    """In a market of noise, perfect forecasts of the next session earn nothing; those of the one after earn all."""
    found = {}
    for ahead in (1, 2):
        world = made_market(Lake(lake.root / str(ahead)), ahead=ahead, noise=0.0)
        test = prepare(world, settings.models, CLOCK, small_file(costs=NO_COSTS, sizing={"half_life_sessions": 0.01}))
        ratio = test.sharpe("strategy")
        assert ratio is not None
        found[ahead] = ratio
    assert abs(found[1]) < 4, "about three standard errors of half a year"
    assert found[2] > 8


def test_the_same_back_test_is_not_run_again_and_looks_at_nothing_again(lake: Lake, settings: Settings) -> None:
    made_market(lake)
    first = run_backtest(lake, settings, CLOCK, small_file())
    before = lake.versions([BACKTESTS, BACKTEST_SESSIONS, BACKTEST_FILLS, TRIAL_LEDGER, TRIAL_GAINS, HOLDOUT_OPENINGS])
    said: list[str] = []
    again = run_backtest(lake, settings, CLOCK, small_file(), said.append)
    assert again.row == first.row
    assert lake.versions(
        [BACKTESTS, BACKTEST_SESSIONS, BACKTEST_FILLS, TRIAL_LEDGER, TRIAL_GAINS, HOLDOUT_OPENINGS]
    ) == (before)
    assert "not run again" in said[-1]


def test_each_further_strategy_is_one_more_trial_and_one_more_look(lake: Lake, settings: Settings) -> None:
    made_market(lake)
    first = run_backtest(lake, settings, CLOCK, small_file(shuffles=0))
    second = run_backtest(lake, settings, CLOCK, small_file(shuffles=0, pool=None, members={"ridge": 1, "naive": 1}))
    assert (first.row["trials"], second.row["trials"]) == (2, 3), "1/N is the same trial"
    assert (first.row["holdout_openings"], second.row["holdout_openings"]) == (1, 2)
    assert second.row["pbo"] is not None
    assert second.row["pbo_low"] <= second.row["pbo_high"]
    assert first.report["shuffles"]["ahead"] is None
    newest = latest_backtest(lake, DEMO_START)
    assert newest is not None
    assert newest.backtest_id == second.backtest_id, "of one market time the one that was run last"


def test_a_forecast_that_was_made_later_is_no_forecast(lake: Lake, settings: Settings) -> None:
    made_market(lake)
    rows = lake.read(FORECASTS)
    late = Lake(lake.root / "late")
    made_market(late, sessions=20)
    late_rows = rows.with_columns(pl.lit(DEMO_START, rows["known_time"].dtype).alias("known_time"))
    other = Lake(lake.root / "other")
    other.merge(FORECASTS, late_rows.filter(pl.col("event_time") < DEMO_START))
    with pytest.raises(NotReadyError, match="no replayed forecasts"):
        prepare(other, settings.models, CLOCK, small_file())


def test_back_tests_are_found_by_their_first_digits_and_as_of_an_instant(ran: Lake) -> None:
    (record,) = list_backtests(ran, DEMO_START)
    assert backtest_named(ran, DEMO_START, record.backtest_id[:5]).backtest_id == record.backtest_id
    assert backtest_named(ran, DEMO_START, None).backtest_id == record.backtest_id
    with pytest.raises(UnknownNameError, match=record.backtest_id):
        backtest_named(ran, DEMO_START, "nothing")
    before = DEMO_START.replace(year=2011)
    assert list_backtests(ran, before) == []
    assert latest_backtest(ran, before) is None
    with pytest.raises(NotReadyError, match="quantlake backtest run"):
        backtest_named(ran, before, None)


def test_an_empty_lake_says_what_to_run(lake: Lake, settings: Settings) -> None:
    assert list_backtests(lake, DEMO_START) == []
    with pytest.raises(NotReadyError, match="make demo"):
        run_backtest(lake, settings, CLOCK, small_file())


def test_the_picture_is_drawn(ran: Lake, tmp_path: Path) -> None:
    from serving.backtest import draw_backtest

    record = latest_backtest(ran, DEMO_START)
    assert record is not None
    path = draw_backtest(record, equity_of(ran, DEMO_START, record.backtest_id), tmp_path / "one" / "backtest.png")
    assert path.stat().st_size > 10_000
