"""Tokens: only what this home signed for this service opens anything, and only while its key does."""

import base64
import hashlib
import hmac
import json
import time
import uuid
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from hypothesis import given
from hypothesis import strategies as st
from jwt.algorithms import RSAAlgorithm

from lake.errors import ConfigError
from lake.settings import Settings
from lake.store import Lake
from lake.tables import AUDIT
from serving.access import KEY_REFRESH_SECONDS, keys, signing
from serving.access.keyring import KeyRing
from serving.access.tokens import TokenReader, issue
from support.waiting import VirtualClock


@pytest.fixture
def key(settings):
    return keys.create(settings, "desk", "predict", "standard", by="tests")[0]


@pytest.fixture
def reader(settings) -> TokenReader:
    signing.current(settings)
    return TokenReader(settings, KeyRing(settings))


def claims(key, **changes):
    now = int(time.time())
    said = {"iss": "quantlake", "aud": "quantlake", "sub": key.id, "jti": uuid.uuid4().hex}
    said |= {"iat": now, "nbf": now, "exp": now + 600, "role": key.role, "tier": key.tier}
    return {name: value for name, value in (said | changes).items() if value is not None}


def signed(settings, said, headers=None):
    pair = signing.current(settings)
    return jwt.encode(said, pair.private, "RS256", headers={"kid": pair.kid, **(headers or {})})


def part(value):
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")


def test_a_token_stands_for_its_key(settings, key, reader):
    before = int(time.time())
    token = issue(settings, key.caller())
    caller = reader.find(token)
    assert (caller.key_id, caller.role, caller.tier, caller.via) == (key.id, "predict", "standard", "token")
    assert caller.who == key.who
    assert before + 3_600 <= caller.expires_at <= time.time() + 3_600
    said = jwt.decode(token, options={"verify_signature": False})
    assert said["exp"] - said["iat"] == 3_600
    assert set(said) == {"iss", "aud", "sub", "iat", "nbf", "exp", "jti", "role", "tier"}


def test_a_token_can_be_checked_with_the_published_keys(settings, key, reader):
    token = issue(settings, key.caller())
    published = jwt.PyJWKSet.from_dict(reader.key_set())
    public = published[jwt.get_unverified_header(token)["kid"]]
    assert jwt.decode(token, public, audience="quantlake", issuer="quantlake")["sub"] == key.id
    assert all(set(one) == {"kty", "use", "alg", "kid", "n", "e"} for one in reader.key_set()["keys"])


def forgeries(settings, key):
    """Tokens that must not open anything, by what is wrong with them."""
    pair, now, good = signing.current(settings), int(time.time()), claims(key)
    other = rsa.generate_private_key(public_exponent=65_537, key_size=2_048)
    public_pem = (
        RSAAlgorithm.from_jwk(pair.public)
        .public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
        .decode()
    )
    token = signed(settings, good)
    head, body, signature = token.split(".")
    return {
        "alg none": jwt.encode(good, None, "none", headers={"kid": pair.kid}),
        "alg None in odd case": f"{part({'alg': 'nOnE', 'typ': 'JWT', 'kid': pair.kid})}.{body}.",
        "HS256 with the public key": hs256(good, public_pem, pair.kid),
        "HS256 with the modulus": hs256(good, pair.public["n"], pair.kid),
        "PS256 of the same pair": jwt.encode(good, pair.private, "PS256", headers={"kid": pair.kid}),
        "RS512 of the same pair": jwt.encode(good, pair.private, "RS512", headers={"kid": pair.kid}),
        "another pair under our name": jwt.encode(good, other, "RS256", headers={"kid": pair.kid}),
        "unknown kid": jwt.encode(good, pair.private, "RS256", headers={"kid": "other"}),
        "no kid": jwt.encode(good, pair.private, "RS256"),
        "kid that is no text": f"{part({'alg': 'RS256', 'kid': 7})}.{body}.{signature}",
        "a key of its own in the head": jwt.encode(
            good, other, "RS256", headers={"jwk": RSAAlgorithm.to_jwk(other.public_key(), as_dict=True), "kid": "x"}
        ),
        "an address of keys in the head": jwt.encode(
            good, other, "RS256", headers={"jku": "https://keys.example/jwks.json", "kid": pair.kid}
        ),
        "an unknown critical field": signed(settings, good, {"crit": ["odd"], "odd": True}),
        "expired": signed(settings, claims(key, iat=now - 7_200, nbf=now - 7_200, exp=now - 1)),
        "not begun": signed(settings, claims(key, nbf=now + 600)),
        "made in the future": signed(settings, claims(key, iat=now + 600)),
        "wrong audience": signed(settings, claims(key, aud="elsewhere")),
        "ours among other audiences": signed(settings, claims(key, aud=["elsewhere", "quantlake"])),
        "wrong issuer": signed(settings, claims(key, iss="elsewhere")),
        **{f"no {name}": signed(settings, claims(key, **{name: None})) for name in ("iss", "aud", "sub", "iat")},
        **{f"no {name}": signed(settings, claims(key, **{name: None})) for name in ("nbf", "exp", "jti")},
        "unknown key": signed(settings, claims(key, sub="nobody")),
        "expiry that is no number": f"{head}.{part(good | {'exp': 'never'})}.{signature}",
        "body changed": f"{head}.{part(good | {'role': 'operator'})}.{signature}",
        "signature cut": token[:-4],
        "signature of another": f"{head}.{body}.{signed(settings, claims(key)).split('.')[2]}",
        "no signature": f"{head}.{body}.",
        "two parts": f"{head}.{body}",
        "empty": "",
        "no token": "not a token",
        "not ASCII": "é.é.é",
        "too long": token + "A" * 5_000,
        "deeply nested": f"{part({'alg': 'RS256', 'kid': pair.kid})}.{'W' * 3_000}.{signature}",
    }


