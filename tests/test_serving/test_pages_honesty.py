"""Promises of every page: nothing from later, no band without its badge, numbers of the endpoint and of the rows."""

import json
import random
import re
from datetime import UTC, datetime, timedelta

import polars as pl
import pytest

from lake.tables import BLEND_WEIGHTS, DRIFT, FORECASTS, OUTCOMES, REGIMES, SELECTIONS, STRATEGY_RETURNS, VERDICTS
from lake.universe import SYMBOLS
from serving import history
from serving.api import DISCLAIMER
from serving.api.explanations import CounterfactualRequest
from serving.client import Client
from serving.pages import formats
from serving.pages.app import build_dashboard
from serving.pages.rendering import PAST, STATIC, TEMPLATES
from support.blend import weights_row
from support.dashboard import Page, log_in_as_owner, visiting

INSTANT = re.compile(r"\d{4}-\d{2}-\d{2} \d{2}:\d{2} UTC")
BADGE = re.compile(r"(held|in replay) \d+ % \(|not enough outcomes \(n = ")
WITH_BANDS = ("/", "/s/KO", "/s/AAPL?model=ridge&horizon=5", "/s/KO/why")
WITHOUT_BANDS = (
    "/models",
    "/models/ridge",
    "/s/KO/words",
    "/strategies",
    "/backtests",
    "/portfolio",
    "/portfolio/equal",
    "/risk",
    "/desk",
    "/operations",
    "/about",
)
QUICK, MANY = 60, 1_000
POOL = ["naive", "ridge", "buy_and_hold"]


@pytest.fixture(scope="module")
def decided_home(watched_home):
    """The home with decisions for strategies, paper returns and findings of drift of its last sessions."""
    closes = watched_home.lake.read(REGIMES).sort("event_time").tail(60).select("event_time", "regime").rows()
    draw = random.Random(3)
    returns, selections, drift = [], [], []
    for place, (at, regime) in enumerate(closes):
        stamps = {"event_time": at, "known_time": at}
        for name in POOL:
            net = draw.gauss(0.001, 0.01)
            paper = {"strategy": name, "gross_return": net, "cost": 0.0, "net_return": net, "turnover": 0.0}
            returns.append(paper | stamps | {"regime": regime, "exposure": 1.0})
        decision = {"selected_strategy": "ridge", "strategies": POOL, "weights": [0.2, 0.5, 0.3], "sessions": place}
        evidence = {"probabilities": [0.1, 0.6, 0.3], "confidence": 0.5 + place / 200, "e_value": 1.0 + place}
        selections.append(decision | evidence | stamps | {"regime": regime, "reason": f"Review {place}."})
        found = {"subject": "return_1d", "aspect": "level", "statistic": float(place), "method": "blocks"}
        drift.append(found | {"p_value": 0.5, "adjusted_p_value": 0.5, "is_drifted": False} | stamps)
    for spec, rows in ((STRATEGY_RETURNS, returns), (SELECTIONS, selections), (DRIFT, drift)):
        watched_home.lake.merge(spec, pl.DataFrame(rows, schema=spec.schema))
    early = watched_home.lake.read(BLEND_WEIGHTS)["event_time"].min()
    weights = {horizon: {"naive": 0.5, "ridge": 0.5} for horizon in (1, 5)}
    past = [weights_row(at, weights) for at, _ in closes if at < early]
    watched_home.lake.merge(BLEND_WEIGHTS, pl.concat(past))
    return watched_home


@pytest.fixture(scope="module")
def visitor(decided_home):
    with visiting(build_dashboard(decided_home.settings), decided_home.settings) as client:
        log_in_as_owner(client, decided_home.settings)
        yield client


@pytest.fixture(scope="module")
def endpoint(decided_home):
    with Client.local(decided_home.settings) as client:
        yield client


def page(visitor, path):
    answer = visitor.get(path)
    assert answer.status_code == 200, answer.text
    return Page(answer.text)


def require_known_by(text: str, until: datetime) -> None:
    """Fail where a page has an instant after one, but for the day on which the horizon of a forecast ends."""
    found = Page(text)
    at = [datetime.strptime(one, "%Y-%m-%d %H:%M UTC").replace(tzinfo=UTC) for one in INSTANT.findall(text)]
    assert max(at) <= until
    for script in found.all("script", id="chart-data"):
        data = json.loads(script["text"])
        assert data["closes"][-1]["time"] <= until.timestamp()
        known = [ghost["until"] for ghost in data["ghosts"] if ghost["inside"] is not None]
        assert max(known, default=0) <= until.timestamp()
    for script in found.all("script", id="lines-data"):
        assert max(json.loads(script["text"])["times"], default=0) <= until.timestamp()
    for label, ended in (("Outcomes, the newest first", 1), ("Medians and outcomes, the newest first", 0)):
        for row in found.rows(label) if f'aria-label="{label}"' in text else []:
            assert row[ended] <= until.date().isoformat()


