"""What every vendor that is asked over HTTP must do: cases S01 to S23 over a server that plays it.

A case that a vendor cannot have is answered by its reason in `cannot` of `support.vendors`. What becomes of a
restatement in the tables (S13 to S17, S23) is in `test_sources_stored.py`.
"""

import json
import subprocess
import sys
import traceback
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from lake.calendars import close_of, closes
from lake.errors import AuthError, ConfigError, ContractError, OutageError, QuotaError, SourceError, UnknownSymbolError
from lake.market import Market
from lake.sources import CONNECTORS, connector_of, open_http_source, open_source
from lake.sources.http import HttpBars
from lake.tables import RAW_BARS
from support.replay_server import ok, reset, silent, status
from support.vendors import SYMBOLS, VENDORS, PolygonVendor, Stand, YahooVendor, change_everywhere, stand_of
from support.vendors import faults_of_the_wire as faults

LAST = close_of(date(2012, 12, 31))
BEFORE = close_of(date(2012, 12, 27))
WEEKS_BEFORE = close_of(date(2012, 12, 14))
"""So long before that even a vendor who tells all symbols of a day at once is asked symbol by symbol."""
NOW = LAST + timedelta(hours=1)
WIRE = dict(faults())


@pytest.fixture(params=sorted(VENDORS))
def stand(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Stand]:
    with stand_of(request.param, tmp_path, NOW) as made:
        yield made


def can(stand: Stand, case: str) -> bool:
    """Whether the vendor can have the case; where it cannot, a reason stands in its place."""
    return not stand.vendor.cannot.get(case)


def test_every_connector_has_a_vendor_that_plays_it() -> None:
    assert sorted(VENDORS) == sorted(CONNECTORS)


def test_s01_a_happy_page_is_the_frame_that_was_written_by_hand(stand: Stand) -> None:
    batch = stand.source(["AAPL", "MSFT"]).read(BEFORE, LAST)
    rows = RAW_BARS.conform(batch.rows)
    adjusted = ["66.081241770258", "69.009794690466", "23.257182789794", "23.397076277234"]
    is_yahoo = stand.vendor.name == "yahoo"
    expected = pl.DataFrame(
        {
            "symbol": ["AAPL", "AAPL", "MSFT", "MSFT"],
            "stamp": ["2012-12-28T21:00:00.000000+00:00", "2012-12-31T21:00:00.000000+00:00"] * 2,
            "open": ["510.29", "510.53", "26.71", "26.59"],
            "high": ["514.48", "535.4", "26.9", "26.77"],
            "low": ["508.12", "509.0", "26.55", "26.37"],
            "close": ["509.5892", "532.1729", "26.55", "26.7097"],
            "adj_close": adjusted if is_yahoo else ["509.5892", "532.1729", "26.55", "26.7097"],
            "volume": ["12652800", "23553300", "28239900", "42749500"],
            "price_basis": ["split_adjusted" if is_yahoo else "as_traded"] * 4,
        }
    )
    assert_frame_equal(rows.select(expected.columns), expected)
    assert rows["event_time"].to_list() == [close_of(date(2012, 12, 28)), LAST] * 2
    assert rows["known_time"].unique().to_list() == rows["received_at"].unique().to_list() == [NOW]
    assert rows["source"].unique().to_list() == [stand.vendor.name]
    assert rows["row"].to_list() == [0, 1, 2, 3]
    assert batch.failures == batch.notes == ()


def test_s02_three_pages_with_an_empty_one_between_are_read_once_each(stand: Stand) -> None:
    if can(stand, "S02"):
        stand.vendor.page_size = 7
        rows = stand.source(["AAPL"]).read(None, LAST).rows
        assert rows["event_time"].to_list() == closes_of("2012-12-03", "2012-12-31")
        assert len([asked for asked in stand.server.log if asked.path.startswith(stand.vendor.path("AAPL"))]) == 5


@pytest.mark.parametrize("host", ["its own", "another"])
def test_s03_a_next_page_that_leads_in_a_circle_or_away_is_refused(stand: Stand, host: str) -> None:
    if can(stand, "S03"):
        own = f"{stand.server.url}/v2/aggs/ticker/AAPL/range/1/day/2012-12-03/2012-12-31?cursor=0"
        address = own if host == "its own" else own.replace("127.0.0.1", "127.0.0.2")
        stand.vendor.change = lambda content: content.update(next_url=address)
        with pytest.raises(ContractError, match=r"was read already|only 127\.0\.0\.1 is asked"):
            stand.source(["AAPL"]).read(None, LAST)
        assert len(stand.server.log) == (2 if host == "its own" else 1)


