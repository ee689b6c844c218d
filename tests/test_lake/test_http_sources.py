"""Vendors over HTTP, beyond what all of them have in common: what each plans, states and refuses, and the policy."""

import json
import logging
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest
from pydantic import SecretStr

from lake.calendars import close_of
from lake.clock import FixedClock
from lake.errors import (
    AuthError,
    ConfigError,
    ContractError,
    DamagedFileError,
    EntitlementError,
    OutageError,
    QuotaError,
    SourceError,
    ThrottledError,
    UnknownSymbolError,
)
from lake.settings import Settings
from lake.sources import connector_of, open_http_source
from lake.sources.http import Ask, HttpAnswer, HttpRequest, Limit, RequestCount
from support.replay_server import FaultyServer, Reply, VirtualTime, note, status
from support.vendors import VENDORS, Event, Stand, stand_of

LAST = close_of(date(2012, 12, 31))
NOW = LAST + timedelta(hours=1)
BEFORE = close_of(date(2012, 12, 14))
TODAY = date(2012, 12, 31)
YEAR = Ask(("AAPL", "^GSPC", "BRK/B"), date(2012, 1, 3), TODAY, TODAY)


@pytest.fixture(params=sorted(VENDORS))
def stand(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Stand]:
    with stand_of(request.param, tmp_path, NOW) as made:
        yield made


@pytest.fixture
def polygon(tmp_path: Path) -> Iterator[Stand]:
    with stand_of("polygon", tmp_path, NOW) as made:
        yield made


def answered(name: str, content: object, request: HttpRequest | None = None, code: int = 200) -> HttpAnswer:
    asked = request or next(iter(connector_of(name).plan(YEAR)))
    return HttpAnswer(asked, code, json.dumps(content), NOW)


def test_splits_and_dividends_come_beside_the_bars(stand: Stand) -> None:
    stand.vendor.events = {
        "AAPL": [Event(date(2012, 12, 20), "split", 7), Event(date(2012, 12, 24), "dividend", 2.65)],
        "IBM": [Event(date(2012, 6, 1), "dividend", 0.85)],  # before the sessions that are asked for
    }
    batch = stand.source(["AAPL", "IBM"]).read(BEFORE, LAST)
    found = batch.actions.select("symbol", "ex_date", "kind", pl.col("ratio", "amount").cast(pl.Float64)).rows()
    assert found == [
        ("AAPL", date(2012, 12, 20), "split", 7.0, None),
        ("AAPL", date(2012, 12, 24), "dividend", None, 2.65),
    ]
    basis = "split_adjusted" if stand.vendor.name == "yahoo" else "as_traded"
    assert batch.actions["price_basis"].unique().to_list() == [basis]
    assert batch.actions.select("source", "received_at").unique().rows() == [(stand.vendor.name, NOW)]


def test_prices_of_the_past_are_brought_back_by_the_splits_up_to_today(stand: Stand) -> None:
    """Asked on the last of December for bars up to the 20th, of a share that was split on the 28th."""
    stand.vendor.events = {"AAPL": [Event(date(2012, 12, 28), "split", 7), Event(date(2012, 12, 18), "split", 2)]}
    rows = stand.source(["AAPL", "IBM"]).read(BEFORE, close_of(date(2012, 12, 20))).rows
    later = rows.group_by("symbol").agg("later_splits").sort("symbol")["later_splits"].to_list()
    is_adjusted = stand.vendor.name == "yahoo"
    assert later == ([["14.0", "7.0", "7.0", "7.0"], ["1.0"] * 4] if is_adjusted else [[None] * 4] * 2)


def test_a_symbol_is_one_part_of_a_path_whatever_its_characters() -> None:
    paths = [request.path for request in connector_of("yahoo").plan(YEAR)]
    assert paths == [f"/v8/finance/chart/{name}" for name in ("AAPL", "%5EGSPC", "BRK%2FB")]
    assert "/ticker/BRK%2FB/range" in [*connector_of("polygon").plan(YEAR)][6].path