def looked_back_at(visitor, home, pairs: int) -> None:
    """Look at random pages as of random sessions; none may hold what was known later.

    The sessions are those at which a replay of each horizon had matured: before, there is no page of a model.
    """
    draw = random.Random(7)
    replayed = home.lake.read(FORECASTS, where=(pl.col("model_name") == "ridge") & (pl.col("kind") == "replay"))
    matured = replayed.join(
        home.lake.read(OUTCOMES).select("forecast_id", pl.col("known_time").alias("matured")), on="forecast_id"
    )
    first = matured.group_by("horizon_sessions").agg(pl.col("matured").min())["matured"].max()
    closes = home.lake.read(REGIMES)["event_time"].sort().to_list()
    closes = [at for at in closes if at >= first][:-1]
    ways = ("/s/{symbol}", "/s/{symbol}?model=ridge", "/", "/models", "/models/ridge", "/strategies", "/portfolio",
            "/portfolio/black_litterman")  # fmt: skip
    for _ in range(pairs):
        at, symbol, horizon = draw.choice(closes), draw.choice(sorted(SYMBOLS)), draw.choice([1, 5])
        path = draw.choice(ways).format(symbol=symbol)
        address = f"{path}{'&' if '?' in path else '?'}as_of={at:%Y-%m-%d}&horizon={horizon}"
        answer = visitor.get(address)
        assert answer.status_code == 200, address
        require_known_by(answer.text, at)


def test_nothing_of_a_page_was_known_after_the_session_it_looks_back_to(visitor, decided_home):
    looked_back_at(visitor, decided_home, QUICK)


@pytest.mark.slow
def test_nothing_of_a_thousand_pages_was_known_after_the_session_they_look_back_to(visitor, decided_home):
    looked_back_at(visitor, decided_home, MANY)


def test_explanations_and_words_of_a_session_looked_back_to_are_of_a_forecast_known_then(visitor, decided_home):
    for path in ("/s/KO/why", "/s/KO/words"):
        text = visitor.get(f"{path}?as_of=2012-12-20&horizon=5").text
        require_known_by(text, datetime(2012, 12, 20, 21, tzinfo=UTC))
    now, then = (page(visitor, f"/s/KO?horizon=5{asked}").all("a") for asked in ("", "&as_of=2012-12-20"))
    assert _receipts(now)[0] != _receipts(then)[0]


def _receipts(links):
    return [link["href"] for link in links if link.get("href", "").startswith("/receipts/")]


@pytest.mark.parametrize("path", [*WITH_BANDS, *WITHOUT_BANDS])
def test_no_band_stands_without_its_badge(visitor, path):
    badges = 0
    for asked in ("", "as_of=2012-11-20"):
        elements = page(visitor, path + ("&" if "?" in path else "?") + asked).elements
        for element in elements:
            if "band" in (element.get("class") or "").split():
                after = elements[element["place"] + 1]
                assert "held" in (after.get("class") or "").split(), element
                assert BADGE.match(after["text"]), after
                badges += 1
    assert bool(badges) == (path in WITH_BANDS)


@pytest.mark.parametrize("path", [*WITH_BANDS, *WITHOUT_BANDS])
def test_every_page_ends_with_the_disclaimer_and_shows_no_value_of_the_program(visitor, path):
    found = page(visitor, path)
    assert f"{DISCLAIMER} {PAST}" in found.text(tag="footer")
    assert not re.search(r"\b(Panel|None|\w+View|\w+Line)\(", found.text(tag="html"))


def test_the_band_of_a_receipt_has_its_badge(visitor):
    link = _receipts(page(visitor, "/").all("a"))[0]
    (held,) = page(visitor, link).all(class_="held")
    assert BADGE.match(held["text"])


def test_templates_print_the_ends_of_a_band_in_one_macro_alone():
    """Drawings have coordinates of intervals, which no reader sees as numbers."""
    found = {
        path.name
        for path in TEMPLATES.glob("*.html")
        if re.search(r"\b(?!point\.)\w+\.(low|high|p10|p90)\b", path.read_text("utf-8"))
    }
    assert found == {"macros.html"}


def test_negative_skill_is_printed_as_large_and_as_strong_as_positive():
    style = (STATIC / "dashboard.css").read_text("utf-8")
    rules = {name: re.findall(rf"(?:^|\s)\.{name} {{ (.*?) }}", style) for name in ("up", "down")}
    assert rules == {"up": ["color: var(--up);"], "down": ["color: var(--down);"]}
    for name in ("macros.html", "symbol.html", "accuracy.html"):
        cells = re.findall(r'<td class="([^"]+)">{{ direction\(line\.skill', (TEMPLATES / name).read_text("utf-8"))
        assert cells == ["num strong"], name


