"""A damaged row of the forecast log is verified at the drain, put aside, and decided about by a command."""

import json
import sqlite3
from contextlib import closing
from typing import Any

import polars as pl
import pytest
from typer.testing import CliRunner

from dagster_project.cli import app
from dagster_project.commands import forecasts as commands
from lake.errors import NotReadyError, SchemaError, UnknownNameError
from lake.store import Lake, unverified
from lake.tables import FORECASTS, RECEIPTS
from serving import audit
from serving.forecast_log import ForecastLog, LogReader, decisions, drain, draining, log_path, quarantine, verify_logged
from serving.forecast_log.verifying import RowVerdict
from serving.replay.cases import cases, identities
from support.log import flip_bit, sealed_entry

BY = "console:test"


@pytest.fixture
def lake(settings: Any) -> Lake:
    return Lake.open(settings)


def written(settings: Any, *names: str) -> None:
    log = ForecastLog.open(settings)
    log.write([sealed_entry(name) for name in names])
    log.close()


def change(settings: Any, query: str) -> None:
    with closing(sqlite3.connect(log_path(settings))) as connection, connection:
        connection.execute(query)


@pytest.fixture
def damaged(settings: Any, lake: Lake) -> Lake:
    """Three forecasts in the log, a bit of the second flipped on the disk, drained."""
    written(settings, "a", "b", "c")
    flip_bit(log_path(settings), "b", "p50")
    drain(lake, settings)
    return lake


def test_a_flipped_bit_on_the_disk_is_noticed_and_stops_no_other_row(settings: Any, damaged: Lake) -> None:
    assert sorted(damaged.read(FORECASTS)["forecast_id"]) == sorted(damaged.read(RECEIPTS)["forecast_id"]) == ["a", "c"]
    (held,) = quarantine.quarantined_forecasts(settings)
    assert (held.file, held.logged.sequence, held.state) == ("forecast_log.sqlite", 2, "waiting")
    assert "p50" in held.reason
    assert '"p50":8.' in str(held.logged.row)
    written(settings, "d")
    report = drain(damaged, settings)
    assert (report.added, report.details["quarantined"], report.warnings) == (1, 0, ())


