"""Settings: read from the environment once, frozen, and a wrong one says which and why."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import ValidationError

from lake.errors import ConfigError
from lake.settings import FORMER_NAMES, Settings, _warn_of_former_name, settings


@pytest.fixture(autouse=True)
def _fresh() -> Iterator[None]:
    settings.cache_clear()
    yield
    settings.cache_clear()


def test_everything_generated_lies_under_one_absolute_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("QUANTLAKE_HOME", "elsewhere")
    read = settings()
    assert read.home == tmp_path / "elsewhere"
    folders = (read.tables, read.feast, read.redis, read.mlflow, read.models, read.reports, read.dagster)
    assert {folder.parent for folder in folders} == {read.home}
    assert len(set(folders)) == len(folders)


def test_the_usual_names_of_services_are_understood(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REDIS_URL", "redis://10.0.0.1:6379")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://tracking:5000")
    assert settings().redis_url == "redis://10.0.0.1:6379"
    assert settings().tracking_uri == "http://tracking:5000"


def test_without_a_tracking_server_runs_go_to_a_file(tmp_path: Path) -> None:
    assert Settings(home=tmp_path).tracking_uri == f"sqlite:///{tmp_path}/mlflow/mlflow.db"


def test_everything_listens_on_loopback_by_default() -> None:
    assert Settings().host == "127.0.0.1"


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("QUANTLAKE_PORT", "80", r"QUANTLAKE_PORT: Input should be greater than or equal to 1024, got '80'"),
        ("QUANTLAKE_PORT", "web", r"QUANTLAKE_PORT: Input should be a valid integer.*got 'web'"),
        ("QUANTLAKE_ENGINE", "magic", r"QUANTLAKE_ENGINE: Input should be 'onnx' or 'tensorrt', got 'magic'"),
        ("QUANTLAKE_ONLINE_TIMEOUT_MS", "0", r"QUANTLAKE_ONLINE_TIMEOUT_MS: .* got '0'"),
        ("QUANTLAKE_HOME", "data/100%", r"QUANTLAKE_HOME is data/100%.* with % in its name\. Choose another folder\."),
        ("QUANTLAKE_HOME", __file__, r"QUANTLAKE_HOME is .*, which is a file\. Choose a folder"),
        ("REDIS_URL", "http://user:secret@there", r"^REDIS_URL must begin with one of redis://[^@]*$"),
    ],
)
def test_a_wrong_setting_says_which_and_why(
    name: str, value: str, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(ConfigError, match=message):
        settings()


def test_settings_are_frozen() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        Settings().port = 4000  # type: ignore[misc]


def test_the_environment_is_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    first = settings()
    monkeypatch.setenv("QUANTLAKE_PORT", "4000")
    assert settings() is first


@pytest.mark.parametrize(("cores", "workers"), [(1, 1), (2, 2), (16, 2)])
def test_where_there_are_two_cores_two_workers_answer(monkeypatch, cores, workers):
    monkeypatch.delenv("QUANTLAKE_WORKERS")
    monkeypatch.setattr("os.sched_getaffinity", lambda _: set(range(cores)), raising=False)
    assert Settings().workers == workers
    monkeypatch.delattr("os.sched_getaffinity")
    monkeypatch.setattr("os.cpu_count", lambda: cores)
    assert Settings().workers == workers


@pytest.fixture
def unwarned() -> Iterator[None]:
    """A process that has not warned of a former name yet."""
    _warn_of_former_name.cache_clear()
    yield
    _warn_of_former_name.cache_clear()


@pytest.mark.usefixtures("unwarned")
@pytest.mark.parametrize(("former", "name"), FORMER_NAMES.items())
def test_a_former_name_is_read_and_the_present_one_said_once(
    former: str, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    present = f"QUANTLAKE_{name.upper()}"
    monkeypatch.delenv(present, raising=False)
    monkeypatch.setenv(former, "17")
    with pytest.warns(FutureWarning, match=rf"{former} is now called {present}; .* one more release") as warned:
        values = [getattr(Settings(), name) for _ in range(2)]
    assert values == [17, 17]
    assert len(warned) == 1
    assert getattr(Settings(**{name: 5}), name) == 5


@pytest.mark.usefixtures("unwarned")
def test_the_present_name_counts_where_both_are_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for former, name in FORMER_NAMES.items():
        monkeypatch.setenv(former, "17")
        monkeypatch.setenv(f"QUANTLAKE_{name.upper()}", "3")
        assert getattr(Settings(), name) == 3


@pytest.mark.usefixtures("unwarned")
def test_a_wrong_value_under_a_former_name_says_the_present_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QUANTLAKE_REMEMBERED_SYMBOLS", "many")
    monkeypatch.delenv("QUANTLAKE_FORECAST_CACHE_SYMBOLS", raising=False)
    with pytest.raises(ConfigError, match=r"QUANTLAKE_FORECAST_CACHE_SYMBOLS: .* got 'many'"):  # noqa: SIM117
        with pytest.warns(FutureWarning, match="is now called"):
            settings()