def test_yahoo_is_asked_for_ten_years_at_once() -> None:
    requests = [*connector_of("yahoo").plan(Ask(("AAPL",), date(1998, 1, 2), TODAY, TODAY))]
    spans = [(int(request.params["period1"]), int(request.params["period2"])) for request in requests]
    assert len(spans) == 2
    assert spans[0][1] == spans[1][0]
    assert spans[0][0] == datetime(1998, 1, 1, tzinfo=UTC).timestamp()
    assert spans[1][1] == datetime(2013, 1, 1, tzinfo=UTC).timestamp()


@pytest.mark.parametrize(("first", "size"), [(date(2012, 12, 14), "compact"), (date(2012, 8, 1), "full")])
def test_alpha_vantage_is_asked_for_the_whole_history_where_100_sessions_are_few(first: date, size: str) -> None:
    daily, *events = connector_of("alpha_vantage").plan(Ask(("AAPL",), first, TODAY, TODAY))
    assert daily.params["outputsize"] == size
    assert [request.params["function"] for request in events] == ["SPLITS", "DIVIDENDS"]


def test_polygon_is_asked_by_day_or_by_symbol_whichever_is_less() -> None:
    names = tuple(f"S{number}" for number in range(500))
    by_day = [*connector_of("polygon").plan(Ask(names, date(2012, 12, 27), TODAY, TODAY))]
    assert [request.path[-10:] for request in by_day if "aggs" in request.path] == [
        "2012-12-27",
        "2012-12-28",
        "2012-12-31",
    ]
    assert len(by_day) == 5
    assert len([*connector_of("polygon").plan(YEAR)]) == 9


@pytest.mark.parametrize(
    ("text", "field", "kind"),
    [
        ("Your key X may make 25 requests per day. Please subscribe to a premium plan.", "Information", QuotaError),
        ("Burst pattern detected: please keep to 1 request per second.", "Information", ThrottledError),
        ("Our standard API call frequency is 5 calls per minute.", "Note", ThrottledError),
        ("Thank you for using Alpha Vantage! This is a premium endpoint.", "Information", EntitlementError),
        ("The **demo** API key is for demo purposes only.", "Information", AuthError),
        ("the parameter apikey is invalid or missing.", "Error Message", AuthError),
        ("Invalid API call. Please retry or visit the documentation.", "Error Message", UnknownSymbolError),
        ("We are moving.", "Information", ContractError),
    ],
)
def test_alpha_vantages_notes_are_told_apart_by_their_text(text: str, field: str, kind: type[SourceError]) -> None:
    with pytest.raises(kind) as caught:
        connector_of("alpha_vantage").parse(answered("alpha_vantage", {field: text}))
    assert text[:20] in str(caught.value)
    if isinstance(caught.value, QuotaError):
        assert caught.value.resume_at == datetime(2013, 1, 1, 5, tzinfo=UTC)  # midnight in New York


def test_polygon_says_what_the_plan_lacks(polygon: Stand) -> None:
    lacking = json.dumps({"status": "NOT_AUTHORIZED", "message": "You are not entitled to this data."})
    for fault in (status(403, lacking), note(json.loads(lacking)), status(402), status(426)):
        polygon.server.script("/", fault)
        with pytest.raises(EntitlementError, match=r"not entitled|402|426"):
            polygon.source(["AAPL"]).read(BEFORE, LAST)
    assert len(polygon.server.log) == 4


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("polygon", {"status": "OK", "adjusted": True, "ticker": "AAPL"}, "not those that were traded"),
        ("polygon", {"status": "OK", "adjusted": False, "ticker": "APLE"}, "'AAPL' was asked, and .* about 'APLE'"),
        ("polygon", [], "a list where an object with 'status' is documented"),
        ("alpha_vantage", {"Meta Data": {"2. Symbol": "A"}, "Time Series (Daily)": {}}, "about 'A'"),
        ("alpha_vantage", {}, r"lacks the documented field 'Time Series \(Daily\)'; it holds nothing"),
        ("yahoo", {"chart": {"result": [], "error": None}}, "'result' is a list without an object"),
        ("yahoo", {"chart": {"result": None, "error": {"code": "Odd", "description": "x"}}}, "with Odd: x"),
    ],
)
def test_an_answer_that_is_not_the_documented_success_is_none(name: str, content: object, message: str) -> None:
    with pytest.raises(ContractError, match=message):
        connector_of(name).parse(answered(name, content))