def test_s04_an_empty_answer_is_no_unknown_symbol(stand: Stand) -> None:
    stand.vendor.until = date(2012, 12, 27)
    empty = stand.source().read(BEFORE, LAST)
    assert (empty.rows.height, empty.failures) == (0, ())
    with_one = stand.source([*SYMBOLS, "NOPE"]).read(None, LAST)
    assert [(each.symbol, each.kind) for each in with_one.failures] == [("NOPE", "UnknownSymbolError")]
    assert set(with_one.rows["symbol"]) == set(SYMBOLS)
    with pytest.raises(UnknownSymbolError, match="'NOPE'"):
        stand.source(["NOPE"]).read(None, LAST)


def test_s05_a_refused_key_costs_one_request_and_is_shown_nowhere(stand: Stand) -> None:
    if can(stand, "S05"):
        for fault in stand.vendor.refuses_key:
            stand.server.log.clear()
            stand.server.script("/", fault)
            with pytest.raises(AuthError, match=connector_of(stand.vendor.name).auth.variable) as caught:  # type: ignore[union-attr]
                stand.source().read(BEFORE, LAST)
            assert len(stand.server.log) == 1
            assert stand.vendor.key not in "".join(traceback.format_exception(caught.value))


@pytest.mark.parametrize("way", ["seconds", "date", "nothing"])
def test_s06_a_throttled_client_waits_as_it_is_told(stand: Stand, way: str) -> None:
    wait = None if way == "nothing" else 30
    stand.server.script("/", status(429, "Too Many Requests", retry_after=wait, as_date=way == "date"))
    rows = stand.source(["AAPL"]).read(BEFORE, LAST).rows
    assert rows.height == 2
    first, second = stand.server.log[:2]
    assert first.path == second.path
    assert (second.at - first.at).total_seconds() >= (wait or 0.75)


def test_s06_a_wait_above_the_cap_is_a_quota_with_its_end(stand: Stand) -> None:
    stand.server.script("/", status(429, retry_after=3_600))
    with pytest.raises(QuotaError, match="answers again from 2012-12-31 23:00:00 UTC on") as caught:
        stand.source(["AAPL"]).read(BEFORE, LAST)
    assert caught.value.resume_at == NOW + timedelta(hours=1)
    assert len(stand.server.log) == 1


def test_s07_a_throttling_note_with_status_200_is_waited_out(stand: Stand) -> None:
    if can(stand, "S07"):
        (told,) = stand.vendor.throttles
        stand.server.script("/", told, told)
        assert stand.source(["AAPL"]).read(BEFORE, LAST).rows.height == 2
        stand.server.script("/", *[told] * 20)
        with pytest.raises(QuotaError, match="calls per minute"):
            stand.source(["AAPL"]).read(BEFORE, LAST)


@pytest.mark.parametrize("code", [500, 502, 503, 504, 0])
def test_s08_four_failures_of_the_network_are_survived(stand: Stand, code: int) -> None:
    stand.server.script("/", *[status(code) if code else reset()] * 4)
    assert stand.source(["AAPL"]).read(BEFORE, LAST).rows.height == 2
    assert len(stand.server.log) == 4 + stand.vendor.requests_per_symbol
    for seconds, wait in zip(stand.time.slept, (1, 2, 4, 8), strict=True):
        assert 0.75 * wait <= seconds <= 1.25 * wait


def test_s08_a_server_that_does_not_answer_is_asked_again(stand: Stand) -> None:
    stand.server.script("/", silent(), ok())
    assert stand.source(["AAPL"], timeout_seconds=0.5).read(BEFORE, LAST).rows.height == 2


@pytest.mark.parametrize("fault", WIRE)
def test_s09_a_torn_answer_is_asked_again_and_never_gives_rows(stand: Stand, fault: str) -> None:
    stand.server.script("/", WIRE[fault])
    assert stand.source(["AAPL"]).read(BEFORE, LAST).rows.height == 2
    stand.server.log.clear()
    stand.server.script("/", *[WIRE[fault]] * 5)
    with pytest.raises(OutageError, match="5 tries failed"):
        stand.source(["AAPL"]).read(BEFORE, LAST)
    assert len(stand.server.log) == 5


def test_s10_no_value_is_null_and_no_row_is_lost(stand: Stand) -> None:
    bar = stand.vendor.bars["AAPL"][date(2012, 12, 28)]
    stand.vendor.bars["AAPL"][date(2012, 12, 28)] = bar | {"open": None, "volume": None}
    rows = stand.source(["AAPL"]).read(BEFORE, LAST).rows
    assert rows["open"].to_list() == [None, "510.53"]
    assert rows["volume"].to_list() == [None, "23553300"]
    assert rows["close"].to_list() == ["509.5892", "532.1729"]


