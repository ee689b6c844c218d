"""Stored features belong to the index and the calendar that they were made for."""

from dataclasses import replace
from pathlib import Path

import pytest

from feature_repo.materialize import update_labels, update_regimes, update_technical
from feature_repo.materialize.made_for import STAMP
from lake.clock import DEMO_START, FixedClock
from lake.errors import ConflictError
from lake.market import Market
from lake.sources import tiny_market
from lake.store import Lake
from lake.tables import BARS, REGIMES

NOW = FixedClock(DEMO_START)
DESK = Market("desk", source="file", first_year=2011)


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    DESK.write(tmp_path)
    lake = Lake(tmp_path / "tables")
    lake.merge(BARS, tiny_market(["AAA", "BBB", "^GSPC"], sessions=260, seed=2))
    return lake


@pytest.mark.parametrize(("field", "value"), [("index", "BBB"), ("calendar", "XLON")])
def test_another_index_or_calendar_is_refused_naming_both_and_the_way_out(lake: Lake, field: str, value: str) -> None:
    update_technical(lake, NOW)
    replace(DESK, **{field: value}).write(lake.root.parent)
    message = rf"made for the {field} '{getattr(DESK, field).replace('^', '.')}'.*declares the {field} '{value}'"
    for update in (update_technical, update_labels, update_regimes):
        with pytest.raises(ConflictError, match=rf"{message}.*Put .* back, or declare a market of another name"):
            update(lake, NOW)
    DESK.write(lake.root.parent)
    assert update_technical(lake, NOW).skipped


def test_other_edits_of_the_declaration_are_free(lake: Lake) -> None:
    update_technical(lake, NOW)
    replace(DESK, symbols=("AAA",), decision_delay=5).write(lake.root.parent)
    assert update_technical(lake, NOW).skipped


def test_features_of_before_this_was_written_down_say_their_index(lake: Lake) -> None:
    update_regimes(lake, NOW)
    assert lake.read(REGIMES).height > 0
    stamp = lake.root / ".stamps" / STAMP
    stamp.unlink()
    replace(DESK, index="BBB").write(lake.root.parent)
    with pytest.raises(ConflictError, match="declares the index 'BBB'"):
        update_technical(lake, NOW)
    DESK.write(lake.root.parent)
    update_technical(lake, NOW)
    assert stamp.is_file()