@pytest.mark.parametrize("name", ["polygon", "yahoo"])
def test_a_split_without_a_ratio_is_refused(name: str, tmp_path: Path) -> None:
    with stand_of(name, tmp_path, NOW) as stand:
        stand.vendor.events = {"AAPL": [Event(date(2012, 12, 20), "split", 0)]}
        with pytest.raises(ContractError, match="A split of AAPL on 2012-12-20 has the ratio 0:1"):
            stand.source(["AAPL"]).read(BEFORE, LAST)


def test_a_dividend_without_its_amount_refuses_the_symbol(tmp_path: Path) -> None:
    with stand_of("alpha_vantage", tmp_path, NOW) as stand:
        stand.vendor.events = {"AAPL": [Event(date(2012, 12, 20), "dividend", None)]}  # sent as the text "None"
        with pytest.raises(ContractError, match="states a dividend of 2012-12-20 without size"):
            stand.source(["AAPL"]).read(BEFORE, LAST)


def test_a_redirect_is_not_followed(stand: Stand) -> None:
    stand.server.script("/", status(302, ""))
    with pytest.raises(ContractError, match="redirects are not followed"):
        stand.source(["AAPL"]).read(BEFORE, LAST)
    assert len(stand.server.log) == 1


def test_yahoos_refusal_of_programs_is_an_outage_and_no_matter_of_a_key(tmp_path: Path) -> None:
    with stand_of("yahoo", tmp_path, NOW) as stand:
        stand.server.script("/", *[status(401)] * 4)
        assert stand.source(["AAPL"]).read(BEFORE, LAST).rows.height == 10


def test_more_than_a_fifth_of_the_symbols_failing_fails_all(stand: Stand) -> None:
    with pytest.raises(SourceError, match=r"'NOPE'|'NADA'"):
        stand.source(["AAPL", "IBM", "MSFT", "NOPE", "NADA"]).read(None, LAST)


def test_a_first_load_is_known_soon_after_each_close_and_what_may_be_corrected_at_its_receipt(stand: Stand) -> None:
    source, lookback = stand.source(["AAPL"], date(2012, 11, 1)), connector_of(stand.vendor.name).lookback
    first = source.read(None, LAST).rows
    late = first.filter(pl.col("known_time") != pl.min_horizontal(pl.col("event_time") + source.delay, pl.lit(NOW)))
    assert late.is_empty()
    assert first["known_time"].max() <= NOW
    again = source.read(close_of(date(2012, 11, 1)), LAST).rows
    is_recent = again["event_time"] > NOW - lookback - timedelta(days=1)
    assert (again.filter(is_recent)["known_time"] == NOW).all()
    assert (again.filter(~is_recent)["known_time"] < NOW).all()
    assert is_recent.sum() < again.height


def test_a_vendor_says_which_times_were_observed_and_which_follow_from_its_delay(stand: Stand) -> None:
    source = stand.source(["AAPL"], date(2012, 11, 1))
    for rows in (source.read(None, LAST).rows, source.read(close_of(date(2012, 11, 1)), LAST).rows):
        is_observed = rows["known_basis"] == "observed"
        assert ((rows["known_time"] == rows["received_at"]) == is_observed).all()
        told = rows.filter(~is_observed)
        assert told["known_basis"].unique().to_list() == ["assumed"]
        assert (told["known_time"] == told["event_time"] + source.delay).all()


