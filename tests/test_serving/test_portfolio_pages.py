"""Portfolios over HTTP and on their pages: the numbers of the table, as they were known, and never those of later."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import polars as pl
import pytest
from starlette.testclient import TestClient

from lake.errors import UnknownNameError
from lake.tables import PORTFOLIO_WEIGHTS
from serving.client import Client
from serving.pages import formats
from serving.pages.app import build_dashboard
from support.dashboard import HELD, Page, log_in_as_owner, visiting
from support.receipts import Home

EARLIER = "2012-12-20"


@pytest.fixture(scope="module")
def client(watched_home: Home) -> Iterator[Client]:
    with Client.local(watched_home.settings) as opened:
        yield opened


@pytest.fixture(scope="module")
def visitor(watched_home: Home) -> Iterator[TestClient]:
    with visiting(build_dashboard(watched_home.settings), watched_home.settings) as opened:
        log_in_as_owner(opened, watched_home.settings)
        yield opened


def row_of(home: Home, name: str, at: str | None = None) -> dict[str, Any]:
    rows = home.lake.read(PORTFOLIO_WEIGHTS, where=pl.col("portfolio") == name).sort("event_time")
    if at is not None:
        rows = rows.filter(pl.col("event_time") < pl.lit(at).str.to_datetime(time_zone="UTC").dt.offset_by("1d"))
    return rows.row(-1, named=True)


@pytest.mark.parametrize("as_of", [None, EARLIER])
@pytest.mark.parametrize("name", HELD)
def test_the_answer_of_the_endpoint_is_the_row_that_was_known(
    client: Client, watched_home: Home, name: str, as_of: str | None
) -> None:
    found, row = client.history.portfolio(name, as_of=as_of), row_of(watched_home, name, as_of)
    assert found.event_time == row["event_time"]
    assert found.known_time <= found.as_of
    weights = dict(zip(row["symbols"], row["weights"], strict=True))
    assert {each.symbol: each.weight for each in found.positions} == pytest.approx(weights)
    assert sum(each.weight for each in found.positions) == pytest.approx(1.0)
    assert (found.summary.used, found.reason, found.cost) == (row["used"], row["reason"], row["cost"])
    assert "no recommendation to invest" in found.past_performance
    assert all(review.event_time <= found.as_of for review in found.reviews)


def test_an_unknown_portfolio_is_refused_with_those_there_are(client: Client) -> None:
    with pytest.raises(UnknownNameError, match="Did you mean equal") as refused:
        client.history.portfolio("eqal")
    assert refused.value.kind == "portfolio"


@pytest.mark.parametrize("as_of", ["", f"?as_of={EARLIER}"])
def test_the_page_shows_the_numbers_of_the_row_beside_1_over_n(
    visitor: TestClient, watched_home: Home, as_of: str
) -> None:
    answer = visitor.get(f"/portfolio/black_litterman{as_of}")
    assert answer.status_code == 200, answer.text
    found, row = Page(answer.text), row_of(watched_home, "black_litterman", as_of.rpartition("=")[2] or None)
    lines = {line[0]: line for line in found.rows("Weights beside 1/N")}
    for symbol, weight, equal in zip(row["symbols"], row["weights"], row["equal_weights"], strict=True):
        assert lines[symbol][1] == formats.percent(weight, 2)
        assert lines[symbol][3] == formats.percent(equal, 2)
    text = found.text(id="main")
    assert row["reason"] in text
    assert "of 20 needed" in text
    assert "no recommendation to invest" in text


def test_the_list_leads_to_each_portfolio_and_says_that_nothing_is_proven(
    visitor: TestClient, watched_home: Home
) -> None:
    found = Page(visitor.get("/portfolio").text)
    lines = found.rows("Portfolios")
    assert [line[0] for line in lines] == [formats.words(name) for name in HELD]
    assert lines[1][-1] == "1/N, what the others are judged against"
    assert lines[0][7] == formats.number(row_of(watched_home, "black_litterman")["e_value"], 3)
    links = [link.get("href", "") for link in found.all("a")]
    assert all(f"/portfolio/{name}" in links for name in HELD)


def test_before_the_first_weights_the_page_says_what_makes_them_and_a_wrong_name_is_not_found(
    visitor: TestClient,
) -> None:
    empty = visitor.get("/portfolio/equal?as_of=2011-01-04")
    assert empty.status_code == 200
    assert "The asset portfolio_weights makes them" in Page(empty.text).text(id="main").replace("`", "")
    wrong = visitor.get("/portfolio/eqal")
    assert wrong.status_code == 404
    assert "equal" in wrong.text


def test_a_fallback_is_shown_with_its_reason(copy_home: Any, tmp_path: Any) -> None:
    home: Home = copy_home(tmp_path / "home")
    at = datetime(2012, 12, 31, 21, tzinfo=UTC)
    from serving.portfolio import PACKAGED_PORTFOLIOS, DeclaredPortfolio, update_portfolio_weights

    few = DeclaredPortfolio("core", "equal_risk", lookback_bars=20, least_bars=20)
    assert few.name not in {each.name for each in PACKAGED_PORTFOLIOS}
    update_portfolio_weights(home.lake, home.clock, [few], first_bars=1)
    with visiting(build_dashboard(home.settings), home.settings) as opened:
        log_in_as_owner(opened, home.settings)
        for path in ("/portfolio", "/portfolio/core"):
            text = Page(opened.get(path).text).text(id="main")
            assert "equal risk gave no weights, inverse volatility stands in for it: 20 bars are too few" in text, path
    assert home.clock.now() == at
