"""One more session of a generated market, from raw rows to Redis, and what each stage says of itself."""

from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import replace
from io import StringIO
from pathlib import Path
from types import SimpleNamespace

import polars as pl
import pytest
from polars.testing import assert_frame_equal
from rich.console import Console

from dagster_project.commands import update as command
from dagster_project.commands.update import timings
from dagster_project.resources import GivenPlatform
from dagster_project.runs import (
    Stage,
    count_stages,
    generated_platform,
    scratch_settings,
    update,
    update_each_session,
)
from feature_repo.catalog import GROUPS
from feature_repo.online.redis_server import running_redis
from feature_repo.retrieval import OnlineReader
from lake.calendars import next_closes
from lake.clock import DEMO_START, FixedClock
from lake.errors import SourceError
from lake.ingest import ingest_bars, refine_to_lake
from lake.settings import Settings
from lake.sources import GeneratedMarket
from lake.store import Lake
from lake.tables import BARS, FORECASTS, MODEL_WINDOWS, RAW_BARS
from serving.backfill import replay_forecasts, score_newest

SYMBOLS, SESSIONS = 60, 3
DAYS = next_closes(DEMO_START, SESSIONS)


@pytest.fixture(scope="module")
def updated(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[GivenPlatform, list[list[Stage]]]]:
    """A small generated market whose models are real, after three updates; its Redis runs."""
    settings = scratch_settings(tmp_path_factory.mktemp("generated"))
    with pytest.MonkeyPatch.context() as patched, running_redis(settings):
        patched.setattr("dagster_project.runs.generated_market.SAMPLE_MODELS", ("naive", "ridge"))
        market = generated_platform(settings, SYMBOLS, lambda _: None)
        yield market, list(update_each_session(market, SESSIONS))


@pytest.mark.slow
def test_every_stage_brings_its_rows_of_each_session(updated: tuple) -> None:
    _, runs = updated
    for run in runs:
        assert len(run) == count_stages()
        added = {stage.name: stage.added for stage in run}
        assert added["raw_bars"] == added["bars"] == SYMBOLS + 1  # the index is one of them
        assert {added[group.table.name] for group in GROUPS} == {SYMBOLS}
        assert added["model_windows"] == added["online_store"] == SYMBOLS
        assert added["forecasts"] == 2 * 2 * SYMBOLS  # models, horizons


@pytest.mark.slow
def test_an_update_again_does_nothing(updated: tuple) -> None:
    market, _ = updated
    again = update(replace(market, clock=FixedClock(DAYS[-1])), forecast_sessions=1)
    assert [stage.name for stage in again if not stage.is_skipped] == []


@pytest.mark.slow
def test_what_was_updated_is_served(updated: tuple) -> None:
    market, _ = updated
    batch = OnlineReader(market.settings).read(["S0007"])
    stored = market.lake.read_as_of(MODEL_WINDOWS, DAYS[-1], where=pl.col("symbol") == "S0007").sort("event_time")
    assert batch.as_of[0] == DAYS[-1]
    assert batch.feature_hash[0] == stored["feature_hash"][-1]


@pytest.mark.slow
def test_scores_are_the_forecasts_of_a_replay(updated: tuple, tmp_path: Path) -> None:
    """Made from the stored inputs, row for row what the replay makes from the features."""
    market, _ = updated
    other = Lake(tmp_path / "replayed")
    other.root.mkdir()
    for folder in market.lake.root.iterdir():
        if folder.is_dir() and folder.name not in {FORECASTS.name, ".stamps"}:
            (other.root / folder.name).symlink_to(folder)
    engines = market.champions.current().engines
    replay_forecasts(other, engines, FixedClock(DAYS[-1]), sessions=1)
    newest = pl.col("event_time") == DAYS[-1]
    ours, theirs = (
        lake.read(FORECASTS, where=newest).drop("made_at", "feature_table_versions").sort("forecast_id")
        for lake in (market.lake, other)
    )
    assert_frame_equal(ours, theirs)