def test_a_source_for_other_symbols_asks_for_those_alone(stand: Stand) -> None:
    other = stand.source(["AAPL"]).for_symbols(["IBM"])
    assert set(other.read(BEFORE, LAST).rows["symbol"]) == {"IBM"}


def test_nothing_is_asked_for_an_interval_without_a_session(stand: Stand) -> None:
    batch = stand.source().read(LAST, LAST + timedelta(hours=2))
    assert (batch.rows.height, batch.actions.height, stand.server.log) == (0, 0, [])


def test_without_a_key_nothing_is_asked(polygon: Stand, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(type(polygon.vendor), "key", None)
    with pytest.raises(AuthError, match=r"Polygon \(Massive\): It needs a key\. Set MASSIVE_API_KEY to yours"):
        polygon.source(["AAPL"]).read(BEFORE, LAST)
    assert polygon.server.log == []


def test_a_key_does_not_go_over_the_network_in_the_clear(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path, source_url="http://mirror.example", massive_api_key=SecretStr("k"))
    with pytest.raises(ConfigError, match=r"QUANTLAKE_SOURCE_URL is http://mirror\.example, .* Use https\."):
        open_http_source("polygon", ["AAPL"], settings)
    open_http_source("polygon", ["AAPL"], settings.model_copy(update={"source_url": "https://mirror.example"}))


def test_a_proxy_is_used_for_other_machines_and_its_password_is_shown_nowhere(tmp_path: Path) -> None:
    clock = VirtualTime(NOW)
    with FaultyServer(clock, lambda _: Reply()) as proxy:  # it refuses what a proxy is asked for
        settings = Settings(home=tmp_path, https_proxy=SecretStr(proxy.url.replace("//", "//me:hidden@")))
        assert "hidden" not in repr(settings)
        with pytest.raises(OutageError, match="ProxyError") as caught:
            open_http_source("yahoo", ["AAPL"], settings, clock=clock, sleep=clock.sleep).read(BEFORE, LAST)
        assert "hidden" not in str(caught.value)


def test_the_loggers_that_write_whole_addresses_are_held(stand: Stand) -> None:
    logging.getLogger("httpx").setLevel(logging.DEBUG)
    stand.fetcher()
    assert logging.getLogger("httpx").getEffectiveLevel() == logging.getLogger("httpcore").level == logging.WARNING


def test_an_allowance_that_is_used_up_is_a_quota_with_its_end(tmp_path: Path) -> None:
    count = RequestCount(tmp_path, (Limit(2, 86_400, "key"),), FixedClock(NOW))
    assert [count.take(), count.take(), count.take()] == [0, 0, 86_400]
    assert count.used() == {count.limits[0]: 2}
    with pytest.raises(QuotaError, match="2 are used and this run needs 1") as caught:
        count.require(1, "It")
    assert caught.value.resume_at == NOW + timedelta(days=1)
    later = RequestCount(tmp_path, count.limits, FixedClock(NOW + timedelta(days=1)))
    later.require(2, "It")
    assert later.take() == 0


def test_a_clock_that_ran_ahead_locks_nobody_out(tmp_path: Path) -> None:
    limits = (Limit(1, 60, "key"),)
    assert RequestCount(tmp_path, limits, FixedClock(NOW + timedelta(days=365))).take() == 0
    assert RequestCount(tmp_path, limits, FixedClock(NOW)).take() == 60


def test_a_damaged_count_says_which_file_to_delete(tmp_path: Path) -> None:
    (tmp_path / "key.json").write_text("{", encoding="utf-8")
    with pytest.raises(DamagedFileError, match=r"key\.json cannot be read: .* Delete the file"):
        RequestCount(tmp_path, (Limit(1, 60, "key"),), FixedClock(NOW)).take()
