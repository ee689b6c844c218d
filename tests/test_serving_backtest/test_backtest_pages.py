"""Pages of the back-tests: what is stored, with 1/N and naive beside every figure, and nothing that came later."""

import json
import re
from collections.abc import Iterator

import pytest
from starlette.testclient import TestClient

from lake.clock import DEMO_START, FixedClock
from lake.settings import Settings
from lake.store import Lake
from serving.backtest import BacktestRecord, equity_of, fills_of, latest_backtest, run_backtest
from serving.pages import formats
from serving.pages.app import build_dashboard
from serving.pages.rendering import PAST
from serving.pages.views.backtests import backtest_view
from support.backtests import made_market, small_file
from support.dashboard import Page, log_in_as_owner, visiting

NAME = "<b>weekly</b> & co"


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    settings = Settings(home=tmp_path_factory.mktemp("pages-of-backtests"))
    run_backtest(made_market(Lake.open(settings)), settings, FixedClock(DEMO_START), small_file(name=NAME))
    return settings


@pytest.fixture(scope="module")
def visitor(home: Settings) -> Iterator[TestClient]:
    with visiting(build_dashboard(home), home) as client:
        log_in_as_owner(client, home)
        yield client


@pytest.fixture(scope="module")
def record(home: Settings) -> BacktestRecord:
    found = latest_backtest(Lake.open(home), DEMO_START)
    assert found is not None
    return found


def page(visitor: TestClient, path: str, status: int = 200) -> Page:
    answer = visitor.get(path)
    assert answer.status_code == status, answer.text
    return Page(answer.text)


def test_the_list_has_one_over_n_and_naive_beside_each_and_leads_to_the_page(
    visitor: TestClient, record: BacktestRecord
) -> None:
    found = page(visitor, "/backtests")
    ((name, until, net, equal, naive, *_),) = found.rows("Back-tests")
    row = record.row
    assert name.startswith(NAME)
    assert (until, net) == (formats.day(row["event_time"]), formats.signed(row["net_return"]))
    assert (equal, naive) == tuple(formats.signed(row[f"{each}_net_return"]) for each in ("equal_weight", "naive"))
    assert f"/backtests/{record.backtest_id}" in [link.get("href") for link in found.all("a")]
    assert "/backtests" in [link.get("href") for link in found.all("a")]


def test_every_number_of_the_page_is_that_of_the_row(
    visitor: TestClient, home: Settings, record: BacktestRecord
) -> None:
    found, report = page(visitor, f"/backtests/{record.backtest_id}"), record.report
    accounts = found.rows("Accounts beside each other")
    assert [cells[0] for cells in accounts] == ["strategy", "1/N", "naive (cash)"]
    for cells, name in zip(accounts, ("strategy", "equal_weight", "naive"), strict=True):
        figures = report["accounts"][name]
        assert cells[1:4] == [
            formats.signed(figures["net_return"], 2),
            formats.signed(figures["gross_return"], 2),
            formats.UNKNOWN if figures["sharpe"] is None else formats.difference(figures["sharpe"], 2),
        ]
    waterfall = found.rows("From gross to net")
    assert [cells[0] for cells in waterfall][:2] == ["gross", "less fee"]
    assert waterfall[-1][0] == "net"
    numbers = [float(cells[1].replace("\N{MINUS SIGN}", "-").replace(",", "")) for cells in waterfall]
    assert sum(numbers[:-1]) == pytest.approx(numbers[-1], abs=0.5), "gross less costs is net"
    folds = found.rows("Folds with purge gaps")
    assert len(folds) == len(report["folds"])
    for cells, fold in zip(folds, report["folds"], strict=True):
        assert cells[5] == formats.signed(fold["strategy"]["net_return"], 2)
        assert cells[7] == formats.signed(fold["equal_weight"]["net_return"], 2)
    assert len(found.rows("Net Sharpe ratio by size of equity")) == len(report["capacity"]["points"])
    lake = Lake.open(home)
    chart = json.loads(found.all("script", id="lines-data")[0]["text"])
    curve = equity_of(lake, DEMO_START, record.backtest_id).filter(account="strategy")["equity"]
    assert chart["series"][0]["values"] == pytest.approx((curve / curve[0] - 1).to_list())
    fills = fills_of(lake, DEMO_START, record.backtest_id)
    first = found.rows("Fills of the strategy")[0]
    assert first[0] == fills["symbol"][0]
    assert first[1] == formats.day(fills["event_time"][0])


def test_the_page_says_what_was_tried_how_often_it_was_looked_at_and_that_it_is_past(
    visitor: TestClient, record: BacktestRecord
) -> None:
    text = " ".join(page(visitor, f"/backtests/{record.backtest_id}").all("body")[0]["text"].split())
    assert PAST in text
    assert "1 time" in text
    assert record.report["shuffles"]["remark"] in text
    assert record.report["universe"]["remark"] in text
    for remark in record.report["remarks"]:
        assert " ".join(remark.split()) in text


def test_a_name_of_a_file_is_text_and_no_markup(visitor: TestClient, record: BacktestRecord) -> None:
    for path in ("/backtests", f"/backtests/{record.backtest_id}"):
        body = visitor.get(path).text
        assert "<b>weekly" not in body
        assert not re.search(r"<(script|style)(?![^>]*(src|type=\"application/json\"))", body)
        assert " style=" not in body


def test_before_it_was_run_there_is_none(visitor: TestClient, record: BacktestRecord) -> None:
    found = page(visitor, "/backtests?as_of=2012-11-01")
    assert "quantlake backtest run" in found.text(class_="note-empty")
    answer = visitor.get(f"/backtests/{record.backtest_id}?as_of=2012-11-01")
    assert answer.status_code == 503
    assert "No back-test was run" in answer.text
    assert visitor.get("/backtests/nothing").status_code == 404


def test_a_page_says_that_the_market_has_gone_on(home: Settings, record: BacktestRecord) -> None:
    rows = Lake.open(home)
    none = backtest_view(record, equity_of(rows, DEMO_START, record.backtest_id), fills_of(rows, DEMO_START, ""))
    assert none.stale == ""
    assert none.fills == ()
    late = backtest_view(record, equity_of(rows, DEMO_START, record.backtest_id), fills_of(rows, DEMO_START, ""), 2)
    assert "2 sessions closed since" in late.stale


def test_pages_of_back_tests_need_a_login(home: Settings, record: BacktestRecord) -> None:
    with visiting(build_dashboard(home), home) as stranger:
        for path in ("/backtests", f"/backtests/{record.backtest_id}"):
            assert stranger.get(path).status_code == 303
