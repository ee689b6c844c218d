"""What a vendor of economic series must do: the battery S01 to S23 of `test_sources.py` for FRED and its archive."""

import random
import subprocess
import sys
import traceback
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import polars as pl
import pytest
from hypothesis import strategies as st

from lake.clock import FixedClock
from lake.errors import AuthError, ContractError, OutageError, QuotaError, SourceError, UnknownSymbolError
from lake.ingest import pull_macro, refine_macro_to_lake
from lake.sources import connector_of, fred
from lake.store import Lake
from lake.tables import MACRO, QUARANTINE, RAW_MACRO
from support.archives import KEY, ArchiveStand, archive_stand
from support.killing import KilledError, killed
from support.properties import judge_scripts
from support.replay_server import ok, reset, silent, status
from support.vendors import change_everywhere, faults_of_the_wire

NOW = datetime(2012, 12, 31, 22, tzinfo=UTC)
DAY = timedelta(days=1)
Q3, Q4, Q1 = date(2008, 7, 1), date(2008, 10, 1), date(2009, 1, 1)
WIRE = dict(faults_of_the_wire())
Known = dict[tuple[str, date], float | None]


@pytest.fixture
def stand(tmp_path: Path) -> Iterator[ArchiveStand]:
    with archive_stand(tmp_path, NOW) as made:
        yield made


def store(stand: ArchiveStand, lake: Lake, series: tuple[str, ...] = ("GDP",)) -> int:
    """Pull, store and refine at the archive's now; return how many raw rows were added."""
    _, report = pull_macro(lake, "fred", lambda: stand.pull(series), stand.time)
    refine_macro_to_lake(lake, stand.time)
    return report.added


def as_of(lake: Lake, at: datetime) -> Known:
    """Return the value of each period as it was known at an instant."""
    rows = lake.read_as_of(MACRO, at).select("series", "period", "value")
    return {(series, period): value for series, period, value in rows.iter_rows()}


def test_s01_vintages_are_the_frame_that_was_written_by_hand(stand: ArchiveStand) -> None:
    rows = stand.pull().rows.filter(pl.col("period") == str(Q4)).sort("known_time")
    released = [datetime(2009, month, day, hour, 30, tzinfo=UTC) for month, day, hour in ((1, 30, 13), (2, 27, 13))]
    expected = [
        ("GDP", "2008-10-01", "14264.6", "2009-01-30", "scheduled", released[0]),
        ("GDP", "2008-10-01", "14200.3", "2009-02-27", "scheduled", released[1]),
        ("GDP", "2008-10-01", "14347.3", "2009-08-27", "scheduled", datetime(2009, 8, 27, 12, 30, tzinfo=UTC)),
    ]
    assert rows.select("series", "period", "value", "vintage", "known_basis", "known_time").rows() == expected
    assert rows["event_time"].unique().to_list() == [datetime(2008, 12, 31, 5, tzinfo=UTC)]
    assert rows["received_at"].unique().to_list() == [NOW]


def test_s02_pages_are_read_once_each_and_one_that_lacks_its_rows_is_refused(stand: ArchiveStand) -> None:
    stand.archive.most_rows, stand.archive.most_dates = 2, 3
    whole = stand.pull().rows
    assert whole.height == 9
    assert not whole.select("period", "vintage").is_duplicated().any()

    def empty_the_second(content: dict[str, Any]) -> None:
        if content["offset"] == 2 and "observations" in content:
            content["observations"] = []

    stand.archive.change = empty_the_second
    with pytest.raises(ContractError, match=r"holds nothing after the first 2 values, and says that there are \d+"):
        stand.pull()


def test_s04_a_series_without_a_value_is_no_unknown_series(stand: ArchiveStand) -> None:
    stand.archive.told["NEW"] = {}
    assert stand.pull(["NEW"]).rows.is_empty()
    with pytest.raises(UnknownSymbolError, match="'GPD'"):
        stand.pull(["GPD"])


@pytest.mark.parametrize("code", [400, 401, 403])
def test_s05_a_refused_key_costs_one_request_and_is_shown_nowhere(stand: ArchiveStand, code: int) -> None:
    stand.server.script("/", status(code, f'{{"error_message": "Bad Request. The value {KEY} for api_key is wrong."}}'))
    with pytest.raises(AuthError) as caught:
        stand.pull()
    assert len(stand.server.log) == 1
    assert KEY not in "".join(traceback.format_exception(caught.value))


