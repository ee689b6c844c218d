"""The proof: forecasts come out the same, bit for bit, after the market was restated, deleted from and cleaned up."""

import json
import shutil
import sqlite3
from collections.abc import Mapping
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import numpy as np
import polars as pl
import pytest
import typer
from typer.testing import CliRunner

from dagster_project.checks.replay import CHECK, replayed_forecasts
from dagster_project.commands.replay import replay as replay_command
from dagster_project.resources import Platform
from feature_repo.catalog import FEATURES_TECHNICAL, SPECS
from feature_repo.targets import window_hash
from lake.care import maintenance
from lake.clock import SystemClock
from lake.errors import ConfigError, SchemaError, UnknownNameError
from lake.settings import settings as read_settings
from lake.spec import TableSpec
from lake.tables import (
    BARS,
    BLEND_WEIGHTS,
    CALIBRATIONS,
    FORECASTS,
    MODEL_WINDOWS,
    RECEIPTS,
    REGIMES,
    STRATEGY_ASSIGNMENTS,
)
from serving.api.receipts import CodeRead, ReceiptAnswer
from serving.deployment import read_deployment
from serving.deployment.record import Challenger, write_deployment
from serving.forecast_log import drain
from serving.predict import Predictor
from serving.receipts import running_code
from serving.replay import Replayed, counts, receipt_of, replay, replay_sample
from serving.replay.cases import Case, cases, identities
from serving.replay.verify import without_receipt
from serving.web.app import build_app
from support import receipts as at_home
from support.clients import client_of
from support.receipts import FEW, MANY, Sizes


@pytest.fixture(scope="module")
def said(home: Any, tmp_path_factory: pytest.TempPathFactory) -> at_home.Home:
    """The home with few forecasts, to be read."""
    return at_home.forecast_and_moved_on(home.settings, tmp_path_factory.mktemp("receipts") / "home", FEW)


@pytest.fixture
def mine(said: at_home.Home, tmp_path: Path) -> at_home.Home:
    """The same home again, to be spoilt."""
    return at_home.copied(said.settings, tmp_path / "home")


@pytest.mark.parametrize("sizes", [FEW, pytest.param(MANY, marks=pytest.mark.slow)], ids=["few", "1000"])
def test_all_come_out_equal_though_the_market_was_restated_deleted_and_vacuumed(
    request: pytest.FixtureRequest, home: Any, tmp_path: Path, sizes: Sizes
) -> None:
    mine = (
        request.getfixturevalue("mine")
        if sizes is FEW
        else at_home.forecast_and_moved_on(home.settings, tmp_path / "lived", sizes)
    )
    before = mine.lake.version(BARS)
    assert at_home.clean(mine) > 0
    assert mine.lake.version(BARS) > before
    found = replay(mine.lake, mine.settings, newest=1_000_000)
    asked = [one for one in found if one.kind != "replay"]
    assert counts(asked) == {"equal": sizes.asked, "close": 0, "differs": 0, "unknown": 0}
    assert counts(found) == {"equal": sizes.asked + sizes.replayed, "close": 0, "differs": 0, "unknown": 0}
    parts = "model input, features, bar, strategy, regime, weights of models, calibration, quantiles"
    assert {*parts.split(", ")} <= set(asked[0].compared)
    assert {one.kind for one in found} == {"served", "scheduled", "replay"}  # what was read has changed since
    now = mine.lake.read(BARS)
    assert not now.filter(pl.col("symbol") == at_home.DELISTED).height
    assert mine.lake.read(FORECASTS).filter(pl.col("symbol") == at_home.DELISTED).height


