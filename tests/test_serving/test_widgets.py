"""Panels for a desk on the web: there for the named page alone, with a key, and with the numbers of the tables."""

from datetime import UTC, datetime

import polars as pl
import pytest
from starlette.testclient import TestClient

from lake.settings import Settings
from lake.tables import BARS, FEATURE_IMPORTANCE, FORECASTS, OUTCOMES
from serving.access import keys, origins, watch_lists
from serving.web.app import build_app
from serving.web.routes.widgets import RULES
from serving.web.widget_panels import PANELS
from support.clients import LOCAL, client_of, headers_of
from support.importance import importance_rows
from support.injections import INJECTIONS

DESK = "https://desk.example"
OTHERS = ("https://desk.example.evil", "http://desk.example", "https://desk.example:8443", "null", "*", "")
PATHS = [rule.path for rule in RULES]
NEEDED = {"name", "description", "endpoint", "type", "params", "data"}


@pytest.fixture(scope="module")
def app(watched_home, predicting):
    """An endpoint that the page of a desk may ask."""
    watched_home.lake.merge(FEATURE_IMPORTANCE, importance_rows(watched_home.clock.now()))
    with predicting(watched_home.settings) as predictor:
        yield build_app(predictor, origins=origins(Settings(cors_origins=DESK)))


@pytest.fixture(scope="module")
def desk(app):
    made = client_of(app)
    made.headers["origin"] = DESK
    return made


def preflight(client, path, page, **headers):
    asked = {"origin": page, "access-control-request-method": "GET", "access-control-request-headers": "x-api-key"}
    return client.options(path, headers=asked | headers)


def rows(desk, panel, **asked):
    answer = desk.get(f"/widgets/{panel}", params=asked)
    assert answer.status_code == 200, answer.text
    return answer.json()


@pytest.mark.parametrize("path", PATHS)
def test_there_are_no_panels_until_a_page_is_named(watched_home, path):
    client = TestClient(build_app(configured=watched_home.settings), LOCAL, headers=headers_of(watched_home.settings))
    assert client.get(path).status_code == 404
    assert preflight(client, path, DESK).status_code in {404, 405}


@pytest.mark.parametrize("path", PATHS)
def test_the_named_page_may_ask_and_every_other_one_may_not(app, desk, path):
    allowed = preflight(desk, path, DESK, **{"access-control-request-private-network": "true"})
    assert allowed.status_code == 200
    assert allowed.headers["access-control-allow-origin"] == DESK
    assert allowed.headers["access-control-allow-private-network"] == "true"
    assert "access-control-allow-credentials" not in allowed.headers
    for page in OTHERS:
        refused = preflight(desk, path, page)
        assert refused.status_code == 400, page
        answer = TestClient(app, LOCAL, headers={**desk.headers, "origin": page}).get(path)
        for told in (refused, answer):
            assert "access-control-allow-origin" not in told.headers, page


@pytest.mark.parametrize("path", PATHS)
def test_the_named_page_needs_a_key_as_everybody_does(app, path):
    stranger = TestClient(app, LOCAL, headers={"origin": DESK})
    for headers in ({}, {"x-api-key": "ql_nobody_secret"}, {"cookie": "quantlake-dashboard-3002=x"}):
        assert stranger.get(path, headers=headers).status_code == 401


def test_the_list_has_every_panel_in_the_form_of_the_desk(desk):
    listed = desk.get("/widgets.json").json()
    assert set(listed) == {panel.name for panel in PANELS}
    for name, widget in listed.items():
        assert set(widget) >= NEEDED, name
        assert widget["endpoint"] == f"widgets/{name}", "desks put it behind the address and a slash"
        for parameter in widget["params"]:
            assert {"paramName", "label", "type", "value"} <= set(parameter)
            assert parameter["type"] in {"endpoint", "text", "date"}
            if parameter["type"] == "endpoint":
                options = desk.get(parameter["optionsEndpoint"]).json()
                assert {"label": "KO", "value": "KO"} in options


@pytest.mark.parametrize("panel", PANELS, ids=lambda panel: panel.name)
def test_rows_are_flat_and_have_every_column_that_the_list_promises(desk, panel):
    widget = desk.get("/widgets.json").json()[panel.name]
    usual = {each["paramName"]: "" if each["value"] is None else each["value"] for each in widget["params"]}
    found = rows(desk, panel.name, **usual | ({"symbol": "KO"} if "symbol" in usual else {}))
    assert found
    columns = [column["field"] for column in widget["data"]["table"]["columnsDefs"]]
    for row in found:
        assert set(columns) <= set(row)
        assert not [value for value in row.values() if isinstance(value, list | dict)]


def test_the_numbers_are_those_of_the_tables(desk, watched_home):
    lake, now = watched_home.lake, watched_home.clock.now()
    of_ko = pl.col("symbol") == "KO"
    bars = lake.read_as_of(BARS, now, where=of_ko).sort("event_time")
    assert [row["close"] for row in rows(desk, "bars", symbol="KO", limit=20)] == bars["close"].tail(20).to_list()
    made = lake.read(FORECASTS, where=of_ko & (pl.col("kind") == "scheduled") & (pl.col("horizon_sessions") == 1))
    told = {row["forecast_id"]: row for row in rows(desk, "forecasts", symbol="KO")}
    for row in made.iter_rows(named=True):
        assert (told[row["forecast_id"]]["p10"], told[row["forecast_id"]]["p90"]) == (row["p10"], row["p90"])
    matured = made.join(lake.read(OUTCOMES), on="forecast_id")
    assert rows(desk, "calibration", symbol="KO")[0]["held"] == pytest.approx(matured["is_covered"].mean())


def test_nothing_is_known_before_the_session_that_is_looked_back_to(desk):
    at = datetime(2012, 12, 14, 21, tzinfo=UTC)
    for panel in ("bars", "forecasts", "outcomes"):
        found = rows(desk, panel, symbol="KO", as_of="2012-12-14")
        assert found
        assert max(datetime.fromisoformat(row["known_time"]) for row in found) <= at


def test_the_watch_list_is_that_of_the_key(desk, watched_home, app):
    assert len(rows(desk, "watchlist")) > 2
    key, text = keys.create(watched_home.settings, "desk", "read", "unlimited", by="tests")
    watch_lists.write(watched_home.settings, key.id, ["KO"])
    asking = TestClient(app, LOCAL, headers={"x-api-key": text, "origin": DESK})
    assert [row["symbol"] for row in rows(asking, "watchlist")] == ["KO"]


@pytest.mark.parametrize("text", INJECTIONS[:5])
def test_what_is_no_symbol_is_refused_and_not_echoed_as_a_page(desk, text):
    answer = desk.get("/widgets/bars", params={"symbol": text})
    assert answer.status_code in {404, 422}
    assert answer.headers["content-type"].startswith("application/problem+json")
