"""MLflow's application, without what a user of this platform must not reach through it."""

from pathlib import Path

import pytest
from fastapi import FastAPI
from mlflow.server.assistant.api import assistant_router
from starlette.testclient import TestClient

from dagster_project.servers.uis.mlflow_ui import ASSISTANT, WithoutAssistant


def test_the_assistant_that_runs_commands_is_not_served(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)  # the assistant makes a tracking store in the current folder
    app = FastAPI()
    app.include_router(assistant_router)
    app.get("/kept")(lambda: "kept")
    questions = (("GET", "/config"), ("POST", "/message"), ("GET", "/providers"), ("POST", "/skills/install"))

    def statuses(served: object) -> set[int]:
        client = TestClient(served)
        return {client.request(method, ASSISTANT + path).status_code for method, path in questions}

    assert 404 not in statuses(app)
    assert statuses(WithoutAssistant(app)) == {404}
    assert TestClient(WithoutAssistant(app)).get("/kept").json() == "kept"
