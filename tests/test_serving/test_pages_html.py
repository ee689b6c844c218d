"""Pages of the dashboard over a served home: numbers on the page are those of the endpoint and of the Delta tables."""

import json
import re
from dataclasses import replace
from datetime import UTC, datetime

import polars as pl
import pytest

from lake.clock import FixedClock
from lake.ledger import TrialLedger, families_of
from lake.tables import BARS, FORECASTS, OUTCOMES, REGIMES, SELECTIONS
from lake.universe import SYMBOLS
from serving import history
from serving.access import keys
from serving.api.explanations import BarChange, CounterfactualRequest, Scenario
from serving.client import Client
from serving.pages import formats
from serving.pages.app import build_dashboard
from serving.pages.dashboard import Dashboard
from support.dashboard import Page, log_in, log_in_as_owner, visiting
from support.trials import scored_trials

XSS = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>"
NOBODY = 1_025
"""A port that no endpoint listens on."""


@pytest.fixture(scope="module")
def app(watched_home):
    return build_dashboard(watched_home.settings)


@pytest.fixture(scope="module")
def visitor(app, watched_home):
    with visiting(app, watched_home.settings) as client:
        log_in_as_owner(client, watched_home.settings)
        yield client


@pytest.fixture(scope="module")
def tables(watched_home):
    return history.KnownTables(watched_home.lake)


def page(visitor, path, status=200):
    answer = visitor.get(path)
    assert answer.status_code == status, answer.text
    return Page(answer.text)


def newest(home, symbol, horizon=1):
    """Newest answered row of the Delta table."""
    is_asked = (pl.col("symbol") == symbol) & (pl.col("horizon_sessions") == horizon)
    rows = home.lake.read(FORECASTS, where=is_asked & pl.col("kind").is_in(["served", "scheduled"]))
    return rows.sort("event_time", "known_time", "made_at").row(-1, named=True)


def test_the_watch_list_shows_the_rows_of_the_tables(visitor, watched_home):
    rows = page(visitor, "/").rows("Symbols of the watch list")
    assert [cells[0] for cells in rows] == sorted(SYMBOLS)
    for symbol, last, _, forecast, band, held, *_ in rows:
        row = newest(watched_home, symbol)
        assert forecast == formats.signed(row["p50"], 2)
        assert band == f"{formats.signed(row['p10'])} … {formats.signed(row['p90'])}"
        bars = watched_home.lake.read_as_of(BARS, watched_home.clock.now(), where=pl.col("symbol") == symbol)
        bar = bars.sort("event_time").row(-1, named=True)
        traded = bar["close_traded"]
        assert last == (f"adj. {formats.price(bar['close'])}" if traded is None else formats.price(traded))
        assert held.startswith(("held ", "in replay ", "not enough outcomes (n = "))


def test_the_share_that_a_badge_tells_is_that_of_the_outcomes(visitor, watched_home):
    made = watched_home.lake.read(FORECASTS, where=(pl.col("symbol") == "KO") & (pl.col("kind") == "scheduled"))
    one = made.filter(pl.col("horizon_sessions") == 1).join(watched_home.lake.read(OUTCOMES), on="forecast_id")
    (cells,) = [cells for cells in page(visitor, "/").rows("Symbols of the watch list") if cells[0] == "KO"]
    assert cells[5].startswith(f"held {100 * one['is_covered'].mean():.0f} % (")
    assert f"n = {one.height})" in cells[5]


def test_the_symbol_page_equals_the_endpoint_and_the_row(visitor, watched_home):
    row = newest(watched_home, "KO")
    with Client.local(watched_home.settings) as client:
        told = client.prediction(row["forecast_id"]).prediction
    found = page(visitor, "/s/KO")
    assert (told.p10, told.p50, told.p90) == (row["p10"], row["p50"], row["p90"])
    assert found.text(id="expected") == formats.signed(told.p50, 2)
    card = " ".join(element["text"] for element in found.all("section", id="card"))
    told_price = formats.price(told.target_price)
    for text in (formats.percent(told.confidence, 0), told_price, told.outlook, row["target_session"].isoformat()):
        assert text in card
    assert row["forecast_id"] in str([link.get("href") for link in found.all("a")])


def test_the_chart_the_table_and_the_lake_have_the_same_bars(visitor, watched_home):
    found = page(visitor, "/s/AAPL")
    data = json.loads(found.all("script", id="chart-data")[0]["text"])
    bars = watched_home.lake.read_as_of(BARS, watched_home.clock.now(), where=pl.col("symbol") == "AAPL")
    bars = bars.sort("event_time").tail(len(data["closes"]))
    scale = bars["close_traded"][-1] / bars["close"][-1]
    assert [point["value"] for point in data["closes"]] == pytest.approx((bars["close"] * scale).to_list())
    cells = found.rows("Bars, the newest first")
    assert [row[1] for row in cells] == [formats.price(close) for close in bars["close"].reverse()]
    row = newest(watched_home, "AAPL")
    ahead = data["ahead"]
    assert ahead["low"] == pytest.approx(row["reference_price"] * (1 + row["p10"]))


