"""A home that is written to while it is backed up comes back as one point."""

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from lake.care import backup, maintain_tables
from lake.care.backup import creating
from lake.sources import tiny_market
from lake.store import Lake
from lake.tables import BARS

MARKET = tiny_market(["AAPL", "IBM"], sessions=40, seed=5)


@pytest.fixture
def home(small_home: Path) -> Path:
    return small_home


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "backups"


def facts(database: Path) -> list[int]:
    with closing(sqlite3.connect(database)) as connection:
        return [row[0] for row in connection.execute("SELECT number FROM facts ORDER BY number")]


@contextmanager
def busy(*works: Any) -> Iterator[None]:
    """Do things over and over, each in a thread, while a block lasts."""
    over, errors = threading.Event(), list[Exception]()

    def repeat(work: Any) -> None:
        number = 500
        while not over.is_set():
            try:
                work(number)
            except Exception as error:  # noqa: BLE001 - told where the block ends
                errors.append(error)
                return
            number += 1

    threads = [threading.Thread(target=repeat, args=(work,)) for work in works]
    for thread in threads:
        thread.start()
    yield
    over.set()
    for thread in threads:
        thread.join()
    assert errors == []


def test_a_home_that_is_written_to_meanwhile_comes_back_as_one_point(home: Path, root: Path, tmp_path: Path) -> None:
    lake, labels = Lake(home / "tables"), MARKET.head(1)

    def drained(number: int) -> None:
        """First in the log, then in the table: as a forecast goes."""
        with closing(sqlite3.connect(home / "forecast_log.sqlite", timeout=120)) as log, log:
            log.execute("INSERT INTO facts VALUES (?)", (number,))
        moved = labels.with_columns(event_time=labels["event_time"] + timedelta(days=number))
        lake.merge(BARS, moved.with_columns(known_time=moved["event_time"]))
        with closing(sqlite3.connect(home / "forecast_log.sqlite", timeout=120)) as log, log:
            log.execute("DELETE FROM facts WHERE number = ?", (number,))

    def house_keeping(_: int) -> None:
        maintain_tables(lake, [BARS], keep=timedelta(0))

    with busy(drained, house_keeping):
        for number in range(4):
            made = backup.create(home, root)
            new = Lake(backup.restore(root, made, tmp_path / f"new {number}") / "tables")
            rows = new.read(BARS)
            assert rows.height == rows.select(BARS.key).unique().height
            first = labels["event_time"][0]
            numbers = {(at - first).days for at in rows["event_time"] if (at - first).days >= 500}
            logged = {one for one in facts(tmp_path / f"new {number}" / "forecast_log.sqlite") if one >= 500}
            newest = max(numbers | logged | {499})
            assert numbers | logged >= set(range(500, newest + 1)), "a forecast is in neither log nor table"
    assert backup.verify(root, backup.read_all(root)[0]) == []


def test_copying_tables_before_the_logs_would_lose_forecasts(
    home: Path, root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The mutant of the order: a forecast that is drained between the two copies is in neither."""
    take_log = creating._Backup._take_log
    drained = []

    def between(self: Any, folder: Path) -> int:
        version = take_log(self, folder)
        if not drained:
            drained.append(1)
            with closing(sqlite3.connect(home / "forecast_log.sqlite")) as log, log:
                log.execute("DELETE FROM facts WHERE number = 499")
        return version

    monkeypatch.setattr(creating._Backup, "_take_log", between)
    right = backup.create(home, root)
    assert 499 in facts(backup.restore(root, right, tmp_path / "right") / "forecast_log.sqlite")
    drained.clear()
    with closing(sqlite3.connect(home / "forecast_log.sqlite")) as log, log:
        log.execute("INSERT INTO facts VALUES (499)")
    monkeypatch.setattr(creating.Found, "is_log", property(lambda _: False))
    monkeypatch.setattr(creating.Found, "is_later", property(lambda self: self.name == "forecast_log.sqlite"))
    wrong = backup.create(home, root)
    assert 499 not in facts(backup.restore(root, wrong, tmp_path / "wrong") / "forecast_log.sqlite")