def hs256(said, secret, kid):
    """A token signed with a public text as if it were a secret; libraries refuse to make it."""
    text = f"{part({'alg': 'HS256', 'typ': 'JWT', 'kid': kid})}.{part(said)}"
    mac = hmac.new(secret.encode(), text.encode(), hashlib.sha256).digest()
    return f"{text}.{base64.urlsafe_b64encode(mac).decode().rstrip('=')}"


def test_no_forgery_opens_anything(settings, key, reader):
    assert reader.find(signed(settings, claims(key))) is not None
    found = {name: reader.find(token) for name, token in forgeries(settings, key).items()}
    assert len(found) > 30
    assert {name for name, caller in found.items() if caller is not None} == set()


def test_a_token_in_its_cache_ends_when_it_should(settings, key, reader, monkeypatch):
    ends = int(time.time()) + 600
    token = signed(settings, claims(key, exp=ends))
    assert reader.find(token) is not None
    for now, is_open in ((ends - 1, True), (ends, False), (ends + 1, False)):
        monkeypatch.setattr("serving.access.tokens.time", SimpleNamespace(time=lambda now=now: now))
        assert (reader.find(token) is not None) is is_open


def test_a_token_ends_with_its_key(settings, key, reader, monkeypatch):
    clock = VirtualClock()
    monkeypatch.setattr("serving.access.watched.time", clock)
    token = issue(settings, key.caller())
    assert reader.find(token) is not None
    keys.revoke(settings, key.id, by="tests")
    clock.move(KEY_REFRESH_SECONDS)
    assert reader.find(token) is None
    assert TokenReader(settings, KeyRing(settings)).find(token) is None


def test_a_token_of_a_key_that_ends_sooner_ends_with_it(settings, reader):
    ends = datetime.now(UTC) + timedelta(seconds=90)
    short, _ = keys.create(settings, "short", "read", "free", by="tests", expires_at=ends)
    assert reader.find(issue(settings, short.caller())).expires_at <= ends.timestamp()


def test_a_role_in_a_token_gives_nothing(settings, key, reader):
    assert reader.find(signed(settings, claims(key, role="operator", tier="unlimited"))).role == "predict"


def test_after_a_rotation_old_tokens_go_on_and_new_ones_are_signed_anew(settings, key, reader):
    before = issue(settings, key.caller())
    assert reader.find(before) is not None
    old = signing.current(settings).kid
    made = signing.rotate(settings, by="tests")
    after = issue(settings, key.caller())
    assert jwt.get_unverified_header(after)["kid"] == made.kid != old
    assert reader.find(before) is not None
    assert reader.find(after) is not None, "another worker's new key is taken up at once"
    assert {one["kid"] for one in reader.key_set()["keys"]} == {old, made.kid}
    assert [pair.private is None for pair in signing.held(settings)] == [True, False]


def test_a_retired_key_goes_when_its_tokens_have_ended(settings):
    first = signing.current(settings)
    signing.rotate(settings, by="tests")
    retired = signing.held(settings)[0]
    assert retired.kid == first.kid
    last_token_ends = retired.retired_at + timedelta(seconds=signing.TOKEN_SECONDS)
    assert retired.checks(last_token_ends)
    later = last_token_ends + timedelta(minutes=2)
    assert not retired.checks(later)
    assert first.kid not in {one["kid"] for one in signing.key_set(signing.held(settings), later)["keys"]}


def test_rotations_are_in_the_audit_trail(settings):
    made = signing.rotate(settings, by="tests")
    row = Lake.open(settings).read(AUDIT).to_dicts()[0]
    assert (row["what"], json.loads(row["details"])) == ("signing_key.rotate", {"kid": made.kid})


def test_the_private_half_is_for_its_owner_only(settings):
    signing.current(settings)
    path = signing.signing_path(settings)
    assert path.stat().st_mode & 0o777 == 0o600
    path.chmod(0o640)
    with pytest.raises(ConfigError, match="chmod 600"):
        signing.current(settings)


def test_signing_keys_that_cannot_be_read_take_no_token(settings, key, reader):
    token = issue(settings, key.caller())
    signing.signing_path(settings).write_text("{")
    assert TokenReader(settings, KeyRing(settings)).find(token) is None
    with pytest.raises(ConfigError, match="clients ask for new tokens"):
        signing.held(settings)


@pytest.fixture(scope="module")
def fixed(tmp_path_factory):
    settings = Settings(home=tmp_path_factory.mktemp("fixed") / "home")
    key, _ = keys.create(settings, "desk", "predict", "standard", by="tests")
    return issue(settings, key.caller()), TokenReader(settings, KeyRing(settings))


@given(place=st.integers(0, 2_000), letter=st.sampled_from("ABCabc019-_."))
def test_a_token_with_one_letter_changed_opens_nothing(fixed, place, letter):
    token, reader = fixed
    place %= len(token)
    changed = token[:place] + letter + token[place + 1 :]
    # The last letter of base64 carries bits that no byte uses, so another letter can spell the same signature.
    same = [base64.urlsafe_b64decode(t.rsplit(".", 1)[1] + "==") for t in (token, changed) if t.count(".") == 2]
    spells_the_same = len(same) == 2 and same[0] == same[1] and token.rsplit(".", 1)[0] == changed.rsplit(".", 1)[0]
    assert (reader.find(changed) is not None) == spells_the_same
