"""Which symbols of an online read can be forecast, and what is said of the others."""

from collections.abc import Callable, Iterator

import pytest

from feature_repo.online import WINDOW, OnlineBatch, OnlineReader
from feature_repo.online.redis_server import running_redis
from feature_repo.retrieval import materialize
from lake.clock import FixedClock
from lake.settings import Settings
from lake.store import Lake
from serving.predict import split_ready
from support.online import AT, DAY, store_generation

ASKED = ["S0", "S1", "NOPE"]


@pytest.fixture
def read_after(settings: Settings) -> Iterator[Callable[[int], OnlineBatch]]:
    """Return a read of a materialised market so many days after its close: ``read_after(8)``."""
    settings.feast.mkdir(parents=True)
    (settings.feast / "registry.db").touch()  # nothing here asks the registry
    lake = Lake.open(settings)
    with running_redis(settings):
        materialize(lake, settings, store_generation(lake, 0))

        def read(days: int) -> OnlineBatch:
            reader = OnlineReader(settings, clock=FixedClock(AT + days * DAY))
            batch = reader.read(ASKED)
            reader.close()
            return batch

        yield read


def test_a_row_past_its_time_to_live_is_no_input_of_a_forecast(read_after: Callable[[int], OnlineBatch]) -> None:
    ready, unavailable = split_ready(read_after(7))
    assert [row.symbol for row in ready] == ["S0", "S1"]
    assert [symbol for symbol, _ in unavailable] == ["NOPE"]
    for days, expired in ((8, f"{WINDOW.name}, regime"), (93, f"{WINDOW.name}, strategy, regime")):
        ready, unavailable = split_ready(read_after(days))
        assert ready == [], f"input that expired was taken as fresh after {days} days"
        said = dict(unavailable)
        assert "needs 30 sessions" in said["NOPE"]
        assert all(f"has no current values: {expired} expired, last of {AT}" in said[name] for name in ("S0", "S1"))
