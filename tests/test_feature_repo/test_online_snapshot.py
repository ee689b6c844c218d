"""What stands in for Redis when no server runs at all: the snapshot of the tables in the reader's memory."""

import dataclasses
from typing import Any

import polars as pl
import pytest

from feature_repo import retrieval
from feature_repo.online import rows
from feature_repo.online.breaker import CircuitBreaker
from feature_repo.online.degradation import DegradationKind
from feature_repo.online.generations import Generation
from feature_repo.online.reader import OnlineReader
from feature_repo.online.redis_server import ServerPaths
from feature_repo.online.snapshot import LoadedSnapshot, OnlineSnapshot, write_last_generation
from feature_repo.online.views import VIEWS, WINDOW
from feature_repo.retrieval import online
from feature_repo.targets.windows import FORECAST_V2
from lake.clock import FixedClock
from lake.errors import OnlineStoreError
from lake.settings import Settings
from lake.store import Lake
from support.online import AT, SYMBOLS, close_of, kind_of, store_generation, what_is_wrong

CLOCK = FixedClock(close_of(3))


@pytest.fixture
def market(settings: Settings) -> Lake:
    lake = Lake.open(settings)
    store_generation(lake, 0)
    return lake


def materialized(lake: Lake, settings: Settings) -> Generation:
    """Say what a materialisation of everything there is would have said."""
    tables = {view.table.name: view.table for view in VIEWS if lake.exists(view.table)}
    said = Generation(5, AT, lake.versions(list(tables.values())))
    write_last_generation(settings, said)
    return said


def test_without_a_materialisation_the_snapshot_is_what_is_known_now(market: Lake, settings: Settings) -> None:
    store_generation(market, 1)
    snapshot = OnlineSnapshot(settings, VIEWS, FixedClock(close_of(0)))
    snapshot.refresh()
    reader = OnlineReader(settings, snapshot=snapshot, clock=CLOCK)
    batch = reader.read(SYMBOLS)
    assert what_is_wrong(batch, list(SYMBOLS), {0}) == ""
    assert batch.served.is_degraded
    assert reader.symbols() == sorted(SYMBOLS)
    store_generation(market, 2)
    assert snapshot.refresh()


def test_an_answer_from_the_snapshot_says_which_table_versions_it_was_read_from(
    market: Lake, settings: Settings
) -> None:
    newest = market.versions([view.table for view in VIEWS if market.exists(view.table)])
    snapshot = OnlineSnapshot(settings, VIEWS, FixedClock(close_of(0)))
    snapshot.refresh()
    served = OnlineReader(settings, snapshot=snapshot, clock=CLOCK).read(SYMBOLS).served
    assert (served.versions, served.generation.until) == (newest, close_of(0))
    said = materialized(market, settings)
    store_generation(market, 1)
    snapshot.refresh()
    served = OnlineReader(settings, snapshot=snapshot, clock=CLOCK).read(SYMBOLS).served
    assert served.versions == said.versions
    assert dataclasses.replace(served.generation, layouts={}) == said


def test_a_snapshot_whose_versions_are_gone_takes_the_newest(market: Lake, settings: Settings) -> None:
    write_last_generation(settings, Generation(5, AT, {view.table.name: 99 for view in VIEWS}))
    snapshot = OnlineSnapshot(settings, [WINDOW], CLOCK)
    assert snapshot.refresh()
    assert snapshot.loaded.generation is None
    assert snapshot.loaded.names == {WINDOW.name: sorted(SYMBOLS)}


def test_a_snapshot_that_could_not_be_loaded_is_tried_again(
    market: Lake, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file that could not be opened for a moment must not leave the reader with other rows than were served."""
    said = materialized(market, settings)
    store_generation(market, 1)
    honest, failures = rows.newest_rows, [OSError("too many open files")]

    def failing(*arguments: Any) -> pl.DataFrame:
        if failures:
            raise failures.pop()
        return honest(*arguments)

    monkeypatch.setattr(rows, "newest_rows", failing)
    snapshot = OnlineSnapshot(settings, VIEWS, CLOCK)
    assert snapshot.refresh()
    assert snapshot.loaded.generation is None, "the newest tables stand in"
    assert snapshot.refresh()
    assert snapshot.loaded.generation == said
    assert not snapshot.refresh()


@pytest.mark.parametrize("looks", [1, 2, 3])
def test_a_snapshot_that_is_renewed_while_it_stands_in_answers(market: Lake, settings: Settings, looks: int) -> None:
    """What it held a moment ago and what it holds now differ by a row; neither is an error of the caller's."""
    materialized(market, settings)
    snapshot = OnlineSnapshot(settings, VIEWS, CLOCK)
    snapshot.refresh()
    whole = snapshot.loaded
    lacking = dataclasses.replace(whole, values={k: v for k, v in whole.values.items() if not k.endswith(":S3")})

    class Renewed(OnlineSnapshot):
        seen = 0

        @property
        def loaded(self) -> LoadedSnapshot:
            self.seen += 1
            return lacking if self.seen <= looks else whole

    batch = OnlineReader(settings, snapshot=Renewed(settings, VIEWS, CLOCK), clock=CLOCK).read(SYMBOLS)
    assert batch.source == "snapshot"
    assert batch.missing in ([], ["S3"])


def test_the_first_read_without_a_server_is_answered_and_says_that_it_refused(market: Lake, settings: Settings) -> None:
    """Whoever opens a reader waits until something can stand in; nobody is told to ask again in a second."""
    materialized(market, settings)
    batch = online(SYMBOLS, settings=settings)
    assert what_is_wrong(batch, list(SYMBOLS), {0}) == ""
    assert f"{ServerPaths.of(settings).socket} refused the connection: no server runs there" in batch.served.reason
    assert kind_of(batch) is DegradationKind.REFUSED
    retrieval._reader(settings, FORECAST_V2).close()


def test_a_server_that_is_left_alone_is_not_said_to_be_slow(settings: Settings) -> None:
    reader = OnlineReader(settings, clock=CLOCK)
    reader._source._breaker = CircuitBreaker(pause_seconds=60.0)
    for _ in range(3):
        with pytest.raises(OnlineStoreError, match=r"refused the connection.*make serve"):
            reader.read(["S0"])
    with pytest.raises(OnlineStoreError, match=r"left alone for a moment.*make serve"):
        reader.read(["S0"])