def test_the_receipt_is_two_clicks_away_and_equals_that_of_the_endpoint(visitor, watched_home):
    start = page(visitor, "/")
    link = next(link["href"] for link in start.all("a") if link.get("href", "").startswith("/receipts/"))
    identifier = link.removeprefix("/receipts/").partition("?")[0]
    with Client.local(watched_home.settings) as client:
        receipt = client.receipt(identifier)
    found = page(visitor, link)
    assert found.text(id="receipt-id") == identifier
    assert found.text(id="command") == f"quantlake replay {identifier}"
    versions = {cells[0]: int(cells[1]) for cells in found.rows("Rows that the forecast was made from")}
    assert versions == {read.table: read.version for read in receipt.rows}
    assert {cells[0] for cells in found.rows("Models that took part")} == {model.name for model in receipt.models}
    assert found.all(class_="seal-intact")


def test_the_contributions_are_those_of_the_endpoint_and_sum_to_the_forecast(visitor, watched_home):
    row = newest(watched_home, "KO")
    with Client.local(watched_home.settings) as client:
        told = client.explain(row["forecast_id"], quantile="width").explanation
    rows = page(visitor, "/s/KO/why?quantile=width").rows("Contributions")
    assert rows[0][4] == formats.signed(told.base_value, 3)
    assert rows[-1][4] == formats.signed(told.value, 3) == formats.signed(row["p90"] - row["p10"], 3)
    contributions = told.local_explanation.shap_values
    largest = max(contributions, key=lambda name: abs(contributions[name]))
    assert (rows[1][0], rows[1][4]) == (largest, formats.signed(contributions[largest], 3))
    shown = [float(cells[4].removesuffix(" %").replace("−", "-")) for cells in rows[:-1]]
    assert sum(shown) == pytest.approx(100 * told.value, abs=0.01)


def test_contributions_by_session_blocks_and_their_stability_are_shown(visitor, watched_home):
    row = newest(watched_home, "KO")
    with Client.local(watched_home.settings) as client:
        told = client.explain(row["forecast_id"], explanation_type="deep", grain="session_block").explanation
    found = page(visitor, "/s/KO/why?grain=session_block&depth=deep")
    assert told.stability.sentence in found.text(id="why")
    contributions = told.local_explanation.shap_values
    assert found.rows("Contributions")[1][0] == max(contributions, key=lambda name: abs(contributions[name]))
    links = [link["href"] for link in page(visitor, "/s/KO/why?grain=session_block").all("a")]
    assert not [link for link in links if "depth=fast" in link and "grain=session_block" in link], "too few orders"
    assert [link for link in links if "depth=deep" in link and "grain=session_block" in link]


def test_what_if_begins_at_the_forecast_that_was_given(visitor, watched_home):
    row = newest(watched_home, "KO")
    found = page(visitor, "/s/KO/why?find=direction")
    sweeps = json.loads(found.all("script", id="sweeps")[0]["text"])
    assert {len(points) for points in sweeps} == {41 + 1}, "the points of the sweep, and the true value"
    assert formats.signed(row["p50"], 2) in found.text(id="why")
    assert "turns" in found.text(id="why")


def test_a_scenario_of_the_last_bar_is_that_of_the_endpoint(visitor, watched_home):
    row = newest(watched_home, "KO")
    bar = BarChange(close_change=-0.03)
    with Client.local(watched_home.settings) as client:
        asked = CounterfactualRequest(prediction_id=row["forecast_id"], scenario=Scenario(bar=bar))
        told = client.what_if(asked)
    found = page(visitor, "/s/KO/why?close_change=-3&volume_ratio=")
    numbers = {cells[0]: cells[1:] for cells in found.rows("Forecast from another last bar")}
    assert numbers["p90"] == [formats.signed(row["p90"], 2), formats.signed(told.changed.p90, 2)]
    assert [cells[0] for cells in found.rows("Features that moved")] == [each.feature for each in told.moved]
    assert f"{len(told.moved)} features moved" in found.text(id="scenario")
    fields = {each["name"]: each.get("value") for each in found.all("input") if each.get("name")}
    assert (fields["close_change"], fields["volume_ratio"], fields["quantile"]) == ("-3", "", "p50")


