"""The stages on real bars of a few symbols, through Feast and MLflow, as the orchestrator runs them."""

import ast
import json
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from mlflow import MlflowClient

from feature_repo.catalog import FEATURES_TECHNICAL
from feature_repo.materialize import update_labels, update_technical
from lake.clock import DEMO_START, FixedClock
from lake.errors import ConfigError, DamagedFileError, DamagedTableError, LookAheadError, NotReadyError
from lake.report import Report
from lake.settings import Settings
from lake.store import Lake
from lake.tables import BARS, EVALUATIONS, LABELS, TRIAL_LEDGER, VERDICTS
from lake.universe import MARKET
from training import stages
from training.data import champion_split
from training.experiments import Experiment, Workspace, content_fingerprint, load_experiment, workspace
from training.fit import load_fitted
from training.models import MODELS
from training.tracking import runs_page

SYMBOLS = ("AAPL", "IBM", "KO", "XOM")
FIRST = datetime(2005, 1, 1, tzinfo=UTC)
Stage = Callable[[Lake, Settings, Experiment, Callable[[str], None]], Report]
STAGES: tuple[Stage, ...] = (stages.make_training_set, stages.tune, stages.evaluate, stages.fit_champions)


@dataclass(frozen=True)
class World:
    lake: Lake
    settings: Settings
    experiment: Experiment
    said: list[str]

    def run(self) -> list[Report]:
        return [stage(self.lake, self.settings, self.experiment, self.said.append) for stage in STAGES]

    @property
    def work(self) -> Workspace:
        return Workspace(self.lake, self.settings, self.experiment)


@pytest.fixture(scope="module")
def few(packaged_lake: Lake, tmp_path_factory: pytest.TempPathFactory) -> tuple[Lake, Settings]:
    settings = Settings(home=tmp_path_factory.mktemp("stages"))
    lake = Lake.open(settings)
    wanted = pl.col("symbol").is_in([*SYMBOLS, MARKET]) & (pl.col("event_time") >= FIRST)
    lake.merge(BARS, packaged_lake.read(BARS, where=wanted))
    update_technical(lake, FixedClock(DEMO_START))
    update_labels(lake, FixedClock(DEMO_START))
    return lake, settings


@pytest.fixture(scope="module")
def world(few: tuple[Lake, Settings]) -> World:
    return World(*few, load_experiment("test"), [])


@pytest.fixture(scope="module")
def reports(world: World) -> list[Report]:
    return world.run()


def test_every_stage_says_what_it_did(world: World, reports: list[Report]) -> None:
    assert [report.name for report in reports] == ["training_set", "tuned_parameters", "evaluations", "trained_models"]
    assert not any(report.skipped for report in reports)
    assert {report.details["training"] for report in reports} == {world.work.label}
    assert any("judged on 2010" in text for text in world.said)
    assert any("beat" in text and "naive" in text for text in world.said)


def test_the_training_set_is_what_was_known_and_says_from_which_tables(world: World, reports: list[Report]) -> None:
    end = world.experiment.knowledge_end
    frame = pl.read_parquet(reports[0].details["path"])
    assert reports[0].rows == frame.height
    assert frame["event_time"].max() == reports[0].last == end
    assert reports[0].details["versions"] == world.lake.versions([FEATURES_TECHNICAL, LABELS])
    stored = world.lake.read_as_of(FEATURES_TECHNICAL, end).filter(pl.col("symbol") == "IBM")
    ours = frame.filter(pl.col("symbol") == "IBM")
    assert ours["return_20d"].equals(stored["return_20d"])
    assert pl.read_parquet(world.work.folder / stages.TARGETS)["known_time"].max() <= end


