"""History routes over a served home: what they answer is the lake as of a moment, and what is wrong is said."""

from datetime import UTC, date, datetime

import polars as pl
import pytest

from lake.tables import BARS, FORECASTS, OUTCOMES
from serving.access import keys, watch_lists
from serving.client import Client, RefusedError
from serving.history import KnownTables, RowsPage, accuracy_of, bars_of, calibration_of, forecasts_of, outcomes_of
from serving.outcomes import mature
from serving.web.app import build_app
from support.clients import client_of

PUBLIC = "/api/v1/public"
SINCE = datetime(2012, 12, 3, tzinfo=UTC)


@pytest.fixture(scope="module")
def lived(copy_home, tmp_path_factory):
    """A home whose models replayed the last month, with the outcomes."""
    from serving.backfill import replay_forecasts
    from serving.deployment import Champions

    made = copy_home(tmp_path_factory.mktemp("lived") / "home")
    engines = {name: engine for name, engine in Champions(made.settings).current().engines.items() if name != "lstm"}
    replay_forecasts(made.lake, engines, made.clock, sessions=40)
    mature(made.lake, made.clock)
    return made


@pytest.fixture(scope="module")
def app(predicting, lived):
    with predicting(lived.settings) as predictor:
        yield build_app(predictor)


@pytest.fixture(scope="module")
def client(app):
    return client_of(app)


@pytest.fixture(scope="module")
def tables(lived):
    return KnownTables(lived.lake)


def said(client, path):
    answer = client.get(f"{PUBLIC}/{path}")
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_each_route_answers_what_the_tables_held_then(client, tables, lived):
    at = datetime(2012, 12, 14, 21, tzinfo=UTC)
    asked = "as_of=2012-12-14&horizon_sessions=5&model=ridge"
    for path, expected in {
        "bars/KO?as_of=2012-12-14": bars_of(tables, "KO", at),
        f"forecasts/KO?{asked}": forecasts_of(tables, "KO", 5, at, model="ridge"),
        f"outcomes/KO?{asked}": outcomes_of(tables, "KO", 5, at, model="ridge"),
        f"calibration/KO?{asked}": calibration_of(tables, "KO", 5, at, model="ridge"),
        f"accuracy/KO?{asked}&limit=3": accuracy_of(tables, "KO", 5, at, model="ridge", page=RowsPage(limit=3)),
    }.items():
        assert said(client, path) == expected.model_dump(mode="json")
    bars = lived.lake.read_as_of(BARS, at, where=pl.col("symbol") == "KO")
    assert said(client, "bars/KO?as_of=2012-12-14&limit=1")["bars"][0]["close"] == bars["close"][-1]
    made = lived.lake.read_as_of(FORECASTS, at, where=(pl.col("symbol") == "KO") & (pl.col("model_name") == "ridge"))
    matured = made.join(lived.lake.read_as_of(OUTCOMES, at), on="forecast_id", how="semi")
    counts = [frame.filter(pl.col("horizon_sessions") == 5).height for frame in (made, matured)]
    assert [said(client, f"{path}/KO?{asked}")["rows_in_all"] for path in ("forecasts", "outcomes")] == counts
    assert counts[0] > counts[1] > 0


def test_a_moment_later_than_the_markets_now_is_now(client, lived):
    now = lived.clock.now()
    for path in ("bars/KO?limit=1", "bars/KO?limit=1&as_of=2031-05-01", "bars/KO?limit=1&as_of=2027-01-01T00:00Z"):
        assert datetime.fromisoformat(said(client, path)["as_of"]) == now
    assert said(client, "bars/KO?limit=1&as_of=1990-01-01")["bars"] == []


def test_parts_lead_to_the_whole(client):
    whole = said(client, "bars/KO?from=2012-12-03&to=2012-12-31")
    assert (len(whole["bars"]), whole["next_offset"]) == (whole["rows_in_all"], None)
    offset, parts = 0, []
    while offset is not None:
        part = said(client, f"bars/KO?from=2012-12-03&to=2012-12-31&limit=6&offset={offset}")
        parts, offset = [*part["bars"], *parts], part["next_offset"]
    assert parts == whole["bars"]
    assert (parts[0]["session"], parts[-1]["session"]) == ("2012-12-03", "2012-12-31")


