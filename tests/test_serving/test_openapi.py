"""The description of the endpoint holds: every status is stated, and every example is a real one that still works."""

import json
import re
from contextlib import suppress

import pytest
from jsonschema import Draft202012Validator

from serving.access import local_key
from serving.access.policy import RULES
from serving.api.problem_kinds import KINDS
from serving.predict import Predictor
from serving.web.app import build_app
from serving.web.http.document import PAGE, api_page
from serving.web.http.examples import PUBLIC, QUESTIONS, ask_all, examples, shortened
from serving.web.http.problems import MEDIA_TYPE
from serving.web.routes.streams import PATH
from support.clients import client_of


@pytest.fixture(scope="module")
def predictor(copy_home, tmp_path_factory):
    """A predictor of a home whose tables and log belong together, as an explanation needs them."""
    made = Predictor.open(copy_home(tmp_path_factory.mktemp("described") / "home").settings)
    yield made
    made.close()


@pytest.fixture(scope="module")
def app(predictor):
    return build_app(predictor)


@pytest.fixture(scope="module")
def client(app):
    return client_of(app)


@pytest.fixture(scope="module")
def schema():
    return build_app().openapi()


def operations(schema):
    return [(path, method, said) for path, by_method in schema["paths"].items() for method, said in by_method.items()]


def validate(schema, content, value):
    Draft202012Validator({**content["schema"], "components": schema["components"]}).validate(value)


def test_every_declared_route_is_described_and_the_other_way_round(schema):
    described = {(method.upper(), path) for path, method, _ in operations(schema)}
    declared = {(rule.method, rule.path) for rule in RULES if rule.method != "WEBSOCKET"}
    assert described <= declared
    assert {path.split("/")[1] for _, path in declared - described} == {
        "docs", "redoc", "openapi.json", "static-offline-docs",
    }  # fmt: skip


def test_every_route_states_what_can_happen_with_a_problem_document(schema):
    for path, _, said in operations(schema):
        stated = set(said["responses"])
        assert "500" in stated
        assert "security" not in said or {"401", "403", "429", "503"} <= stated
        assert "requestBody" not in said or {"413", "415", "422"} <= stated
        assert "{" not in path or "404" in stated
        for status, answer in said["responses"].items():
            if int(status) >= 400:
                assert set(answer["content"]) == {MEDIA_TYPE}
                for example in answer["content"][MEDIA_TYPE]["examples"].values():
                    validate(schema, answer["content"][MEDIA_TYPE], example["value"])
                    assert example["value"]["status"] == int(status)


def test_a_route_is_listed_by_what_it_does_and_not_by_the_name_of_its_function(schema):
    said = {path: operation["summary"] for path, _, operation in operations(schema)}
    assert said["/healthz"] == "Say that the process answers"
    assert said[f"{PUBLIC}/predictions/{{prediction_id}}"] == "Return an earlier answer, byte for byte as it was sent"
    assert not {path: text for path, text in said.items() if text.istitle()}


def test_the_schema_names_every_route_and_refusal(schema):
    paths = schema["paths"]
    assert {
        f"{PUBLIC}/predict",
        f"{PUBLIC}/predict/batch",
        "/api/v1/public/predictions/{prediction_id}",
        "/api/v1/public/models/status",
    } <= set(paths)
    assert {"/api/v1/public/symbols", "/healthz", "/readyz", "/metrics"} <= set(paths)
    assert {"200", "404", "409", "422", "503"} <= set(paths[f"{PUBLIC}/predict"]["post"]["responses"])


def test_it_says_how_to_show_a_key(schema):
    schemes = schema["components"]["securitySchemes"]
    assert schemes["key"] | {"description": ""} == {
        "type": "apiKey", "in": "header", "name": "X-API-Key", "description": "",
    }  # fmt: skip
    assert (schemes["bearer"]["scheme"], schemes["bearer"]["bearerFormat"]) == ("bearer", "JWT")
    assert schema["paths"]["/api/v1/public/predict"]["post"]["security"] == [{"key": []}, {"bearer": []}]
    assert "security" not in schema["paths"]["/healthz"]["get"]


def test_the_schema_names_only_what_it_defines(schema):
    named = set(re.findall(r'"#/components/schemas/([^"]+)"', json.dumps(schema)))
    assert named <= set(schema["components"]["schemas"])


@pytest.fixture(scope="module")
def answered(client):
    """Every example, asked of the real application now."""

    def ask(method, path, body):
        answer = client.request(method, path, json=body)
        return answer.status_code, answer.headers, answer.json()

    return ask_all(ask)


@pytest.mark.parametrize("place", range(len(QUESTIONS)), ids=[question.name for question in QUESTIONS])
def test_every_example_still_gets_such_an_answer(schema, answered, place):
    kept, now = examples()[place], answered[place]
    assert (kept.name, kept.route, kept.status) == (now.name, now.route, now.status)
    contents = schema["paths"][now.route][now.method.lower()]["responses"][str(now.status)]["content"].values()
    for content in contents:
        for answer in (kept.answer, now.answer):
            validate(schema, content, answer)
    assert kept.answer.keys() == shortened(now.answer).keys()


def test_the_examples_are_in_the_description(schema):
    shown = schema["paths"]["/api/v1/public/predict"]["post"]
    assert shown["requestBody"]["content"]["application/json"]["example"] == QUESTIONS[0].body
    assert shown["responses"]["200"]["content"]["application/json"]["example"]["symbol"] == "AAPL"
    real = schema["paths"]["/api/v1/public/regime/{symbol}"]["get"]["responses"]["404"]["content"][MEDIA_TYPE]
    assert "APPL" in real["examples"]["unknown-symbol"]["value"]["detail"]


def test_the_page_is_up_to_date():
    assert PAGE.read_text(encoding="utf-8") == api_page(), "run `make docs`"


def test_every_kind_of_problem_has_its_page_and_stands_in_the_docs(client):
    listed = client.get("/problems").json()["problems"]
    assert [said["type"] for said in listed] == [kind.type for kind in KINDS]
    for kind in KINDS:
        said = client.get(kind.type).json()
        assert (said["status"], said["title"], said["meaning"]) == (kind.status, kind.title, kind.meaning)
        assert f"`{kind.type}`" in PAGE.read_text(encoding="utf-8")
    assert client.get("/problems/unknown-symbl").json()["nearest"][0] == "unknown-symbol"


class Heard(Exception):  # noqa: N818 - no error: the example has shown what it is to show
    pass


@pytest.mark.parametrize("place", [0, 1], ids=["client", "stream"])
def test_the_programs_of_the_page_run(app, predictor, served, place):
    program = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)[place]
    predictor.predict(["IBM"], 1)
    printed = []

    def say(*values):
        printed.append(values)
        if place == 1:
            raise Heard

    def hear_something(*_):
        predictor.predict(["AAPL"], 1)

    with served(app) as address:
        where = address.removeprefix("http://")
        program = program.replace("127.0.0.1:3000", where).replace("ql_...", local_key(predictor.logged.configured))
        listening = '        if message["event"]'
        assert place == 0 or listening in program, "without a forecast the program would listen for ever"
        program = program.replace(listening, f"        hear()\n{listening}")
        with suppress(Heard):
            exec(program, {"print": say, "hear": hear_something})
    assert printed[0][0] == "AAPL" if place == 1 else len(printed) == 2
    assert PATH in PAGE.read_text(encoding="utf-8")
