"""Which of the latest training's models are put in service, and what is said of the others."""

import json
import shutil
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from lake.clock import FixedClock
from lake.report import Report
from lake.settings import Settings
from lake.store import Lake
from lake.tables import EVALUATIONS, PROMOTIONS, VERDICTS
from serving import stages
from serving.deployment.registry import Registry
from serving.deployment.releases import champion_versions
from serving.engines import BACKGROUND_FILE, SIGNATURE_FILE, Bundle

CLOCK = FixedClock(datetime(2012, 12, 31, 21, tzinfo=UTC))
LABEL = "test@aaaaaaaaaaaa"


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One migrated tracking database: making one takes seconds, copying it none."""
    settings = Settings(home=tmp_path_factory.mktemp("registry"))
    Registry(settings)
    return settings.mlflow


@pytest.fixture
def settings(tmp_path: Path, registry: Path) -> Settings:
    shutil.copytree(registry, tmp_path / "mlflow")
    return Settings(home=tmp_path, mlflow_tracking_uri=f"sqlite:///{tmp_path / 'mlflow' / 'mlflow.db'}")


def verdict(model: str, horizon: int, *, beats: bool) -> dict[str, Any]:
    return {
        "experiment": LABEL,
        "model": model,
        "horizon_sessions": horizon,
        "is_baseline": model == "naive",
        "is_constant": False,
        "best_baseline": "garch",
        "pinball_loss": 0.0048,
        "seeds": 1,
        "loss_spread": None,
        "gain": 0.004 if beats else -0.004,
        "gain_t": None,
        "p_value": None if model == "naive" else 0.001 if beats else 1.0,
        "folds_won": 3,
        "folds": 3,
        "beats_best_baseline": beats,
        "hit_rate": None,
        "base_rate": 0.54,
        "event_time": CLOCK.now(),
        "known_time": CLOCK.now(),
    }


def promote(
    settings: Settings, exports: dict[str, Bundle], monkeypatch: pytest.MonkeyPatch, *, constant: tuple[str, ...] = ()
) -> tuple[Report, list[str]]:
    """Put the models of a training in service whose exports lie there already."""
    lake, said = Lake.open(settings), []
    verdicts = [verdict(name, h, beats=name == "lstm" and h == 1) for name in exports for h in (1, 5)]
    lake.merge(VERDICTS, pl.DataFrame(verdicts, schema=VERDICTS.schema))
    scores = {name: 0.0123 for name, dtype in EVALUATIONS.schema.items() if dtype == pl.Float64}
    scores |= {"experiment": LABEL, "fold": "overall", "horizon_sessions": 1, "rows": 9, "beats_naive": False}
    scores |= {"event_time": CLOCK.now(), "known_time": CLOCK.now()}
    lake.merge(EVALUATIONS, pl.DataFrame([scores | {"model": name} for name in exports], schema=EVALUATIONS.schema))
    fitted = {
        name: {
            "fingerprint": "a" * 64,
            "run_id": "run",
            "experiment": LABEL,
            "is_constant": name in constant,
            "variation": "median 0.0002, width 0.0003, skew 0.0001",
        }
        for name in exports
    }
    for name, bundle in exports.items():
        folder = settings.models / "exports" / ("a" * 16) / name
        if not folder.exists():
            shutil.copytree(bundle.folder, folder)
    monkeypatch.setattr("training.stages.champions", lambda _: fitted)
    monkeypatch.setattr(stages, "pin", lambda *_: None)  # the table versions of the exports are another lake's
    return stages.promote_champions(lake, settings, CLOCK, None, said.append), said


def test_a_fit_that_does_not_vary_is_not_put_in_service(
    settings: Settings, exports: dict[str, Bundle], monkeypatch: pytest.MonkeyPatch
) -> None:
    report, said = promote(settings, exports, monkeypatch, constant=("lstm",))
    assert set(champion_versions(settings)) == {"naive", "ridge"}
    (warning,) = [one for one in report.warnings if one.startswith("lstm")]
    assert warning in said
    assert "median 0.0002, width 0.0003, skew 0.0001; expected one of 0.005 at least" in warning
    assert "No version of 'lstm' is in service" in warning
    assert "parameters.lstm.learning_rate" in warning
    assert [row["model"] for row in report.details["models"]] == ["naive", "ridge"]


def test_the_version_in_service_before_stays_where_the_new_fit_does_not_vary(
    settings: Settings, exports: dict[str, Bundle], monkeypatch: pytest.MonkeyPatch
) -> None:
    promote(settings, exports, monkeypatch)
    before = champion_versions(settings)
    report, _ = promote(settings, exports, monkeypatch, constant=("lstm",))
    assert champion_versions(settings) == before
    assert any("Version 1 stays in service" in warning for warning in report.warnings)


def test_what_beats_no_baseline_is_in_service_on_paper_and_the_evidence_says_so(
    settings: Settings, exports: dict[str, Bundle], monkeypatch: pytest.MonkeyPatch
) -> None:
    report, _ = promote(settings, exports, monkeypatch)
    beaten = (("ridge", "1 session"), ("ridge", "5 sessions"), ("lstm", "5 sessions"))
    expected = [f"{name} does not beat garch {horizon}" for name, horizon in beaten]
    assert [warning.partition(" ahead")[0] for warning in report.warnings] == expected
    assert all(warning.endswith("on paper, and has no weight in answers.") for warning in report.warnings)
    rows = Lake.open(settings).read(PROMOTIONS).to_dicts()
    evidence = {row["model_name"]: json.loads(row["evidence"])["verdicts"] for row in rows}
    assert [one["beats_best_baseline"] for one in evidence["lstm"]] == [True, False]
    assert [one["horizon_sessions"] for one in evidence["naive"]] == [1, 5]


def test_an_export_without_typical_windows_is_made_again(exports: dict[str, Bundle], tmp_path: Path) -> None:
    folder = shutil.copytree(exports["ridge"].folder, tmp_path / "ridge")
    assert stages._exported(folder, "ridge") is not None
    (folder / BACKGROUND_FILE).unlink()
    signature = json.loads((folder / SIGNATURE_FILE).read_text())
    del signature["background"]
    (folder / SIGNATURE_FILE).write_text(json.dumps(signature))
    assert Bundle.load(folder).background is None, "it serves all the same"
    assert stages._exported(folder, "ridge") is None