@pytest.mark.parametrize(
    ("path", "status", "kind", "word"),
    [
        ("bars/K0", 404, "unknown-symbol", "K0"),
        ("bars/KO?as_of=yesterday", 422, "invalid-request", "as_of: 'yesterday' is neither a day"),
        ("bars/KO?from=2012-12-31T21:00", 422, "invalid-request", "from: The time 2012-12-31T21:00:00 has no zone"),
        ("bars/KO?to=0001-01-01T00:00%2B05:00", 422, "invalid-request", "lies outside the years"),
        ("bars/KO?limit=0", 422, "invalid-request", "limit"),
        ("bars/KO?limit=5001", 422, "invalid-request", "limit"),
        ("forecasts/KO?horizon_sessions=3", 422, "unknown-horizon", "3 sessions"),
        ("forecasts/KO?horizon_minutes=60", 422, "unknown-horizon", "60 minutes"),
        ("outcomes/KO?model=rigde", 404, "unknown-model", "rigde"),
        ("calibration/KO?model=", 422, "invalid-request", "model"),
    ],
)
def test_what_cannot_be_answered_is_a_problem_document(client, path, status, kind, word):
    answer = client.get(f"{PUBLIC}/{path}")
    assert (answer.status_code, answer.json()["type"]) == (status, f"/problems/{kind}")
    assert word in answer.json()["detail"]


def test_the_index_has_bars_although_it_is_not_forecast(client, lived):
    found = said(client, "bars/%5EGSPC?limit=2")
    assert found["symbol"] == lived.lake.market.index
    assert len(found["bars"]) == 2


def test_the_client_asks_the_same(app, client, served, lived):
    with served(app) as address, Client(address, keys.local_key(lived.settings)) as asking:
        history = asking.history
        bars = history.bars("KO", since=SINCE, until=date(2012, 12, 31), as_of="2012-12-21", limit=3)
        assert [bar.session.day for bar in bars.bars] == [19, 20, 21]
        for found, path in (
            (history.forecasts("KO", 5, model="naive", since="2012-12-03"), "forecasts/KO?from=2012-12-03&model=naive"),
            (history.outcomes("KO", 5, model="naive", limit=2), "outcomes/KO?limit=2&model=naive"),
            (history.calibration("KO", 5, model="naive"), "calibration/KO?model=naive"),
            (history.accuracy("KO", 5, model="naive", limit=2), "accuracy/KO?model=naive&limit=2"),
        ):
            assert found.model_dump(mode="json") == said(client, f"{path}&horizon_sessions=5")
        assert history.store_watch_list(["IBM", "KO"]).symbols == history.watch_list().symbols == ["IBM", "KO"]
        assert history.change_watch_list(add=["GE"], remove=["IBM"]).symbols == ["KO", "GE"]
        with pytest.raises(RefusedError, match="no symbol"):
            history.bars("K0")


def test_the_symbols_of_the_online_store_are_listed_only_where_no_bar_is_known(client, app, monkeypatch):
    predictor, listed = app.state.predictor, []
    symbols = predictor.symbols
    monkeypatch.setattr(predictor, "symbols", lambda: listed.append("once") or symbols())
    assert client.get(f"{PUBLIC}/bars/KO").status_code == 200
    assert listed == []
    assert client.get(f"{PUBLIC}/bars/K0").status_code == 404
    assert listed == ["once"]


@pytest.fixture
def readers(lived):
    """Headers of two keys that may read, with their ids."""
    made = [keys.create(lived.settings, name, "read", "unlimited", by="tests") for name in ("ada", "bob")]
    return [(key.id, {"authorization": f"Bearer {text}"}) for key, text in made]