@pytest.mark.parametrize(("path", "asked"), [("/s/KO", {}), ("/s/KO?model=ridge", {"model": "ridge"})])
def test_past_accuracy_is_that_of_the_endpoint_and_of_the_rows(visitor, endpoint, decided_home, path, asked):
    told = endpoint.history.accuracy("KO", 1, **asked)
    found = page(visitor, path)
    regimes = {cells[0]: cells for cells in found.rows("Record by regime")}
    for group in (told.overall, *told.regimes):
        cells = regimes[formats.words(group.group)]
        assert cells[1] == f"{group.band.outcomes:,}"
        assert cells[4:7:2] == [formats.percent(group.skill.pinball_loss, 3), _skill(group.skill.skill)]
    quarters = found.rows("Record by quarter")
    assert [(cells[0], cells[1]) for cells in quarters] == [
        (group.group, f"{group.band.outcomes:,}") for group in told.quarters
    ]
    is_meant = (pl.col("symbol") == "KO") & (pl.col("horizon_sessions") == 1)
    is_meant &= pl.col("kind").eq("replay") & pl.col("model_name").eq("ridge") if asked else pl.col("kind").ne("replay")
    rows = decided_home.lake.read(FORECASTS, where=is_meant)
    matured = rows.join(decided_home.lake.read(OUTCOMES).drop("event_time"), on="forecast_id").sort("event_time")
    points = found.rows("Medians and outcomes, the newest first")
    assert [cells[2:5] for cells in reversed(points)] == [
        [
            formats.signed(row["p50"], 2),
            formats.signed(row["realised_return"], 2),
            "inside" if row["is_covered"] else "outside",
        ]
        for row in matured.iter_rows(named=True)
    ]
    assert f"{matured['is_covered'].sum()} of {matured.height} outcomes lay within" in found.text(id="scatter")
    (dots,) = found.all("path", class_="dots", d=found.all("path", class_="dots")[0]["d"])
    assert dots["d"].count("M") == matured["is_covered"].sum()
    assert found.all("path", class_="crosses")[0]["d"].count("l") == 2 * (~matured["is_covered"]).sum()


def _skill(value: float | None) -> str:
    mark = {1: "▲ ", -1: "▼ ", 0: "· "}
    text = formats.signed(value)
    return text if value is None else mark[(round(100 * value, 1) > 0) - (round(100 * value, 1) < 0)] + text


def test_records_of_a_model_by_size_are_those_of_the_tables(visitor, decided_home):
    tables, now = history.KnownTables(decided_home.lake), decided_home.clock.now()
    expected = history.records_by_size(tables, 1, now, model="ridge")
    found = page(visitor, "/models/ridge").rows("Matured forecasts by size of the company")
    assert [cells[0] for cells in found] == [each.group for each in expected]
    for cells, each in zip(found, expected, strict=True):
        assert cells[1] == f"{each.band.outcomes:,}"
        losses = [formats.percent(loss, 3) for loss in (each.skill.pinball_loss, each.skill.naive_loss)]
        assert cells[3:6] == [*losses, _skill(each.skill.skill)]


def test_the_badge_of_what_if_is_that_of_the_symbols_page(visitor):
    badges = [page(visitor, path).all(class_="badge")[0] for path in ("/s/KO", "/s/KO/why")]
    assert badges[0]["text"] == badges[1]["text"]
    assert badges[0].get("title") == badges[1].get("title")


def test_the_words_tell_the_record_of_the_badges(visitor, decided_home):
    tables, now = history.KnownTables(decided_home.lake), decided_home.clock.now()
    answered = history.calibration_of(tables, "KO", 1, now).overall.band
    replayed = history.record_in_replay(tables, "KO", 1, now)
    assert answered.is_enough
    assert replayed.is_enough
    facts = {cells[1]: cells[2] for cells in page(visitor, "/s/KO/words").rows("Facts")}
    assert facts["it held"] == f"{100 * answered.held:.1f} %"
    assert facts["in replay its bands would have held"] == f"{100 * replayed.held:.1f} %"
    assert (facts["outcomes counted"], facts["replayed outcomes"]) == (str(answered.outcomes), str(replayed.outcomes))


