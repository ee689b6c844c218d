"""A table that was made before some of its columns were declared: read as it is, computed again as a whole."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import polars as pl
import pytest

from lake.care import examine
from lake.errors import DamagedTableError, SchemaError
from lake.spec import Column
from lake.store import Lake, delta_log
from support.facts import FACTS

NOON = datetime(2020, 1, 6, 12, tzinfo=UTC)
LATER = Column("expected", pl.Float64(), "currency", "a later idea", nullable=True)
NOW = replace(FACTS, columns=(*FACTS.columns, LATER))


def rows(count: int = 4) -> pl.DataFrame:
    times = [NOON + timedelta(days=300 * number) for number in range(count)]
    return pl.DataFrame(
        {"symbol": "A", "event_time": times, "known_time": times, "value": [float(n) for n in range(count)]},
        schema=FACTS.schema,
    )


def whole() -> pl.DataFrame:
    return rows().with_columns(pl.col("value").mul(2).alias("expected"))


@pytest.fixture
def old(lake: Lake) -> Lake:
    lake.merge(FACTS, rows())
    return lake


def test_a_column_that_was_declared_later_is_null_and_nothing_can_be_added_beside_it(old: Lake) -> None:
    assert old.lacks_columns(NOW)
    assert old.read(NOW).sort("event_time")["expected"].to_list() == [None] * 4
    with pytest.raises(SchemaError, match=r"expected differ. Compute the table again: its next update does."):
        old.merge(NOW, whole())


def test_a_table_that_was_made_with_other_columns_is_not_called_older(old: Lake) -> None:
    assert not old.lacks_columns(FACTS)
    required = replace(NOW, columns=(*FACTS.columns, replace(LATER, nullable=False)))
    retyped = replace(NOW, columns=(*FACTS.columns[:-1], replace(FACTS.columns[-1], dtype=pl.String()), LATER))
    for other in (required, retyped):
        assert not old.lacks_columns(other)
        with pytest.raises(SchemaError, match="Move its folder away"):
            old.rebuild(other, [])
    with pytest.raises(pl.exceptions.PolarsError, match="expected"):
        old.read(required)
    assert old.read(FACTS).height == 4


def test_rebuilt_it_has_the_values_and_the_versions_before_have_their_rows(old: Lake) -> None:
    before = old.version(FACTS)
    report = old.rebuild(NOW, [whole()[:3], whole()[3:]])
    assert (report.rows, report.added) == (4, 4)
    assert old.read(NOW).sort("event_time").equals(whole())
    assert old.read(FACTS, version=before).sort("event_time").equals(rows())
    assert not old.lacks_columns(NOW)
    assert old.merge(NOW, whole()).added == 0
    later = whole().with_columns(pl.col("event_time", "known_time") + timedelta(days=1))
    assert old.merge(NOW, later).added == 4
    assert examine(old, NOW) == []
    (stored,) = old.stored()
    assert (stored.name, stored.key, stored.restates) == (NOW.name, NOW.key, NOW.restates)


def test_cut_off_before_its_commit_nothing_has_changed(old: Lake) -> None:
    def frames() -> Iterator[pl.DataFrame]:
        yield whole()[:2]
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        old.rebuild(NOW, frames())
    assert old.lacks_columns(NOW)
    assert old.read(FACTS).sort("event_time").equals(rows())


def test_while_a_repair_is_unfinished_nothing_is_replaced(old: Lake) -> None:
    mark = delta_log.unfinished(old.path(FACTS))
    mark.parent.mkdir(exist_ok=True)
    mark.touch()
    with pytest.raises(DamagedTableError, match="A repair of table 'facts' was cut off"):
        old.rebuild(NOW, [whole()])
    assert old.lacks_columns(NOW)


def test_what_was_decided_gains_a_column_in_place_and_keeps_its_rows(lake: Lake) -> None:
    """What cannot be made again is null in a column of later, in the table and in each version of it."""
    decided, now = replace(FACTS, layer="decisions"), replace(NOW, layer="decisions")
    lake.merge(decided, rows())
    before = lake.version(decided)
    later = whole().with_columns(pl.col("event_time", "known_time") + timedelta(days=1))
    assert lake.merge(now, whole().with_columns(pl.lit(None, pl.Float64()).alias("expected"))).added == 0
    assert lake.merge(now, later).added == 4
    assert not lake.lacks_columns(now)
    found = lake.read(now).sort("event_time")
    assert found["expected"].null_count() == 4
    assert found.filter(pl.col("expected").is_null()).drop("expected").equals(rows())
    assert lake.read(now, version=before).drop("expected").sort("event_time").equals(rows())
    assert examine(lake, now) == []
