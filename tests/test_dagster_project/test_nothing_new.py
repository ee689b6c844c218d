"""A run that finds nothing new starts no service, and says in a few lines what is there."""

from contextlib import nullcontext
from pathlib import Path

import pytest
from rich.console import Console

from dagster_project.commands.run import SERVED_FROM, bring_up
from dagster_project.definitions import defs
from lake.settings import Settings


class ServiceStartedError(Exception):
    """The forecast service was started."""


@pytest.fixture
def brought_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Return a function that brings a home up by a run which made some assets."""

    def start(_settings: Settings) -> None:
        raise ServiceStartedError

    monkeypatch.setattr("dagster_project.commands.run.compile_missing_kernels", lambda _: None)
    monkeypatch.setattr("feature_repo.online.redis_server.running_redis", lambda _: nullcontext())
    monkeypatch.setattr("dagster_project.servers.forecast_service", start)
    monkeypatch.setattr("dagster_project.runs.run_selection", lambda *_: None)

    def bring(*made: str) -> tuple[dict[str, int], object]:
        monkeypatch.setattr("dagster_project.runs.made_by", lambda _: dict.fromkeys(made, 1))
        return bring_up(Settings(home=tmp_path / "home"), Console(quiet=True), is_first=False)

    return bring


def test_answers_of_the_service_that_were_brought_in_are_nothing_new_to_serve(brought_up) -> None:
    made, answers = brought_up("forecasts", "outcomes", "replayed_forecasts", "feature_parity")
    assert answers is None
    assert list(made) == ["forecasts", "outcomes", "replayed_forecasts", "feature_parity"]


@pytest.mark.parametrize("made", sorted(SERVED_FROM))
def test_the_service_is_asked_where_it_answers_from_something_new(brought_up, made: str) -> None:
    with pytest.raises(ServiceStartedError):
        brought_up("forecasts", made)


def test_what_the_service_answers_from_is_in_the_graph() -> None:
    assets = {key.to_user_string() for key in defs.resolve_asset_graph().get_all_asset_keys()}
    assert assets >= SERVED_FROM
