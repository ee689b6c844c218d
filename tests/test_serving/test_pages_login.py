"""Who gets into the dashboard, and how far: sessions, codes, roles and origins, attacked one by one."""

import stat
from collections import defaultdict
from datetime import UTC, datetime, timedelta

import pytest

from lake.settings import Settings
from serving.access import keys
from serving.pages import login_link
from serving.pages.app import build_dashboard
from serving.pages.dashboard import Dashboard
from serving.pages.headers import CONTENT_SECURITY_POLICY, HEADERS
from serving.pages.login import Attempts, LoginSessions, SessionCookie, code_path, issue_code, take_code
from serving.pages.policy import RULES
from serving.pages.routes import ROUTES
from support.browsers import dashboard_process
from support.dashboard import Page, browsing, log_in, log_in_as_owner, visiting
from support.ports import free_port
from support.waiting import VirtualClock, until

FOREIGN = "http://127.0.0.1:4000"
EVERY = [
    (
        rule,
        rule.path.format_map(defaultdict(lambda: "x", symbol="KO", name="ridge"))
        if "path:path" not in rule.path
        else "",
    )
    for rule in RULES
]
PAGES = [(rule, path) for rule, path in EVERY if rule.method == "GET" and path and rule.needs not in {"open", "local"}]


@pytest.fixture
def home(settings: Settings) -> Settings:
    """An empty home: nothing here needs data."""
    return settings.model_copy(update={"dashboard_port": 3002})


@pytest.fixture
def dashboard(home):
    return Dashboard.open(home)


@pytest.fixture
def stranger(home, dashboard):
    with visiting(build_dashboard(home, dashboard), home) as client:
        yield client


def key_of(home, role):
    return keys.create(home, role, role, "unlimited", by="tests")


def test_every_route_is_declared_and_every_rule_has_a_route():
    assert {(rule.method, rule.path) for rule in RULES if "path:path" not in rule.path} == {
        (method, path) for method, path, _ in ROUTES
    }


@pytest.mark.parametrize(("rule", "path"), PAGES, ids=lambda value: str(value)[:40])
def test_a_page_leads_a_stranger_to_the_login(stranger, rule, path):
    answer = stranger.get(path)
    assert (answer.status_code, answer.headers["location"].partition("?")[0]) == (303, "/login")


@pytest.mark.parametrize("role", ["read", "predict", "operator"])
def test_each_role_sees_the_pages_that_it_may_and_no_link_to_the_others(home, stranger, role):
    _, text = key_of(home, role)
    log_in(stranger, text)
    order = ("read", "predict", "operator")
    for rule, path in PAGES:
        is_allowed = order.index(role) >= order.index(rule.needs)
        assert (stranger.get(path).status_code == 403) is not is_allowed, path
    links = {link.get("href", "") for link in Page(stranger.get("/about").text).all("a")}
    assert ("/operations" in links) is (role == "operator")


@pytest.mark.parametrize(("rule", "path"), [*EVERY[:2], *PAGES], ids=lambda value: str(value)[:40])
def test_every_answer_has_the_headers(stranger, home, rule, path):
    answers = [stranger.request(rule.method, path)]
    log_in_as_owner(stranger, home)
    answers += [stranger.request(rule.method, path), stranger.get("/nothing"), stranger.put(path)]
    answers.append(stranger.get("/static/dashboard.css"))
    for answer in answers:
        for name, value in HEADERS:
            assert answer.headers[name.decode()] == value.decode(), (answer.url, answer.status_code)
        assert "cache-control" in answer.headers
    assert "'unsafe" not in CONTENT_SECURITY_POLICY


def test_the_page_of_a_fault_has_the_headers_and_shows_no_reason(home, dashboard, stranger, monkeypatch):
    log_in_as_owner(stranger, home)
    monkeypatch.setattr(Dashboard, "now", lambda _: 1 / 0)
    answer = stranger.get("/")
    assert answer.status_code == 500
    assert answer.headers["content-security-policy"] == CONTENT_SECURITY_POLICY
    assert "division" not in answer.text
    assert answer.headers["x-correlation-id"] in answer.text


def test_a_wrong_key_opens_nothing_and_is_not_shown_again(stranger):
    answer = stranger.post("/login", data={"key": "ql_nobody_secretsecret"})
    assert answer.status_code == 401
    assert "secretsecret" not in answer.text
    assert "set-cookie" not in answer.headers


@pytest.mark.parametrize("how", ["revoked", "expired", "deleted"])
def test_a_key_that_ended_opens_nothing(home, stranger, how):
    ends = datetime.now(UTC) + timedelta(milliseconds=200) if how == "expired" else None
    key, text = keys.create(home, "x", "read", "free", by="tests", expires_at=ends)
    if how == "revoked":
        keys.revoke(home, key.id, by="tests")
    elif how == "deleted":
        keys.forget(home, key.id, by="tests")
    else:
        until(lambda: not key.is_in_force(datetime.now(UTC)))
    assert stranger.post("/login", data={"key": text}).status_code == 401


def test_a_session_ends_with_its_key(home, stranger):
    key, text = key_of(home, "read")
    log_in(stranger, text)
    assert stranger.get("/about").status_code == 200
    keys.revoke(home, key.id, by="tests")
    assert until(lambda: stranger.get("/about").status_code == 303, seconds=10)


def test_a_session_ends_when_it_is_idle_and_after_a_day_whatever_happens(home, dashboard):
    caller = dashboard.access.find(key_of(home, "read")[1])
    clock = VirtualClock()
    sessions = LoginSessions(lambda _: True, clock)
    idle, used = sessions.begin(caller), sessions.begin(caller)
    for _ in range(4):
        clock.move(6 * 3_600 - 1)
        assert sessions.find(used) is not None
        sessions.is_alive(idle)  # as an open stream asks: it is no use of the session
    assert not sessions.is_alive(idle)
    assert sessions.find(idle) is None
    assert sessions.is_alive(used)
    clock.move(5)
    assert not sessions.is_alive(used)
    assert sessions.find(used) is None


