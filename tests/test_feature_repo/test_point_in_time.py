"""The join on two times, against an oracle that looks at every row for every question."""

from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from feature_repo.feast_store import point_in_time
from feature_repo.feast_store.point_in_time import point_in_time_join
from lake.spec import INSTANT
from lake.store import newest_event
from support.joins import without_the_known_time
from support.properties import examples

START = datetime(2012, 3, 9, 21, 0, tzinfo=UTC)  # the New York clock goes forward two days later

hours = st.integers(0, 12)
rows_of = st.lists(st.tuples(st.sampled_from("AB"), hours, st.integers(-2, 8)), max_size=25)
spines = st.lists(st.tuples(st.sampled_from(["A", "B", "C", None]), st.integers(-1, 22)), max_size=12)
ages = st.one_of(st.none(), st.integers(1, 8))


def at(hour: int) -> datetime:
    return START + timedelta(hours=hour)


def feature_rows(rows: list[tuple[str, int, int]]) -> pl.DataFrame:
    """(key, event, delay until known) with a value that names the row; one row per key, event and known time."""
    times = sorted({(key, event, event + delay) for key, event, delay in rows}, key=hash)
    return pl.DataFrame(
        [(key, at(event), at(known), f"{key}{event}/{known}") for key, event, known in times],
        schema={"key": pl.String, "event_time": INSTANT, "known_time": INSTANT, "value": pl.String},
        orient="row",
    )


def spine_of(asked: list[tuple[str | None, int]]) -> pl.DataFrame:
    return pl.DataFrame(
        [(key, at(hour)) for key, hour in asked], schema={"who": pl.String, "when": INSTANT}, orient="row"
    )


def oracle(spine: pl.DataFrame, rows: pl.DataFrame, ttl: timedelta | None) -> list[str | None]:
    answers = []
    for key, now in spine.rows():
        known = [r for r in rows.rows() if r[0] == key and r[1] <= now and r[2] <= now]
        best = max(known, key=lambda r: (r[1], r[2]), default=None)
        answers.append(None if best is None or (ttl and best[1] < now - ttl) else best[3])
    return answers


def joined(spine: pl.DataFrame, rows: pl.DataFrame, ttl: timedelta | None) -> list[str | None]:
    found = point_in_time_join(spine, rows, on={"key": "who"}, at="when", features={"value": "answer"}, ttl=ttl)
    assert found.select("who", "when").equals(spine)
    return found["answer"].to_list()


@examples(300, wide=1_000)
@given(rows_of, spines, ages)
def test_the_join_answers_like_the_oracle(
    rows: list[tuple[str, int, int]], asked: list[tuple[str | None, int]], age: int | None
) -> None:
    """Restatements, late rows, ties in either time, rows known before they happened, gaps, unknown and null keys."""
    features, spine = feature_rows(rows), spine_of(asked)
    ttl = timedelta(hours=age) if age else None
    assert joined(spine, features, ttl) == oracle(spine, features, ttl)


@examples(40)
@given(rows_of)
def test_the_newest_event_is_the_greatest_of_event_and_known(rows: list[tuple[str, int, int]]) -> None:
    features = feature_rows(rows)
    expected = {
        key: max((r for r in features.rows() if r[0] == key), key=lambda r: (r[1], r[2]))[3]
        for key in features["key"].unique()
    }
    assert dict(newest_event(features, ["key"]).select("key", "value").rows()) == expected


RESTATED = [("A", 0, 0), ("A", 4, 0), ("A", 4, 6)]
"""An event at hour 4, known at once and restated at hour 10."""


def test_what_was_restated_later_appears_as_it_was() -> None:
    asked = spine_of([("A", 3), ("A", 4), ("A", 9), ("A", 10)])
    assert joined(asked, feature_rows(RESTATED), None) == ["A0/0", "A4/4", "A4/4", "A4/10"]