def test_s11_a_new_field_is_counted_and_ignored(stand: Stand) -> None:
    stand.vendor.change = change_everywhere(stand.vendor.one_field, lambda content, _: content.update(unheard_of=1))
    batch = stand.source().read(BEFORE, LAST)
    assert batch.rows.height == 10
    assert len(batch.notes) == 1
    assert batch.notes[0].endswith("does not know, and ignores: unheard_of.")


@pytest.mark.parametrize("how", ["gone", "another type"])
def test_s11_a_field_that_is_gone_or_changed_is_named_and_the_others_go_on(stand: Stand, how: str) -> None:
    def spoil(content: dict[str, Any], name: str) -> None:
        content[name] = {"raw": content[name]}
        if how == "gone":
            del content[name]

    spoil_all = change_everywhere(stand.vendor.one_field, spoil)
    stand.vendor.change = lambda content: spoil_all(content) if '"IBM"' in json.dumps(content) else None
    batch = stand.source().read(WEEKS_BEFORE, LAST)
    assert [(each.symbol, each.kind) for each in batch.failures] == [("IBM", "ContractError")]
    assert f"'{stand.vendor.one_field}'" in batch.failures[0].reason
    assert set(batch.rows["symbol"]) == {*SYMBOLS} - {"IBM"}
    with pytest.raises(ContractError, match=stand.vendor.one_field):
        stand.source(["IBM"]).read(BEFORE, LAST)


def test_s11_one_bad_bar_among_those_of_all_symbols_spoils_no_other(tmp_path: Path) -> None:
    with stand_of("polygon", tmp_path, NOW) as stand:
        stand.vendor.change = lambda content: content["results"][2].pop("c")
        batch = stand.source().read(close_of(date(2012, 12, 28)), LAST)
        assert [(each.symbol, each.kind) for each in batch.failures] == [("IBM", "ContractError")]
        assert batch.failures[0].reason.startswith("Polygon (Massive): The answer lacks the documented field 'c'")
        assert set(batch.rows["symbol"]) == {*SYMBOLS} - {"IBM"}
        assert len([asked for asked in stand.server.log if "aggs" in asked.path]) == 1


def test_s12_what_is_sent_twice_is_delivered_once(stand: Stand) -> None:
    stand.vendor.is_doubling, stand.vendor.page_size = True, 3
    rows = stand.source(["AAPL"]).read(None, LAST).rows
    assert rows["event_time"].to_list() == closes_of("2012-12-03", "2012-12-31")


def test_s18_a_session_that_is_open_has_no_bar_yet(stand: Stand) -> None:
    stand.time.at = LAST - timedelta(hours=3)
    assert stand.source(["AAPL"]).read(BEFORE, LAST).rows["event_time"].to_list() == closes_of("2012-12-28")
    stand.time.at = LAST + timedelta(minutes=5)
    if isinstance(stand.vendor, YahooVendor):
        stand.vendor.is_open_until = LAST - timedelta(minutes=15)
        assert stand.source(["AAPL"]).read(BEFORE, LAST).rows["event_time"].to_list() == closes_of("2012-12-28")
        stand.vendor.is_open_until = LAST
    if isinstance(stand.vendor, PolygonVendor):
        stand.vendor.told_status = "DELAYED"
        assert stand.source(["AAPL"]).read(BEFORE, LAST).rows["event_time"].to_list() == closes_of("2012-12-28")
        stand.time.at = NOW
    assert stand.source(["AAPL"]).read(BEFORE, LAST).rows.height == 2


@pytest.mark.parametrize("minutes", [-10, 10])
def test_s19_nothing_is_known_before_it_happened_whatever_the_clocks_say(stand: Stand, minutes: int) -> None:
    stand.time.at = LAST + timedelta(minutes=minutes)
    rows = stand.source().read(None, LAST).rows
    assert (rows["known_time"] >= rows["event_time"]).all()
    assert rows["event_time"].max() == (LAST if minutes > 0 else close_of(date(2012, 12, 28)))


def test_s19_a_bar_of_a_day_to_come_is_refused(stand: Stand) -> None:
    stand.vendor.until = date(2013, 1, 10)
    stand.vendor.bars["IBM"] = {date(2013, 1, 10): stand.vendor.bars["IBM"][date(2013, 1, 10)]}
    for symbol in {*SYMBOLS} - {"IBM"}:
        stand.vendor.bars[symbol] = {d: b for d, b in stand.vendor.bars[symbol].items() if d <= date(2012, 12, 31)}
    until = close_of(date(2013, 1, 10))
    batch = stand.source().read(BEFORE, until)
    assert [(each.symbol, each.kind) for each in batch.failures] == [("IBM", "ContractError")]
    assert "Check the clock of this machine" in batch.failures[0].reason
    assert batch.rows["event_time"].max() == LAST


