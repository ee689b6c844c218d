"""Every route with every kind of key and token: nobody gets what is not theirs, counted; mutants must fail."""

import base64
import hashlib
import hmac
import json
import os
import signal
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import CancelledError
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import httpx
import jwt
import pytest
import websockets
from cryptography.hazmat.primitives import serialization
from fastapi.testclient import TestClient
from jwt.algorithms import RSAAlgorithm
from starlette.testclient import WebSocketDenialResponse
from websockets.sync.client import connect

from dagster_project.servers.endpoint import forecast_service
from lake.settings import Settings
from serving.access import WEBSOCKET, Policy, Rule, keyring, keys, signing, tokens
from serving.access.policy import RULES
from serving.api import ROLES, Caller
from serving.web.app import build_app
from serving.web.http.authentication import AccessControl
from support.waiting import until

BODIES = {
    "/predict": {"symbol": "AAPL", "horizon_sessions": 1},
    "/predict/batch": {"symbols": ["AAPL"], "horizon_sessions": 1},
    "/recommend": {"symbol": "AAPL", "portfolio_context": {"current_position": 0, "risk_tolerance": "low"}},
    "/explain/prediction": {"prediction_id": "0" * 32},
    "/explain/counterfactual": {"prediction_id": "0" * 32, "sweep": {"features": ["rsi_14"]}},
    "/explain/recommendation": {"recommendation_id": "0" * 32},
    "/models/benchmark": {"seconds": 0.01, "windows": 1},
    "/models/shadow": {"model": "lstm", "version": "1", "share": 0.1},
    "/models/canary": {"model": "lstm", "version": "1", "share": 0.1},
    "/models/rollback": {"model": "lstm"},
    "/watchlist": {"symbols": ["AAPL"]},
    "/watchlist/changes": {"add": ["AAPL"]},
    "/predictions/batch": {"prediction_ids": ["0" * 32]},
    "/alerts": {"version": "4", "alerts": []},
    "/admin/keys": {"name": "matrix", "role": "read"},
    "/admin/keys/revoke": {"key_id": "nobody"},
}
"""What would be answered with 200 if it got through."""
PARAMETERS = {
    "prediction_id": "0" * 32,
    "recommendation_id": "0" * 32,
    "symbol": "AAPL",
    "slug": "unauthenticated",
    "source": "no-source",
    "name": "equal",
    "path:path": "favicon.png",
}
PASSED = 101
"""What counts as the status of a WebSocket that was opened."""


@dataclass(frozen=True)
class Shown:
    """What a request shows: its headers, what it opens, and what stands in for it in the address of a WebSocket."""

    headers: dict[str, str]
    role: str | None
    token: str | None = None


def all_shown(settings: Settings) -> dict[str, Shown]:
    """Every kind of key and token, good and bad; the bad ones belong to an operator."""
    made = {role: keys.create(settings, role, role, "unlimited", by="tests") for role in ROLES}
    operator, text = made["operator"]
    gone, gone_text = keys.create(settings, "gone", "operator", "unlimited", by="tests")
    gone_token = tokens.issue(settings, gone.caller())
    keys.revoke(settings, gone.id, by="tests")
    ended, ended_text = keys.create(
        settings, "ended", "operator", "unlimited", by="tests", expires_at=datetime.now(UTC) + timedelta(seconds=0.5)
    )
    pair, good = signing.current(settings), claims(operator)
    public = RSAAlgorithm.from_jwk(pair.public).public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    past = int(time.time()) - 7_200
    bad_tokens = {
        "expired token": sign(pair, good | {"iat": past, "nbf": past, "exp": past + 3_600}),
        "token not begun": sign(pair, good | {"nbf": int(time.time()) + 600}),
        "alg none": jwt.encode(good, None, "none", headers={"kid": pair.kid}),
        "HS256 with the public key": hs256(good, public, pair.kid),
        "wrong audience": sign(pair, good | {"aud": "elsewhere"}),
        "wrong issuer": sign(pair, good | {"iss": "elsewhere"}),
        "unknown kid": jwt.encode(good, pair.private, "RS256", headers={"kid": "other"}),
        "token of a revoked key": gone_token,
    }
    bad_keys = {
        "bad key": text[:-1] + ("a" if text[-1] != "a" else "b"),
        "revoked key": gone_text,
        "ended key": ended_text,
    }
    until(lambda: not ended.is_in_force(datetime.now(UTC)))
    return {
        "no key": Shown({}, None),
        **{name: Shown(bearer(key), None) for name, key in bad_keys.items()},
        **{name: Shown(bearer(token), None, token) for name, token in bad_tokens.items()},
        "two keys": Shown(bearer(text) | {"x-api-key": made["read"][1]}, None),
        "a key as basic": Shown({"authorization": f"Basic {base64.b64encode(text.encode()).decode()}"}, None),
        **{f"{role} key": Shown({"x-api-key": made[role][1]}, role) for role in ROLES},
        **{f"{role} token": from_token(settings, made[role][0], role) for role in ROLES},
    }