def test_sessions_are_kept_as_digests_and_show_no_secret(home, dashboard):
    sessions = LoginSessions(lambda _: True)
    identifier = sessions.begin(dashboard.access.find(key_of(home, "read")[1]))
    assert len(identifier) >= 43
    held = vars(sessions)["_held"]
    assert identifier not in str(held)
    assert next(iter(held.values())).form_token not in repr(held)


def test_an_id_that_a_stranger_chose_is_no_session_after_the_login(home, stranger):
    name = SessionCookie.of(home).name
    stranger.cookies.set(name, "chosen", domain="127.0.0.1")
    log_in_as_owner(stranger, home)
    given = [value for cookie in stranger.cookies.jar if (value := cookie.value) and cookie.name == name]
    assert any(value != "chosen" and len(value) >= 43 for value in given)
    stranger.cookies.clear()
    stranger.cookies.set(name, "chosen", domain="127.0.0.1")
    assert stranger.get("/about").status_code == 303


def test_the_cookie_is_kept_from_scripts_and_other_sites(home, stranger):
    log = stranger.post("/login", data={"key": key_of(home, "read")[1]})
    cookie = log.headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=strict" in cookie
    assert "path=/" in cookie


def test_logging_out_ends_the_session_for_who_kept_its_cookie(home, stranger):
    log_in_as_owner(stranger, home)
    kept = dict(stranger.cookies)
    page = Page(stranger.get("/about").text)
    token = page.all("input", name="form_token")[0]["value"]
    assert stranger.post("/logout", data={"form_token": token}).status_code == 303
    stranger.cookies.update(kept)
    assert stranger.get("/about").status_code == 303


def test_a_form_of_another_session_is_refused(home, stranger):
    log_in_as_owner(stranger, home)
    assert stranger.post("/logout", data={"form_token": "0" * 43}).status_code == 403
    assert stranger.get("/about").status_code == 200


@pytest.mark.parametrize(
    "headers",
    [{"origin": FOREIGN}, {"origin": "null"}, {"origin": "http://127.0.0.1:3002.evil.example"}],
)
def test_a_change_of_another_page_is_refused(home, stranger, headers):
    log_in_as_owner(stranger, home)
    token = Page(stranger.get("/about").text).all("input", name="form_token")[0]["value"]
    assert stranger.post("/logout", data={"form_token": token}, headers=headers).status_code == 403
    assert stranger.post("/login", data={"key": "x"}, headers=headers).status_code == 403
    del stranger.headers["origin"]
    assert stranger.post("/logout", data={"form_token": token}).status_code == 403
    assert stranger.get("/about", headers={"sec-fetch-site": "cross-site"}).status_code == 403
    assert stranger.get("/about").status_code == 200


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1:3000", "127.0.0.1.evil.example:3002", ""])
def test_another_host_is_refused_whoever_asks(home, stranger, host):
    log_in_as_owner(stranger, home)
    assert stranger.get("/about", headers={"host": host}).status_code == 421


def test_the_link_logs_one_browser_in_once(home, stranger):
    link = login_link(home)
    assert stat.S_IMODE(code_path(home).stat().st_mode) == 0o600
    assert link.partition("code=")[2] not in code_path(home).read_text()
    opened = stranger.get(link)
    assert (opened.status_code, opened.headers["location"]) == (303, "/")
    assert stranger.get("/about").status_code == 200
    stranger.cookies.clear()
    assert stranger.get(link).status_code == 401
    assert stranger.get("/about").status_code == 303


def test_a_code_ends_after_a_minute_and_with_the_next_one(home):
    now = [1_000.0]
    code = issue_code(home, lambda: now[0])
    now[0] += 60.0
    assert not take_code(home, code, lambda: now[0])
    first, second = issue_code(home), issue_code(home)
    assert not take_code(home, first)
    assert take_code(home, second)
    assert not take_code(home, second)


def test_attempts_are_counted_whatever_address_a_client_says_is_its_own(home):
    started = home.model_copy(update={"dashboard_port": free_port()})
    with dashboard_process(started), browsing(started) as client:
        tried = [
            client.post("/login", data={"key": "ql_a_b"}, headers={"x-forwarded-for": f"192.0.2.{number}"}).status_code
            for number in range(6)
        ]
    assert tried == [401] * 5 + [429]


def test_five_attempts_a_minute_and_no_more(stranger, home):
    for _ in range(5):
        assert stranger.post("/login", data={"key": "ql_a_b"}).status_code == 401
    assert stranger.post("/login", data={"key": key_of(home, "read")[1]}).status_code == 429
    assert stranger.get(login_link(home)).status_code == 429
    clock = VirtualClock()
    attempts = Attempts(clock)
    assert [attempts.allow("a") for _ in range(6)] == [True] * 5 + [False]
    assert attempts.allow("b")
    clock.move(60.1)
    assert attempts.allow("a")


@pytest.mark.parametrize(
    "address", ["//evil.example", "/\\evil.example", "https://evil.example/", "javascript:alert(1)", "/\r\nx: y"]
)
def test_a_login_leads_to_no_other_site(home, stranger, address):
    answer = stranger.post("/login", data={"key": key_of(home, "read")[1], "next": address})
    assert (answer.status_code, answer.headers["location"]) == (303, "/")
    inside = stranger.post("/login", data={"key": key_of(home, "read")[1], "next": "/s/KO?horizon=5"})
    assert inside.headers["location"] == "/s/KO?horizon=5"
