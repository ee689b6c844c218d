"""What was drained stands on the audit chain: row, receipt and seal replaced together are found."""

import json
from datetime import timedelta
from pathlib import Path

import polars as pl
import pytest
from typer.testing import CliRunner

from dagster_project.commands.audit import app
from lake.settings import settings as read_settings
from lake.store import Lake, digests
from lake.tables import FORECASTS, RECEIPTS
from serving import audit
from serving.forecast_log import LogEntry, drain, draining
from serving.receipts import digest_of, drain_digest, row_digest
from serving.receipts.drain_digest import FOLDER, GONE, NEVER, REPLACED, WHAT, batches, judge, verify
from serving.receipts.seals import sealed
from support.log import forecast_row


@pytest.fixture(autouse=True)
def renamed_files(monkeypatch):
    """Whoever replaces rows on purpose renames the files too, so their digests find nothing here."""
    monkeypatch.setattr(digests, "altered_files", lambda *_, **__: [])


def as_json(values):
    return json.dumps(values, separators=(",", ":"))


def entry(**changes):
    row = forecast_row(**changes)
    content = as_json({"forecast_id": row["forecast_id"], "row": row_digest(row), "answer": digest_of("{}")})
    return LogEntry(row, "{}", sealed(content))


@pytest.fixture
def lake(settings):
    return Lake.open(settings)


@pytest.fixture
def drained(log, lake, settings):
    """Ids of five forecasts, drained in two batches."""
    entries = [entry() for _ in range(5)]
    for part in (entries[:3], entries[3:]):
        log.write(part)
        drain(lake, settings)
    return [one.row["forecast_id"] for one in entries]


def rewrite(lake, spec, change):
    """Change the rows of a table within its files, as somebody would who wants to leave no trace in its log."""
    for file in lake.files(spec):
        rows = pl.read_parquet(file, hive_partitioning=False)
        change(rows).write_parquet(file)


def replace(lake, forecast_id, **changes):
    """Replace a row and its receipt together, so that they fit each other."""
    (row,) = lake.scan(FORECASTS).filter(pl.col("forecast_id") == forecast_id).collect().to_dicts()
    row |= changes
    content = as_json({"forecast_id": forecast_id, "row": row_digest(row), "answer": "1" * 64})
    sealed_as = digest_of(content)
    is_mine = pl.col("forecast_id") == forecast_id
    rewrite(
        lake,
        FORECASTS,
        lambda rows: rows.with_columns(
            pl.when(is_mine).then(pl.lit(value)).otherwise(name).cast(rows.schema[name]).alias(name)
            for name, value in changes.items()
        ),
    )
    texts = {"content": content, "seal": sealed_as}
    rewrite(
        lake,
        RECEIPTS,
        lambda rows: rows.with_columns(
            pl.when(is_mine).then(pl.lit(text)).otherwise(name).alias(name) for name, text in texts.items()
        ),
    )


def found(lake):
    return {(one.where, one.problem) for one in verify(lake)}


def held(lake, ids, *, is_logged=False):
    """What `judge` says of forecasts of the lake."""
    is_mine = pl.col("forecast_id").is_in(ids)
    contents = dict(lake.scan(RECEIPTS).filter(is_mine).select("forecast_id", "content").collect().iter_rows())
    rows = lake.scan(FORECASTS).filter(is_mine).collect().to_dicts()
    judged = judge(lake, [(row, contents.get(row["forecast_id"], ""), is_logged) for row in rows])
    return {name: finding.problem for name, finding in judged.items()}


def test_each_drain_leaves_a_row_on_the_audit_chain(lake, drained):
    first, second = audit.newest(lake, 10, WHAT)
    assert [json.loads(row["details"])["forecasts"] for row in (first, second)] == [3, 2]
    assert [batch.count for batch in batches(lake)] == [3, 2]
    assert audit.verify(lake) == []
    assert verify(lake) == []
    assert held(lake, drained) == {}
    assert {path.stat().st_mode & 0o077 for path in (lake.root / FOLDER).iterdir()} == {0}


def test_a_row_replaced_together_with_its_receipt_is_named(lake, drained):
    later = lake.read(FORECASTS)["made_at"][0] + timedelta(hours=1)
    replace(lake, drained[3], made_at=later)
    assert found(lake) == {(drained[3], REPLACED)}
    assert held(lake, drained) == {drained[3]: REPLACED}