def from_token(settings, key, role):
    token = tokens.issue(settings, key.caller())
    return Shown(bearer(token), role, token)


def claims(key):
    now = int(time.time())
    return {"iss": "quantlake", "aud": "quantlake", "sub": key.id, "jti": "x", "iat": now, "nbf": now, "exp": now + 600}


def bearer(text):
    return {"authorization": f"Bearer {text}"}


def sign(pair, said):
    return jwt.encode(said, pair.private, "RS256", headers={"kid": pair.kid})


def hs256(said, secret, kid):
    """A token signed with a public key as if it were a secret; libraries refuse to make it."""
    parts = [{"alg": "HS256", "typ": "JWT", "kid": kid}, said]
    text = ".".join(base64.urlsafe_b64encode(json.dumps(one).encode()).decode().rstrip("=") for one in parts)
    mac = hmac.new(secret, text.encode(), hashlib.sha256).digest()
    return f"{text}.{base64.urlsafe_b64encode(mac).decode().rstrip('=')}"


Ask = Callable[[Rule, Shown, dict | None], int]


def judge(ask: Ask, shown: dict[str, Shown], *, is_here: bool) -> tuple[Counter, list[str]]:
    """Ask every route with everything; how often which status came, and what should not have been."""
    statuses, wrong = Counter(), []
    for rule in RULES:
        is_open = rule.needs == "open" or (rule.needs == "local" and is_here)
        body = next((body for end, body in BODIES.items() if rule.path.endswith(end)), None)
        for name, one in shown.items():
            may = is_open or (one.role is not None and ROLES.index(one.role) >= ROLES.index(rule.role))
            is_move = rule.needs == "operator" and one.role == "operator"
            status = ask(rule, one, None if is_move else body)  # who may move models sends nothing that moves one
            statuses[status] += 1
            refused = 401 if one.role is None else 403
            if (status in {401, 403}) if may else (status != refused):
                is_token_for_token = rule.path.endswith("/token") and name.endswith("token") and status == 403
                if not is_token_for_token:
                    wrong.append(f"{name}: {rule.method} {rule.path} answered {status}")
    return statuses, wrong


def path_of(rule: Rule) -> str:
    path = rule.path
    for name, value in PARAMETERS.items():
        path = path.replace(f"{{{name}}}", value)
    return path


def in_process(app) -> Ask:
    """Ask an application as if from another machine."""
    client = TestClient(app, "http://127.0.0.1", raise_server_exceptions=False, client=("192.0.2.7", 5))

    def ask(rule, shown, body):
        if rule.method != WEBSOCKET:
            return client.request(rule.method, path_of(rule), headers=shown.headers, json=body).status_code
        try:
            with client.websocket_connect(f"ws://127.0.0.1{path_of(rule)}", headers=shown.headers):
                return PASSED
        except WebSocketDenialResponse as refused:
            return refused.status_code
        except CancelledError:  # the test client's way to end a stream that still listens
            return PASSED

    return ask


@pytest.fixture(scope="module")
def apart(home, tmp_path_factory):
    """The home's models and features, with keys and a log of its own."""
    return home.settings.model_copy(update={"home": tmp_path_factory.mktemp("matrix") / "home"})


@pytest.fixture(scope="module")
def predictor(predicting, apart):
    with predicting(apart) as made:
        yield made


@pytest.fixture(scope="module")
def shown(apart):
    return all_shown(apart)


@pytest.fixture
def say(request):
    """Print one line whether the test passes or not."""
    return request.config.get_terminal_writer().line


def test_in_process_nobody_gets_what_is_not_theirs(predictor, shown, say):
    statuses, wrong = judge(in_process(build_app(predictor)), shown, is_here=False)
    say(f"\n{sum(statuses.values())} requests ({len(RULES)} routes x {len(shown)} kinds): {len(wrong)} unexpected")
    assert wrong == []
    assert sum(statuses.values()) == len(RULES) * len(shown) > 400
    assert 500 not in statuses


@pytest.fixture(scope="module")
def mine(copy_home, tmp_path_factory):
    """Settings of a home whose service runs; the Redis is the shared one."""
    return copy_home(tmp_path_factory.mktemp("guarded") / "home", limit_timeout_ms=2_000).settings


