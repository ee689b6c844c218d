"""Every feature table has a blocking check that it holds what was known then."""

import re
from pathlib import Path
from types import SimpleNamespace

import dagster as dg
import polars as pl
import pytest
import typer
from typer.testing import CliRunner

from dagster_project.checks.leaks import DECLARED, leak_checks
from dagster_project.commands import leaks
from feature_repo.catalog import FEATURES_TECHNICAL, GROUPS
from feature_repo.engines import compute_technical
from feature_repo.leaks import check, declared_subjects
from lake.clock import FixedClock
from lake.sources import tiny_market
from lake.store import Lake
from lake.tables import BARS
from lake.universe import MARKET


@pytest.fixture
def platform(tmp_path: Path) -> SimpleNamespace:
    bars = tiny_market(["AAA", "BBB", MARKET], 80, 5)
    lake = Lake(tmp_path / "tables")
    lake.merge(BARS, bars)
    lake.merge(FEATURES_TECHNICAL, compute_technical(bars))
    return SimpleNamespace(lake=lake, clock=FixedClock(bars["event_time"].max()))


def test_a_table_that_holds_what_was_known_then_passes(platform: SimpleNamespace) -> None:
    (check,) = leak_checks(["features_technical"])
    result = check(platform)
    assert result.passed
    assert result.metadata["leaks"].value == []
    assert result.metadata["columns"].value > 20


def test_a_table_that_knows_the_next_session_blocks_and_names_the_column(platform: SimpleNamespace) -> None:
    ahead = platform.lake.read(FEATURES_TECHNICAL).with_columns(
        pl.col("return_1d").shift(-1).over("symbol", order_by="event_time"),
        pl.col("known_time") + pl.duration(seconds=1),
    )
    platform.lake.merge(FEATURES_TECHNICAL, ahead)
    platform.clock = FixedClock(platform.clock.now().replace(minute=1))
    (check,) = leak_checks(["features_technical"])
    result = check(platform)
    assert not result.passed
    (leak,) = result.metadata["leaks"].value
    assert (leak["column"], leak["leaks"][0]["how"]) == ("return_1d", "stored")
    assert re.match(
        r"1 of \d+ columns: return_1d differs from what was known then in \d+ rows, the first symbol AAA, event_time ",
        result.description,
    )
    assert result.description.endswith(". Next: `quantlake leaks`.")


def test_the_checks_block_and_are_one_per_table() -> None:
    tables = [*(group.table.name for group in GROUPS), "labels", "regimes"]
    checks = leak_checks(tables)
    (specs,) = zip(*(check.check_specs for check in checks), strict=True)
    assert [spec.asset_key for spec in specs] == [dg.AssetKey(table) for table in tables]
    assert all(spec.blocking and spec.name == "nothing_looks_ahead" for spec in specs)


def test_what_is_proved_covers_every_kind() -> None:
    subjects = declared_subjects(DECLARED)
    assert {subject.kind for subject in subjects} == {"feature", "label", "regime", "split", "scaler"}


FITTED_ONCE = """
import polars as pl
from feature_repo.leaks import LeakSubject

SPREADS = []

def compute(world):
    returns = (pl.col("close") / pl.col("close").shift(1) - 1).over("symbol", order_by="event_time")
    frame = world.bars.select("symbol", "event_time", returns.alias("scaled"))
    SPREADS.append(frame["scaled"].std() or 1.0)
    return frame.with_columns(pl.col("scaled") / SPREADS[0])

def declared():
    return (LeakSubject("feature", "fitted_once", compute, instants=lambda world: world.sessions[-2:]),)
"""


def test_what_is_registered_is_computed_in_fresh_processes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A computation that is fitted on the first call passes wherever all worlds share its state."""
    (tmp_path / "fitted_once.py").write_text(FITTED_ONCE, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr("dagster_project.checks.leaks.DECLARED", ("fitted_once:declared",))
    monkeypatch.setattr("feature_repo.compiling.compile_kernels", lambda **_: 0)
    monkeypatch.setattr(leaks, "_self_tests", lambda _: ())
    command = typer.Typer()
    command.command()(leaks.leaks)
    result = CliRunner().invoke(command, [])
    assert result.exit_code == 1, result.output
    assert "1 of 1 columns leak" in result.output
    (subject,) = declared_subjects(["fitted_once:declared"])
    assert check(subject).passed
