"""The store: a batch counts once, a restatement is kept beside what it replaces, reading back in time is exact."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest
from deltalake import DeltaTable
from filelock import FileLock
from hypothesis import given
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from lake.disk import locks
from lake.errors import ConflictError, NotReadyError, SchemaError, TableNotFoundError
from lake.settings import Settings
from lake.sources import as_received, tiny_market
from lake.spec import Column, TableSpec
from lake.store import Lake, new_or_restated, snapshots
from lake.tables import BARS, RAW_BARS
from support.facts import FACTS
from support.properties import examples

START = datetime(2020, 1, 6, 21, tzinfo=UTC)
VERDICTS = TableSpec(
    name="verdicts",
    layer="decisions",
    meaning="Said once and never restated.",
    key=("symbol",),
    columns=FACTS.columns,
    restates=False,
)

Fact = tuple[str, int, int, float | None]


def day(number: int) -> datetime:
    return START + timedelta(days=number)


def facts(rows: Iterable[Fact]) -> pl.DataFrame:
    """Rows of (symbol, day of the event, day it was known, value)."""
    values = [(symbol, day(event), day(known), value) for symbol, event, known, value in rows]
    return pl.DataFrame(values, schema=FACTS.schema, orient="row")


def known(table: pl.DataFrame) -> dict[tuple[str, datetime], float | None]:
    return {
        (symbol, event): value for symbol, event, value in table.select("symbol", "event_time", "value").iter_rows()
    }


def test_a_batch_counts_once(lake: Lake) -> None:
    raw = as_received(tiny_market(["AAA"], sessions=10, seed=1))
    first = lake.append(RAW_BARS, raw, batch_id="b1")
    second = lake.append(RAW_BARS, raw, batch_id="b1")
    assert (first.rows, first.added, first.skipped) == (10, 10, False)
    assert (second.rows, second.added, second.skipped, second.version) == (10, 0, True, first.version)
    assert second.details["reason"] == "batch b1 is already stored"
    assert lake.append(RAW_BARS, raw.with_columns(batch_id=pl.lit("b2")), batch_id="b2").rows == 20


def test_without_looking_up_the_batch_it_would_count_twice(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    class Forgetting(DeltaTable):
        def transaction_version(self, app_id: str) -> None:
            """Remember no batch."""

    monkeypatch.setattr(snapshots, "DeltaTable", Forgetting)
    raw = as_received(tiny_market(["AAA"], sessions=10, seed=1))
    assert [lake.append(RAW_BARS, raw, batch_id="b1").rows for _ in range(2)] == [10, 20]


def test_merging_twice_equals_merging_once(lake: Lake) -> None:
    bars = tiny_market(["AAA", "BBB"], sessions=300, seed=2)
    first, second = lake.merge(BARS, bars), lake.merge(BARS, bars)
    assert (first.added, second.added, second.skipped, second.version) == (600, 0, True, first.version)
    assert second.details["reason"] == "every row is already stored"
    assert_frame_equal(lake.read(BARS).sort(BARS.key), bars.sort(BARS.key))


def test_a_restatement_is_kept_beside_what_it_replaces(lake: Lake) -> None:
    lake.merge(FACTS, facts([("A", 0, 0, 1.0), ("A", 1, 1, 2.0)]))
    assert lake.merge(FACTS, facts([("A", 0, 5, 9.0)])).added == 1
    assert known(lake.read_as_of(FACTS, day(4))) == {("A", day(0)): 1.0, ("A", day(1)): 2.0}
    assert known(lake.read_as_of(FACTS, day(5))) == {("A", day(0)): 9.0, ("A", day(1)): 2.0}
    assert lake.read(FACTS).height == 3


def test_an_equal_restatement_adds_nothing_even_within_one_batch(lake: Lake) -> None:
    assert (
        lake.merge(FACTS, facts([("A", 0, 0, 1.0), ("A", 0, 3, 1.0), ("B", 0, 0, None), ("B", 0, 2, None)])).added == 2
    )
    assert lake.merge(FACTS, facts([("A", 0, 7, 1.0)])).added == 0


def test_a_value_that_goes_away_and_comes_back_is_news_each_time(lake: Lake) -> None:
    assert lake.merge(FACTS, facts([("A", 0, 0, 1.0), ("A", 0, 1, None), ("A", 0, 2, 1.0)])).added == 3
    assert [known(lake.read_as_of(FACTS, day(n)))["A", day(0)] for n in range(3)] == [1.0, None, 1.0]


def test_a_version_that_arrives_late_is_seen_between_its_neighbours(lake: Lake) -> None:
    lake.merge(FACTS, facts([("A", 0, 0, 1.0), ("A", 0, 9, 3.0)]))
    assert lake.merge(FACTS, facts([("A", 0, 4, 2.0)])).added == 1
    assert [known(lake.read_as_of(FACTS, day(n)))["A", day(0)] for n in (3, 4, 8, 9)] == [1.0, 2.0, 2.0, 3.0]


def test_a_late_version_counts_from_its_time_though_it_says_what_came_after(lake: Lake) -> None:
    lake.merge(FACTS, facts([("A", 0, 0, 1.0), ("A", 0, 9, 3.0)]))
    assert lake.merge(FACTS, facts([("A", 0, 4, 3.0)])).added == 1
    assert [known(lake.read_as_of(FACTS, day(n)))["A", day(0)] for n in (3, 4, 9)] == [1.0, 3.0, 3.0]
    assert lake.merge(FACTS, facts([("A", 0, 2, 1.0)])).skipped, "it repeats what was known just before"


@pytest.mark.parametrize("split", [True, False])
def test_rows_that_contradict_each_other_are_refused(lake: Lake, split: bool) -> None:
    lake.merge(FACTS, facts([("A", 0, 0, 1.0)] if split else []))
    with pytest.raises(ConflictError, match=r"value is \[1.0, 2.0\].*needs a later known_time"):
        lake.merge(FACTS, facts([("A", 0, 0, 2.0)] if split else [("A", 0, 0, 1.0), ("A", 0, 0, 2.0)]))
    assert lake.read(FACTS).height == int(split)


def test_what_is_said_once_is_never_restated(lake: Lake) -> None:
    lake.merge(VERDICTS, facts([("A", 0, 0, 1.0)]))
    assert lake.merge(VERDICTS, facts([("A", 0, 8, 1.0), ("B", 0, 0, 1.0)])).added == 1
    with pytest.raises(ConflictError, match=r"event_time is .* never restated"):
        lake.merge(VERDICTS, facts([("A", 7, 8, 1.0)]))


def test_what_is_said_once_counts_once_though_it_comes_again_as_known_earlier(lake: Lake) -> None:
    lake.merge(VERDICTS, facts([("AAA", 0, 2, 1.0)]))
    assert lake.merge(VERDICTS, facts([("AAA", 0, 1, 1.0)])).skipped
    assert lake.read(VERDICTS).height == 1
    with pytest.raises(ConflictError, match="never restated"):
        lake.merge(VERDICTS, facts([("AAA", 0, 1, 2.0)]))


def test_an_empty_frame_makes_the_table_and_nothing_more(lake: Lake) -> None:
    report = lake.merge(FACTS, FACTS.empty())
    assert (report.rows, report.first, report.skipped) == (0, None, True)
    assert lake.merge(FACTS, FACTS.empty()).version == report.version
    assert lake.read_as_of(FACTS, day(0)).is_empty()


def test_an_empty_batch_is_remembered_and_adds_no_file(lake: Lake) -> None:
    for spec in (FACTS, VERDICTS):
        lake.append(spec, spec.empty(), batch_id="b1")
        assert lake.append(spec, spec.empty(), batch_id="b1").details["reason"] == "batch b1 is already stored"
        assert lake.files(spec) == []


def test_a_lake_named_by_a_relative_path_is_the_one_below_the_folder_one_is_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number, name in enumerate(("one", "other")):
        (tmp_path / name).mkdir()
        monkeypatch.chdir(tmp_path / name)
        Lake(Path("tables")).merge(FACTS, facts([("A", number, number, 1.0)]))
        assert Lake(Path("tables")).read(FACTS)["event_time"].to_list() == [day(number)]


def test_lists_of_numbers_are_compared_by_value(lake: Lake) -> None:
    spec = TableSpec(
        name="windows",
        layer="features",
        meaning="Lists.",
        key=("symbol", "event_time"),
        columns=(*FACTS.columns[:3], Column("window", pl.List(pl.Float32()), "", "values")),
    )
    rows = facts([("A", 0, 0, None)]).drop("value")
    window = rows.with_columns(pl.Series("window", [[1.0, float("nan"), None]], dtype=pl.List(pl.Float32())))
    assert lake.merge(spec, window).added == 1
    assert lake.merge(spec, window.with_columns(known_time=pl.lit(day(2)))).added == 0
    assert lake.read(spec)["window"].to_list()[0][0] == 1.0


def test_versions_can_be_read_back(lake: Lake) -> None:
    first = lake.merge(FACTS, facts([("A", 0, 0, 1.0)]))
    lake.merge(FACTS, facts([("A", 0, 1, 2.0)]))
    assert known(lake.read_as_of(FACTS, day(9), version=first.version)) == {("A", day(0)): 1.0}
    assert lake.versions([FACTS]) == {"facts": first.version + 1}


def test_a_table_that_is_not_there_says_how_to_make_it(lake: Lake) -> None:
    with pytest.raises(TableNotFoundError, match=r"Table 'bars' does not exist .* `make demo`"):
        lake.read(BARS)


def test_a_frame_that_does_not_fit_is_refused_before_anything_is_written(lake: Lake) -> None:
    with pytest.raises(SchemaError, match="column 'value' is Int64, expected Float64"):
        lake.merge(FACTS, facts([("A", 0, 0, 1.0)]).cast({"value": pl.Int64}))
    assert not lake.exists(FACTS)


def test_a_writer_that_waits_too_long_says_who_holds_the_table(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(locks, "LOCK_SECONDS", 0.01)
    lake.root.mkdir(parents=True)
    with FileLock(lake.root / ".facts.lock"), pytest.raises(NotReadyError, match="locked by another process"):
        lake.merge(FACTS, facts([("A", 0, 0, 1.0)]))


def test_a_table_describes_itself(lake: Lake) -> None:
    lake.merge(FACTS, facts([("A", 0, 0, 1.0)]))
    lake.merge(VERDICTS, facts([]))
    tables = {table.name: table for table in lake.stored()}
    assert {name: (table.key, table.restates, len(table.files)) for name, table in tables.items()} == {
        "facts": (("symbol", "event_time"), True, 1),
        "verdicts": (("symbol",), False, 0),
    }


def test_the_lake_of_the_settings_lies_in_their_home(settings: Settings) -> None:
    assert Lake.open(settings).root == settings.home / "tables"


def test_a_folder_with_spaces_and_accents_is_a_home_like_any_other(tmp_path: Path) -> None:
    lake = Lake(tmp_path / "my läke #1" / "tables")
    lake.merge(FACTS, facts([("A", 0, 0, 1.0)]))
    assert lake.merge(FACTS, facts([("A", 0, 0, 1.0), ("A", 1, 1, 1.0)])).added == 1
    assert known(lake.read_as_of(FACTS, day(1))) == {("A", day(0)): 1.0, ("A", day(1)): 1.0}
    assert all(Path(file).exists() for file in lake.files(FACTS))


VERSIONS = st.lists(
    st.tuples(st.sampled_from("AB"), st.integers(0, 3), st.integers(0, 8), st.sampled_from([1.0, 2.0, None])),
    max_size=14,
    unique_by=lambda fact: fact[:3],
)


def oracle(rows: Iterable[Fact], at: int) -> dict[tuple[str, datetime], float | None]:
    """The newest version known by then of each fact, by brute force."""
    known = sorted((row for row in rows if row[2] <= at), key=lambda row: row[2])
    return {(symbol, day(event)): value for symbol, event, _, value in known}


def check_as_of(lake: Lake, rows: list[Fact], sizes: list[int]) -> None:
    rows = sorted(rows, key=lambda row: row[2])
    lake.merge(FACTS, FACTS.empty())
    for size in [*sizes, len(rows)]:
        batch, rows_left = rows[:size], rows[size:]
        lake.merge(FACTS, facts(batch))
        rows = rows_left + batch
    for at in range(10):
        assert known(lake.read_as_of(FACTS, day(at))) == oracle(rows, at)


@examples(5)
@given(rows=VERSIONS, sizes=st.lists(st.integers(1, 5), max_size=3))
def test_reading_back_in_time_agrees_with_brute_force(
    rows: list[Fact], sizes: list[int], tmp_path_factory: pytest.TempPathFactory
) -> None:
    check_as_of(Lake(tmp_path_factory.mktemp("lake")), rows, sizes)


@given(rows=VERSIONS, sizes=st.lists(st.integers(1, 5), max_size=3))
def test_merged_in_any_batches_the_versions_agree_with_brute_force(rows: list[Fact], sizes: list[int]) -> None:
    stored, rows = FACTS.empty(), sorted(rows, key=lambda row: row[2])
    waiting = rows
    for size in [*sizes, len(rows)]:
        stored = pl.concat([stored, new_or_restated(FACTS, stored, facts(waiting[:size]))])
        waiting = waiting[size:]
    repeats = stored.sort("symbol", "event_time", "known_time")
    assert not repeats.select(
        same=pl.all_horizontal(pl.col(n).eq_missing(pl.col(n).shift(1)) for n in ("symbol", "event_time", "value"))
    )["same"].any()
    for at in range(10):
        seen = stored.filter(pl.col("known_time") <= day(at)).sort("known_time")
        assert known(seen) == oracle(rows, at)


class Forgetful(Lake):
    """A store that leaves out the filter on knowledge time."""

    def read_as_of(self, spec: TableSpec, at: datetime, **options: object) -> pl.DataFrame:  # noqa: ARG002 - its defect
        return super().read_as_of(spec, day(99))


def test_without_the_filter_on_knowledge_time_the_oracle_disagrees(tmp_path: Path) -> None:
    rows: list[Fact] = [("A", 0, 0, 1.0), ("A", 0, 5, 2.0)]
    check_as_of(Lake(tmp_path / "good"), rows, [1])
    with pytest.raises(AssertionError):
        check_as_of(Forgetful(tmp_path / "mutant"), rows, [1])


def test_the_last_digits_of_a_number_computed_again_are_no_news(lake: Lake) -> None:
    exact, tolerant, at = FACTS, replace(FACTS, name="tolerant", tolerance=1e-9), START
    rows = pl.DataFrame(
        {"symbol": ["A", "B", "C"], "event_time": [at] * 3, "known_time": [at] * 3, "value": [0.1, 1e-15, None]},
        schema=exact.schema,
    )
    noisy = rows.with_columns(pl.col("value") * (1 + 1e-12) + 1e-14)
    lake.merge(tolerant, rows)
    assert lake.merge(tolerant, noisy).added == 0
    assert lake.read(tolerant).sort("symbol").equals(rows)
    lake.merge(exact, rows)
    with pytest.raises(ConflictError, match="value is"):
        lake.merge(exact, noisy)
    for other in (rows.with_columns(pl.col("value") * (1 + 1e-7)), rows.with_columns(pl.col("value").fill_null(1.0))):
        with pytest.raises(ConflictError, match="value is"):
            lake.merge(tolerant, other)