@pytest.mark.parametrize("way", ["seconds", "date", "nothing"])
def test_s06_a_throttled_client_waits_as_it_is_told(stand: ArchiveStand, way: str) -> None:
    wait = None if way == "nothing" else 30
    stand.server.script("/", status(429, retry_after=wait, as_date=way == "date"))
    assert stand.pull().rows.height == 9
    first, second = stand.server.log[:2]
    assert (second.at - first.at).total_seconds() >= (wait or 0.75)
    stand.server.script("/", status(429, retry_after=3_600))
    with pytest.raises(QuotaError) as caught:
        stand.pull()
    assert caught.value.resume_at == stand.time.now() + timedelta(hours=1)


@pytest.mark.parametrize("code", [500, 502, 503, 504, 0])
def test_s08_four_failures_of_the_network_are_survived(stand: ArchiveStand, code: int) -> None:
    stand.server.script("/", *[status(code) if code else reset()] * 4)
    assert stand.pull().rows.height == 9


def test_s08_a_server_that_does_not_answer_is_asked_again(stand: ArchiveStand) -> None:
    stand.server.script("/", silent(), ok())
    assert stand.hasty_pull(0.5).rows.height == 9


@pytest.mark.parametrize("fault", WIRE)
def test_s09_a_torn_answer_is_asked_again_and_never_gives_rows(stand: ArchiveStand, fault: str) -> None:
    stand.server.script("/", WIRE[fault])
    assert stand.pull().rows.height == 9
    stand.server.script("/", *[WIRE[fault]] * 5)
    with pytest.raises(OutageError, match="5 tries failed"):
        stand.pull()


def test_s10_a_value_that_was_withdrawn_is_null_and_no_row_is_lost(stand: ArchiveStand, lake: Lake) -> None:
    assert store(stand, lake) == 9
    withdrawn = datetime(2009, 1, 30, 13, 30, tzinfo=UTC)
    assert as_of(lake, withdrawn - DAY)["GDP", Q3] == 14429.2
    assert as_of(lake, withdrawn)["GDP", Q3] is None


def test_s11_a_new_field_is_named_and_ignored(stand: ArchiveStand) -> None:
    stand.archive.change = lambda content: content.update(unheard_of=1)
    batch = stand.pull()
    assert batch.rows.height == 9
    assert batch.notes == ("FRED (ALFRED) sends fields that this release does not know, and ignores: unheard_of.",)


@pytest.mark.parametrize("how", ["gone", "another type"])
@pytest.mark.parametrize("name", ["value", "realtime_start", "vintage_dates"])
def test_s11_a_field_that_is_gone_or_changed_is_named_and_nothing_is_stored(
    stand: ArchiveStand, lake: Lake, name: str, how: str
) -> None:
    def spoil(content: dict[str, Any], field: str) -> None:
        content[field] = {"raw": content[field]}
        if how == "gone":
            del content[field]

    stand.archive.change = change_everywhere(name, spoil)
    with pytest.raises(ContractError, match=f"'{name}'"):
        store(stand, lake)
    assert not lake.exists(RAW_MACRO)


def test_s12_what_is_sent_twice_is_delivered_once(stand: ArchiveStand) -> None:
    def double(content: dict[str, Any]) -> None:
        for name in {"observations", "vintage_dates"} & {*content}:
            content[name] = [each for each in content[name] for _ in range(2)]
            content["count"] = len(content[name])

    stand.archive.change = double
    assert stand.pull().rows.height == 9


def test_s13_a_revision_is_known_from_its_release_and_a_correction_from_its_receipt(
    stand: ArchiveStand, lake: Lake
) -> None:
    store(stand, lake)
    revised = datetime(2009, 2, 27, 13, 30, tzinfo=UTC)
    assert as_of(lake, revised - timedelta(microseconds=1))["GDP", Q4] == 14264.6
    assert as_of(lake, revised)["GDP", Q4] == 14200.3
    stand.archive.told["GDP"][Q4][-1] = (date(2009, 8, 27), "14347.4")  # the same vintage, told otherwise
    stand.time.at = NOW + DAY
    assert store(stand, lake) == 1
    assert as_of(lake, NOW)["GDP", Q4] == 14347.3
    assert as_of(lake, NOW + DAY)["GDP", Q4] == 14347.4
    assert set(lake.read(MACRO).filter(known_time=NOW + DAY)["known_basis"]) == {"observed"}


