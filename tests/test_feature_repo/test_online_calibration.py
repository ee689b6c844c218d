"""The calibration in force comes with the one read of a request, from Redis and from the snapshot alike."""

from collections.abc import Iterator
from datetime import timedelta

import polars as pl
import pytest

from feature_repo.online.calibration import OnlineCalibration, calibration_in_force
from feature_repo.online.reader import OnlineReader
from feature_repo.online.redis_server import running_redis
from feature_repo.online.views import CALIBRATION
from feature_repo.retrieval import materialize
from lake.clock import FixedClock
from lake.settings import Settings
from lake.store import Lake
from lake.tables import CALIBRATIONS
from lake.universe import MARKET
from support.online import AT, DAY, SYMBOLS, store_generation

UPTREND, DOWNTREND = "low_volatility_uptrend", "low_volatility_downtrend"
HELD = OnlineCalibration(
    as_of=AT,
    regimes=(UPTREND, UPTREND, DOWNTREND, DOWNTREND),
    horizons=(1, 5, 1, 5),
    lower=(1 / 3, 1.0, 2.0, 3.0),
    upper=(0.1 + 0.2, 1.5, 2.5, 3.5),
    trust=(0.9, 1.1, 0.9, 1.1),
    sessions=(197.0, 193.0, 3.0, 2.96),
)


@pytest.fixture
def home(settings: Settings) -> Iterator[Settings]:
    settings.feast.mkdir(parents=True)
    (settings.feast / "registry.db").touch()
    home = settings.model_copy(update={"redis_url": None, "online_timeout_ms": 20_000})
    with running_redis(home):
        yield home


def row_of(held: OnlineCalibration) -> pl.DataFrame:
    lists = {name: list(getattr(held, name)) for name in CALIBRATIONS.names[3:]}
    row = {"market": MARKET, "event_time": held.as_of, "known_time": held.as_of, **lists}
    return pl.DataFrame([row], schema=CALIBRATIONS.schema)


def test_it_is_none_before_the_first_and_then_the_newest_to_the_last_bit(home: Settings) -> None:
    lake = Lake.open(home)
    at = store_generation(lake, 0)
    materialize(lake, home, at)
    reader = OnlineReader(home, clock=FixedClock(at))
    assert reader.read(SYMBOLS).calibration is None
    lake.merge(CALIBRATIONS, row_of(HELD))
    materialize(lake, home, at)
    assert reader.read(SYMBOLS).calibration == HELD
    store_generation(lake, 1)
    lake.merge(CALIBRATIONS, row_of(OnlineCalibration(AT + DAY, *([()] * 6))))
    materialize(lake, home, at)
    assert reader.read(SYMBOLS).calibration == HELD, "what becomes known later is not served now"


def test_the_snapshot_has_it_as_well(home: Settings) -> None:
    lake = Lake.open(home)
    at = store_generation(lake, 0)
    lake.merge(CALIBRATIONS, row_of(HELD))
    materialize(lake, home, at)
    reader = OnlineReader.open(home, clock=FixedClock(at))
    try:
        reader._source._client.close()
        nowhere = home.model_copy(update={"redis_url": "redis://127.0.0.1:1024/0"})
        reader._source._client = OnlineReader(nowhere)._source._client
        batch = reader.read(SYMBOLS)
    finally:
        reader.close()
    assert (batch.source, batch.calibration) == ("snapshot", HELD)


def test_one_that_has_expired_is_none_and_expires_no_forecast() -> None:
    (packed,) = CALIBRATION.layout.pack(row_of(HELD).drop("market"), 1)
    assert calibration_in_force([packed], AT + CALIBRATION.ttl) == HELD
    assert calibration_in_force([packed], AT + CALIBRATION.ttl + timedelta(seconds=1)) is None
    assert calibration_in_force([], AT) is None
