"""The page of risk: what it shows is what the latch, the limits and the tables say, and who may change what."""

import pytest

from lake.settings import Settings
from serving import audit
from serving.access import keys, local_key
from serving.alerting import raise_alerts, read_alerts
from serving.pages.app import build_dashboard
from serving.pages.dashboard import Dashboard
from serving.risk import Scope, read_latch, restrict, resume
from serving.risk.alerts import switch_alerts
from support.dashboard import Page, log_in, log_in_as_owner, visiting

LIMITS = "Limits and how much of each is used"


@pytest.fixture
def home(settings: Settings) -> Settings:
    return settings.model_copy(update={"dashboard_port": 3002})


@pytest.fixture
def visitor(home):
    with visiting(build_dashboard(home, Dashboard.open(home)), home) as client:
        yield client


def page(visitor) -> Page:
    answer = visitor.get("/risk")
    assert answer.status_code == 200, answer.text
    return Page(answer.text)


def send(visitor, path, **fields):
    token = page(visitor).all("input", name="form_token")[0]["value"]
    return visitor.post(path, data={"form_token": token} | fields)


def test_a_home_without_positions_says_so_and_what_to_do(home, visitor):
    log_in_as_owner(visitor, home)
    text = visitor.get("/risk").text
    assert "Nothing yet" in text
    assert "nobody has released trading yet" in text
    assert "delivered nowhere" in text


def test_an_operator_halts_with_a_reason_and_resumes_with_name_reason_and_key(home, visitor):
    resume(home.home, by="A. Reviewer", reason="first start")
    log_in_as_owner(visitor, home)
    assert send(visitor, "/risk/halt", scope="symbol:KO", state="halted", reason="").status_code == 400
    assert send(visitor, "/risk/halt", scope="desk:1", state="halted", reason="x").status_code == 400
    assert read_latch(home.home).restrictions == ()
    reason = '<script>alert("x")</script>'
    assert send(visitor, "/risk/halt", scope="symbol:KO", state="halted", reason=reason).status_code == 303
    assert read_latch(home.home).state_of("", "", "KO") == "halted"
    assert "<script>alert" not in visitor.get("/risk").text
    said = {"scope": "symbol:KO", "name": "A. Reviewer", "reason": "mended"}
    for wrong in ({"key": ""}, {"key": keys.create(home, "o", "operator", "unlimited", by="t")[1]}):
        assert send(visitor, "/risk/resume", **said, **wrong).status_code == 403
    own = local_key(home)
    assert send(visitor, "/risk/resume", **(said | {"name": ""}), key=own).status_code == 400
    assert read_latch(home.home).state_of("", "", "KO") == "halted"
    assert send(visitor, "/risk/resume", **said, key=own).status_code == 303
    assert read_latch(home.home).state_of("", "", "KO") == "active"
    from lake.store import Lake

    rows = audit.newest(Lake.open(home), 9, "risk.")
    assert [row["what"] for row in rows] == ["risk.resume", "risk.halt", "risk.resume"]
    assert rows[-1]["who"].startswith("A. Reviewer (")


def test_a_reader_sees_the_switch_and_changes_nothing(home, visitor):
    resume(home.home, by="A. Reviewer", reason="first start")
    _, text = keys.create(home, "r", "read", "unlimited", by="tests")
    log_in(visitor, text)
    shown = page(visitor)
    assert not [form for form in shown.all("form") if "/risk/" in form.get("action", "")]
    for path in ("/risk/halt", "/risk/resume", "/risk/alerts"):
        assert send(visitor, path, reason="x", name="x", scope="account").status_code == 403
    assert read_latch(home.home).state == "active"


def test_a_form_of_another_page_changes_nothing(home, visitor):
    resume(home.home, by="A. Reviewer", reason="first start")
    log_in_as_owner(visitor, home)
    assert visitor.post("/risk/halt", data={"form_token": "0" * 64, "reason": "x"}).status_code == 403
    assert read_latch(home.home).state == "active"


def test_an_alert_is_taken_over_by_name(home, visitor):
    resume(home.home, by="A. Reviewer", reason="first start")
    restrict(home.home, "halted", by="tests", reason="wrong quotes", scope=Scope("symbol", "KO"))
    raise_alerts(home.home, switch_alerts(read_latch(home.home)))
    (record,) = read_alerts(home.home)
    log_in_as_owner(visitor, home)
    assert "wrong quotes" in visitor.get("/risk").text
    assert send(visitor, "/risk/alerts", alert=record.alert.alert_id, name="").status_code == 400
    assert send(visitor, "/risk/alerts", alert=record.alert.alert_id, name="A. Reviewer").status_code == 303
    assert read_alerts(home.home)[0].acknowledged_by == "A. Reviewer"