def test_a_flipped_bit_of_the_training_set_is_learnt_from_by_nobody(world: World, reports: list[Report]) -> None:
    frame = reports[0].details["path"]
    whole = frame.read_bytes()
    frame.write_bytes(whole[:5000] + bytes([whole[5000] ^ 1]) + whole[5001:])
    try:
        with pytest.raises(DamagedFileError, match=r"frame\.parquet changed since it was written.*Delete the folder"):
            stages.load_windows(world.lake, world.settings, world.experiment)
    finally:
        frame.write_bytes(whole)
    assert len(stages.load_windows(world.lake, world.settings, world.experiment))


def test_a_flipped_bit_of_a_feature_table_stops_a_training_before_it_begins(
    few: tuple[Lake, Settings], tmp_path: Path
) -> None:
    lake, settings = few
    copied = settings.model_copy(update={"home": tmp_path / "home"})
    shutil.copytree(lake.root, copied.tables)
    mine = Lake.open(copied)
    file = Path(mine.files(FEATURES_TECHNICAL)[0])
    status, content = file.stat(), bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)
    os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns))  # as a disk does it: nothing looks changed
    with pytest.raises(DamagedTableError, match=rf"features_technical.*{file.name}"):
        stages.make_training_set(mine, copied, load_experiment("test"))


def test_no_window_knows_what_came_after_the_end_of_knowledge(world: World, reports: list[Report]) -> None:
    assert reports
    windows = stages.load_windows(world.lake, world.settings, world.experiment)
    assert windows.keys["label_end"].max() <= world.experiment.knowledge_end
    assert np.isfinite(windows.x).all()
    assert set(windows.keys["symbol"]) == set(SYMBOLS)


def test_the_search_found_parameters_for_the_networks(world: World, reports: list[Report]) -> None:
    assert set(world.work.read("tuned_parameters")) == {"lstm", "tft"}
    for name in ("lstm", "tft"):
        found = reports[1].details[name]
        assert found["loss"] <= found["first_loss"] or found["constant"]
        assert found["parameters"].keys() == world.experiment.parameters_of(name).keys()


def test_the_model_table_is_in_the_lake_and_beside_naive(world: World, reports: list[Report]) -> None:
    table = world.lake.read(EVALUATIONS)
    assert table.height == len(MODELS) * 4 * 2
    assert set(table["experiment"]) == {world.work.label}
    assert set(table["model"]) == set(MODELS)
    assert len(reports[2].details["model_table"]) == len(MODELS) * 2
    judged = [card for card in MODELS.values() if not card.is_baseline]
    assert len(reports[2].details["verdicts"]) == len(judged) * 2
    pictures = [value for value in reports[2].details.values() if isinstance(value, Path)]
    assert len(pictures) == 2 * len(MODELS)
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in pictures)


def test_the_verdicts_are_in_the_lake_for_every_model_and_horizon(world: World, reports: list[Report]) -> None:
    table = world.lake.read(VERDICTS)
    assert table.height == len(MODELS) * 2
    assert set(table["experiment"]) == {world.work.label}
    overall = world.lake.read(EVALUATIONS, where=pl.col("fold") == "overall")
    both = table.join(overall, on=["experiment", "model", "horizon_sessions", "event_time", "known_time"], suffix="_of")
    assert both.height == table.height
    assert (both["pinball_loss"] - both["pinball_loss_of"]).abs().max() < 1e-12
    beaten = table.filter(~pl.col("is_baseline") & ~pl.col("beats_best_baseline"))
    assert len(reports[2].warnings) == beaten.height
    assert set(reports[2].warnings) <= set(reports[2].details["verdicts"]) < set(world.said)


def test_networks_served_have_learnt_from_the_newest_year_and_from_nothing_later(
    world: World, reports: list[Report]
) -> None:
    keys = stages.load_windows(world.lake, world.settings, world.experiment).keys
    split = champion_split(keys, world.experiment)
    newest, before = (keys[rows]["label_end"].max() for rows in (split.valid, split.train))
    assert before < newest <= world.experiment.knowledge_end
    shown = {model["model"]: model for model in reports[3].details["models"]}
    assert not shown["lstm"]["is_constant"]
    fitted = world.work.read("trained_models")
    for name in ("lstm", "tft", "ridge"):
        found = fitted[name]
        until = datetime.fromisoformat(found["labels_until"])
        assert until == (before if found["is_constant"] else newest)  # what is refused is not fitted again
        assert found["epochs_of_refit"] <= found["epochs"]
        assert load_fitted(stages.champions(world.settings)[name]["path"]).learnt_until == until


