"""Online against offline: nothing differs after a materialisation, and whatever is tampered with is named."""

from collections.abc import Callable, Iterator
from datetime import timedelta

import polars as pl
import pytest
from redis import Redis

from feature_repo.catalog import FEATURES_TECHNICAL
from feature_repo.materialize.update import update_regimes, update_technical, update_windows
from feature_repo.online.generations import generation_key, row_key
from feature_repo.online.packing import HEADER_FIELDS
from feature_repo.online.parity import ParityDifference, compare_stores, withdraw
from feature_repo.online.redis_server import connect, running_redis
from feature_repo.online.seals import OnlineKey
from feature_repo.online.views import REGIME, VIEWS, WINDOW, view_named
from feature_repo.retrieval import OnlineReader, materialize
from lake.clock import DEMO_START, FixedClock
from lake.errors import NotReadyError, OnlineStoreError
from lake.settings import Settings
from lake.store import Lake
from lake.tables import MODEL_WINDOWS

TECHNICAL = view_named("technical")
COLUMNS = [name for name, _ in TECHNICAL.layout.columns]


@pytest.fixture
def filled(make_lake: Callable, small_market: Callable, settings: Settings) -> Iterator[tuple[Lake, Redis]]:
    """A lake of two symbols, and the Redis that was filled from it."""
    lake = make_lake(small_market(320))
    for update in (update_technical, update_regimes, update_windows):
        update(lake, FixedClock(DEMO_START))
    with running_redis(settings) as url, connect(url, 5.0) as server:
        materialize(lake, settings, DEMO_START)
        yield lake, server


def tamper(server: Redis, settings: Settings, symbol: str, feature: str) -> None:
    """Turn the last bit of one number of the technical view, as a writer would that packs it wrong and seals it."""
    key = row_key(TECHNICAL.name, symbol)
    value = bytearray(server.get(key))
    value[HEADER_FIELDS.itemsize + 8 * COLUMNS.index(feature)] ^= 1
    server.set(key, OnlineKey.of(settings).seal_row(key, bytes(value)))


def differing(lake: Lake, settings: Settings) -> dict[tuple[str, str], ParityDifference]:
    return {(one.view, one.feature): one for one in compare_stores(lake, settings).differences}


def test_what_was_just_materialised_differs_nowhere(filled, settings: Settings) -> None:
    report = compare_stores(filled[0], settings)
    assert report.is_equal
    assert report.totals == {"mismatch": 0, "missing": 0, "extra": 0}
    of_market = {"regime": 1, "strategy": 0, "blend_weights": 0, "calibration": 0}
    assert report.rows == {view.name: of_market.get(view.name, 2) for view in VIEWS}
    assert report.values["technical"] == 2 * (len(COLUMNS) + 2)
    assert report.until == DEMO_START


def test_one_bit_of_one_value_is_named_with_its_symbol_and_feature(filled, settings: Settings) -> None:
    """The mutant: a check that cannot see one bit sees nothing."""
    lake, server = filled
    tamper(server, settings, "BBB", "rsi_14")
    (said,) = compare_stores(lake, settings).differences
    assert (said.view, said.feature, said.mismatch, said.missing, said.extra) == ("technical", "rsi_14", 1, 0, 0)
    right = lake.read_as_of(FEATURES_TECHNICAL, DEMO_START, where=pl.col("symbol") == "BBB")["rsi_14"][-1]
    assert said.examples[0].startswith("BBB: ")
    assert said.examples[0].endswith(f" instead of {right!r}")


def test_a_row_that_is_gone_is_missing_and_one_that_was_never_known_is_extra(filled, settings: Settings) -> None:
    lake, server = filled
    server.delete(row_key(TECHNICAL.name, "AAA"))
    ghost, another = row_key(WINDOW.name, "GHOST"), server.get(row_key(WINDOW.name, "BBB"))
    server.set(ghost, OnlineKey.of(settings).seal_row(ghost, another))
    found = differing(lake, settings)
    assert {name for view, name in found if view == "technical"} == {"event_time", "known_time", *COLUMNS}
    assert all(one.missing == 1 for one in found.values() if one.view == "technical")
    assert found[(WINDOW.name, "window")].extra == 1
    assert found[(WINDOW.name, "window")].examples == (f"GHOST: {found_numbers()} numbers instead of nothing",)