def test_s13_another_value_under_a_vintage_that_is_superseded_changes_nothing(stand: ArchiveStand, lake: Lake) -> None:
    store(stand, lake)
    stand.archive.told["GDP"][Q4][0] = (date(2009, 1, 30), "14264.7")
    stand.time.at = NOW + DAY
    assert store(stand, lake) == 0
    assert as_of(lake, NOW + DAY)["GDP", Q4] == 14347.3


def test_s13_a_late_value_that_is_superseded_changes_nothing(stand: ArchiveStand, lake: Lake) -> None:
    def release(days_late: int, value: str) -> None:
        stand.archive.told["GDP"][Q3].append((stand.time.at.date() - days_late * DAY, value))
        stand.archive.told["GDP"][Q3].sort()

    store(stand, lake)
    first = as_of(lake, stand.time.now())
    stand.time.at += DAY
    release(1, "1")  # should have come with the first pull, and
    stand.time.at += DAY
    release(0, "2")  # is revised before the second
    store(stand, lake)
    second = first | {("GDP", Q3): 2.0}
    assert as_of(lake, stand.time.now()) == second
    stand.time.at += DAY
    release(4, "3")  # before the first pull, and told only now
    store(stand, lake)
    assert as_of(lake, stand.time.now()) == second
    assert as_of(lake, NOW) == first


def test_s14_and_s15_what_is_told_again_adds_nothing(stand: ArchiveStand, lake: Lake) -> None:
    assert store(stand, lake) == 9
    before = lake.versions([RAW_MACRO, MACRO])
    for days in (1, 2):
        stand.time.at = NOW + days * DAY
        assert store(stand, lake) == 0
    assert lake.versions([RAW_MACRO, MACRO]) == before


