"""An answer that says something else than its forecast is found, though its digest and the seal were made anew."""

import json
import sqlite3
from contextlib import closing

import polars as pl
import pytest

from lake.store import digests
from lake.tables import FORECASTS, RECEIPTS
from serving.forecast_log import drain
from serving.receipts import Receipt, digest_of, drain_digest, row_digest
from serving.receipts.seals import sealed
from serving.replay import Replayed, replay, verify
from serving.replay.answered import compare_answer, derive
from serving.replay.cases import Case, cases, identities
from serving.replay.recompute import ReplayJob
from support import receipts as at_home

LOG = "forecast_log.sqlite"


@pytest.fixture(scope="module")
def mine(home, tmp_path_factory):
    """Twelve forecasts that were drained, and twelve that wait in the log."""
    made = at_home.copied(home.settings, tmp_path_factory.mktemp("forged") / "home", with_forecasts=False)
    at_home.assign(made, (0.1, 0.2, 0.3, 0.4))
    at_home.serve(made, 12, seed=1)
    drain(made.lake, made.settings)
    at_home.serve(made, 12, seed=2)
    return made


@pytest.fixture(autouse=True)
def renamed_files(monkeypatch):
    """Whoever replaces rows on purpose renames the files too, so their digests find nothing here."""
    monkeypatch.setattr(digests, "altered_files", lambda *_, **__: [])


@pytest.fixture
def job(mine):
    """One forecast with its answer."""
    (case,) = cases(mine.lake, mine.settings, waiting(mine)[-1:])
    return ReplayJob(
        case, case.receipt, Replayed(case.forecast_id, "served", case.row["symbol"], case.row["event_time"])
    )


def waiting(home):
    with closing(sqlite3.connect(home.settings.home / LOG)) as log:
        return [one for (one,) in log.execute("SELECT forecast_id FROM forecasts WHERE is_in_lake = 0")]


def forge(home, forecast_id, change):
    """Change an answer in the log, and make its digest and the receipt's seal anew."""
    with closing(sqlite3.connect(home.settings.home / LOG)) as log, log:
        query = "SELECT answer, receipt FROM logged WHERE forecast_id = ?"
        answer, receipt = log.execute(query, (forecast_id,)).fetchone()
        forged = json.loads(answer)
        change(forged)
        text = json.dumps(forged, separators=(",", ":"))
        content = json.loads(receipt) | {"answer": digest_of(text)}
        content.pop("seal")
        said = (text, sealed(json.dumps(content, separators=(",", ":"))), forecast_id)
        whole = "answer = ?, answer_part = NULL, receipt = ?, receipt_part = NULL"
        log.execute(f"UPDATE forecasts SET {whole} WHERE forecast_id = ?", said)


def faults(home, forecast_id):
    (found,) = replay(home.lake, home.settings, [forecast_id])
    assert found.verdict == ("differs" if found.faults else "equal")
    return [str(fault) for fault in found.faults]


def test_a_forged_instant_is_named_though_everything_was_sealed_anew(mine):
    one = waiting(mine)[0]
    forge(mine, one, lambda answer: answer.update(made_at="2020-01-01T00:00:00Z"))
    (fault,) = faults(mine, one)
    assert fault.startswith(
        f"answer {one}: made_at in it is '2020-01-01T00:00:00Z', and from row and receipt it follows"
    )


def test_a_forged_price_is_named_though_everything_was_sealed_anew(mine, monkeypatch):
    one = waiting(mine)[1]
    forge(mine, one, lambda answer: answer["prediction"].update(target_price=1.0))
    (fault,) = faults(mine, one)
    assert "prediction.target_price in it is 1.0" in fault
    monkeypatch.setattr(verify, "compare_answer", lambda *_, **__: None)
    assert faults(mine, one) == [], "the mutant: without the comparison nobody would know"


def leaves(value, at=()):
    if not isinstance(value, dict):
        yield at
        return
    for name, inner in value.items():
        yield from leaves(inner, (*at, name))


def changed(value):
    if isinstance(value, bool):
        return not value
    if isinstance(value, (int, float)):
        return value * (1 + 1e-12) + 1e-12
    return [*value, value[0]] if isinstance(value, list) else f"{value}x"