def test_s20_closes_are_those_of_the_calendar_in_summer_winter_and_on_half_days(stand: Stand) -> None:
    spans = [("2012-03-07", "2012-03-14"), ("2012-10-31", "2012-11-07"), ("2012-11-20", "2012-11-27")]
    for first, last in spans:
        source = stand.source(["AAPL"], date.fromisoformat(first))
        rows = source.read(None, close_of(date.fromisoformat(last))).rows
        assert rows["event_time"].to_list() == closes_of(first, last)
        assert [datetime.fromisoformat(stamp) for stamp in rows["stamp"]] == closes_of(first, last)
    assert datetime(2012, 11, 23, 18, tzinfo=UTC) in closes_of(*spans[2])


def test_s21_two_processes_share_one_count(stand: Stand) -> None:
    connector, folder = connector_of(stand.vendor.name), stand.settings.sources
    child = (
        "import sys; from datetime import datetime; from pathlib import Path; from lake.clock import FixedClock;"
        "from lake.sources import connector_of; from lake.sources.http import RequestCount;"
        "count = RequestCount(Path(sys.argv[2]), connector_of(sys.argv[1]).limits,"
        " FixedClock(datetime.fromisoformat(sys.argv[3])));"
        "print(sum(count.take() == 0 for _ in range(30)))"
    )
    arguments = [sys.executable, "-c", child, connector.name, str(folder), NOW.isoformat()]
    children = [subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    granted = [int(each.communicate(timeout=120)[0]) for each in children]
    assert sum(granted) == min(limit.requests for limit in connector.limits)
    assert [each.returncode for each in children] == [0, 0]


def test_s21_no_window_of_the_servers_log_holds_more_than_is_allowed(stand: Stand) -> None:
    limit = min(connector_of(stand.vendor.name).limits, key=lambda each: each.seconds)
    sources = [stand.source(["AAPL"], has_limits=True) for _ in range(2)]
    for number in range(8):
        sources[number % 2].read(BEFORE, LAST)
    times = [asked.at for asked in stand.server.log]
    for at in times:
        assert sum(at - timedelta(seconds=limit.seconds) < other <= at for other in times) <= limit.requests


def test_s21_a_run_beyond_the_allowance_is_refused_before_it_starts(stand: Stand) -> None:
    allowance = [limit for limit in connector_of(stand.vendor.name).limits if limit.seconds >= 3_600]
    symbols = [*SYMBOLS] * 2
    if not allowance:
        assert stand.source(symbols, has_limits=True).read(BEFORE, LAST).rows.height > 0
        return
    with pytest.raises(QuotaError, match=r"allows 25 a day; 0 are used and this run needs 30\. Name fewer symbols"):
        stand.source(symbols, has_limits=True).read(BEFORE, LAST)
    assert stand.server.log == []


def test_s22_the_key_is_in_no_output(stand: Stand, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    batch = stand.source().read(BEFORE, LAST)
    texts = [caplog.text, batch.batch_id, repr(stand.settings), batch.rows.write_csv(), batch.actions.write_csv()]
    texts += [path.read_text() for path in stand.folder.rglob("*") if path.is_file()]
    for code in (418, 500):
        stand.server.script("/", *[status(code, f"no to {stand.vendor.key}")] * 5)
        with pytest.raises(SourceError) as caught:
            stand.source(["AAPL"]).read(BEFORE, LAST)
        texts.append("".join(traceback.format_exception(caught.value)))
    if stand.vendor.key:
        assert all(stand.vendor.key in str(asked) for asked in stand.server.log)
        assert [form for form in (stand.vendor.key, "key%2Fof", "key/of") for text in texts if form in text] == []


def test_a_source_is_opened_by_its_name_for_the_symbols_of_a_market(stand: Stand) -> None:
    market = Market("own", index="AAPL", first_year=2012, options={"symbols": ["AAPL"]})
    source = open_source(stand.vendor.name, market, settings=stand.settings)
    assert isinstance(source, HttpBars)
    assert (source.symbols, source.lookback) == (("AAPL",), connector_of(stand.vendor.name).lookback)
    with pytest.raises(ConfigError, match="none is named"):
        open_source(stand.vendor.name, settings=stand.settings)
    auth = connector_of(stand.vendor.name).auth
    if auth is not None:
        keyless = stand.settings.model_copy(update={auth.variable.lower(): None})
        with pytest.raises(AuthError, match=rf"needs a key, and none is set\. Set {auth.variable} to yours"):
            open_http_source(stand.vendor.name, ["AAPL"], keyless)


def closes_of(first: str, last: str = "") -> list[datetime]:
    """Closes of the sessions between two dates, both included."""
    between = pl.col("session").is_between(date.fromisoformat(first), date.fromisoformat(last or first))
    return closes().filter(between)["event_time"].to_list()