def test_s16_a_pull_that_was_killed_before_its_commit_is_made_good(
    stand: ArchiveStand, lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(Lake, "append", killed)
        with pytest.raises(KilledError):
            store(stand, lake)
    assert store(stand, lake) == 9


def test_s17_series_and_windows_in_any_order_with_pulls_that_were_killed_leave_no_gap(
    stand: ArchiveStand, lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = stand.archive.told["GDP"]
    stand.archive.told |= {"GNP": told, "GDI": told}
    chance = random.Random(17)
    for _ in range(7):
        monkeypatch.setattr(fred, "WINDOW", chance.choice([2, 3, 1_900]))
        with monkeypatch.context() as patch, suppress(KilledError):
            if chance.random() < 0.2:
                patch.setattr(Lake, "append", killed)
            store(stand, lake, (chance.choice([*stand.archive.told]),))
        stand.time.at += DAY
    store(stand, lake, tuple(stand.archive.told))
    counted = dict(lake.read(RAW_MACRO).group_by("series").len().iter_rows())
    assert counted == dict.fromkeys(stand.archive.told, 9)


def test_s18_a_period_that_has_not_ended_has_no_value(stand: ArchiveStand, lake: Lake) -> None:
    stand.archive.told["GDP"][date(2009, 4, 1)] = [(date(2009, 6, 25), "14090.1")]  # the quarter ends on the 30th
    store(stand, lake)
    assert ("GDP", date(2009, 4, 1)) not in as_of(lake, NOW)
    assert lake.read(QUARANTINE)["reason"].to_list() == ["known_before_it_happened"]


def test_s19_nothing_is_known_before_it_happened_and_a_vintage_to_come_is_refused(stand: ArchiveStand) -> None:
    rows = stand.pull().rows
    assert (rows["known_time"] >= rows["event_time"]).all()
    stand.archive.told["GDP"][Q1].append((date(2013, 1, 30), "14100.0"))
    with pytest.raises(ContractError, match=r"a vintage of 2013-01-30, received on 2012-12-31 .* Check the clock"):
        stand.pull()


def test_s20_a_release_keeps_its_hour_in_new_york_in_summer_and_winter(stand: ArchiveStand) -> None:
    rows = stand.pull().rows
    clock = rows["known_time"].dt.convert_time_zone("America/New_York").dt.strftime("%H:%M")
    assert set(clock) == {"08:30"}
    assert set(rows["known_time"].dt.hour()) == {12, 13}


def test_s21_two_processes_share_one_count(stand: ArchiveStand) -> None:
    child = (
        "import sys; from datetime import datetime; from pathlib import Path; from lake.clock import FixedClock;"
        "from lake.sources import connector_of; from lake.sources.http import RequestCount;"
        "count = RequestCount(Path(sys.argv[1]), connector_of('fred').limits,"
        " FixedClock(datetime.fromisoformat(sys.argv[2])));"
        "print(sum(count.take() == 0 for _ in range(80)))"
    )
    arguments = [sys.executable, "-c", child, str(stand.settings.sources), NOW.isoformat()]
    children = [subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    granted = [int(each.communicate(timeout=240)[0]) for each in children]
    assert sum(granted) == connector_of("fred").limits[0].requests == 120


def test_s22_the_key_is_in_no_output(stand: ArchiveStand, lake: Lake, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    batch = stand.pull()
    texts = [caplog.text, batch.batch_id, repr(stand.settings), batch.rows.write_csv(), repr(batch.notes)]
    for code in (418, 500):
        stand.server.script("/", *[status(code, f"no to {KEY}")] * 5)
        with pytest.raises(SourceError) as caught:
            store(stand, lake)
        texts.append("".join(traceback.format_exception(caught.value)))
    texts += [path.read_bytes().decode("latin-1") for path in stand.folder.rglob("*") if path.is_file()]
    assert all(asked.query["api_key"] == KEY for asked in stand.server.log)
    assert [form for form in (KEY, "key%2Fof", "key/of") for text in texts if form in text] == []


STEPS = st.one_of(
    st.tuples(
        st.just("release"), st.sampled_from([Q3, Q4, Q1]), st.sampled_from(["1", "2", "3", "."]), st.integers(0, 3)
    ),
    st.tuples(st.just("faults"), st.sampled_from(range(len(WIRE))), st.integers(1, 6)),
    st.tuples(st.just("pages"), st.integers(2, 5), st.integers(2, 4)),
    st.tuples(st.just("pull")),
    st.tuples(st.just("pull")),
)
FAULTS = [*WIRE.values()]


def run_script(steps: list[tuple[Any, ...]]) -> None:
    """Release, in time or days late, tear and pull; the lake as of each pull must be what was told then, for ever."""
    with TemporaryDirectory() as folder, archive_stand(Path(folder), NOW) as it:
        lake, known = Lake(Path(folder) / "tables"), list[tuple[datetime, Known]]()
        for step, *values in [*steps, ("heal",), ("pull",)]:
            it.time.at += DAY
            if step == "release":
                versions, vintage = it.archive.told["GDP"][values[0]], it.time.at.date() - values[2] * DAY
                versions += [(vintage, values[1])] * (vintage > versions[-1][0])
            elif step == "faults":
                it.server.script("/", *[FAULTS[values[0]]] * values[1])
            elif step == "pages":
                it.archive.most_rows, it.archive.most_dates = values
            elif step == "heal":
                it.server.heal()
            else:
                with suppress(SourceError):
                    store(it, lake)
                    told = it.archive.told["GDP"].items()
                    now = {("GDP", period): None if v[-1][1] == "." else float(v[-1][1]) for period, v in told}
                    known.append((it.time.now(), now))
        assert known  # the last pull meets no fault
        assert [as_of(lake, at) for at, _ in known] == [values for _, values in known]
        refine_macro_to_lake(lake, FixedClock(it.time.now()))


def test_s23_whatever_happens_the_lake_knows_what_was_told_when() -> None:
    judge_scripts(STEPS, run_script, tries=15, longest=6)


@pytest.mark.slow
def test_s23_three_hundred_scripts() -> None:
    judge_scripts(STEPS, run_script, tries=300, longest=12)
