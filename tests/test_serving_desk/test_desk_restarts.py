"""A desk that is killed anywhere goes on as if it had not been: nothing is lost, and nothing is sent twice."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from lake.clock import DEMO_START, FixedClock
from lake.errors import ConflictError, LookAheadError
from lake.settings import Settings
from lake.store import Lake
from lake.tables import DECISIONS, EQUITY, FILLS, ORDERS
from serving.desk import BROKER_FILE, DeskAccount, DeskJournal, PaperDesk, journal_of, open_desk, reconcile_desk
from serving.desk.sqlite import JOURNAL_FILE
from serving.risk import restrict, resume
from support.backtests import closes_of
from support.desks import desk_at, desk_home, dying, opened_desk, run_at, run_sessions
from support.killing import KilledError

FIRST = 30
KILLED = """
import os, signal, sys
from pathlib import Path
from lake.settings import Settings
from lake.store import Lake
from support.desks import dying, run_at
from support.backtests import closes_of

settings = Settings(home=Path(sys.argv[1]))
lake = Lake.open(settings)
with dying(sys.argv[3], int(sys.argv[4]), lambda: os.kill(os.getpid(), signal.SIGKILL)):
    run_at(lake, settings, closes_of(lake)[int(sys.argv[2])])
"""


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a home whose desk ran at two closes, to be copied."""
    settings = Settings(home=tmp_path_factory.mktemp("restarts") / "home")
    lake = desk_home(settings)
    opened_desk(settings, lake, closes_of(lake)[FIRST])
    run_sessions(lake, settings, FIRST, 2)
    return settings.home


class Home:
    """A copy of a home: its journal, its broker and its switch are its own, its tables are shared and only read."""

    def __init__(self, of: Path, path: Path) -> None:
        path.mkdir()
        for name in (JOURNAL_FILE, BROKER_FILE):
            for file in of.glob(f"{name}*"):
                (path / file.name).write_bytes(file.read_bytes())
        for name in ("tables", "risk"):
            (path / name).symlink_to(of / name)
        self.settings = Settings(home=path)
        self.lake = Lake.open(self.settings)
        resume(path, by="A. Reviewer", reason="tests")

    def run(self, place: int) -> object:
        return run_at(self.lake, self.settings, closes_of(self.lake)[place])

    def end(self, place: int, when: str, sends: int) -> None:
        """Run the desk, and end it at a place."""

        def ends() -> None:
            raise KilledError

        with dying(when, sends, ends), pytest.raises(KilledError):
            self.run(place)

    def kill(self, place: int, when: str, sends: int) -> None:
        """Run the desk in a process that is killed at a place."""
        command = [sys.executable, "-c", KILLED, str(self.settings.home), str(place), when, str(sends)]
        done = subprocess.run(command, env=os.environ, capture_output=True, text=True, check=False)
        assert done.returncode == -signal.SIGKILL, done.stderr

    def history(self) -> tuple[list[object], ...]:
        """Return what counts: decisions, fills and equity, and how each order ended."""
        journal = journal_of(self.settings)
        fills = [(row["fill_id"], row["quantity"], row["price"], row["event_time"]) for row in journal.rows(FILLS)]
        equity = [(row["event_time"], row["equity"], row["equal_weight_equity"]) for row in journal.rows(EQUITY)]
        decided = [(row["decision_id"], row["quantity"]) for row in journal.rows(DECISIONS)]
        ended = sorted({row["order_id"]: row["status"] for row in journal.rows(ORDERS)}.items())
        return decided, sorted(fills), equity, ended


@pytest.fixture
def home(opened: Path, tmp_path: Path) -> Home:
    return Home(opened, tmp_path / "home")