def test_every_field_of_an_answer_is_compared(job):
    """Whatever is altered is named with its place, and so is what is added and what is left out."""
    sent = json.loads(job.case.answer)
    places = list(leaves(sent))
    assert len(places) > 25
    for place in [*places, ("data", "more"), ("prediction", None)]:
        forged = json.loads(job.case.answer)
        *path, last = place
        inner = forged
        for name in path:
            inner = inner[name]
        if last is None:
            inner.pop("p50")
            last = "p50"
        else:
            inner[last] = changed(inner.get(last, 0))
        said = findings(job, json.dumps(forged))
        assert [one.problem.partition(" in it is ")[0] for one in said] == [".".join((*path, last))], place
    assert findings(job, job.case.answer) == []


def findings(job, answer, *, is_same_code=True):
    case = Case(job.case.row, job.case.source, job.receipt, answer=answer)
    replayed = ReplayJob(
        case, job.receipt, Replayed(case.forecast_id, "served", case.row["symbol"], case.row["event_time"])
    )
    compare_answer(replayed, is_same_code=is_same_code)
    return replayed.result.findings


def test_an_answer_of_other_code_may_have_other_fields_and_no_other_values(job):
    forged = json.loads(job.case.answer)
    forged["data"]["more"] = 1
    del forged["disclaimer"]
    assert findings(job, json.dumps(forged), is_same_code=False) == []
    forged["prediction"]["p50"] += 1e-9
    assert len(findings(job, json.dumps(forged), is_same_code=False)) == 1


def test_an_answer_from_before_the_outlook_replays_and_a_forged_one_is_named(job):
    sent = json.loads(job.case.answer)
    assert sent["prediction"].pop("outlook")
    assert findings(job, json.dumps(sent), is_same_code=False) == []
    sent["prediction"]["outlook"] = "a sure thing"
    for is_same_code in (False, True):
        (one,) = findings(job, json.dumps(sent), is_same_code=is_same_code)
        assert "prediction.outlook in it is 'a sure thing'" in one.problem


def test_a_degraded_answer_keeps_its_own_words_and_nothing_else(job):
    row = job.case.row | {"degraded": True}
    degraded = ReplayJob(Case(row, "log", job.receipt), job.receipt, job.result)
    answer = json.loads(derive(degraded, "Redis was slow").model_dump_json())
    degraded.case.answer = json.dumps(answer)
    compare_answer(degraded, is_same_code=True)
    assert degraded.result.findings == []
    answer["data"]["degraded_because"] = ""
    degraded.case.answer = json.dumps(answer)
    compare_answer(degraded, is_same_code=True)
    assert "degraded_because" in degraded.result.findings[0].problem


def test_the_derived_answer_has_the_digest_of_the_one_that_was_sent(mine):
    """So an answer is proven from the lake alone, after the log was pruned."""
    drained = [one for one in identities(mine.lake, mine.settings) if one not in waiting(mine)]
    with closing(sqlite3.connect(mine.settings.home / LOG)) as log, log:
        log.execute("DELETE FROM forecasts WHERE is_in_lake = 1")
    found = replay(mine.lake, mine.settings, drained)
    assert {one.verdict for one in found} == {"equal"}
    assert all("answer" in one.compared for one in found)
    forged, replaced = drained[:2]
    reseal(mine, forged, answer="0" * 64)
    assert any("another digest than the one that was sent" in fault for fault in faults(mine, forged))
    # Row, answer and receipt all fit each other here: only the audit chain knows.
    (case,) = cases(mine.lake, mine.settings, [replaced])
    row = case.row | {"made_at": case.row["made_at"].replace(year=2020)}
    job = ReplayJob(Case(row, "lake", case.receipt), case.receipt, Replayed(replaced, "served", "", row["event_time"]))
    overwrite(mine, FORECASTS, replaced, made_at=row["made_at"])
    reseal(mine, replaced, answer=digest_of(derive(job).model_dump_json()), row=row_digest(row))
    assert faults(mine, replaced) == [f"drain {replaced}: {drain_digest.REPLACED}"]


def reseal(home, forecast_id, **changes):
    """Change what a receipt in the lake says, and seal it anew."""
    where = pl.col("forecast_id") == forecast_id
    text = home.lake.scan(RECEIPTS).filter(where).collect()["content"].item()
    content = json.dumps(json.loads(text) | changes, separators=(",", ":"))
    assert Receipt.from_json(content)
    overwrite(home, RECEIPTS, forecast_id, content=content, seal=digest_of(content))


def overwrite(home, spec, forecast_id, **values):
    is_mine = pl.col("forecast_id") == forecast_id
    for file in home.lake.files(spec):
        rows = pl.read_parquet(file, hive_partitioning=False)
        rows.with_columns(
            pl.when(is_mine).then(pl.lit(value)).otherwise(name).cast(rows.schema[name]).alias(name)
            for name, value in values.items()
        ).write_parquet(file)