def test_the_slider_at_the_true_value_returns_the_served_number_bit_for_bit(visitor, endpoint, decided_home):
    is_meant = (pl.col("symbol") == "KO") & (pl.col("horizon_sessions") == 1) & pl.col("kind").eq("served")
    row = decided_home.lake.read(FORECASTS, where=is_meant).sort("made_at").row(-1, named=True)
    read = endpoint.features("KO").features
    name = next(name for name, value in read.items() if value is not None)
    asked = CounterfactualRequest(prediction_id=row["forecast_id"], changes={name: {"by": 0.0}})
    told = endpoint.what_if(asked)
    served = (row["p10"], row["p50"], row["p90"])
    assert (told.changed.p10, told.changed.p50, told.changed.p90) == served
    found = page(visitor, "/s/KO/why")
    ranges = [element for element in found.all("input") if "data-sweep" in element]
    sweeps = json.loads(found.all("script", id="sweeps")[0]["text"])
    for slider in ranges:
        point = sweeps[int(slider["data-sweep"])][int(slider["value"])]
        assert point["median"] == formats.signed(row["p50"], 2)
        assert (point["low"], point["high"]) == (formats.signed(row["p10"]), formats.signed(row["p90"]))
    text = found.text(id="why")
    assert told.engine.name in text
    digests = {code["title"] for code in found.all("code") if len(code.get("title", "")) == 64}
    assert digests == set(told.engine.digests.values())


def test_why_this_strategy_is_the_row_of_selections_with_its_runner_up_and_what_being_wrong_costs(
    visitor, decided_home
):
    now = decided_home.lake.read(REGIMES).sort("event_time").row(-1, named=True)["regime"]
    row = decided_home.lake.read(SELECTIONS, where=pl.col("regime") == now).sort("event_time").row(-1, named=True)
    found = page(visitor, "/strategies")
    section = next(each for each in found.all("section") if "now" in (each.get("class") or "").split())
    text = re.sub(r"\s+", " ", section["text"])
    assert f"ridge, runner-up buy and hold. {row['reason']}" in text
    assert f"{formats.number(row['e_value'], 3)} of 20 needed" in text
    weights = {cells[0]: cells[1] for cells in found.rows(f"Weights in {formats.words(now)}")}
    assert weights == {
        formats.words(name): formats.percent(weight) for name, weight in zip(POOL, row["weights"], strict=True)
    }
    returns = decided_home.lake.read(STRATEGY_RETURNS, where=pl.col("regime") == now)
    wide = returns.pivot("strategy", index="event_time", values="net_return")
    assert wide.height >= 30
    in_force = sum(weight * wide[name] for name, weight in zip(POOL, row["weights"], strict=True))
    cost = 1e4 * (wide["buy_and_hold"] - in_force).mean()
    assert f"{formats.number(cost, 3)} bp a session (" in text
    assert f"n = {wide.height})" in text
    at = wide["event_time"].sort()[20]
    then = page(visitor, f"/strategies?as_of={at:%Y-%m-%d}").text(id="main")
    assert "(n = 21)" in then, "the returns of later sessions were not known"


def test_drift_and_freshness_are_rows_of_the_tables(visitor, decided_home):
    found = page(visitor, "/operations")
    newest = decided_home.lake.read(DRIFT).sort("event_time").row(-1, named=True)
    (cells,) = [cells for cells in found.rows("Findings of drift") if cells[0] == "return_1d" and cells[1] == "level"]
    assert cells[3] == formats.number(newest["statistic"], 3)
    tables = {cells[0]: cells for cells in found.rows("Tables and their freshness")}
    for spec in (FORECASTS, OUTCOMES, SELECTIONS):
        report = decided_home.lake.report(spec)
        assert tables[spec.name][2:5] == [f"{report.rows:,}", str(report.version), formats.instant(report.last)]


def test_scores_of_the_models_are_rows_of_verdicts(visitor, decided_home):
    at = decided_home.clock.now() - timedelta(days=1)
    verdict = {
        "experiment": "e@1", "model": "ridge", "horizon_sessions": 1, "is_baseline": False, "is_constant": False,
        "best_baseline": "naive", "pinball_loss": 0.00432, "seeds": 1, "loss_spread": None, "gain": -0.0123,
        "gain_t": -1.25, "p_value": 0.75, "folds_won": 1, "folds": 3, "beats_best_baseline": False, "hit_rate": 0.51,
        "base_rate": 0.5, "event_time": at, "known_time": at,
    }  # fmt: skip
    decided_home.lake.merge(VERDICTS, pl.DataFrame([verdict], schema=VERDICTS.schema))
    (cells,) = [cells for cells in page(visitor, "/models").rows("Walk-forward scores") if cells[0] == "ridge"]
    assert cells[3:9] == ["0.432 %", "▼ −1.23 %", "naive", "−1.25", "0.75", "does not beat it"]
    with_record = {cells[0]: cells for cells in page(visitor, "/models").rows("Matured forecasts by model")}
    rows = decided_home.lake.read(FORECASTS, where=pl.col("horizon_sessions") == 1)
    matured = rows.join(decided_home.lake.read(OUTCOMES).select("forecast_id"), on="forecast_id")
    assert with_record["ridge"][1] == f"{matured.filter(model_name='ridge').height:,}"
