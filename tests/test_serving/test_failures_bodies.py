"""Whatever comes in the place of a question is refused with a 4xx that says why: never answered, never a 5xx."""

import json
import random
from collections import Counter

import pytest

from lake.settings import Settings
from serving.api import Problem
from serving.web.app import build_app
from support.clients import client_of

PREDICT, BATCH = "/api/v1/public/predict", "/api/v1/public/predict/batch"
JSON = "application/json"
SEED = 20_121_231
GOOD = {
    PREDICT: b'{"symbol":"AAPL","horizon_sessions":1}',
    BATCH: b'{"symbols":["AAPL","IBM"],"horizon_sessions":1}',
}
NUMBERS = [
    "NaN", "Infinity", "-Infinity", "nan", "inf", "1e999", "-1e999", "1e400", "1.0", "1.5", "1e0", "-1", "0", "-0",
    "01", "+1", "0x1", "1_0", ".5", "5.", "9" * 19, "9" * 400, "9" * 5_000, "-" + "9" * 5_000, "1" + "0" * 100_000,
    "1e", "--1",
]  # fmt: skip
VALUES = ["null", "true", "false", '"1"', '""', "[]", "{}", "[1]", '{"a":1}', "[[[[1]]]]", "undefined", "None"]
NAMES = [
    *NUMBERS, *VALUES, '"' + "A" * 33 + '"', '"' + "A" * 100_000 + '"', '"\\u0000"', '"\\ud800"', '"\\udfff\\ud800"',
    '"AAPL\\u0000"', '" AAPL"', '"AAPL "', '"aapl"', '"../../etc/passwd"', "\"' OR 1=1 --\"", '"{{7*7}}"', '"%s%n"',
    '"\\u202eLPAA"', '"AAPL\\nIBM"', '"\u0410APL"', "'AAPL'", '["AAPL"]', '"AAPL', '"\\x41"', '"\t"',
]  # fmt: skip
TYPES = [
    "text/plain", "text/html", "application/xml", "application/x-www-form-urlencoded", "application/octet-stream",
    "multipart/form-data; boundary=x", "application/jsonp", "json", "", "application", "application/json-seq",
]  # fmt: skip


def odd_values():
    """Every field, with everything that it is not."""
    for value in [*NUMBERS, *VALUES]:
        yield PREDICT, JSON, f'{{"symbol":"AAPL","horizon_sessions":{value}}}'.encode()
        yield BATCH, JSON, f'{{"symbols":["AAPL"],"horizon_sessions":{value}}}'.encode()
    for value in NAMES:
        yield PREDICT, JSON, f'{{"symbol":{value},"horizon_sessions":1}}'.encode()
        yield BATCH, JSON, f'{{"symbols":["IBM",{value}],"horizon_sessions":1}}'.encode()


def odd_documents():
    """What is no object, or one with other members, or one that is too deep."""
    for value in [
        *VALUES,
        "1",
        '"AAPL"',
        "NaN",
        "{",
        "}",
        "[",
        "]",
        ",",
        ":",
        '"',
        " ",
        "\n",
        "",
        "{}{}",
        "\0",
        "//",
        "<a/>",
    ]:
        yield from ((path, JSON, value.encode()) for path in GOOD)
    for depth in (200, 2_000, 20_000, 100_000):
        for opening, closing in ((b"[", b"]"), (b'{"a":', b"}"), (b'{"symbol":', b"}"), (b'[{"symbol":', b"}]")):
            yield PREDICT, JSON, opening * depth
            yield BATCH, JSON, (opening * depth + b"1" + closing * depth)[:250_000]
    for path, good in GOOD.items():
        first, second = good[1:-1].rsplit(b",", 1)
        for twice in (first, second, b'"horizon_sessions":5', b'"symbol\\u0073":["GE"]', b'"\\u0073ymbol":"GE"'):
            if twice != (b'"\\u0073ymbol":"GE"' if path == BATCH else b'"symbol\\u0073":["GE"]'):
                yield path, JSON, b"{" + first + b"," + second + b"," + twice + b"}"
        for extra in (
            b'"a":1',
            b'"":1',
            b'"__proto__":{}',
            b'"symbol ":"GE"',
            b'"SYMBOL":"GE"',
            b'"a":' + b"[" * 900 + b"]" * 900,
        ):
            yield path, JSON, good[:-1] + b"," + extra + b"}"
        yield from ((path, JSON, b"{" + part + b"}") for part in (first, second, first + b",", second + b","))
        yield path, JSON, b"{" + b",".join(b'"k%d":1' % n for n in range(20_000)) + b"}"
        yield path, JSON, good + b" " * 300_000
        yield path, JSON, good[:-1] + b" " * 2_097_152 + b"}"
        yield path, JSON, good + good


