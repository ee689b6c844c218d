"""Every kind of damage is named by `quantlake doctor` with its file and a remedy; after the remedy it finds nothing."""

import json
import os
import re
import shlex
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import polars as pl
import pytest
from click.testing import Result
from typer.testing import CliRunner

from dagster_project.checks import health
from dagster_project.cli import app, main
from dagster_project.commands.doctor import damage_behind
from feature_repo.online.redis_server import connect, running_redis
from lake import settings as settings_module
from lake.care import pin
from lake.clock import DEMO_START, ReplayClock
from lake.errors import ConfigError, NotReadyError
from lake.settings import Settings
from lake.sources import as_received, tiny_market
from lake.store import Lake, commits, delta_log, named_digest
from lake.tables import BARS, QUARANTINE, RAW_BARS
from serving import audit
from serving.access import keys, signing
from serving.forecast_log import Logged, open_log, quarantine
from serving.forecast_log.log_files import take_slot

MARKET = tiny_market(["AAA", "BBB"], sessions=6, seed=5)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a home with one of everything that the doctor looks at, to be copied."""
    home = tmp_path_factory.mktemp("whole") / "home"
    home.mkdir(mode=0o700)
    configured = Settings(home=home)
    lake = Lake.open(configured)
    for rows in MARKET.partition_by("event_time"):
        lake.merge(BARS, rows)
        lake.merge(RAW_BARS, as_received(rows, batch_id=str(rows["event_time"][0])))
    lake.merge(QUARANTINE, QUARANTINE.empty())
    pin(lake, "model:a", {"bars": 2})
    ReplayClock(home / "clock.json").move_to(MARKET["event_time"].max())  # type: ignore[arg-type]
    keys.create(configured, "desk", "read", "standard", by="test")
    keys.local_key(configured)
    signing.current(configured)
    open_log(home / "forecast_log.sqlite").close()
    for name in ("dagster/history/runs.db", "mlflow/mlflow.db"):
        (home / name).parent.mkdir(parents=True, exist_ok=True)
        with closing(sqlite3.connect(home / name)) as database, database:
            database.execute("CREATE TABLE runs (id INTEGER PRIMARY KEY, name TEXT)")
            database.executemany("INSERT INTO runs (name) VALUES (?)", [(f"run {n}" * 40,) for n in range(200)])
    with running_redis(configured) as url, connect(url, 10) as client:
        client.set("{quantlake}:any:AAA", b"a value of the online store" * 40)  # the last user saves it
    (home / "online.json").write_text('{"number": 1, "until": "2012-12-31 21:00:00+00:00", "versions": {}}')
    (home / "models").mkdir()
    return home


@pytest.fixture
def home(whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Return a copy of the home, which commands in this process take for theirs."""
    copied = tmp_path / "my home"  # a space, so that a remedy has to be quoted
    shutil.copytree(whole, copied)
    monkeypatch.setenv("QUANTLAKE_HOME", str(copied))
    monkeypatch.setenv("COLUMNS", "80")
    for name in ("MLFLOW_TRACKING_URI", "REDIS_URL"):
        monkeypatch.delenv(name, raising=False)
    settings_module.settings.cache_clear()
    yield copied
    settings_module.settings.cache_clear()


def say(*arguments: str, code: int = 0) -> Result:
    said = CliRunner().invoke(app, list(arguments), catch_exceptions=False)
    assert said.exit_code == code, said.output
    return said


def findings(*options: str, code: int = 1) -> list[dict[str, str]]:
    done = json.loads(say("doctor", "--json", *options, code=code).output)
    return [finding for one in done for finding in one["findings"]]


def run_remedy(command: str) -> None:
    """Do what a finding says: a command of ours in this process, any other in a shell."""
    words = shlex.split(command)
    if words[0] == "quantlake":
        say(*words[1:])
    else:
        subprocess.run(command, shell=True, check=True)


def flip(file: Path, place: int) -> None:
    content = bytearray(file.read_bytes())
    content[place % len(content)] ^= 0x10
    file.write_bytes(content)


def garbage(file: Path) -> None:
    file.write_bytes(bytes(range(256)) * 8)


