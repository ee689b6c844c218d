from datetime import UTC, datetime
from pathlib import Path

import dagster as dg

from dagster_project.reports import metadata_of
from lake.report import Report


def test_a_report_becomes_metadata_without_what_it_does_not_say():
    report = Report("bars", rows=10, added=3, version=2, first=datetime(2000, 3, 1, 21, tzinfo=UTC))
    shown = metadata_of(report.with_details(inputs={"raw_bars": 1}, reason="why"))
    assert shown["dagster/row_count"] == 10
    assert shown["table_version"] == 2
    assert shown["first"] == "2000-03-01T21:00:00+00:00"
    assert not {"last", "warnings"} & set(shown)
    assert shown["inputs"] == dg.MetadataValue.json({"raw_bars": 1})
    assert shown["reason"] == "why"


def test_rows_become_a_table_and_pictures_are_shown(tmp_path: Path):
    picture = tmp_path / "curve.png"
    picture.write_bytes(b"\x89PNG")
    shown = metadata_of(
        Report("x").with_details(scores=[{"model": "tft", "loss": 0.123456789}], curve=picture, report=Path("a.html"))
    )
    assert "| tft | 0.12346 |" in shown["scores"].value
    assert shown["curve"].value.startswith("![curve](data:image/png;base64,")
    assert shown["report"] == dg.MetadataValue.path("a.html")


def test_values_dagster_does_not_know_become_their_text():
    shown = metadata_of(Report("x").with_details(when=datetime(2012, 1, 1, tzinfo=UTC), nested={"at": Path("b")}))
    assert shown["when"] == "2012-01-01 00:00:00+00:00"
    assert shown["nested"].value == {"at": "b"}