@pytest.fixture(scope="module")
def whole(opened: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[list[object], ...]:
    """Return the history of a desk that was never killed."""
    home = Home(opened, tmp_path_factory.mktemp("whole") / "home")
    for place in (FIRST + 2, FIRST + 3):
        home.run(place)
    return home.history()


@pytest.mark.parametrize(("when", "sends"), [("decided", 0), ("before", 1), ("before", 3), ("after", 1), ("after", 4)])
def test_a_desk_that_ends_between_writing_and_sending_goes_on_as_if_it_had_not(
    home: Home, whole: tuple[list[object], ...], when: str, sends: int
) -> None:
    home.end(FIRST + 2, when, sends)
    for place in (FIRST + 2, FIRST + 3):
        home.run(place)
    assert len(whole[1]) > 4
    assert home.history() == whole


def test_a_process_that_is_killed_between_sending_and_writing_down_loses_nothing_and_sends_nothing_twice(
    home: Home, whole: tuple[list[object], ...]
) -> None:
    home.kill(FIRST + 2, "after", 2)
    for place in (FIRST + 2, FIRST + 3):
        home.run(place)
    assert home.history() == whole


def test_what_was_not_sent_in_its_session_is_not_sent_later(home: Home) -> None:
    home.end(FIRST + 2, "decided", 0)
    home.run(FIRST + 3)
    journal = journal_of(home.settings)
    rows = [row for row in journal.rows(ORDERS) if row["status"] == "unsent"]
    late = {row["order_id"] for row in rows}
    assert late
    assert late.isdisjoint(row["order_id"] for row in journal.rows(FILLS))


def test_the_newest_event_is_written_down_with_its_rows(tmp_path: Path) -> None:
    journal = DeskJournal(tmp_path / JOURNAL_FILE)
    journal.open_account(DeskAccount("paper", DEMO_START, 1e6, "A. Analyst"))
    row = dict.fromkeys(EQUITY.names, 0.0) | {"account": "paper", "event_time": DEMO_START, "known_time": DEMO_START}
    journal.write([(EQUITY, row)], account="paper", event=5)
    assert journal.last_event("paper") == 5
    with pytest.raises(ConflictError, match="has such a row already"):
        journal.write([(EQUITY, row)], account="paper", event=6)
    assert journal.last_event("paper") == 5  # all of it, or nothing


def test_an_account_that_is_opened_later_trades_its_own_sessions_and_both_equal_their_backtests(home: Home) -> None:
    closes = closes_of(home.lake)
    open_desk(home.settings, home.lake.market, closes[FIRST + 1], by="A. Analyst", name="another", capital=5e5)
    for place in (FIRST + 1, FIRST + 2, FIRST + 3):
        for account in journal_of(home.settings).accounts():
            PaperDesk(home.lake, home.settings, FixedClock(closes[place]), account).run()
    journal = journal_of(home.settings)
    sessions = {name: len(journal.rows(EQUITY, name)) for name in ("another", "paper")}
    assert sessions == {"another": 3, "paper": 4}
    for account in journal.accounts():
        clock = FixedClock(closes[FIRST + 3])
        found = reconcile_desk(home.lake, home.settings, clock, account)
        assert (found.differences, found.sessions) == ((), sessions[account.name])
        assert found.fills > 0


def test_running_again_at_the_same_close_changes_nothing(home: Home) -> None:
    home.run(FIRST + 2)
    before = home.history()
    again = home.run(FIRST + 2)
    assert "was decided at already" in again.reason
    assert home.history() == before


def test_missed_sessions_are_traded_through_and_not_decided(home: Home) -> None:
    home.run(FIRST + 5)
    journal, closes = journal_of(home.settings), closes_of(home.lake)
    decided = {row["event_time"] for row in journal.rows(DECISIONS)}
    assert decided == {closes[FIRST], closes[FIRST + 1], closes[FIRST + 5]}
    assert len(journal.rows(EQUITY)) == 6


def test_a_halted_desk_sends_nothing_and_says_who_halted_it(home: Home) -> None:
    restrict(home.settings.home, "halted", by="A. Reviewer", reason="quotes are wrong")
    done = home.run(FIRST + 2)
    journal = journal_of(home.settings)
    decided = journal.rows(DECISIONS, "paper", closes_of(home.lake)[FIRST + 2])
    assert done.orders == 0
    assert {row["decided_by"] for row in decided} == {"rule:halted"}
    assert all("quotes are wrong" in row["reason"] for row in decided)


def test_a_halt_between_decision_and_sending_keeps_every_order_back(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk = desk_at(home.lake, home.settings, closes_of(home.lake)[FIRST + 2])
    whole = desk._trade_equal_weight

    def halts(made: object) -> None:
        whole(made)
        restrict(home.settings.home, "halted", by="A. Reviewer", reason="now")

    monkeypatch.setattr(desk, "_trade_equal_weight", halts)
    done = desk.run()
    known = desk.broker.known_orders("paper")
    assert (done.orders, done.stopped > 0) == (0, True)
    stopped = [row for row in journal_of(home.settings).rows(ORDERS) if row["status"] == "stopped"]
    assert len(stopped) == done.stopped
    assert all("halted" in row["reason"] and row["order_id"] not in known for row in stopped)


def test_an_order_never_trades_in_the_bar_that_its_decision_knew(home: Home) -> None:
    from lake.execution import Order

    desk = desk_at(home.lake, home.settings, closes_of(home.lake)[FIRST + 2])
    close = closes_of(home.lake)[FIRST + 2]
    desk.broker.submit(Order("x", "paper", "AAA", 1.0, decided_at=close), close)
    with pytest.raises(LookAheadError, match="expected a later bar"):
        desk.broker.events("paper", 0)


def test_an_order_that_the_desk_never_wrote_down_stops_it(home: Home) -> None:
    from lake.execution import Order

    close = closes_of(home.lake)[FIRST + 1]
    desk = desk_at(home.lake, home.settings, closes_of(home.lake)[FIRST + 2])
    desk.broker.submit(Order("stray", "paper", "AAA", 1.0, decided_at=close), close)
    with pytest.raises(ConflictError, match="never wrote down"):
        desk.run()


def test_the_same_order_is_taken_once(home: Home) -> None:
    from lake.execution import Order

    close = closes_of(home.lake)[FIRST + 1]
    desk = desk_at(home.lake, home.settings, close)
    order = Order("once", "paper", "AAA", 1.0, decided_at=close)
    assert desk.broker.submit(order, close).status == "working"
    assert desk.broker.submit(order, close).status == "refused"
    assert desk.broker.known_orders("paper")["once"].status == "working"
