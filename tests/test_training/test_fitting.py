"""Experiments of markets of one's own: fitted once, and named after the market."""

from pathlib import Path

import pytest

from lake.clock import DEMO_START, FixedClock
from lake.market import Market
from lake.settings import Settings
from lake.sources import tiny_market
from lake.store import Lake
from lake.tables import BARS
from training.experiments import experiment_of

NOW = FixedClock(DEMO_START)


@pytest.fixture
def desk(tmp_path: Path) -> Lake:
    Market("desk", source="file", first_year=2011).write(tmp_path)
    lake = Lake(tmp_path / "tables")
    lake.merge(BARS, tiny_market([*(f"S{number}" for number in range(8)), "^GSPC"], sessions=400, seed=4))
    return lake


def test_an_experiment_is_named_after_its_market(desk: Lake) -> None:
    settings = Settings(home=desk.root.parent)
    first = experiment_of(settings, desk, NOW)
    assert first.name == "desk"
    assert [path.name for path in (settings.home / "experiments").iterdir()] == ["desk.yaml"]
    assert experiment_of(settings, desk, NOW) == first
    assert experiment_of(settings.model_copy(update={"experiment": "full"}), desk, NOW).name == "desk-full"


def test_one_that_was_fitted_under_the_declared_name_keeps_it_and_trains_nothing_anew(desk: Lake) -> None:
    settings = Settings(home=desk.root.parent)
    folder = settings.home / "experiments"
    fitted = experiment_of(settings, desk, NOW)
    (folder / "desk.yaml").rename(folder / "demo.yaml")
    before = experiment_of(settings, desk, NOW)
    assert before.name == "demo"
    assert before == fitted.model_copy(update={"name": "demo"})