def log_entry(home: Path) -> Path:
    return delta_log.entry(home / "tables" / "raw_bars", 3)


def data_file(home: Path) -> Path:
    """File of the oldest session: without that of the newest, the clock would stand ahead of the tables."""
    files = (home / "tables" / "bars").rglob("part-*.parquet")
    return min(files, key=lambda file: pl.read_parquet(file)["event_time"].max())  # type: ignore[arg-type, return-value]  # an instant


def newest_entry(home: Path) -> Path:
    folder = home / "tables" / "raw_bars"
    return delta_log.entry(folder, delta_log.versions(folder)[-1])


def tear(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-30])


def overwrite_pages(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[4096 : 4096 + 2048] = b"\xff" * 2048
    file.write_bytes(content)


def edit(file: Path) -> None:
    text = file.read_text(encoding="utf-8")
    changed = re.sub(r"(numRecords\D+)\d+", r"\g<1>7", text)
    assert changed != text
    file.write_text(changed, encoding="utf-8")


Where = Callable[[Path], Path]
Harm = Callable[[Path], object]
DAMAGE: dict[str, tuple[Where, Harm, str]] = {
    "data file, one bit": (data_file, lambda file: flip(file, 500), "altered data file"),
    "data file, torn": (data_file, tear, "torn data file"),
    "data file, gone": (data_file, Path.unlink, "missing data file"),
    "log entry, torn": (log_entry, tear, "torn log entry"),
    "log entry, edited": (log_entry, edit, "altered log entry"),
    "log entry, gone": (log_entry, Path.unlink, "missing log entry"),
    "newest log entry, gone": (newest_entry, Path.unlink, "missing log entry"),
    "ledger of commits": (
        lambda home: home / "tables" / "bars" / commits.FILE,
        lambda file: flip(file, 40),
        "damaged ledger of commits",
    ),
    "log, gone": (lambda home: home / "tables" / "bars" / "_delta_log", shutil.rmtree, "missing log"),
    "pin": (lambda home: next((home / "tables" / ".pins").glob("*.json")), garbage, "damaged pin"),
    "audit head": (lambda home: home / "tables" / audit.HEAD_FILE, tear, "damaged head of the audit trail"),
    "audit head, gone": (
        lambda home: home / "tables" / audit.HEAD_FILE,
        Path.unlink,
        "missing head of the audit trail",
    ),
    "clock, garbage": (lambda home: home / "clock.json", garbage, "damaged market clock"),
    "clock, behind": (
        lambda home: home / "clock.json",
        lambda file: file.write_text(json.dumps({"now": "2012-12-20T21:00:00+00:00"})),
        "market clock behind the tables",
    ),
    "clock, at noon": (
        lambda home: home / "clock.json",
        lambda file: file.write_text(json.dumps({"now": "2013-01-02T12:00:00+00:00"})),
        "market clock off the calendar",
    ),
    "forecast log, garbage": (lambda home: home / "forecast_log.sqlite", garbage, "damaged forecast log"),
    "registry, garbage": (lambda home: home / "mlflow" / "mlflow.db", garbage, "damaged registry"),
    "registry, a page": (lambda home: home / "mlflow" / "mlflow.db", overwrite_pages, "damaged registry"),
    "run history": (lambda home: home / "dagster" / "history" / "runs.db", overwrite_pages, "damaged run history"),
    "Redis snapshot, garbage": (lambda home: home / "redis" / "snapshot.rdb", garbage, "damaged Redis snapshot"),
    "Redis snapshot, torn": (lambda home: home / "redis" / "snapshot.rdb", tear, "damaged Redis snapshot"),
    "online note": (lambda home: home / "online.json", garbage, "damaged note of the online store"),
    "API keys": (lambda home: home / "access" / "keys.json", tear, "damaged API keys"),
    "signing keys": (lambda home: home / "access" / signing.FILE, garbage, "damaged signing keys"),
    "local key": (lambda home: home / "access" / "local_key", garbage, "damaged local key"),
    "a secret open to others": (
        lambda home: home / "access" / "keys.json",
        lambda file: file.chmod(0o644),
        "open to others",
    ),
    "half-written file": (
        lambda home: home / f".clock.json.{2**22 + 1}.new",
        lambda file: file.write_text("{"),
        "left by a killed process",
    ),
}


def test_a_whole_home_is_said_to_be_whole(home: Path) -> None:
    assert findings(code=0) == findings("--deep", code=0) == []
    assert f"Everything in {home} is whole." in say("doctor").output


@pytest.mark.parametrize("damage", DAMAGE)
def test_each_damage_is_named_with_a_remedy_that_ends_it(home: Path, damage: str) -> None:
    where, harm, kind = DAMAGE[damage]
    path = where(home)
    harm(path)
    found = findings()
    assert [(one["kind"], one["path"]) for one in found] == [(kind, str(path))]
    seen = say("doctor", code=1).output
    assert kind in seen
    assert path.name in seen
    assert f"$ {found[0]['remedy']}" in seen
    run_remedy(found[0]["remedy"])
    assert findings(code=0) == findings("--deep", code=0) == []


def test_a_doctor_without_a_check_does_not_see_its_damage(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    garbage(home / "clock.json")
    monkeypatch.setattr(health, "CHECKS", [one for one in health.CHECKS if one.name != "market clock"])
    assert findings(code=0) == []


def test_several_damages_are_all_named_and_a_check_that_fails_stops_no_other(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: Settings) -> list[health.HealthFinding]:
        raise RuntimeError("no idea")

    monkeypatch.setattr(health, "CHECKS", (health.Check("odd", fail), *health.CHECKS))
    flip(data_file(home), 500)
    garbage(home / "clock.json")
    garbage(home / "forecast_log.sqlite")
    kinds = [one["kind"] for one in findings()]
    assert kinds == ["not looked at", "altered data file", "damaged market clock", "damaged forecast log"]


def test_the_words_fit_a_narrow_terminal(home: Path) -> None:
    flip(data_file(home), 500)
    garbage(home / "clock.json")
    lines = say("doctor", code=1).output.splitlines()
    free = [line for line in lines if not line.startswith("  $ ") and str(home) not in line and ".parquet" not in line]
    assert max(map(len, free)) <= 80
    assert "2 things are wrong" in lines[-1]


def test_files_of_an_older_home_are_counted_and_written_anew(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lake = Lake(home / "tables")
    monkeypatch.setattr("lake.store.files.digest_of", lambda _: "before")
    lake.merge(BARS, MARKET.head(2).with_columns(volume=pl.lit(5.0), known_time=pl.lit(DEMO_START)))
    monkeypatch.undo()
    monkeypatch.setenv("QUANTLAKE_HOME", str(home))
    settings_module.settings.cache_clear()
    before = lake.read(BARS).sort(BARS.names)
    (one,) = findings()
    assert (one["kind"], one["is_damage"]) == ("not digested", False)
    run_remedy(one["remedy"])
    assert findings(code=0) == []
    assert lake.read(BARS).sort(BARS.names).equals(before)
    assert all(named_digest(file) for file in lake.files(BARS))


def test_what_is_set_aside_is_kept_and_noted_and_nothing_else_is_moved(home: Path, tmp_path: Path) -> None:
    log = home / "forecast_log.sqlite"
    content = log.read_bytes()
    log.with_name("forecast_log.sqlite-wal").write_bytes(b"what waits")
    say("doctor", "--set-aside", str(log))
    kept = {path.name: path.read_bytes() for path in (home / ".damaged").rglob("*") if path.is_file()}
    assert kept == {"forecast_log.sqlite": content, "forecast_log.sqlite-wal": b"what waits"}
    (noted,) = audit.newest(Lake(home / "tables"), 5, "doctor.set_aside")
    assert json.loads(noted["details"]) == {"file": "forecast_log.sqlite"}
    other = tmp_path / "other"
    other.touch()
    for path in (other, home, home / "tables"):
        with pytest.raises(ConfigError, match="is not a file below"):
            say("doctor", "--set-aside", str(path))
    with pytest.raises(NotReadyError, match="There is no"):
        say("doctor", "--set-aside", str(log))


def test_a_flipped_bit_of_the_snapshot_is_found_by_its_checksum(home: Path) -> None:
    snapshot = home / "redis" / "snapshot.rdb"
    flip(snapshot, snapshot.stat().st_size // 2)
    assert [one["kind"] for one in findings()] == ["damaged Redis snapshot"]


def test_a_damaged_row_that_waits_for_the_lake_is_found_when_looked_at_deeply(home: Path) -> None:
    with closing(open_log(home / "forecast_log.sqlite")) as log, log:
        log.execute("INSERT INTO forecasts (forecast_id, row, answer, receipt) VALUES ('a', '{', '{}', '')")
    assert findings(code=0) == []
    (one,) = findings("--deep")
    assert (one["kind"], one["remedy"]) == ("damaged forecast", "quantlake forecasts drain")
    run_remedy(one["remedy"])
    assert [left["kind"] for left in findings("--deep")] == ["quarantined forecasts"]


def test_quarantined_forecasts_and_an_old_backup_are_things_to_look_after(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("QUANTLAKE_BACKUPS", str(tmp_path / "backups"))
    settings_module.settings.cache_clear()
    configured = Settings(home=home)
    quarantine.put(configured, "forecast_log.sqlite", [(Logged(1, "a", "{", "", ""), "is no JSON")])
    found = findings()
    assert [(one["kind"], one["remedy"]) for one in found] == [
        ("quarantined forecasts", "quantlake forecasts quarantine list"),
        ("old backup", "quantlake backup create"),
    ]
    assert {one["is_damage"] for one in found} == {False}
    run_remedy("quantlake backup create")
    assert [one["kind"] for one in findings()] == ["quarantined forecasts"]


def test_a_log_that_a_process_writes_to_is_not_moved(home: Path) -> None:
    path, lock = take_slot(Settings(home=home))
    with pytest.raises(NotReadyError, match=r"A process writes to .*Stop the service first"):
        say("doctor", "--set-aside", str(path))
    lock.release()
    say("doctor", "--set-aside", str(path))


def test_a_clock_ahead_of_the_tables_is_a_run_to_be_finished(home: Path) -> None:
    ReplayClock(home / "clock.json").move_to(DEMO_START.replace(year=2013, month=1, day=2))
    (one,) = findings()
    assert (one["kind"], one["remedy"]) == ("market clock ahead of the tables", "quantlake advance")


def test_a_database_in_use_is_no_finding(home: Path) -> None:
    with closing(sqlite3.connect(home / "mlflow" / "mlflow.db")) as busy:
        busy.execute("BEGIN EXCLUSIVE")
        assert findings(code=0) == []


def test_an_error_of_a_library_over_damage_is_one_sentence(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def meet(**_: object) -> None:
        raise sqlite3.DatabaseError("file is not a database")

    monkeypatch.setattr("dagster_project.cli.app", meet)
    assert damage_behind(ValueError("ours")) is None
    with pytest.raises(sqlite3.DatabaseError):
        main()
    garbage(home / "mlflow" / "mlflow.db")
    with pytest.raises(SystemExit):
        main()
    said = capsys.readouterr().err
    assert re.search(r"file is not a database\. Damaged: .*mlflow\.db .*Run `quantlake doctor`", said)
    assert "Traceback" not in said


@pytest.mark.slow
@pytest.mark.parametrize(
    ("damage", "verb"),
    [
        ("data file, one bit", ["sql", "select sum(close) from bars"]),
        ("newest log entry, gone", ["sql", "select count(*) from raw_bars"]),
        ("clock, garbage", ["summary"]),
        ("API keys", ["keys", "list"]),
        ("pin", ["lake", "versions", "bars"]),
        ("audit head", ["audit", "verify"]),
    ],
)
def test_a_command_that_meets_damage_says_one_sentence_and_where_to_look(
    home: Path, damage: str, verb: list[str]
) -> None:
    where, harm, _ = DAMAGE[damage]
    harm(where(home))
    command = [sys.executable, "-c", "from dagster_project.cli import main; main()", *verb]
    said = subprocess.run(command, capture_output=True, text=True, check=False, env=dict(os.environ))
    assert said.returncode == 1
    assert "Traceback" not in said.stderr
    assert "`quantlake doctor`" in said.stderr