def test_a_champion_that_learnt_from_what_was_not_known_is_refused(
    few: tuple[Lake, Settings], world: World, reports: list[Report], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert reports
    home = world.settings.model_copy(update={"home": tmp_path})
    quick = world.experiment.model_copy(update={"models": ("naive", "ridge")})
    work = Workspace(few[0], home, quick)
    shutil.copytree(world.work.folder, work.folder, ignore=shutil.ignore_patterns("trained_models.json", "models"))
    real = stages.champion_split

    def a_year_too_early(*given: object) -> object:
        split = real(*given)
        return replace(split, test_start=split.test_start.replace(year=2010))

    monkeypatch.setattr(stages, "champion_split", a_year_too_early)
    with pytest.raises(LookAheadError, match="expected none after 2010-12-30"):
        stages.fit_champions(few[0], home, quick, print)


def test_the_champions_can_be_loaded_and_say_what_made_them(world: World, reports: list[Report]) -> None:
    assert reports
    found = stages.champions(world.settings)
    assert set(found) == set(MODELS)
    windows = stages.load_windows(world.lake, world.settings, world.experiment)
    for name, one in found.items():
        fitted = load_fitted(one["path"])
        assert fitted.name == name
        assert np.isfinite(fitted.predict(windows.x[:20])).all()
        assert one["versions"] == world.lake.versions([FEATURES_TECHNICAL, LABELS])
        assert one["experiment"] == world.work.label
        assert datetime.fromisoformat(one["train_until"]) == world.experiment.knowledge_end


def test_one_run_per_model_holds_all_about_it(world: World, reports: list[Report]) -> None:
    assert reports
    client = MlflowClient(tracking_uri=world.settings.tracking_uri)
    for name, one in stages.champions(world.settings).items():
        run = client.get_run(one["run_id"])
        assert run.data.tags["model"] == name
        assert json.loads(run.data.tags["table_versions"]) == one["versions"]
        assert json.loads(run.data.tags["seeds"]) == list(world.experiment.seeds)
        assert run.data.tags["caveats"].startswith("Time of knowledge of ")
        assert len(run.data.metrics) <= 40
        assert "overall_pinball_loss_1" in run.data.metrics
        assert [one.step for one in client.get_metric_history(one["run_id"], "pinball_loss_5")] == [2009, 2010, 2011]
        plots = {file.path for file in client.list_artifacts(one["run_id"], "plots")}
        assert plots == {f"plots/{name}_forecasts.png", f"plots/{name}_calibration.png"}
        model = {file.path for file in client.list_artifacts(one["run_id"], "model")}
        assert {Path(path).name for path in model} == {"weights.pt", "fitted.json"}
    assert "trial_loss" in client.get_run(stages.champions(world.settings)["tft"]["run_id"]).data.metrics


def test_a_run_says_its_data_its_code_and_its_trials(world: World, reports: list[Report]) -> None:
    client = MlflowClient(tracking_uri=world.settings.tracking_uri)
    run = client.get_run(stages.champions(world.settings)["tft"]["run_id"])
    read = {one.dataset.name: one.dataset for one in run.inputs.dataset_inputs}
    versions = reports[0].details["versions"]
    assert read.keys() == versions.keys()
    for name, dataset in read.items():
        assert json.loads(dataset.source)["delta_table_version"] == versions[name]
        assert len(dataset.digest) == 36 or len(dataset.digest) == 32
        assert json.loads(dataset.profile)["num_rows"] > 0
        assert {"symbol", "event_time"} <= {one["name"] for one in json.loads(dataset.schema)["mlflow_colspec"]}
    assert len(run.data.tags.get("mlflow.source.git.commit", "0" * 40)) == 40
    assert "walk-forward evaluation" in run.data.tags["mlflow.note.content"]
    below = client.search_runs([run.info.experiment_id], f"tags.`mlflow.parentRunId` = '{run.info.run_id}'")
    assert len(below) == world.experiment.search.trials
    assert all(trial.data.params and trial.data.metrics.get("validation_loss") for trial in below)
    assert client.get_experiment(run.info.experiment_id).tags["mlflow.experimentKind"] == "custom_model_development"
    assert (
        runs_page(world.settings, "quantlake")
        == f"/experiments/{run.info.experiment_id}/runs?workflowType=machine_learning"
    )
    assert runs_page(world.settings, "of another name") == "/experiments"


def test_every_score_of_a_training_is_in_the_ledger_and_in_the_report_of_the_evaluation(
    world: World, reports: list[Report]
) -> None:
    rows = world.lake.read(TRIAL_LEDGER)
    networks = [name for name, card in MODELS.items() if card.is_network]
    counts = dict(rows.group_by("kind").len().iter_rows())
    assert counts == {
        "search": len(networks) * world.experiment.search.trials * 2,
        "walk_forward": (len(MODELS) - 1) * 2,
        "seed_choice": len(networks) * 2,
    }
    assert set(rows["code_version"]) == {workspace.code_fingerprint()}
    assert {json.loads(text)["labels"] for text in rows["table_versions"]} == {reports[0].details["versions"]["labels"]}
    sentences = reports[2].details["trial_ledger"]
    assert len(sentences) == (len(MODELS) - 1) * 2
    assert any(text.startswith("lstm, forecast_v2, 5 sessions: 3 trials") for text in sentences)
    assert all(text.endswith("last test interval opened once") for text in sentences)


def test_done_again_nothing_is_done_and_the_reason_said(world: World, reports: list[Report]) -> None:
    version = world.lake.version(EVALUATIONS)
    again = world.run()
    for before, after in zip(reports, again, strict=True):
        assert after.skipped
        assert after.added == 0
        assert "neither its data nor its experiment nor its code changed" in after.details["reason"]
        assert after.rows == before.rows
        ours = {key: value for key, value in after.details.items() if key != "reason"}
        assert ours == before.details
    assert world.lake.version(EVALUATIONS) == version


def test_a_later_session_trains_nothing_anew(world: World, reports: list[Report]) -> None:
    assert reports
    before = world.work.fingerprint
    newest = world.lake.read_as_of(FEATURES_TECHNICAL, DEMO_START).filter(pl.col("symbol") == "IBM").tail(1)
    at = newest["event_time"].item() + timedelta(days=1)
    later = newest.with_columns(pl.lit(at).alias("event_time"), pl.lit(at).alias("known_time"))
    world.lake.merge(FEATURES_TECHNICAL, later.cast({"event_time": newest.schema["event_time"]}))
    assert world.work.fingerprint == before
    assert all(report.skipped for report in world.run())


@pytest.mark.parametrize("change", [{"seeds": (8,)}, {"name": "other"}])
def test_another_experiment_is_another_training(world: World, change: dict[str, object]) -> None:
    other = Workspace(world.lake, world.settings, world.experiment.model_copy(update=change))
    assert other.fingerprint != world.work.fingerprint
    assert not other.has("training_set")


def test_a_row_of_the_past_restated_before_the_end_of_knowledge_is_another_training(
    few: tuple[Lake, Settings], world: World, tmp_path: Path
) -> None:
    other = Lake(tmp_path / "tables")
    for spec in (FEATURES_TECHNICAL, LABELS):
        rows = few[0].read(spec).sort("event_time", *spec.key)  # the oldest row, which the training knows, comes first
        if spec is LABELS:
            is_first = pl.int_range(pl.len()) == 0
            rows = rows.with_columns(pl.when(is_first).then(0.123).otherwise("forward_return").alias("forward_return"))
        other.merge(spec, rows)
    assert Workspace(other, world.settings, world.experiment).fingerprint != world.work.fingerprint


@pytest.mark.parametrize("stage", STAGES[1:])
def test_a_stage_before_its_turn_says_what_is_missing(few: tuple[Lake, Settings], tmp_path: Path, stage: Stage) -> None:
    fresh = Settings(home=tmp_path)
    with pytest.raises(NotReadyError, match="'training_set' of test@"):
        stage(few[0], fresh, load_experiment("test"), print)
    with pytest.raises(NotReadyError, match="No models were trained yet"):
        stages.champions(fresh)


def test_a_stage_cut_off_is_done_again(few: tuple[Lake, Settings], tmp_path: Path) -> None:
    work = Workspace(few[0], Settings(home=tmp_path), load_experiment("test"))

    def interrupted() -> dict[str, object]:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        work.once("stage", interrupted)
    assert not work.has("stage")
    assert work.once("stage", lambda: {"done": 1}) == ({"done": 1}, False)
    assert work.once("stage", interrupted) == ({"done": 1}, True)


def test_the_content_of_a_frame_is_known_by_values_names_and_nulls() -> None:
    frame = pl.DataFrame({"a": [1.0, None], "b": ["x", None]})
    others = [
        frame.with_columns(pl.col("a").fill_null(0.0)),
        frame.with_columns(pl.col("b").fill_null("")),
        frame.rename({"a": "c"}),
        frame.reverse(),
        frame.with_columns(pl.col("a") + 1e-16 * 4),
    ]
    assert content_fingerprint(frame) == content_fingerprint(frame.clone())
    assert all(content_fingerprint(other) != content_fingerprint(frame) for other in others)


def test_comments_and_docstrings_are_no_code() -> None:
    def dump(source: str) -> str:
        return ast.dump(workspace._without_docstrings(ast.parse(source)))

    plain = dump("def f(x):\n    return x + 1\n")
    assert dump('"""Module."""\n\ndef f(x):\n    """Add one."""\n    return x + 1  # one\n') == plain
    assert dump("def f(x):\n    return x + 2\n") != plain


def test_an_experiment_is_trained_judged_and_fitted_for_the_horizons_that_it_declares(
    few: tuple[Lake, Settings], tmp_path: Path
) -> None:
    lake, settings = few
    copied = settings.model_copy(update={"home": tmp_path / "home"})
    shutil.copytree(lake.root, copied.tables)
    declared = {"models": ("naive", "ridge"), "horizons": ("5 sessions", "1 session")}
    every = load_experiment("test").model_copy(update=declared)
    short = every.model_copy(update={"name": "short", "horizons": ("1 session",)})
    worlds = [World(Lake.open(copied), copied, experiment, []) for experiment in (every, short)]
    assert worlds[0].work.fingerprint != worlds[1].work.fingerprint, "other horizons are another training"
    for world, horizons in zip(worlds, ((1, 5), (1,)), strict=True):
        world.run()
        windows = stages.load_windows(world.lake, world.settings, world.experiment)
        assert (windows.horizons, windows.y.shape[1]) == (horizons, len(horizons))
        for table in (EVALUATIONS, VERDICTS):
            judged = world.lake.read(table).filter(pl.col("experiment") == world.work.label)
            assert set(judged["horizon_sessions"]) == set(horizons)
        for fitted in stages.champions(world.settings).values():
            assert load_fitted(fitted["path"]).network.outputs.horizons == horizons
    beyond = short.model_copy(update={"horizons": ("1 session", "60 sessions")})
    with pytest.raises(ConfigError, match="has 1 session, 5 sessions, and no 60 sessions"):
        stages.make_training_set(worlds[0].lake, copied, beyond)