def test_a_watch_list_is_the_one_of_its_key_alone(client, readers):
    (_, ada), (_, bob) = readers
    started = datetime.now(UTC)
    assert client.get(f"{PUBLIC}/watchlist", headers=ada).json() | {"disclaimer": ""} == {
        "disclaimer": "", "symbols": [], "changed_at": None,
    }  # fmt: skip
    stored = client.put(f"{PUBLIC}/watchlist", json={"symbols": ["KO", "IBM", "KO"]}, headers=ada).json()
    assert stored["symbols"] == ["KO", "IBM"]
    assert datetime.fromisoformat(stored["changed_at"]) >= started
    assert client.get(f"{PUBLIC}/watchlist", headers=ada).json() == stored
    assert client.get(f"{PUBLIC}/watchlist", headers=bob).json()["symbols"] == []


def test_a_watch_list_is_changed_in_place(client, readers):
    (_, ada), (_, bob) = readers
    client.put(f"{PUBLIC}/watchlist", json={"symbols": ["KO", "IBM", "GE"]}, headers=ada)
    for change, expected in (
        ({"add": ["AAPL", "KO", "AAPL"], "remove": ["IBM"]}, ["KO", "GE", "AAPL"]),
        ({"add": ["KO"], "remove": ["KO", "GONE"]}, ["GE", "AAPL", "KO"]),
        ({}, ["GE", "AAPL", "KO"]),
    ):
        changed = client.post(f"{PUBLIC}/watchlist/changes", json=change, headers=ada).json()
        assert changed["symbols"] == expected
        assert client.get(f"{PUBLIC}/watchlist", headers=ada).json() == changed
    assert client.get(f"{PUBLIC}/watchlist", headers=bob).json()["symbols"] == []


def test_a_change_that_is_refused_changes_no_watch_list(client, lived, readers):
    (key_id, ada), _ = readers
    before = watch_lists.write(lived.settings, key_id, [f"S{number}" for number in range(5_000)])
    for change, status, told in (
        ({"add": ["KO"]}, 422, "5,001 symbols, and it holds 5,000 at most"),
        ({"add": ["K0"], "remove": ["S1"]}, 404, "KO"),
        ({"add": "KO"}, 422, "add"),
        ({"symbols": ["KO"]}, 422, "symbols"),
    ):
        answer = client.post(f"{PUBLIC}/watchlist/changes", json=change, headers=ada)
        assert (answer.status_code, told in answer.text) == (status, True), answer.text
    assert watch_lists.read(lived.settings, key_id) == before
    assert client.post(f"{PUBLIC}/watchlist/changes", json={"add": ["KO"], "remove": ["S1"]}, headers=ada).is_success


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        ({"json": {"symbols": ["KO", "K0"]}}, 404),
        ({"json": {"symbols": "KO"}}, 422),
        ({"json": {"symbols": [""]}}, 422),
        ({"json": {"symbols": ["KO"] * 5_001}}, 422),
        ({"json": {"symbols": ["KO"], "owner": "bob"}}, 422),
        ({"content": '{"symbols": ["KO"], "symbols": []}', "headers": {"content-type": "application/json"}}, 422),
        ({"content": '{"symbols": ["KO"]}'}, 415),
    ],
)
def test_a_watch_list_that_is_refused_changes_nothing(client, lived, sent, status):
    before = client.put(f"{PUBLIC}/watchlist", json={"symbols": ["AAPL"]}).json()
    answer = client.put(f"{PUBLIC}/watchlist", **sent)
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json")
    assert client.get(f"{PUBLIC}/watchlist").json() == before


def test_a_watch_list_is_closed_to_other_users(client, lived, readers):
    (key_id, headers), _ = readers
    client.put(f"{PUBLIC}/watchlist", json={"symbols": ["KO"]}, headers=headers)
    (file,) = (keys.folder(lived.settings) / watch_lists.FOLDER).glob(f"{key_id}*")
    assert (file.stat().st_mode & 0o777, file.parent.stat().st_mode & 0o777) == (0o600, 0o700)
    file.write_text("{")
    answer = client.get(f"{PUBLIC}/watchlist", headers=headers)
    assert (answer.status_code, "cannot be read" in answer.json()["detail"]) == (503, True)