def test_a_scenario_that_cannot_be_says_what_is_expected_and_the_true_bar_moves_nothing(visitor):
    asked = page(visitor, "/s/KO/why?close_change=three&volume_ratio=")
    assert "by 'three' percent" in asked.text(id="scenario")
    assert "above -100" in page(visitor, "/s/KO/why?close_change=-100").text(id="scenario")
    assert "above -100" in page(visitor, "/s/KO/why?close_change=nan").text(id="scenario")
    assert "has no volume" in page(visitor, "/s/KO/why?volume_ratio=2").text(id="scenario")
    assert "0 features moved" in page(visitor, "/s/KO/why?close_change=0").text(id="scenario")
    assert "are computed again from the changed bar" in page(visitor, "/s/KO/why").text(id="scenario")


def test_the_words_are_those_of_the_endpoint_with_what_they_cite(visitor, watched_home):
    row = newest(watched_home, "KO")
    found = page(visitor, "/s/KO/words")
    with Client.local(watched_home.settings) as client:
        job = client.ask_in_words("KO", prediction_id=row["forecast_id"])
        told = client.in_words(job.job_id).explanation
    text = found.text(id="words")
    assert told.sentences
    assert [each.text for each in told.sentences if each.text not in text] == []
    assert {cells[0] for cells in found.rows("Facts")} == {fact.id for fact in told.facts}


def test_the_copied_command_makes_the_number_again(visitor, watched_home):
    from serving.replay import replay

    identifier = newest(watched_home, "KO")["forecast_id"]
    command = page(visitor, f"/receipts/{identifier}").text(id="command")
    found = replay(watched_home.lake, watched_home.settings, [command.rpartition(" ")[2]])
    assert [each.verdict for each in found] == ["equal"]


def test_the_record_of_a_session_looked_back_to_counts_the_outcomes_known_then(visitor, watched_home, tables):
    at = history.instant_as_of(tables.market, datetime(2012, 12, 10, tzinfo=UTC).date(), watched_home.clock.now())
    then = history.calibration_of(tables, "KO", 1, at).overall.band.outcomes
    now = history.calibration_of(tables, "KO", 1, watched_home.clock.now()).overall.band.outcomes
    rows = page(visitor, "/s/KO?as_of=2012-12-10").rows("Past accuracy")
    assert 0 < then < now
    assert rows[0][1] == str(then)


def test_a_former_name_and_a_wrong_one(visitor):
    found = page(visitor, "/s/APPL", 404)
    assert "AAPL" in found.text(id="main")
    assert page(visitor, "/models/nothing", 404).all("h1")
    assert page(visitor, "/?as_of=yesterday", 404).all("h1")
    assert page(visitor, "/?horizon=7", 404).all("h1")
    assert page(visitor, "/receipts/nothing", 404).all("h1")


def test_a_model_without_a_score_at_the_session_looked_back_to_is_not_scored_yet(visitor, watched_home, tables):
    found = page(visitor, "/models/ridge?as_of=2011-01-04").text(id="main")
    assert "Not scored yet: no walk-forward score of this model was known at the session looked back to." in found
    assert "No forecast of this model has matured yet." in found
    live = page(visitor, "/models/ridge")
    is_scored = "ridge" in {each.model for each in history.models_of(tables, watched_home.clock.now())}
    note = "Not scored yet: no walk-forward score of this model was known now. `make demo` trains"
    assert (note in live.text(id="main")) is not is_scored
    assert live.rows("Matured forecasts by regime")
    assert page(visitor, "/models/nothing?as_of=2011-01-04", 404).all("h1")


def test_a_search_that_finds_nothing_says_what_to_do(visitor):
    assert "No symbol was found for “zzz”" in page(visitor, "/?search=zzz").text(id="main")
    found = page(visitor, "/?search=apple").rows("Symbols of the watch list")
    assert [cells[0] for cells in found] == ["AAPL"]


def test_without_the_endpoint_pages_show_what_the_tables_hold_and_say_so(watched_home):
    alone = watched_home.settings.model_copy(update={"port": NOBODY})
    with visiting(build_dashboard(alone), alone) as client:
        log_in_as_owner(client, alone)
        found = page(client, "/s/KO")
        assert "Degraded." in found.text(id="main")
        assert found.text(id="expected") == formats.signed(newest(watched_home, "KO")["p50"], 2)
        assert "Degraded." in page(client, "/").text(id="main")
        row = newest(watched_home, "KO")
        assert "No service answers" in page(client, f"/receipts/{row['forecast_id']}", 503).text(id="main")
        assert "No service answers" in page(client, "/operations").text(id="main")


def test_a_symbol_without_a_bar_of_the_last_closes_is_marked_stale(watched_home):
    later = FixedClock(datetime(2013, 1, 3, 21, tzinfo=UTC))
    settings = watched_home.settings
    with visiting(build_dashboard(settings, replace(Dashboard.open(settings), clock=later)), settings) as client:
        log_in_as_owner(client, settings)
        assert "Stale. The last bar is of 2012-12-31, 2 sessions ago" in page(client, "/s/KO").text(id="card")
        assert "no bar for 2 sessions" in page(client, "/").text(id="main")