def test_without_verification_the_damaged_row_would_reach_the_lake(
    settings: Any, lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The mutant of the test above: it is the verification that keeps the row out."""
    monkeypatch.setattr(draining, "verify_logged", lambda one: RowVerdict(json.loads(one.row), ("", ""), ""))
    monkeypatch.setattr(draining, "as_frames", lambda held: (draining.rows_from_json(texts(held)), RECEIPTS.empty()))
    written(settings, "a", "b", "c")
    flip_bit(log_path(settings), "b", "p50")
    drain(lake, settings)
    assert lake.read(FORECASTS, where=pl.col("forecast_id") == "b")["p50"][0] > 8


def texts(held: Any) -> list[str]:
    return [json.dumps(verdict.row) for verdict in held]


def test_every_bit_of_row_answer_and_receipt_is_covered() -> None:
    entry = sealed_entry("a")
    whole = draining.Logged(1, "a", json.dumps(entry.row, default=str), entry.answer, entry.receipt)
    assert verify_logged(whole).fault == ""
    for name in ("row", "answer", "receipt"):
        text = getattr(whole, name)
        for at in range(0, len(text), 7):
            other = text[:at] + chr(ord(text[at]) ^ 1) + text[at + 1 :]
            assert verify_logged(whole._replace(**{name: other})).fault, (name, at)


@pytest.mark.parametrize(
    ("change_to", "reason"),
    [
        ({"p10": float("nan")}, "no finite number"),
        ({"p90": -1.0}, "above 'p90'"),
        ({"p50": "0.1"}, "no finite number"),
        ({"kind": "said"}, "none of replay"),
        ({"reference_price": 0}, "not above zero"),
        ({"horizon_sessions": 1.5}, "no whole number"),
        ({"degraded": 1}, "neither true nor false"),
        ({"made_at": "2026-11-21T12:00:00"}, "without a zone"),
        ({"made_at": "soon"}, "no instant"),
        ({"symbol": None}, "is null"),
        ({"symbol": "\ud800"}, "no text"),
        ({"known_time": "2011-01-01T00:00:00+00:00"}, "above 'known_time'"),
        ({"surplus": 1}, "columns"),
        ({"latency_ms": -1.0}, "below 0"),
    ],
)
def test_a_row_that_does_not_fit_the_table_is_named_with_the_reason(change_to: dict[str, Any], reason: str) -> None:
    row = json.loads(json.dumps(sealed_entry("a").row, default=str)) | change_to
    verdict = verify_logged(draining.Logged(1, "a", json.dumps(row), "", ""))
    assert verdict.row is None
    assert reason in verdict.fault


@pytest.mark.parametrize(
    ("query", "reason"),
    [
        ("UPDATE forecasts SET row = CAST(x'7b22ff' AS TEXT) WHERE sequence = 2", "no UTF-8"),
        ("UPDATE forecasts SET row = substr(row, 1, 100) WHERE sequence = 2", "no JSON"),
        ("UPDATE forecasts SET forecast_id = 'z' WHERE sequence = 2", "its place in the log"),
        ("UPDATE forecasts SET answer = '2020-01-01T00:00:00Z' WHERE sequence = 2", "the answer is not"),
        ("UPDATE forecasts SET receipt = substr(receipt, 1, 40) WHERE sequence = 2", "no seal"),
        ("UPDATE forecasts SET receipt_part = 99 WHERE sequence = 2", "missing from the log file"),
    ],
)
def test_whatever_is_damaged_the_others_are_drained(settings: Any, lake: Lake, query: str, reason: str) -> None:
    written(settings, "a", "b", "c")
    change(settings, query)
    report = drain(lake, settings)
    assert (report.added, report.details["quarantined"]) == (2, 1)
    assert "quarantine list" in report.warnings[0]
    (held,) = quarantine.quarantined_forecasts(settings)
    assert reason in held.reason


def test_a_drain_killed_between_quarantine_and_mark_quarantines_once(
    settings: Any, lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    written(settings, "a", "b")
    flip_bit(log_path(settings), "b", "p50")

    def die(*_: Any) -> None:
        raise KeyboardInterrupt

    for part in ("mark", "merge"):
        with monkeypatch.context() as patch:
            patch.setattr(draining, part, die)
            with pytest.raises(KeyboardInterrupt):
                drain(lake, settings)
    drain(lake, settings)
    assert [entry.logged.forecast_id for entry in quarantine.quarantined_forecasts(settings)] == ["b"]
    assert lake.read(FORECASTS)["forecast_id"].to_list() == ["a"]


def test_what_is_in_quarantine_is_answered_and_replayed_no_more(settings: Any, damaged: Lake) -> None:
    logged = LogReader(settings)
    assert logged.get("b") is None
    assert logged.get("a") is not None
    assert sorted(identities(damaged, settings)) == ["a", "c"]
    assert [case.forecast_id for case in cases(damaged, settings, ["b"])] == []


def test_a_row_that_cannot_be_parsed_is_never_released_but_closed(settings: Any, damaged: Lake) -> None:
    with pytest.raises(SchemaError, match="quarantine withdraw 1"):
        decisions.release(damaged, settings, 1, by=BY, reason="I say so", force=True)
    decisions.close(damaged, settings, 1, by=BY, reason="bit flip")
    assert quarantine.quarantined_forecasts(settings, "waiting") == []
    with pytest.raises(NotReadyError, match="withdrawn"):
        decisions.release(damaged, settings, 1, by=BY)
    with pytest.raises(UnknownNameError):
        decisions.close(damaged, settings, 7, by=BY, reason="")
    assert [row["what"] for row in audit.newest(damaged, 9, "forecast.")] == ["forecast.withdraw"]


def test_a_row_that_fits_the_table_but_not_its_seal_is_released_by_force_and_flagged(settings: Any, lake: Lake) -> None:
    written(settings, "a", "b")
    flip_bit(log_path(settings), "b", "reference_price", bit=0)
    drain(lake, settings)
    with pytest.raises(SchemaError, match="--force"):
        decisions.release(lake, settings, 1, by=BY)
    done = decisions.release(lake, settings, 1, by=BY, reason="checked by hand", force=True)
    assert not done.is_verified
    assert decisions.release(lake, settings, 1, by=BY, reason="again", force=True) == done
    assert sorted(lake.read(FORECASTS)["forecast_id"]) == ["a", "b"]
    assert unverified(lake) == {"b"}
    (case,) = cases(lake, settings, ["b"])
    assert any("not the row that was sealed" in str(finding) for finding in case.findings)
    assert json.loads(audit.newest(lake, 1, "forecast")[0]["details"])["is_verified"] is False


def test_a_row_whose_damage_is_mended_is_released_as_verified(settings: Any, lake: Lake) -> None:
    written(settings, "a")
    change(settings, "UPDATE forecasts SET row = row || ' '")  # as it was, for JSON
    assert drain(lake, settings).added == 1
    written(settings, "b")
    change(settings, "UPDATE forecasts SET is_in_lake = 0, forecast_id = 'x' WHERE forecast_id = 'b'")
    drain(lake, settings)
    with closing(sqlite3.connect(quarantine.quarantine_path(settings))) as connection, connection:
        connection.execute("UPDATE quarantine SET forecast_id = CAST('b' AS BLOB)")
    written_answer = quarantine.find(settings, 1).logged.answer
    assert written_answer is not None
    with closing(sqlite3.connect(quarantine.quarantine_path(settings))) as connection, connection:
        mended = written_answer.replace('"x"', '"b"').encode()
        connection.execute("UPDATE quarantine SET answer = ?", (mended,))
    assert decisions.release(lake, settings, 1, by=BY).is_verified
    assert unverified(lake) == set()


def test_the_commands_list_show_release_and_withdraw(
    settings: Any, damaged: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(commands, "_home", lambda: (damaged, settings))
    run = CliRunner()

    def say(*words: str) -> Any:
        return run.invoke(app, ["forecasts", *words], catch_exceptions=True)

    (listed,) = json.loads(say("quarantine", "list", "--json").stdout)
    assert (listed["forecast_id"], listed["sequence"]) == ("b", 2)
    assert listed["file"] == "forecast_log.sqlite"
    assert " b " in say("quarantine", "list").stdout
    assert '"p50":8.' in json.loads(say("quarantine", "show", "1").stdout)["row"]
    assert isinstance(say("quarantine", "release", "1").exception, SchemaError)
    assert "never comes into the lake" in say("quarantine", "withdraw", "1", "--reason", "flip").stdout
    assert json.loads(say("quarantine", "list", "--json").stdout) == []
    assert len(json.loads(say("quarantine", "list", "--all", "--json").stdout)) == 1
    assert "withdrawn" in say("withdraw", "a", "--reason", "wrong market").stdout
    assert damaged.read(FORECASTS)["forecast_id"].to_list() == ["c"]
    assert json.loads(say("decisions", "--json").stdout)[0]["reason"] == "wrong market"
    assert "every answer is in the lake" in say("drain").stdout
    assert "1 forecast deleted from the log" in say("prune").stdout
    assert isinstance(say("withdraw", "nobody", "--reason", "x").exception, UnknownNameError)
