"""Settings in force: where each came from, secrets masked, and a misspelt variable refused."""

from collections.abc import Iterator

import pytest

from lake.errors import UnknownNameError
from lake.setting_list import settings_in_force
from lake.settings import Settings, settings, variable_of


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    settings.cache_clear()
    yield
    settings.cache_clear()


def test_every_setting_is_listed_with_its_meaning_and_default() -> None:
    found = settings_in_force()
    assert [each.variable for each in found] == [variable_of(name) for name in Settings.model_fields]
    assert all(each.meaning for each in found)


def test_where_a_value_came_from_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QUANTLAKE_PORT", "3100")
    monkeypatch.setenv("QUANTLAKE_REMEMBERED_SYMBOLS", "7")
    with pytest.warns(FutureWarning):
        found = {each.variable: each for each in settings_in_force()}
    assert (found["QUANTLAKE_PORT"].value, found["QUANTLAKE_PORT"].origin) == (3100, "environment")
    assert (found["QUANTLAKE_UI_PORT"].origin, found["QUANTLAKE_UI_PORT"].default) == ("default", 3001)
    assert found["QUANTLAKE_FORECAST_CACHE_SYMBOLS"].origin == "former name"
    assert (found["QUANTLAKE_SOURCE"].value, found["QUANTLAKE_SOURCE"].origin) == ("packaged", "market")


def test_a_variable_in_small_letters_is_where_its_value_came_from(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("quantlake_port", "3100")
    (port,) = settings_in_force("QUANTLAKE_PORT")
    assert (port.value, port.origin) == (3100, "environment")


def test_no_secret_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    secrets = {
        "FRED_API_KEY": "hunter2", "HTTPS_PROXY": "http://me:hunter2@proxy:8080",
        "REDIS_URL": "redis://:hunter2@10.0.0.1:6379/0", "MLFLOW_TRACKING_URI": "https://me:hunter2@tracking.example",
    }  # fmt: skip
    for name, value in secrets.items():
        monkeypatch.setenv(name, value)
    found = {each.variable: each for each in settings_in_force()}
    assert "hunter2" not in repr(found)
    assert found["FRED_API_KEY"].value == "****"
    assert found["REDIS_URL"].value == "redis://****@10.0.0.1:6379/0"


@pytest.mark.parametrize(
    ("name", "near"), [("QUANTLAKE_WORKRES", "QUANTLAKE_WORKERS"), ("QUANTLAKE_HOM", "QUANTLAKE_HOME")]
)
def test_a_misspelt_variable_is_refused_with_the_nearest(name: str, near: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, "1")
    with pytest.raises(UnknownNameError) as refused:
        settings()
    assert near in refused.value.nearest
    assert refused.value.kind == "setting"


def test_variables_between_processes_and_those_of_others_are_let_through(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("QUANTLAKE_LIFELINE", "QUANTLAKE_UI_LINK", "OTHER_QUANTLAKE_THING", "quantlake_port"):
        monkeypatch.setenv(name, "3100")
    settings()
    names = {each.variable for each in settings_in_force("PORT")}
    assert names == {"QUANTLAKE_PORT"}
