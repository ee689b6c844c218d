"""The examples in the docstrings of this room run as they are printed."""

import importlib
from collections.abc import Iterator
from typing import Any

import pytest

from feature_repo import retrieval
from feature_repo.catalog import CALENDAR
from feature_repo.materialize import update_group
from feature_repo.online.redis_server import running_redis
from feature_repo.targets import FORECAST_V2
from lake.clock import FixedClock
from lake.settings import Settings
from lake.sources import tiny_market
from lake.store import Lake
from lake.tables import BARS
from lake.universe import MARKET
from support.examples import OPTIONS, failed_examples
from support.online import AT, store_generation

PLAIN = (
    "feature_repo.catalog",
    "feature_repo.catalog.entries",
    "feature_repo.coverage",
    "feature_repo.leaks.checker",
    "feature_repo.leaks.subjects",
    "feature_repo.online.breaker",
    "feature_repo.online.degradation",
    "feature_repo.online.views",
    "feature_repo.regimes.daily",
    "feature_repo.targets.labels",
    "feature_repo.targets.windows",
)
ONLINE = ("feature_repo.retrieval", "feature_repo.online.parity")


@pytest.fixture
def with_calendar(lake: Lake) -> tuple[Lake, Any]:
    bars = tiny_market(["AAA", "BBB", MARKET], 40, seed=1)
    lake.merge(BARS, bars)
    now = bars["known_time"].max()
    update_group(lake, FixedClock(now), CALENDAR)
    return lake, now


@pytest.fixture
def served(settings: Settings) -> Iterator[dict[str, Any]]:
    """An embedded server, and a lake with one row per symbol of each table that is served."""
    settings.feast.mkdir(parents=True)
    (settings.feast / "registry.db").touch()
    home, lake = settings.model_copy(update={"online_timeout_ms": 20_000}), Lake.open(settings)
    store_generation(lake, 0)
    with running_redis(home):
        yield {"settings": home, "lake": lake, "now": AT}
        retrieval._reader(home, FORECAST_V2).close()


@pytest.mark.parametrize("name", PLAIN)
def test_the_examples_run(name: str, with_calendar: tuple[Lake, Any]) -> None:
    lake, now = with_calendar
    printed = failed_examples(name, OPTIONS, lake=lake, now=now)
    assert not printed, printed


def test_the_examples_of_the_online_store_run(served: dict[str, Any]) -> None:
    printed = "".join(failed_examples(name, OPTIONS, **served) for name in ONLINE)
    assert not printed, printed


def test_an_example_that_is_wrong_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    module = importlib.import_module("feature_repo.online.degradation")
    monkeypatch.setattr(module.Degradation, "__doc__", ">>> 1 + 1\n3\n")
    assert "Expected:" in failed_examples("feature_repo.online.degradation")