@pytest.mark.slow
def test_a_model_that_missed_a_session_replays_it(updated: tuple, tmp_path: Path) -> None:
    market, _ = updated
    other = Lake(tmp_path / "missed")
    other.root.mkdir()
    for folder in market.lake.root.iterdir():
        if folder.is_dir() and folder.name not in {FORECASTS.name, ".stamps"}:
            (other.root / folder.name).symlink_to(folder)
    engines = market.champions.current().engines
    other.merge(FORECASTS, market.lake.read(FORECASTS, where=pl.col("event_time") == DAYS[0]))
    score_newest(other, engines, FixedClock(DAYS[-1]), sessions=SESSIONS)
    assert set(other.read(FORECASTS)["event_time"]) == set(DAYS)


@pytest.mark.slow
def test_the_stages_are_told_as_a_table(updated: tuple) -> None:
    _, runs = updated
    console = Console(width=100)
    with console.capture() as said:
        console.print(timings(runs))
    for word in ("cold s", "warm s", "forecasts", "until it is served", "together"):
        assert word in said.get()


def test_a_generated_session_is_the_same_alone_and_among_others() -> None:
    market = GeneratedMarket.ending(5, 30, seed=3)
    together = market.read(None, DAYS[-1]).rows
    alone = market.read(DAYS[-2], DAYS[-1]).rows
    same = ["batch_id", "row", "received_at"]
    newest = together.filter(pl.col("event_time") == DAYS[-1])
    assert alone.height == 6
    assert_frame_equal(newest.drop(same), alone.drop(same))
    assert_frame_equal(market.read(DAYS[-2], DAYS[-1]).rows, alone)
    assert not GeneratedMarket.ending(5, 30, seed=4).read(DAYS[-2], DAYS[-1]).rows["close"].equals(alone["close"])


def test_a_generated_market_is_refined_without_a_refusal(lake: Lake) -> None:
    market, clock = GeneratedMarket.ending(5, 30), FixedClock(DEMO_START)
    ingest_bars(lake, market, clock)
    _, _, refused = refine_to_lake(lake, clock)
    assert (lake.report(BARS).rows, refused.rows) == (lake.report(RAW_BARS).rows, 0) == (180, 0)


def test_a_stage_that_fails_is_said_with_the_next_step(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """The error itself goes on to the command, which prints it last."""

    def fail(_: object, on_stage: Callable[[Stage], object]) -> None:
        on_stage(Stage("raw_bars", 7, 0.1, 0.1))
        raise SourceError("The bars cannot be refined.")

    monkeypatch.setattr(command, "settings", lambda: settings)
    monkeypatch.setattr(command, "require_lake", lambda _: None)
    monkeypatch.setattr("dagster_project.runs.users_platform", lambda _: None)
    monkeypatch.setattr("dagster_project.runs.update", fail)
    monkeypatch.setattr("feature_repo.online.redis_server.running_redis", lambda _: nullcontext())
    console = Console(width=200, record=True, file=StringIO())
    with pytest.raises(SourceError, match="cannot be refined"):
        command._users(console, with_tables=False)
    printed = console.export_text()
    assert "raw_bars: 7 new" in printed
    assert "The next stage failed, and nothing after it was made. `quantlake update` goes on from there" in printed


def test_an_update_without_anything_new_is_not_reported_as_done(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    def nothing(_: object, on_stage: Callable[[Stage], object]) -> list[Stage]:
        stage = Stage("raw_bars", 0, 0.1, 0.1, "no bar that is not stored")
        on_stage(stage)
        return [stage]

    monkeypatch.setattr(command, "settings", lambda: settings)
    monkeypatch.setattr(command, "require_lake", lambda _: None)
    monkeypatch.setattr("dagster_project.runs.users_platform", lambda _: SimpleNamespace(clock=FixedClock(DEMO_START)))
    monkeypatch.setattr("dagster_project.runs.update", nothing)
    monkeypatch.setattr("feature_repo.online.redis_server.running_redis", lambda _: nullcontext())
    console = Console(width=200, record=True, file=StringIO())
    document, _ = command._users(console, with_tables=False)
    assert "tables" not in document
    document, _ = command._users(console, with_tables=True)
    assert "tables" in document
    printed = console.export_text()
    assert "raw_bars: nothing to do, no bar that is not stored" in printed
    assert "Nothing was left to do up to 2012-12-31" in printed