def odd_encodings():
    """JSON as it is not sent between strangers."""
    for path, good in GOOD.items():
        text = good.decode()
        for encoding in (
            "utf-8-sig",
            "utf-16",
            "utf-16-le",
            "utf-16-be",
            "utf-32",
            "utf-32-le",
            "utf-32-be",
            "utf-7",
            "cp037",
        ):
            if encoding != "utf-7":
                yield path, JSON, text.encode(encoding)
        for name in (
            b"\xff",
            b"\xc3\x28",
            b"\xed\xa0\x80",
            b"\xf4\x90\x80\x80",
            b"\xc0\xaf",
            b"\xe2\x82",
            b"\xf0\x28\x8c\xbc",
            b"\x80",
        ):
            yield path, JSON, good.replace(b"AAPL", name)
        yield from ((path, kind, good) for kind in TYPES)


def odd_damage(random):
    """A good question cut off, or with a byte put into it that may stand nowhere."""
    for path, good in GOOD.items():
        for _ in range(40):
            yield path, JSON, good[: random.randrange(len(good))]
            at, byte = (
                random.randrange(len(good) + 1),
                random.choice([*range(9), *range(14, 32), *range(0x80, 0xC0), 0xFF]),
            )
            yield path, JSON, good[:at] + bytes([byte]) + good[at:]
            at = random.randrange(1, len(good))
            yield path, JSON, good[at:] + good[:at]
            yield path, JSON, random.randbytes(random.randrange(1, 400))


def odd_bodies():
    seeded = random.Random(SEED)
    found = [*odd_values(), *odd_documents(), *odd_encodings(), *odd_damage(seeded)]
    return [body for body in dict.fromkeys(found) if body[2] not in {GOOD[PREDICT], GOOD[BATCH]} or body[1] != JSON]


@pytest.fixture(scope="module")
def predictor(predicting, tmp_path_factory):
    with predicting(Settings(home=tmp_path_factory.mktemp("odd"))) as made:
        yield made


@pytest.fixture(scope="module")
def client(predictor):
    with client_of(build_app(predictor)) as opened:
        yield opened


def ask(client, path, kind, body):
    return client.post(path, content=body, headers={"content-type": kind} if kind else {})


def test_more_than_500_odd_bodies_are_each_refused_with_a_clear_4xx(client, predictor):
    bodies = odd_bodies()
    statuses, wrong = Counter(), []
    for path, kind, body in bodies:
        answer = ask(client, path, kind, body)
        statuses[answer.status_code] += 1
        said = answer.json() if answer.headers["content-type"] == "application/problem+json" else {}
        is_clear = said and Problem.model_validate(said).status == answer.status_code
        if not 400 <= answer.status_code < 500 or not is_clear or not said["detail"] or not said["hint"]:
            wrong.append((answer.status_code, path, kind, body[:80], answer.text[:200]))
    assert not wrong, f"{len(wrong)} of {len(bodies)}: {wrong[:5]}"
    assert len(bodies) >= 500
    assert sum(statuses.values()) == len(bodies)
    assert predictor.logged.count() == 0
    for path, good in GOOD.items():
        assert ask(client, path, JSON, good).status_code == 200, "an odd body has left something behind"


def test_what_is_only_written_in_another_way_is_answered(client):
    """The other side of it: what JSON allows is no reason to refuse."""
    ways = [
        b' { "horizon_sessions" : 1 , "symbol" : "AAPL" } \r\n',
        b'{"symb\\u006fl":"AAPL","horizon_sessions":1}',
        b'{"symbol":"\\u0041APL","horizon_sessions":1}',
        json.dumps({"symbol": "AAPL", "horizon_sessions": 1}, indent=4).encode(),
    ]
    answers = [ask(client, PREDICT, JSON, way) for way in ways]
    answers += [ask(client, PREDICT, kind, GOOD[PREDICT]) for kind in (f"{JSON}; charset=utf-8", "Application/JSON")]
    assert [answer.status_code for answer in answers] == [200] * 6


def test_without_the_check_a_key_that_is_there_twice_is_answered(client, monkeypatch):
    """The mutant."""
    monkeypatch.setattr("serving.web.routes.forecasts.oddity_of", lambda _: "")
    assert ask(client, PREDICT, JSON, b'{"symbol":"AAPL","symbol":"IBM","horizon_sessions":1}').status_code == 200
