"""`quantlake quality` and the asset behind it: a summary that fits a terminal, and a page that is linked."""

import json
import re
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import dagster as dg
import polars as pl
import pytest
from typer.testing import CliRunner

from dagster_project.assets.quality import data_quality
from dagster_project.checks.tables import sources_agree, table_checks
from dagster_project.cli import app
from dagster_project.definitions import defs
from dagster_project.partitions import CHANGED, RANGE_END, RANGE_START
from dagster_project.resources import Platform
from lake.assessment import PAGE
from lake.clock import DEMO_START
from lake.errors import DataQualityError, NotReadyError
from lake.ingest import refine_to_lake
from lake.settings import settings as read_settings
from lake.sources import as_received, tiny_market
from lake.store import Lake
from lake.tables import AGREEMENT, BARS, QUALITY_SCORES, RAW_ACTIONS, RAW_BARS

MARKET = tiny_market(["AAPL", "IBM", "^GSPC"], sessions=30, seed=5)
CLOSES = MARKET["event_time"].unique().sort().to_list()


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Lake]:
    monkeypatch.setenv("QUANTLAKE_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("COLUMNS", "80")
    read_settings.cache_clear()
    yield Lake.open()
    read_settings.cache_clear()


@pytest.fixture
def filled(home: Lake) -> Lake:
    """A home in which one bar is missing and one was refused."""
    gap = (pl.col("symbol") == "IBM") & (pl.col("event_time") == CLOSES[-2])
    bad = (pl.col("symbol") == "AAPL") & (pl.col("event_time") == CLOSES[-1])
    bars = MARKET.filter(~gap).with_columns(pl.when(bad).then(-1.0).otherwise("close").alias("close"))
    home.append(RAW_BARS, as_received(bars, batch_id="one"), batch_id="one")
    refine_to_lake(home, read_settings().clock)
    return home


@pytest.mark.usefixtures("filled")
def test_the_summary_fits_80_columns_and_names_the_next_command() -> None:
    said = CliRunner().invoke(app, ["quality"], catch_exceptions=False).output
    page = read_settings().reports / PAGE
    assert page.exists()
    lines = [line for line in said.splitlines() if str(read_settings().home) not in line]
    assert max(map(len, lines)) <= 80
    assert "refused   1 of 89 rows" in said
    assert "price_not_positive: 1\n    quantlake sql" in said
    assert "gaps      IBM: 1 of 30 sessions have no bar" in said
    assert "known     100 % stated by the source\n" in said
    found = json.loads(CliRunner().invoke(app, ["quality", "--json"], catch_exceptions=False).output)
    assert found["refused"] == 1
    assert found["known_basis"] == {"stated": 1.0}
    assert found["scores"]["tiny"]["completeness"] == pytest.approx(1 - 1 / 60)


def test_every_row_is_checked_again_on_demand(filled: Lake) -> None:
    from feature_repo.materialize.expectations import check_new_rows

    now = read_settings().clock.now()
    check_new_rows(filled, BARS, now)
    said = CliRunner().invoke(app, ["quality", "--recheck"], catch_exceptions=False).output
    assert re.search(r"^bars: all 88 rows meet \d+ expectations$", said, re.MULTILINE), said
    filled.merge(BARS, filled.read(BARS).head(1).with_columns(volume=-1.0, known_time=pl.lit(now)))
    asked = CliRunner().invoke(app, ["quality", "--recheck"])
    assert re.search(
        r"^bars: 1 of 88 rows: .* UTC, volume -1 < 0 \(volume >= 0\)\. Next: `quantlake", asked.output, re.MULTILINE
    )
    assert isinstance(asked.exception, DataQualityError)
    assert "hold rows that break a rule: bars." in str(asked.exception)


@pytest.mark.usefixtures("home")
def test_a_home_without_bars_is_told_what_to_run() -> None:
    with pytest.raises(NotReadyError, match=r"Run `(make|quantlake) demo` first"):
        CliRunner().invoke(app, ["quality"], catch_exceptions=False)


def test_the_asset_scores_what_is_new_and_links_the_page(filled: Lake) -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        context = dg.build_asset_context(instance=instance, resources={"platform": Platform()})
        made = data_quality(context.resources.platform)
    assert made.metadata["page"] == f"reports/{PAGE} in the home"
    assert made.metadata["rows_added"] == filled.read(QUALITY_SCORES).height == 30


def test_a_daily_run_scores_after_the_bars(filled: Lake) -> None:
    names = ["bars", "actions", "quarantine", "symbols", "universe", "data_quality"]
    with dg.DagsterInstance.ephemeral() as instance:
        result = defs.resolve_job_def("daily_update").execute_in_process(
            instance=instance,
            tags={RANGE_START: "2012", RANGE_END: "2012", CHANGED: "true"},
            asset_selection=[dg.AssetKey(name) for name in names],
            run_config={"loggers": {"progress": {}}},
        )
    assert result.success
    assert filled.read(QUALITY_SCORES).height == 30
    assert (read_settings().reports / PAGE).exists()


def test_stated_actions_have_a_gate_that_passes_where_there_are_none(home: Lake) -> None:
    (gate,) = table_checks(["raw_actions"])
    results = [*gate(Platform())]
    assert {(each.passed, each.description) for each in results} == {
        (True, "no source of this market fills raw_actions")
    }
    said = {"symbol": "AAPL", "ex_date": "2012-06-01", "kind": "split", "ratio": "2", "price_basis": "split_adjusted"}
    said |= {"source": "tiny", "batch_id": "one", "row": 0, "received_at": DEMO_START, "event_time": DEMO_START}
    rows = pl.DataFrame([said | {"known_time": DEMO_START}], schema=RAW_ACTIONS.schema)
    home.append(RAW_ACTIONS, rows, batch_id="one")
    assert all(each.passed for each in gate(Platform()))
    wrong = rows.with_columns(pl.lit("two").alias("batch_id"), pl.lit("merger").alias("kind"))
    home.append(RAW_ACTIONS, wrong, batch_id="two")
    (failed,) = (each for each in gate(Platform()) if not each.passed)
    assert failed.check_name == "raw_actions_allowed_names", "there is no such kind of action"


@pytest.mark.parametrize(("agreeing", "passes"), [(2, True), (1, False)])
def test_the_check_warns_when_sources_disagree_often(home: Lake, *, agreeing: int, passes: bool) -> None:
    rows = [
        {"symbol": "AAPL", "event_time": at, "known_time": at, "field": "close", "sources": 2}
        | {"agreeing": agreeing if place % 10 == 0 else 2, "spread_bp": 9.0, "chosen": "first"}
        for place, at in enumerate(at for at in CLOSES if at <= DEMO_START - timedelta(days=1))
    ]
    home.merge(AGREEMENT, pl.DataFrame(rows, schema=AGREEMENT.schema))
    result = sources_agree(Platform())
    assert (result.passed, result.severity) == (passes, dg.AssetCheckSeverity.WARN)
    assert result.description.startswith("sources disagree on ")
    assert result.description.endswith("` lists the widest.") is not passes
