from datetime import UTC, datetime
from pathlib import Path

import dagster as dg
import polars as pl
import pytest

from dagster_project.partitions import ONE_RUN, RANGE_END, RANGE_START
from dagster_project.reports import materialized_by_year, metadata_of, rows_as_table
from lake.report import Report
from lake.settings import settings
from lake.sources import tiny_market
from lake.store import Lake
from lake.tables import BARS


def test_a_report_becomes_metadata_without_what_it_does_not_say():
    report = Report("bars", rows=10, added=3, version=2, first=datetime(2000, 3, 1, 21, tzinfo=UTC))
    shown = metadata_of(report.with_details(inputs={"raw_bars": 1}, reason="why"))
    assert shown["dagster/row_count"] == 10
    assert shown["table_version"] == 2
    assert shown["first"] == "2000-03-01 21:00 UTC"
    assert not {"last", "warnings", "skipped"} & set(shown)
    assert shown["inputs"] == dg.MetadataValue.json({"raw_bars": 1})
    assert shown["reason"] == "why"


def test_rows_become_a_table_and_pictures_are_shown(tmp_path: Path):
    picture = tmp_path / "curve.png"
    picture.write_bytes(b"\x89PNG")
    shown = metadata_of(
        Report("x").with_details(scores=[{"model": "tft", "loss": 0.123456789}], curve=picture, report=Path("a.html"))
    )
    (row,) = shown["scores"].records
    assert row.data == {"model": "tft", "loss": "0.1235"}
    assert shown["curve"].value.startswith("![curve](data:image/png;base64,")
    assert shown["report"] == "a.html"


def test_sentences_are_plain_text_because_dagster_hides_long_markdown():
    warnings = tuple(f"{name} does not beat garch" for name in ("ridge", "lstm"))
    shown = metadata_of(Report("x", warnings=warnings).with_details(verdicts=[*warnings], names=["a", "b"], drifted=[]))
    assert shown["warnings"] == shown["verdicts"] == "• ridge does not beat garch\n• lstm does not beat garch"
    assert (shown["names"], shown["drifted"]) == ("a, b", "none")


def test_cells_are_written_for_readers():
    rows = [{"rows": 18120, "is_best": False, "loss": None}, {"rows": 1, "at": datetime(2012, 1, 3, 21, tzinfo=UTC)}]
    first, second = (row.data for row in rows_as_table(rows).records)
    assert first == {"rows": "18,120", "is_best": "no", "loss": "-", "at": "-"}
    assert second == {"rows": "1", "is_best": "-", "loss": "-", "at": "2012-01-03 21:00 UTC"}


@pytest.mark.usefixtures("home_of_environment")
def test_a_page_is_named_from_the_home_on_so_that_a_moved_home_is_told_right():
    shown = metadata_of(Report("x").with_details(page=settings().reports / "quality.html"))
    assert shown["page"] == "reports/quality.html in the home"


def test_a_table_without_rows_says_so_and_an_artefact_without_them_nothing():
    assert metadata_of(Report("quarantine", version=1))["dagster/row_count"] == 0
    assert "dagster/row_count" not in metadata_of(Report("served_models"))


def test_a_table_that_a_run_left_alone_shows_its_state(tmp_path):
    lake = Lake(tmp_path)
    bars = tiny_market(["AAA"], sessions=5, seed=1)
    lake.merge(BARS, bars)
    shown = metadata_of(lake.merge(BARS, bars))
    assert shown["skipped"] is True
    assert (shown["dagster/row_count"], shown["table_version"]) == (5, 1)
    assert shown["last"] == f"{bars['event_time'].max():%Y-%m-%d %H:%M} UTC"


def test_each_year_of_a_partitioned_table_has_its_own_rows(tmp_path):
    lake = Lake(tmp_path)
    earlier = tiny_market(["AAA"], sessions=3, seed=1).with_columns(
        pl.col("event_time", "known_time").dt.offset_by("-1y")
    )
    lake.merge(BARS, pl.concat([earlier, tiny_market(["AAA"], sessions=5, seed=1)]))

    @dg.asset(partitions_def=dg.StaticPartitionsDefinition(["2010", "2011", "2012"]), backfill_policy=ONE_RUN)
    def bars(context: dg.AssetExecutionContext) -> dg.MaterializeResult:
        return materialized_by_year(context, lake, lake.report(BARS))

    with dg.DagsterInstance.ephemeral() as instance:
        tags = {RANGE_START: "2010", RANGE_END: "2012"}
        made = dg.materialize([bars], instance=instance, tags=tags).get_asset_materialization_events()
    shown = {event.partition: {k: v.value for k, v in event.materialization.metadata.items()} for event in made}
    assert {year: each["dagster/partition_row_count"] for year, each in shown.items()} == {
        "2010": 0,
        "2011": 3,
        "2012": 5,
    }
    assert {each["rows_in_table"] for each in shown.values()} == {8}
    assert not any("dagster/row_count" in each for each in shown.values())


def test_values_dagster_does_not_know_become_their_text():
    shown = metadata_of(Report("x").with_details(when=datetime(2012, 1, 1, tzinfo=UTC), nested={"at": Path("b")}))
    assert shown["when"] == "2012-01-01 00:00:00+00:00"
    assert shown["nested"].value == {"at": "b"}