def without_the_late_guard(rows: Any) -> Any:
    """Let a late row about an older event replace a newer one: the mutant."""
    return rows.take(np.lexsort((rows.known, rows.event, rows.usable, rows.code)))


LATE = [("A", 0, 8), ("A", 1, 4)]
"""An event at hour 0 that became known only at hour 8, after the one at hour 1, which was known at hour 5."""


@pytest.mark.parametrize(
    ("part", "mutant", "rows"),
    [("_newest_usable", without_the_known_time, RESTATED), ("_states", without_the_late_guard, LATE)],
    ids=["leaks", "goes_back"],
)
def test_the_oracle_catches_a_join_that_leaks(monkeypatch: pytest.MonkeyPatch, part, mutant, rows) -> None:
    features, asked = feature_rows(rows), spine_of([("A", 3), ("A", 5), ("A", 9)])
    assert joined(asked, features, None) == oracle(asked, features, None)
    monkeypatch.setattr(point_in_time, part, mutant)
    assert joined(asked, features, None) != oracle(asked, features, None)


@examples(20)
@given(rows_of, spines, st.randoms(use_true_random=False))
def test_the_order_in_which_rows_are_stored_does_not_matter(
    rows: list[tuple[str, int, int]], asked: list[tuple[str | None, int]], random
) -> None:
    """One file or many, by symbol or by day: the answers are the same."""
    features, spine = feature_rows(rows), spine_of(asked)
    by_key = features.sort("key", "event_time", "known_time")
    shuffled = features[random.sample(range(features.height), features.height)]
    assert joined(spine, by_key, None) == joined(spine, shuffled, None) == oracle(spine, features, None)


@examples(12)
@given(rows_of, spines)
def test_features_about_nothing_in_particular_have_one_succession(
    rows: list[tuple[str, int, int]], asked: list[tuple[str | None, int]]
) -> None:
    features, spine = feature_rows([("A", event, delay) for _, event, delay in rows]), spine_of(asked)
    found = point_in_time_join(spine, features, on={}, at="when", features={"value": "answer"})
    assert found["answer"].to_list() == oracle(spine.with_columns(who=pl.lit("A")), features, None)


@examples(12)
@given(rows_of, spines)
def test_two_keys_work_like_one_made_of_both(
    rows: list[tuple[str, int, int]], asked: list[tuple[str | None, int]]
) -> None:
    features, spine = feature_rows(rows), spine_of(asked)
    apart = features.with_columns(a=pl.lit(1), b="key").sort("event_time")
    found = point_in_time_join(
        spine.with_columns(one=pl.lit(1)), apart, on={"a": "one", "b": "who"}, at="when", features={"value": "answer"}
    )
    assert found["answer"].to_list() == oracle(spine, features, None)


def test_a_row_or_a_question_without_a_time_has_no_part_in_it() -> None:
    rows = feature_rows([("A", 0, 0), ("A", 1, 0), ("A", 2, 0)]).sort("event_time")
    gone = rows.with_columns(
        event_time=pl.when(pl.int_range(3) != 1).then("event_time"),
        known_time=pl.when(pl.int_range(3) != 2).then("known_time"),
    )
    asked = pl.DataFrame({"who": ["A", "A"], "when": [at(5), None]}, schema={"who": pl.String, "when": INSTANT})
    assert joined(asked, gone, None) == ["A0/0", None]


def test_a_value_exactly_as_old_as_allowed_is_fresh() -> None:
    rows, day = feature_rows([("A", 0, 0)]), timedelta(hours=8)
    assert joined(spine_of([("A", 8), ("A", 9)]), rows, day) == ["A0/0", None]


def test_no_rows_give_nulls_of_the_right_type() -> None:
    empty = feature_rows([])
    found = point_in_time_join(
        spine_of([("A", 1)]), empty, on={"key": "who"}, at="when", features={"value": "answer"}, ttl=None
    )
    assert found.schema["answer"] == pl.String
    assert found["answer"].to_list() == [None]