@pytest.fixture(scope="module")
def running(mine):
    """The service as a user starts it, and a client without a key."""
    with forecast_service(mine) as (address, _), httpx.Client(base_url=address, timeout=120) as client:
        yield client


def test_nobody_gets_what_is_not_theirs_from_the_running_service(mine, running, say):
    shown, streams = all_shown(mine), f"ws://{running.base_url.netloc.decode()}"

    def ask(rule, one, body):
        if rule.method != WEBSOCKET:
            return running.request(rule.method, path_of(rule), headers=one.headers, json=body).status_code
        opened = [opens(f"{streams}{rule.path}", one.headers)]
        if one.token is not None:
            opened.append(opens(f"{streams}{rule.path}?token={one.token}", {}))
        assert len(set(opened)) == 1, "a token in the address opens what it opens in a header"
        return opened[0]

    statuses, wrong = judge(ask, shown, is_here=True)
    say(f"\nover HTTP: {sum(statuses.values())} requests, {dict(sorted(statuses.items()))}, {len(wrong)} unexpected")
    assert wrong == []
    assert not any(status >= 500 for status in statuses)


def test_a_free_key_gets_its_hundred_answers_and_then_a_reason(mine, running):
    _, text = keys.create(mine, "free", "read", "free", by="tests")
    answers = [running.get("/api/v1/public/symbols", headers=bearer(text)) for _ in range(102)]
    assert [answer.status_code for answer in answers] == [200] * 100 + [429] * 2
    assert [int(answer.headers["ratelimit-remaining"]) for answer in answers] == [*range(99, -1, -1), 0, 0]
    last = answers[-1]
    assert 3_000 < int(last.headers["retry-after"]) <= 3_600
    assert last.headers["content-type"] == "application/problem+json"
    assert last.json()["type"] == "/problems/too-many-requests"


def test_without_redis_operators_are_refused_and_readers_are_told(home, mine, running):
    made = {role: keys.create(mine, role, role, "standard", by="tests")[1] for role in ("read", "operator")}
    made["local"] = keys.local_key(mine)
    pid = int((home.settings.redis / "redis.pid").read_text())
    os.kill(pid, signal.SIGSTOP)
    try:
        said = {name: running.get("/api/v1/public/models/status", headers=bearer(text)) for name, text in made.items()}
    finally:
        os.kill(pid, signal.SIGCONT)
    assert {name: answer.status_code for name, answer in said.items()} == {"read": 200, "operator": 503, "local": 200}
    assert said["read"].headers["ratelimit-scope"] == "local"
    assert said["operator"].json()["type"] == "/problems/limiter-not-available"
    assert said["operator"].headers["retry-after"] == "1"
    assert said["local"].headers["ratelimit-limit"] == "unlimited"


def opens(address, headers):
    try:
        with connect(address, additional_headers=headers, proxy=None):
            return PASSED
    except websockets.InvalidStatus as refused:
        return refused.response.status_code


def unsigned(token, *_, **options):
    return DECODE(token, options={"verify_signature": False})


def for_anyone(token, key, **options):
    options["options"] = options["options"] | {"verify_aud": False}
    return DECODE(token, key, **(options | {"audience": None}))


DECODE = jwt.decode
OPENED = keyring._opened
RULE = Policy.rule


def with_revoked(text):
    return OPENED(None if text is None else json.dumps(without_revocations(json.loads(text))))


def without_revocations(said):
    return said | {"keys": [key | {"revoked_at": None} for key in said["keys"]]}


def symbols_open(policy, method, path):
    found = RULE(policy, method, path)
    return Rule(method, path, "open") if path.endswith("/symbols") else found


MUTANTS = {
    "the signature is not checked": (jwt, "decode", unsigned, "HS256 with the public key"),
    "the audience is not checked": (jwt, "decode", for_anyone, "wrong audience"),
    "revoked keys are let in": (keyring, "_opened", with_revoked, "revoked key"),
    "roles are not compared": (Caller, "may", lambda *_: True, "read key"),
    "a route was declared open by mistake": (Policy, "rule", symbols_open, "no key"),
    "the door is not there": (AccessControl, "__call__", lambda door, *three: door._app(*three), "no key"),
}


@pytest.mark.parametrize("name", MUTANTS)
def test_the_matrix_notices(predictor, shown, monkeypatch, name):
    where, what, mutant, victim = MUTANTS[name]
    monkeypatch.setattr(where, what, mutant)
    one = {victim: shown[victim]}
    _, wrong = judge(in_process(build_app(predictor)), one, is_here=False)
    assert any(line.startswith(victim) for line in wrong)