def found_numbers() -> int:
    from feature_repo.targets.windows import FORECAST_V2

    return FORECAST_V2.shape[0] * FORECAST_V2.shape[1]


def test_a_row_that_is_cut_short_counts_as_missing(filled, settings: Settings) -> None:
    lake, server = filled
    key = row_key(REGIME.name, lake.read(REGIME.table)["market"][0])
    server.set(key, server.get(key)[:-8])
    assert {(view, one.missing) for (view, _), one in differing(lake, settings).items()} == {("regime", 1)}


def test_a_table_that_went_on_since_makes_no_difference(filled, settings: Settings) -> None:
    lake, _ = filled
    rows = lake.read_as_of(MODEL_WINDOWS, DEMO_START)
    later = pl.col("known_time") + timedelta(hours=1)
    lake.merge(MODEL_WINDOWS, rows.with_columns(later, pl.lit("another").alias("feature_hash")))
    assert compare_stores(lake, settings).is_equal
    materialize(lake, settings, DEMO_START + timedelta(hours=2))
    assert compare_stores(lake, settings).is_equal
    assert OnlineReader(settings).read(["AAA"]).feature_hash == ["another"]


def test_what_is_withdrawn_is_not_served_and_comes_back_right(filled, settings: Settings) -> None:
    lake, server = filled
    tamper(server, settings, "AAA", "macd")
    server.set(row_key(WINDOW.name, "GHOST"), b"x")
    withdraw(settings)
    assert server.dbsize() == 0
    with pytest.raises((NotReadyError, OnlineStoreError)):
        OnlineReader(settings).read(["AAA"])
    materialize(lake, settings, DEMO_START)
    assert compare_stores(lake, settings).is_equal
    assert OnlineReader(settings).read(["AAA"]).symbols == ["AAA"]


def test_what_is_filled_during_a_withdrawal_goes_whole_or_stays_whole(filled, settings: Settings, monkeypatch) -> None:
    """A generation without its rows would be a server that says it is current and knows nobody."""
    from feature_repo.online import parity

    lake, server = filled
    honest, fills = parity._names, [1, 2, 3]

    def filling(*arguments):
        if fills:
            materialize(lake, settings, DEMO_START + timedelta(hours=fills.pop()))
        return honest(*arguments)

    monkeypatch.setattr(parity, "_names", filling)
    withdraw(settings)
    assert server.dbsize() == 0
    assert not materialize(lake, settings, DEMO_START).skipped
    assert OnlineReader(settings).read(["AAA"]).symbols == ["AAA"]


def test_a_withdrawal_that_is_always_overtaken_leaves_everything(filled, settings: Settings, monkeypatch) -> None:
    from feature_repo.online import parity

    lake, server = filled
    honest = parity._names

    def overtaking(*arguments):
        server.set(generation_key(), server.get(generation_key()))
        return honest(*arguments)

    monkeypatch.setattr(parity, "_names", overtaking)
    with pytest.raises(OnlineStoreError, match=r"were each overtaken.*still stands"):
        withdraw(settings)
    monkeypatch.undo()
    assert compare_stores(lake, settings).is_equal


def test_without_a_materialisation_or_a_server_there_is_nothing_to_compare(lake: Lake, settings: Settings) -> None:
    with pytest.raises(OnlineStoreError, match=r"cannot be compared with the lake.*make serve"):
        compare_stores(lake, settings)
    with running_redis(settings), pytest.raises(NotReadyError, match=r"does not say what it was filled from"):
        compare_stores(lake, settings)


def test_a_store_that_is_filled_meanwhile_is_compared_again(filled, settings: Settings, monkeypatch) -> None:
    """The first comparison would meet half of the old and half of the new; its result is thrown away."""
    from feature_repo.online import parity

    lake, server = filled
    honest, calls = parity._compare, []

    def interrupted(*arguments):
        calls.append(server.get(generation_key()))
        report = honest(*arguments)
        if len(calls) == 1:
            materialize(lake, settings, DEMO_START + timedelta(hours=1))
        return report

    monkeypatch.setattr(parity, "_compare", interrupted)
    assert compare_stores(lake, settings).until == DEMO_START + timedelta(hours=1)
    assert len(calls) == 2
