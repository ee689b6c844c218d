"""Vintages of economic series: every revision once, known from its own release, whatever windows they came in."""

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from lake.errors import AuthError, ConfigError, UnknownSymbolError
from lake.settings import Settings
from lake.sources import connector_of, fred, open_http_source
from lake.sources.http import Fetcher, RequestCount
from lake.sources.macro import released
from lake.sources.replay import QUARTER, VINTAGES_TOLD, PlayedArchive
from support.replay_server import FaultyServer, VirtualTime, status

NOW = datetime(2012, 12, 31, 22, tzinfo=UTC)
KEY = "0123456789abcdef"
FIRST = date(2008, 10, 30)


@pytest.fixture
def time() -> VirtualTime:
    return VirtualTime(NOW)


def fetcher_of(server: FaultyServer, folder: Path) -> Fetcher:
    count = RequestCount(folder, (), server.time)
    return Fetcher(connector_of("fred"), count, base_url=server.url, secret=KEY, sleep=server.time.sleep)


def expected() -> list[tuple[date, date, str | None]]:
    rows = [(period, vintage, value) for period, told in VINTAGES_TOLD.items() for vintage, value in told]
    return [(period, vintage, None if value == "." else value) for period, vintage, value in rows]


@pytest.mark.parametrize("window", [2, 3, 4, 1_900])
@pytest.mark.parametrize(("most_rows", "most_dates"), [(100_000, 10_000), (2, 3)])
def test_every_revision_comes_once_whatever_the_windows(
    time: VirtualTime, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, window: int, most_rows: int, most_dates: int
) -> None:
    monkeypatch.setattr(fred, "WINDOW", window)
    archive = PlayedArchive(most_rows, most_dates, most_vintages=window)
    with FaultyServer(time, archive.answer) as server:
        found = fred.read_vintages(fetcher_of(server, tmp_path), ["GDP"])
    assert found.select("period", "vintage_date", "value").rows() == expected()


def test_a_vintage_is_known_from_its_release_and_the_first_one_is_assumed(time: VirtualTime, tmp_path: Path) -> None:
    with FaultyServer(time, PlayedArchive().answer) as server:
        found = fred.read_vintages(fetcher_of(server, tmp_path), ["GDP"])
    first = found.filter(pl.col("period") == QUARTER).row(0, named=True)
    assert (first["value"], first["known_time"]) == ("14264.6", datetime(2009, 1, 30, 13, 30, tzinfo=UTC))
    assert found.filter(pl.col("known_basis") == "assumed")["vintage_date"].to_list() == [FIRST]
    unlisted = released("DGS10", date(2009, 7, 1))
    assert unlisted.astimezone(UTC) == datetime(2009, 7, 2, 3, 59, tzinfo=UTC)


def test_a_value_that_was_withdrawn_is_a_null_of_its_own(time: VirtualTime, tmp_path: Path) -> None:
    with FaultyServer(time, PlayedArchive().answer) as server:
        found = fred.read_vintages(fetcher_of(server, tmp_path), ["GDP"])
    withdrawn = found.filter(pl.col("value").is_null())
    assert withdrawn.select("period", "vintage_date").rows() == [(date(2008, 7, 1), date(2009, 1, 30))]


def test_an_unknown_series_and_a_wrong_key_are_told_apart(time: VirtualTime, tmp_path: Path) -> None:
    with FaultyServer(time, PlayedArchive().answer) as server:
        fetcher = fetcher_of(server, tmp_path)
        with pytest.raises(UnknownSymbolError, match="There is no series 'GPD'"):
            fred.read_vintages(fetcher, ["GPD"])
        server.script("/", status(400, '{"error_message": "Bad Request. The value for variable api_key is wrong."}'))
        with pytest.raises(AuthError) as caught:
            fred.read_vintages(fetcher, ["GDP"])
        assert KEY not in str(caught.value)
    assert all(asked.query["api_key"] == KEY for asked in server.log)


def test_it_is_no_source_of_bars(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"'fred' tells economic series and no bars\. Name one of alpha_vantage"):
        open_http_source("fred", ["GDP"], Settings(home=tmp_path))
    assert connector_of("fred").lookback == timedelta(0)