def test_a_home_without_tables_says_what_makes_them(settings):
    with visiting(build_dashboard(settings), settings) as client:
        log_in_as_owner(client, settings)
        for path in (
            "/",
            "/models",
            "/strategies",
            "/backtests",
            "/portfolio",
            "/portfolio/equal",
            "/desk",
            "/operations",
            "/about",
        ):
            found = page(client, path)
            assert "Nothing yet." in found.text(id="main") or path == "/about", path


def test_what_is_planted_in_names_and_reasons_stays_text(copy_home, tmp_path, visitor):
    home = copy_home(tmp_path / "home")
    now = home.clock.now()
    rows = home.lake.read(BARS, where=pl.col("symbol") == "KO")
    home.lake.merge(BARS, rows.with_columns(pl.lit(XSS).alias("symbol")))
    regime = home.lake.read_as_of(REGIMES, now).sort("event_time")["regime"][-1]
    decision = {
        "regime": regime, "event_time": now, "known_time": now, "selected_strategy": XSS, "strategies": [XSS, "naive"],
        "weights": [1.0, 0.0], "probabilities": [0.9, 0.1], "confidence": 0.9, "e_value": 30.0, "sessions": 9,
        "reason": f"</script>{XSS}",
    }  # fmt: skip
    home.lake.merge(SELECTIONS, pl.DataFrame([decision], schema=SELECTIONS.schema))
    with visiting(build_dashboard(home.settings), home.settings) as client:
        log_in_as_owner(client, home.settings)
        seen = 0
        for path in ("/", "/strategies", "/s/" + "%3Cscript%3Ealert(1)%3C%2Fscript%3E", f"/?search={XSS}"):
            text = client.get(path).text
            assert "<script>alert" not in text, path
            assert "<img" not in text, path
            assert not [e for e in Page(text).elements if any(str(name).startswith("on") for name in e)], path
            seen += text.count("&lt;script&gt;")
        assert seen > 3


def test_two_scripts_of_a_page_are_data_or_files(visitor):
    for path in ("/", "/s/KO", "/strategies", "/about"):
        for script in page(visitor, path).all("script"):
            assert script.get("src", "").startswith("/static/") or script.get("type") == "application/json"
        assert not [element for element in page(visitor, path).elements if "style" in element]


def test_a_key_that_may_only_read_opens_the_symbol_page_and_its_receipt(app, watched_home):
    _, text = keys.create(watched_home.settings, "reader", "read", "unlimited", by="tests")
    with visiting(app, watched_home.settings) as client:
        log_in(client, text)
        row = newest(watched_home, "KO")
        found = page(client, "/s/KO")
        assert found.text(id="expected")
        assert not [link for link in found.all("a") if "/why" in link.get("href", "")]
        assert client.get("/s/KO/why").status_code == client.get("/s/KO/words").status_code == 403
        assert page(client, f"/receipts/{row['forecast_id']}").all(class_="seal-intact")


def test_the_symbol_page_with_all_that_it_loads_is_small(visitor):
    answer = visitor.get("/s/AAPL", headers={"accept-encoding": "gzip"})
    paths = re.findall(r'(?:src|href)="(/static/[^"]+)"', answer.text)
    modules = ["/static/band.js", "/static/vendor/lightweight-charts-5.2.1.mjs"]
    assert len(paths) + len(modules) + 1 <= 12
    size = 0
    for path in ["/s/AAPL", *paths, *modules]:
        with visitor.stream("GET", path, headers={"accept-encoding": "gzip"}) as part:
            assert part.status_code == 200, path
            size += sum(map(len, part.iter_raw()))
    assert size <= 250_000


def test_the_page_of_a_model_says_how_many_trials_stand_behind_its_score(visitor, watched_home):
    family = "ridge, forecast_v2, 1 session"
    assert "the trial ledger is empty" in visitor.get("/models/ridge").text
    TrialLedger(watched_home.lake, watched_home.clock.now()).record(scored_trials(family, 4, watched_home.clock.now()))
    (line,) = [one["text"] for one in page(visitor, "/models/ridge").elements if one.get("id") == "trials"]
    (found,) = families_of(watched_home.lake, watched_home.clock.now(), [family])
    assert line == str(found)
    assert line.startswith(f"{family}: 5 trials, 1 of them failed; the best has a Sharpe ratio of")
    assert "no trial is in the ledger" in visitor.get("/models/ridge?horizon=5").text
    before = watched_home.clock.now().date().replace(day=3)
    assert "the trial ledger is empty" in visitor.get(f"/models/ridge?as_of={before}").text
