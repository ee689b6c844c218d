"""The splits, and the proof that what they are checked with would convict a wrong one."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lake.calendars import closes, session_closes
from lake.errors import LookAheadError, NotReadyError
from lake.horizon_ends import horizon_ends
from support.properties import examples
from training.data import Split, assert_no_overlap, champion_split, sessions_of, walk_forward
from training.data.dataset import END, known_before
from training.experiments import Experiment, parse_experiment

HORIZON = 5
START = datetime(2006, 1, 1, tzinfo=UTC)


def panel(symbols: int, *, gaps: dict[str, list[int]] | None = None, end: date = date(2011, 12, 30)) -> pl.DataFrame:
    """Keys of every session, by symbol; `gaps` are sessions a symbol did not trade, so its label ends later."""
    sessions = session_closes(START, datetime(end.year, end.month, end.day, 23, tzinfo=UTC))
    frames = []
    for number in range(symbols):
        name = f"S{number:02}"
        own = [at for index, at in enumerate(sessions) if index not in set((gaps or {}).get(name, []))]
        frames.append(
            pl.DataFrame({"symbol": name, "event_time": own[:-HORIZON], "label_end": own[HORIZON:]}).with_columns(
                pl.col("event_time", "label_end").cast(pl.Datetime("us", "UTC"))
            )
        )
    return pl.concat(frames)


def experiment(**splits: object) -> Experiment:
    return parse_experiment({"splits": {"validation_sessions": 100, **splits}})


def check(keys: pl.DataFrame, split: Split) -> None:
    """Convict a split whose windows have the labels that it lets them know."""
    assert_no_overlap(split, *(known_before(keys[rows], cut) for rows, cut in parts(split)))


def parts(split: Split) -> list[tuple[np.ndarray, datetime]]:
    """Training and validation rows, each with the instant before which their labels end."""
    return [(split.train, split.cuts[0]), (split.valid, split.cuts[1])]


def row_count_purge(keys: pl.DataFrame, split: Split, *, purged_rows: int = HORIZON) -> Split:
    """Purge as if the panel were one series: drop the last rows, however many symbols share a session."""
    ordered = keys.with_row_index("row").sort("event_time", "symbol")
    before = ordered.filter(pl.col("event_time") < split.valid_start)["row"].to_numpy()
    return replace(split, train=before[:-purged_rows])


def test_three_folds_in_order_of_time_and_no_row_twice() -> None:
    keys = panel(4)
    splits = walk_forward(keys, experiment())
    assert [split.name for split in splits] == ["2009", "2010", "2011"]
    tested = np.concatenate([split.test for split in splits])
    assert len(set(tested)) == len(tested)
    for split in splits:
        times = [keys[rows]["event_time"] for rows in (split.train, split.valid, split.test)]
        assert times[0].max() < times[1].min() <= times[1].max() < times[2].min()
        assert set(keys[split.test]["event_time"].dt.year()) == {int(split.name)}


def test_each_test_year_is_whole_but_for_labels_that_end_after_the_end_of_knowledge() -> None:
    keys = panel(3, end=date(2012, 2, 1))
    splits = walk_forward(keys, experiment())
    sessions = closes().filter(pl.col("session").dt.year() == 2010).height
    assert [len(split.test) for split in splits] == [252 * 3, sessions * 3, (252 - HORIZON) * 3]
    assert keys[splits[-1].test]["label_end"].max() <= experiment().knowledge_end


@examples(8)
@given(
    symbols=st.integers(1, 6),
    embargo=st.integers(0, 12),
    validation=st.integers(20, 200),
    scheme=st.sampled_from(["expanding", "rolling"]),
    stride=st.integers(1, 7),
    gaps=st.dictionaries(st.sampled_from(["S00", "S01"]), st.lists(st.integers(600, 800), max_size=40)),
    seed=st.integers(0, 99),
)
def test_no_training_label_ends_at_or_after_the_start_of_a_test(
    symbols: int, embargo: int, validation: int, scheme: str, stride: int, gaps: dict[str, list[int]], seed: int
) -> None:
    keys = panel(symbols, gaps=gaps).sample(fraction=1.0, shuffle=True, seed=seed)
    plan = experiment(
        embargo_sessions=embargo, validation_sessions=validation, scheme=scheme, train_stride_sessions=stride
    )
    every_close = closes()["event_time"]
    for split in [*walk_forward(keys, plan), champion_split(keys, plan)]:
        check(keys, split)
        starts = [(split.train, split.valid_start)]
        starts += [(split.train, split.test_start), (split.valid, split.test_start)] if len(split.test) else []
        for rows, start in starts:
            last = keys[rows]["label_end"].max()
            assert last < start
            between = every_close.is_between(last, start, closed="none").sum()
            assert between >= embargo


@examples(4)
@given(symbols=st.integers(2, 20))
def test_a_purge_by_row_count_is_convicted(symbols: int) -> None:
    keys = panel(symbols)
    split = walk_forward(keys, experiment())[0]
    with pytest.raises(LookAheadError, match="train labels end at or after the validation starts"):
        check(keys, row_count_purge(keys, split))


def test_a_purge_by_row_count_is_right_for_one_symbol_so_only_a_panel_tells() -> None:
    keys = panel(1)
    split = walk_forward(keys, experiment(embargo_sessions=0))[0]
    check(keys, row_count_purge(keys, split))


def test_a_symbol_that_stood_still_is_purged_by_the_time_its_label_ends() -> None:
    """A halt of 60 sessions before the test stretches the label of the rows before it into the test."""
    sessions = session_closes(START, datetime(2009, 3, 1, tzinfo=UTC))
    first_of_2009 = next(index for index, at in enumerate(sessions) if at.year == 2009)
    halt = list(range(first_of_2009 - 150, first_of_2009 + 10))
    keys = panel(2, gaps={"S01": halt})
    split = walk_forward(keys, experiment(embargo_sessions=0, validation_sessions=20))[0]
    check(keys, split)
    by_session = keys.with_row_index("row").filter(pl.col("event_time") < sessions[first_of_2009 - 30])
    with pytest.raises(LookAheadError, match="S01"):
        check(keys, replace(split, train=by_session["row"].to_numpy()))


def test_a_long_horizon_takes_no_row_from_a_short_one() -> None:
    """A window whose 60-session label ends after a cut is learnt from at one session, up to the last that is known."""
    keys, plan = panel(2, end=date(2012, 6, 1)), experiment()
    one, long = (
        pl.col("event_time").shift(-bars).over("symbol").alias(f"{END}{bars}").cast(pl.Datetime("us", "UTC"))
        for bars in (1, 60)
    )
    both = keys.with_columns(one, long).with_columns(pl.max_horizontal(f"{END}1", f"{END}60").alias("label_end"))
    short = both.drop(f"{END}60").with_columns(pl.col(f"{END}1").alias("label_end")).drop(f"{END}1")
    splits = [*walk_forward(both, plan), champion_split(both, plan)]
    for split, alone in zip(splits, [*walk_forward(short, plan), champion_split(short, plan)], strict=True):
        check(both, split)
        for (rows, cut), (own, _) in zip(parts(split), parts(alone), strict=True):
            assert rows.tolist() == own.tolist(), "the long horizon changed which windows are learnt from"
            known = known_before(both[rows], cut)
            assert known[f"{END}1"].null_count() == 0
            assert 0 < known[f"{END}60"].null_count() <= 120, "labels over 60 sessions that end after the cut"


def test_a_rolling_interval_forgets_and_an_expanding_one_does_not() -> None:
    keys = panel(2)
    expanding = walk_forward(keys, experiment())
    rolling = walk_forward(keys, experiment(scheme="rolling", rolling_sessions=200))
    assert {keys[split.train]["event_time"].min() for split in expanding} == {keys["event_time"].min()}
    starts = [keys[split.train]["event_time"].min() for split in rolling]
    assert starts == sorted(starts)
    assert len(set(starts)) == 3
    for split in rolling:
        assert keys[split.train]["event_time"].n_unique() <= 200


def test_training_rows_lie_on_the_stride_and_the_sessions_to_build_hold_all_of_them() -> None:
    keys, plan = panel(3), experiment(train_stride_sessions=7, test_stride_sessions=3)
    wanted = sessions_of(plan, START)
    built = keys.filter(pl.col("event_time").is_in(wanted))
    for split, thinned in zip(walk_forward(keys, plan), walk_forward(built, plan), strict=True):
        for part in ("train", "valid", "test"):
            assert keys[getattr(split, part)].equals(built[getattr(thinned, part)])
        assert len(split.test) <= 252 * 3 // 3 + 3
    train = keys[champion_split(keys, plan).train]["event_time"].unique().sort()
    order = {at: number for number, at in enumerate(session_closes(START, plan.knowledge_end))}
    assert {(order[b] - order[a]) for a, b in pairwise(train)} == {7}


def test_the_champion_learns_from_all_that_is_known_and_from_nothing_later() -> None:
    keys = panel(2, end=date(2012, 6, 1))
    split = champion_split(keys, experiment())
    assert keys[split.valid]["label_end"].max() == experiment().knowledge_end
    assert len(split.test) == 0


@pytest.mark.parametrize("end", [date(2006, 3, 1), date(2008, 6, 2)])
def test_too_little_history_says_which_part_is_empty(end: date) -> None:
    with pytest.raises(NotReadyError, match=r"Split 2009 has .*The rows span 2006-01-03"):
        walk_forward(panel(2, end=end), experiment())


def test_no_rows_at_all_is_said() -> None:
    with pytest.raises(NotReadyError, match="no rows at all"):
        champion_split(panel(1).clear(), experiment())


def test_a_fold_of_a_market_without_pauses_holds_each_of_its_days() -> None:
    """A session of a 24/7 calendar closes at 00:00 UTC of the day after it."""
    plan = parse_experiment(
        {"calendar": "24/7", "train_until": "2011-12-31", "splits": {"test_years": (2009, 2010, 2011)}}
    )
    sessions = session_closes(START, plan.knowledge_end + timedelta(days=HORIZON), plan.calendar)
    keys = pl.DataFrame({"symbol": "BTC", "event_time": sessions[:-HORIZON], "label_end": sessions[HORIZON:]})
    splits = walk_forward(keys.with_columns(pl.col("event_time", "label_end").cast(pl.Datetime("us", "UTC"))), plan)
    assert [len(split.test) for split in splits] == [365, 365, 365 - HORIZON]
    days = [(at - timedelta(microseconds=1)).date() for at in keys[splits[0].test]["event_time"]]
    assert (days[0], days[-1]) == (date(2009, 1, 1), date(2009, 12, 31))


def test_a_horizon_in_sessions_purges_more_than_one_in_minutes() -> None:
    grid = "24/7@60m"
    day = datetime(2011, 10, 1, tzinfo=UTC)
    closed = pl.Series(session_closes(day, day + timedelta(days=60), grid), dtype=pl.Datetime("us", "UTC"))
    ends = {f"{END}{horizon}": horizon_ends(closed, horizon, grid) for horizon in (1, 1_000, 5_000)}
    keys = pl.DataFrame({"symbol": "S", "event_time": closed, **ends})
    keys = keys.with_columns(pl.max_horizontal(list(ends)).alias("label_end")).drop_nulls("label_end")
    plan = {"validation_sessions": 240, "embargo_sessions": 0}
    plan_of = {"calendar": grid, "train_until": "2011-11-25", "splits": {**plan, "test_starts": ["2011-11-20"]}}
    split = champion_split(keys, parse_experiment(plan_of))
    check(keys, split)
    known = known_before(keys[split.train], split.cuts[0])
    newest = [known.filter(pl.col(name).is_not_null())["event_time"].max() for name in ends]
    cut = split.cuts[0]
    assert newest[0] == cut - timedelta(hours=2), "its label ends an hour before the cut"
    # a session ends at midnight; the last to end before the cut, and the last bar of the first and fifth before that
    last_end = cut.replace(hour=0) - timedelta(days=cut.hour == 0)
    assert newest[1:] == [last_end - timedelta(days=1), last_end - timedelta(days=5)]