def test_a_receipt_replaced_alone_is_named(lake, drained):
    """With a seal of its own: another answer is said to have been sent."""
    replace(lake, drained[0])
    assert found(lake) == {(drained[0], REPLACED)}


def test_a_row_replaced_alone_is_named(lake, drained):
    rewrite(lake, FORECASTS, lambda rows: rows.with_columns(pl.col("latency_ms") + 1e-9))
    assert found(lake) == {(one, REPLACED) for one in drained}


def test_deleted_and_inserted_forecasts_are_named(lake, drained):
    rewrite(lake, FORECASTS, lambda rows: rows.filter(pl.col("forecast_id") != drained[1]))
    assert found(lake) == {(drained[1], GONE)}
    after = batches(lake)[0].drained_at + timedelta(seconds=1)
    inserted, old = forecast_row(made_at=after), forecast_row(made_at=after - timedelta(days=1))
    lake.merge(FORECASTS, pl.DataFrame([inserted, old], schema=FORECASTS.schema, orient="row"))
    ids = [inserted["forecast_id"], old["forecast_id"]]
    assert held(lake, ids) == {inserted["forecast_id"]: NEVER}, "of before there were batches nothing is known"
    assert held(lake, ids, is_logged=True) == {}, "its drain was cut off, and the next one writes it down"


@pytest.mark.parametrize("spoil", [Path.unlink, lambda path: path.write_text(path.read_text().replace("a", "b"))])
def test_a_spoilt_file_of_a_batch_is_named(lake, drained, spoil):
    path = batches(lake)[0].path
    spoil(path)
    (finding,) = verify(lake)
    assert finding.where == str(path)
    assert f"row {batches(lake)[0].sequence} of the audit trail" in finding.problem


def die(*_, **__):
    raise KeyboardInterrupt


@pytest.mark.parametrize(
    ("module", "name", "known"),
    [(drain_digest, "record", 0), (drain_digest.audit, "record", 0), (draining, "mark", 1)],
)
def test_a_drain_that_was_killed_is_written_down_by_the_next(log, lake, settings, monkeypatch, module, name, known):
    log.write([entry() for _ in range(4)])
    with monkeypatch.context() as patch:
        patch.setattr(module, name, die)
        with pytest.raises(KeyboardInterrupt):
            drain(lake, settings)
    assert len(batches(lake)) == known
    drain(lake, settings)
    drain(lake, settings)
    assert [batch.count for batch in batches(lake)] == [4]
    assert verify(lake) == []


def test_a_killed_drain_that_has_grown_meanwhile_is_written_down_whole(log, lake, settings, monkeypatch):
    log.write([entry() for _ in range(2)])
    with monkeypatch.context() as patch:
        patch.setattr(draining, "mark", die)
        with pytest.raises(KeyboardInterrupt):
            drain(lake, settings)
    log.write([entry()])
    drain(lake, settings)
    assert [batch.count for batch in batches(lake)] == [2, 3]
    assert verify(lake) == []


def test_without_the_record_nothing_would_be_noticed(log, lake, settings, monkeypatch):
    """The mutant: a drain that writes nothing down."""
    monkeypatch.setattr(drain_digest, "record", lambda *_: "")
    log.write([entry()])
    drain(lake, settings)
    replace(lake, lake.read(FORECASTS)["forecast_id"][0], latency_ms=1.5)
    assert found(lake) == set()


def test_the_command_names_what_was_replaced(lake, drained, settings, monkeypatch):
    monkeypatch.setenv("QUANTLAKE_HOME", str(settings.home))
    read_settings.cache_clear()
    try:
        good = CliRunner().invoke(app, ["verify"], catch_exceptions=False)
        replace(lake, drained[0], latency_ms=1.5)
        bad = CliRunner().invoke(app, ["verify"], catch_exceptions=False)
        as_json = CliRunner().invoke(app, ["verify", "--json"], catch_exceptions=False)
    finally:
        read_settings.cache_clear()
    assert good.exit_code == 0
    assert "5 drained forecasts" in good.output
    assert bad.exit_code == as_json.exit_code == 1
    assert f"{drained[0]}: {REPLACED}" in bad.output.replace("\n", " ")
    assert json.loads(as_json.output)[0]["where"] == drained[0]
