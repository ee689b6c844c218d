"""Users' functions on real bars: one symbol only, late in a history, beyond large moves."""

from datetime import timedelta
from pathlib import Path

import polars as pl
import pytest

from feature_repo.leaks import RealBars, check_file, real_bars, self_test_of_files, trial_world
from feature_repo.leaks.planted_files import RARE
from feature_repo.leaks.real_bars import ROWS, SYMBOLS, largest_moves
from feature_repo.leaks.world import World, eventful_sessions, releases_over
from lake.clock import DEMO_START
from lake.sources import tiny_market
from lake.store import Lake
from lake.universe import MARKET

RETURN = pl.col("close") / pl.col("close").shift(1) - 1
HEAD = (
    "import polars as pl\n"
    "RETURN = pl.col('close') / pl.col('close').shift(1) - 1\n"
    "def f(bars):\n"
    "    is_there = {condition}\n"
    "    value = pl.when(is_there).then(RETURN.shift(-1)).otherwise(RETURN)\n"
    "    return bars.select(value.over('symbol')).to_series()\n"
)
ONLY = {
    "one real symbol": "pl.col('symbol') == 'KO'",
    "a long history": "pl.int_range(pl.len()) > 600",
    "one symbol's worst day": "(pl.col('symbol') == 'KO') & (RETURN <= RETURN.shift(1).rolling_min(500))",
}


@pytest.fixture(scope="module")
def real() -> RealBars:
    bars = tiny_market(["AAPL", "KO", MARKET], 700, seed=3)
    is_the_day = (pl.col("symbol") == "KO") & (pl.col("event_time").rank("dense") >= 650)
    bars = bars.with_columns(
        pl.when(is_the_day).then(pl.col(name) / 2).otherwise(name).alias(name)
        for name in ("open", "high", "low", "close")
    )
    sessions = bars["event_time"].unique().sort().to_list()
    return RealBars(World(bars, releases_over(sessions)), "of a test", largest_moves(bars), tuple(sessions[-3:-1]))


@pytest.mark.parametrize("condition", ONLY.values(), ids=ONLY)
def test_a_leak_that_the_trial_market_cannot_show_is_caught_on_real_bars(
    tmp_path: Path, real: RealBars, condition: str
) -> None:
    path = tmp_path / "my_features.py"
    path.write_text(HEAD.format(condition=condition), encoding="utf-8")
    (blind,) = check_file(path, world=trial_world(60), replayed=5)
    assert blind.passed
    (seeing,) = check_file(path, real, world=trial_world(60), replayed=5)
    assert "replayed on real bars" in {leak.how for leak in seeing.leaks}


def test_the_trial_market_moves_as_far_as_real_ones_do() -> None:
    moves = trial_world(120).bars.with_columns(RETURN.over("symbol").alias("move"))
    extremes = {
        symbol: (low, high)
        for symbol, low, high in moves.group_by("symbol")
        .agg(pl.col("move").min().alias("low"), pl.col("move").max().alias("high"))
        .iter_rows()
    }
    low, high = extremes.pop(MARKET)
    assert low < -0.19
    assert high > 0.2
    assert all(low < -0.55 and high > 1.3 for low, high in extremes.values())


def test_the_eventful_sessions_are_some_and_hold_the_large_moves() -> None:
    world = trial_world(400)
    eventful = eventful_sessions(world)
    large = world.bars.with_columns(RETURN.over("symbol").abs().alias("move")).filter(pl.col("move") > 0.2)
    assert {*large["event_time"]} <= {*eventful}
    assert 80 < len(eventful) < 160


def test_the_packaged_market_is_taken_where_the_lake_has_no_bars(tmp_path: Path) -> None:
    real = real_bars(Lake(tmp_path / "empty"), DEMO_START)
    assert real.world.bars["symbol"].n_unique() == 26
    assert len(real.world.sessions) > 3000
    assert real.sentence().startswith("Real bars: 26 symbols of the packaged market, 32")
    size = real.world.bars.with_columns(RETURN.over("symbol").alias("move")).filter(pl.col("symbol") == MARKET)
    worst = size.drop_nulls("move").sort("move")["event_time"][0]
    (replayed,) = (one for one in real.others() if one.how == "replayed on real bars")
    assert {worst, *real.newest} <= {part.until for part in replayed.parts}
    assert len(real.at_moves_of(["KO"]).moves) == 2


def test_bars_of_the_lake_are_taken_as_known_now(make_lake, small_market) -> None:
    bars = small_market(60)
    now = bars["event_time"].max() - timedelta(days=10)
    real = real_bars(make_lake(bars), now)
    assert real.world.bars["event_time"].max() <= now
    assert " of the lake, " in real.sentence()


def test_of_a_large_lake_the_index_the_first_and_the_last_symbol_and_some_others_are_taken(make_lake) -> None:
    names = [f"S{number:03d}" for number in range(SYMBOLS + 10)]
    bars = tiny_market([*names, MARKET], 30, seed=1)
    symbols = real_bars(make_lake(bars), bars["event_time"].max()).world.bars["symbol"].unique()
    assert {MARKET, names[0], names[-1]} <= {*symbols}
    assert len(symbols) == SYMBOLS
    assert bars.height < ROWS


@pytest.mark.slow
def test_every_planted_file_is_caught_and_no_honest_function_is_flagged() -> None:
    tested = self_test_of_files(real_bars())
    assert tested.passed, tested.sentence()
    assert len(tested.caught) >= 40


@pytest.mark.slow
def test_every_planted_file_is_caught_in_a_replay_of_every_session() -> None:
    tested = self_test_of_files(real_bars(), is_full=True)
    assert tested.passed, tested.sentence()


def test_leaks_in_few_rows_are_caught_on_a_few_real_sessions() -> None:
    """The short variant of the planted files: leaks that only real bars show."""
    few = real_bars().at_moves_of(["KO"])
    found = {one.name: one for one in check_file(RARE, few, world=trial_world(60), replayed=3)}
    only_real = {"for_one_ticker", "for_one_ticker_on_its_worst_days", "late_in_a_history", "among_many_symbols"}
    assert all("replayed on real bars" in {leak.how for leak in found[name].leaks} for name in only_real)