@pytest.mark.slow
def test_without_the_pins_the_past_would_be_gone(mine: at_home.Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(maintenance, "pins_in_use", lambda _: {})
    at_home.clean(mine)
    found = replay(mine.lake, mine.settings)
    assert counts(found)["equal"] < FEW.asked + FEW.replayed
    assert counts(found)["differs"] > 0
    assert any("cleaned up" in str(fault) or "missing" in str(fault) for one in found for fault in one.faults)


def test_what_waits_in_the_log_survives_a_vacuum_that_does_not_drain(mine: at_home.Home) -> None:
    """The online generation and the one before it are held by the materialisation itself."""
    maintenance.maintain_tables(mine.lake, SPECS, keep=timedelta(0))
    waiting = [one for one in replay(mine.lake, mine.settings) if one.kind == "scheduled"]
    assert counts(waiting) == {"equal": FEW.scheduled, "close": 0, "differs": 0, "unknown": 0}


@pytest.mark.parametrize("mode", ["shadow", "canary"])
def test_what_challengers_said_comes_out_equal_too(mine: at_home.Home, variant: Any, put: Any, mode: Any) -> None:
    bundle = variant("ridge", 1)
    put(mine.settings, bundle, "2", is_champion=False)
    trial = Challenger(
        model="ridge", version="2", digest=bundle.digest, mode=mode, share=1.0, since=SystemClock().now()
    )
    write_deployment(mine.settings, read_deployment(mine.settings).on_trial(trial))
    made = at_home.serve(mine, 20, seed=9)
    found = replay(mine.lake, mine.settings, newest=made)
    assert counts(found)["equal"] == made
    digests = {
        kind: {use.digest for use in stored(mine, kind, newest=made).receipt.models} for kind in ("served", "shadow")
    }
    assert bundle.digest in digests["shadow" if mode == "shadow" else "served"]
    assert bundle.digest not in digests["served" if mode == "shadow" else "shadow"]


def test_the_same_seed_draws_the_same_forecasts(said: at_home.Home) -> None:
    drawn = [
        {one.forecast_id for one in replay_sample(said.lake, said.settings, among=2_000, size=20, seed=seed)}
        for seed in ("monday", "monday", "tuesday")
    ]
    assert drawn[0] == drawn[1] != drawn[2]
    assert len(drawn[0]) == 20


def test_a_damaged_table_is_named_with_the_file_that_is_gone(mine: at_home.Home, tmp_path: Path) -> None:
    one = stored(mine, "scheduled")
    file = mine.lake.files(FEATURES_TECHNICAL, one.tables[FEATURES_TECHNICAL.name])[-1]
    shutil.move(file, tmp_path / "elsewhere.parquet")
    assert faults(mine, one) == {("parquet file", file)}


@pytest.mark.parametrize(
    "table", [FEATURES_TECHNICAL, MODEL_WINDOWS, BARS, STRATEGY_ASSIGNMENTS, REGIMES, BLEND_WEIGHTS, CALIBRATIONS]
)
def test_one_altered_parquet_file_is_named(mine: at_home.Home, table: TableSpec) -> None:
    one = stored(mine, "served")
    others = stored(mine, "served", symbol="KO", tables=one.tables)
    before = mine.lake.files(table, one.tables[table.name])
    assert faults(mine, one) == set()
    spoilt = [file for file in before if spoil(file, table, one)]
    assert faults(mine, one) & {("parquet file", file) for file in spoilt}
    assert {part for part, _ in faults(mine, one)} == {"parquet file"}
    shares = table in (REGIMES, BLEND_WEIGHTS, CALIBRATIONS)  # one row for the whole market
    assert bool(faults(mine, others)) is shares


def test_a_parquet_file_that_cannot_be_read_is_named(mine: at_home.Home) -> None:
    one = stored(mine, "replay")
    file = Path(mine.lake.files(FEATURES_TECHNICAL, one.tables[FEATURES_TECHNICAL.name])[-1])
    content = bytearray(file.read_bytes())
    content[len(content) // 2 : len(content) // 2 + 64] = bytes(64)
    content[-40:-8] = bytes(32)
    file.write_bytes(content)
    assert faults(mine, one) == {("parquet file", str(file))}


@pytest.mark.parametrize("kind", ["served", "replay"])
def test_one_altered_model_file_is_named(mine: at_home.Home, kind: str) -> None:
    one = stored(mine, kind, member="ridge")
    folder = mine.settings.models / "ridge" / "1"
    content = bytearray((folder / "model.onnx").read_bytes())
    content[-100] ^= 1
    (folder / "model.onnx").write_bytes(content)
    assert faults(mine, one) == {("model file", str(folder))}


def test_a_model_that_was_exchanged_with_its_signature_is_named(mine: at_home.Home) -> None:
    one, folder = stored(mine, "served", member="ridge"), mine.settings.models / "ridge" / "1"
    shutil.rmtree(folder)
    shutil.copytree(mine.settings.models / "naive" / "1", folder)
    assert faults(mine, one) == {("model file", str(folder))}


@pytest.mark.parametrize("column", ["p50", "latency_ms", "made_at", "strategy"])
def test_one_altered_row_of_the_log_is_named(mine: at_home.Home, column: str) -> None:
    """Also in columns that no recomputation gives."""
    one = stored(mine, "scheduled", waits=True)
    values = {"p50": one.row["p50"] * (1 - 1e-15), "latency_ms": 0.1, "made_at": "2020-01-01T00:00:00+00:00"}
    with closing(sqlite3.connect(mine.settings.home / "forecast_log.sqlite")) as log, log:
        found = log.execute("SELECT sequence, row FROM forecasts WHERE forecast_id = ?", (one.forecast_id,)).fetchone()
        changed = json.loads(found[1]) | {column: values.get(column, "naive")}
        log.execute("UPDATE forecasts SET row = ? WHERE sequence = ?", (json.dumps(changed), found[0]))
    assert ("log row", f"forecast_log.sqlite, sequence {found[0]}") in faults(mine, one)


@pytest.mark.parametrize(("old", "new", "every"), [('"p50"', '"p5O"', True), ("{", "", True), ("{", "", False)])
def test_a_waiting_row_that_cannot_be_read_is_named(mine: at_home.Home, old: str, new: str, *, every: bool) -> None:
    one = stored(mine, "scheduled", waits=True)
    with closing(sqlite3.connect(mine.settings.home / "forecast_log.sqlite")) as log, log:
        log.execute("UPDATE forecasts SET row = replace(row, ?, ?) WHERE forecast_id = ?", (old, new, one.forecast_id))
    with pytest.raises(SchemaError, match=r"forecast_log.sqlite, sequence \d+, .*quantlake forecasts drain"):
        replay(mine.lake, mine.settings, None if every else [one.forecast_id])


def test_an_altered_answer_in_the_log_is_named(mine: at_home.Home) -> None:
    one = stored(mine, "served")
    with closing(sqlite3.connect(mine.settings.home / "forecast_log.sqlite")) as log, log:
        log.execute("UPDATE forecasts SET answer = '{}' WHERE forecast_id = ?", (one.forecast_id,))
    assert {part for part, _ in faults(mine, one)} == {"answer"}


@pytest.mark.parametrize(("table", "part"), [(FORECASTS, "forecast row"), (RECEIPTS, "receipt")])
def test_an_altered_row_of_the_lake_is_named(mine: at_home.Home, table: TableSpec, part: str) -> None:
    drain(mine.lake, mine.settings)
    one, other = stored(mine, "served"), stored(mine, "served", symbol="KO")
    altered = {
        FORECASTS.name: pl.col("latency_ms") + 1e-12,
        RECEIPTS.name: pl.col("content").str.replace("lstm", "LSTM"),
    }
    is_mine = pl.col("forecast_id") == one.forecast_id
    for file in mine.lake.files(table):
        rows = pl.read_parquet(file, hive_partitioning=False)
        changed = altered[table.name]
        rows.with_columns(pl.when(is_mine).then(changed).otherwise(changed.meta.root_names()[0])).write_parquet(file)
    assert (part, one.forecast_id) in faults(mine, one)
    assert faults(mine, other) == set()


def test_a_forecast_of_before_there_were_receipts_is_unknown_and_says_so(mine: at_home.Home) -> None:
    one = stored(mine, "scheduled", waits=True)
    with closing(sqlite3.connect(mine.settings.home / "forecast_log.sqlite")) as log, log:
        log.execute("UPDATE forecasts SET receipt = '', receipt_part = NULL WHERE forecast_id = ?", (one.forecast_id,))
    (found,) = replay(mine.lake, mine.settings, [one.forecast_id])
    assert (found.verdict, found.faults) == ("unknown", [])
    asked = receipt_of(mine.lake, mine.settings, one.forecast_id)
    assert (asked.code, asked.seal.is_intact) == (None, None)
    assert "before there were receipts" in asked.not_known[0]


@pytest.mark.parametrize("kind", ["served", "scheduled", "replay"])
def test_a_receipt_says_everything_the_forecast_was_made_from(said: at_home.Home, kind: str) -> None:
    one = stored(said, kind, model="lstm" if kind == "replay" else None, member="lstm")
    asked = receipt_of(said.lake, said.settings, one.forecast_id)
    assert (asked.kind, asked.symbol, asked.p50) == (kind, one.row["symbol"], one.row["p50"])
    values = np.array(asked.feature_vector.values, float).astype(np.float32)
    assert window_hash(values) == asked.feature_vector.hash == one.row["feature_hash"]
    (features,) = [read for read in asked.rows if read.table == FEATURES_TECHNICAL.name]
    assert (features.rows, features.last) == (30, one.row["event_time"])
    lstm = next(model for model in asked.models if model.name == "lstm")
    assert lstm.scaler is not None
    assert len(lstm.scaler.mean or ()) == len(asked.feature_vector.features)
    assert (lstm.provider, lstm.threads) == ("CPUExecutionProvider", 1)
    assert asked.code == CodeRead(**running_code().model_dump())
    assert asked.seal.is_intact
    if kind != "replay":
        assert (asked.online or {})["source"] == "redis"
        assert asked.calibration is not None
        assert sum((asked.strategy.weights or {}).values()) == pytest.approx(1)


def test_the_endpoint_answers_receipts_and_keeps_those_of_challengers(mine: at_home.Home) -> None:
    one = stored(mine, "scheduled", waits=True)
    with closing(sqlite3.connect(mine.settings.home / "forecast_log.sqlite")) as log, log:
        log.execute("UPDATE forecasts SET row = json_set(row, '$.kind', 'shadow') WHERE sequence = ?", (FEW.asked,))
        hidden = log.execute("SELECT forecast_id FROM forecasts WHERE sequence = ?", (FEW.asked,)).fetchone()[0]
    predictor = Predictor.open(mine.settings)
    try:
        client = client_of(build_app(predictor))
        asked = client.get(f"/api/v1/public/predictions/{one.forecast_id}/receipt")
        assert asked.status_code == 200
        assert asked.json()["stored_in"].startswith("forecast_log.sqlite")
        assert ReceiptAnswer.model_validate(asked.json()).prediction_id == one.forecast_id
        for unknown in ("nothing", "0" * 32):
            assert client.get(f"/api/v1/public/predictions/{unknown}/receipt").status_code == 404
        if hidden == one.forecast_id:
            pytest.fail("the hidden one is another")
    finally:
        predictor.close()


def test_the_command_says_what_differs_and_ends_with_one(mine: at_home.Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QUANTLAKE_HOME", str(mine.settings.home))
    monkeypatch.setenv("COLUMNS", "200")
    read_settings.cache_clear()
    app = typer.Typer()
    app.command()(replay_command)
    try:
        one = stored(mine, "served", member="ridge")
        said = CliRunner().invoke(app, [one.forecast_id], catch_exceptions=False)
        assert said.exit_code == 0, said.output
        assert "equal" in said.output
        said = CliRunner().invoke(app, ["--all", "--since", "2012-12-31"], catch_exceptions=False)
        assert said.exit_code == 0, said.output
        assert "0 of" in said.output
        (mine.settings.models / "ridge" / "1" / "model.onnx").write_bytes(b"no model")
        said = CliRunner().invoke(app, [one.forecast_id, "--json"], catch_exceptions=False)
        assert said.exit_code == 1
        assert json.loads(said.output)[0]["verdict"] == "differs"
        said = CliRunner().invoke(app, ["--all"], catch_exceptions=False)
        assert said.exit_code == 1
        assert str(mine.settings.models / "ridge" / "1") in said.output
        with pytest.raises(ConfigError, match="quantlake replay --all"):
            CliRunner().invoke(app, [], catch_exceptions=False)
        with pytest.raises(UnknownNameError, match="no prediction"):
            CliRunner().invoke(app, ["0" * 32], catch_exceptions=False)
    finally:
        read_settings.cache_clear()


@dg.asset
def forecasts() -> None:
    """Stands for the asset of that name."""


@dg.asset(deps=[replayed_forecasts])
def learned() -> None:
    """Whatever must not learn from forecasts that differ."""


def test_the_nightly_sample_blocks_on_a_difference(mine: at_home.Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QUANTLAKE_HOME", str(mine.settings.home))
    read_settings.cache_clear()
    assets = [forecasts, replayed_forecasts, learned]
    try:
        good = dg.materialize(assets, resources={"platform": Platform()}, raise_on_error=False)
        (mine.settings.models / "lstm" / "1" / "model.onnx").write_bytes(b"no model")
        bad = dg.materialize(assets, resources={"platform": Platform()}, raise_on_error=False)
    finally:
        read_settings.cache_clear()
    assert good.success
    assert len(good.asset_materializations_for_node("learned")) == 1
    assert not bad.success
    (check,) = bad.get_asset_check_evaluations()
    assert (check.check_name, check.passed) == (CHECK, False)
    assert not bad.asset_materializations_for_node("learned")


def test_a_served_forecast_without_a_receipt_is_a_fault_once_receipts_are_written(mine: at_home.Home) -> None:
    first = mine.lake.scan(RECEIPTS).select(pl.col("known_time").min()).collect().item()
    before, after = first - timedelta(days=1), first + timedelta(days=1)
    later, earlier = Replayed("a", "served", "KO", after), Replayed("b", "served", "KO", before)
    lived = Replayed("c", "replay", "KO", after)
    equal = Replayed("d", "served", "KO", after, difference=0.0)
    (fault,) = without_receipt(mine.lake, [later, earlier, lived, equal])
    assert fault.startswith("forecast a: it has no receipt")


def stored(
    home: at_home.Home,
    kind: str,
    *,
    symbol: str | None = None,
    model: str | None = None,
    member: str | None = None,
    waits: bool = False,
    newest: int | None = None,
    tables: Mapping[str, int] | None = None,
) -> Case:
    """One stored forecast of a kind, not of the symbol that others are held against."""
    where = pl.col("kind") == kind if newest is None else None
    ids = identities(home.lake, home.settings, where=where, newest=newest)
    found = [case for case in cases(home.lake, home.settings, ids) if case.row["kind"] == kind]
    return next(
        case
        for case in sorted(found, key=lambda case: case.forecast_id)
        if (case.row["symbol"] == symbol if symbol else case.row["symbol"] not in {"KO", at_home.DELISTED})
        and (tables is None or case.tables == tables)
        and (model is None or case.row["model_name"] == model)
        and (case.source != "lake") >= waits
        and (member is None or member in {use.name for use in case.receipt.models})
    )


def faults(home: at_home.Home, case: Case) -> set[tuple[str, str]]:
    """What is altered: the kind of part, and where."""
    (found,) = replay(home.lake, home.settings, [case.forecast_id])
    assert found.verdict == ("differs" if found.faults else "equal")
    return {(fault.part, fault.where) for fault in found.faults if fault.part != "forecast"}


def spoil(file: str, table: TableSpec, case: Case) -> bool:
    """Alter what the forecast was made from, if a file holds it; say whether it does."""
    row = case.row
    rows = pl.read_parquet(file, hive_partitioning=False)
    is_mine = pl.col("event_time") == row["event_time"] if table in (FEATURES_TECHNICAL, MODEL_WINDOWS, BARS) else True
    is_mine = is_mine & (pl.col("symbol") == row["symbol"]) if "symbol" in table.names else pl.lit(value=is_mine)
    changes = {
        FEATURES_TECHNICAL.name: pl.col("rsi_14") + 1e-4,
        MODEL_WINDOWS.name: pl.col("window").list.eval(pl.element() + 1e-4).cast(pl.List(pl.Float32)),
        BARS.name: pl.col("close_traded").fill_null(99.0) + 0.01,
        STRATEGY_ASSIGNMENTS.name: pl.col("weights").list.reverse(),
        REGIMES.name: pl.col("regime").str.replace("low", "high").str.replace("high_high", "low_high"),
        BLEND_WEIGHTS.name: pl.col("model_weights").list.reverse(),
        CALIBRATIONS.name: pl.col("lower").list.eval(pl.element() + 1e-12),
    }
    change = changes[table.name]
    name = change.meta.root_names()[0]
    if not rows.filter(is_mine).height:
        return False
    rows.with_columns(pl.when(is_mine).then(change).otherwise(name).alias(name)).write_parquet(file)
    return True
