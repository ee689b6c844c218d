"""Each kind of difference between desk and back-test is found and named; exports show a changed file."""

import json
import sqlite3
from datetime import UTC, datetime, timedelta

import pytest

from lake.errors import ConfigError, UnknownNameError
from lake.tables import FILLS, VOTES
from serving.desk import (
    altered_files,
    compare,
    desk_views,
    explained,
    export_desk,
    journal_of,
    recorded_bars,
    replay_decision,
)
from support.backtests import closes_of


class EditedJournal:
    """The journal of a desk with some rows of its fills changed."""

    def __init__(self, journal, edit):
        self._journal, self._edit = journal, edit

    def rows(self, spec, *args):
        rows = self._journal.rows(spec, *args)
        return self._edit(rows) if spec is FILLS else rows


def edited(ran, edit):
    journal = EditedJournal(journal_of(ran.settings), edit)
    return compare(journal, ran.account, recorded_bars(ran.lake, ran.settings, ran.account)).differences


@pytest.mark.parametrize(
    ("kind", "edit"),
    [
        ("price", lambda rows: [rows[0] | {"price": rows[0]["price"] * (1 + 1e-15) + 1e-14}, *rows[1:]]),
        ("time", lambda rows: [rows[0] | {"event_time": rows[0]["event_time"] + timedelta(days=1)}, *rows[1:]]),
        ("quantity", lambda rows: [rows[0] | {"quantity": rows[0]["quantity"] + 1}, *rows[1:]]),
        ("cost", lambda rows: [rows[0] | {"impact": 0.0}, *rows[1:]]),
        ("missing", lambda rows: rows[1:]),
        ("surplus", lambda rows: [*rows, rows[0] | {"fill_id": "another"}]),
    ],
)
def test_a_difference_is_found_and_named(ran, kind, edit):
    (found,) = edited(ran, edit)
    assert found.kind == kind
    assert found.about in found.sentence


def test_a_bar_that_was_another_one_shows_as_fills_and_equity_that_differ(ran):
    stream = recorded_bars(ran.lake, ran.settings, ran.account)
    session, bars = stream[3]
    stream[3] = (session, [bars[0]._replace(open=bars[0].open * 0.999), *bars[1:]])
    kinds = {each.kind for each in compare(journal_of(ran.settings), ran.account, stream).differences}
    assert {"price", "equity"} <= kinds


def test_an_export_has_every_row_of_its_period_and_hashes_that_find_a_changed_file(ran, tmp_path):
    closes = closes_of(ran.lake)
    files = export_desk(ran.lake, ran.settings, tmp_path / "out", closes[30], closes[33])
    rows = {each.name: each.rows for each in files}
    assert (rows["decisions.csv"], rows["equity.csv"], rows["votes.csv"]) == (12, 3, 12 * 9)
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text())
    assert set(manifest["files"]) == set(rows)
    assert altered_files(tmp_path / "out") == []
    (tmp_path / "out" / "fills.csv").write_text("changed")
    assert altered_files(tmp_path / "out") == ["fills.csv"]
    (earned,) = json.loads((tmp_path / "out" / "attribution.json").read_text())
    assert sum(earned["lines"].values()) - earned["costs"] == pytest.approx(earned["result"], abs=1e-6)
    with pytest.raises(ConfigError, match="is empty"):
        export_desk(ran.lake, ran.settings, tmp_path / "out", closes[33], closes[30])


def test_an_export_as_parquet_says_the_same(ran, tmp_path):
    import polars as pl

    since, until = datetime(2012, 1, 1, tzinfo=UTC), datetime(2013, 1, 1, tzinfo=UTC)
    export_desk(ran.lake, ran.settings, tmp_path, since, until, "parquet")
    stored = pl.read_parquet(tmp_path / "votes.parquet")
    assert stored.height == len(journal_of(ran.settings).rows(VOTES))
    assert stored["overruled_by"].null_count() < stored.height


def test_a_decision_is_explained_with_its_votes_orders_and_fills(ran):
    (view,) = desk_views(ran.lake, ran.settings)
    fill = journal_of(ran.settings).rows(FILLS)[0]
    found = explained(ran.settings, fill["order_id"])
    assert [each["status"] for each in found.orders] == ["intended", "working", "filled"]
    assert found.fills == [fill]
    assert len(found.votes) == 9
    assert replay_decision(ran.settings, fill["order_id"]).verdict == "equal"
    assert view.equity["equal_weight_equity"] > 0
    with pytest.raises(UnknownNameError):
        explained(ran.settings, "paper.20120101T2100.XXX")


def test_a_receipt_that_was_edited_in_the_journal_is_found(ran, tmp_path):
    path = tmp_path / "desk.sqlite"
    with sqlite3.connect(journal_of(ran.settings).path) as source, sqlite3.connect(path) as copy:
        source.backup(copy)
        copy.execute(
            "UPDATE rows SET body = replace(body, 'strategy:ridge', 'strategy:rodge') WHERE kind = 'decisions'"
        )
    from lake.tables import DECISIONS
    from serving.desk import DeskJournal, replay_receipt

    row = DeskJournal(path).rows(DECISIONS)[0]
    assert replay_receipt(row["decision_id"], row["content"], row["seal"]).verdict == "altered"
