"""`quantlake backup` as it is typed: its sentences, its exit codes, its JSON."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from dagster_project.commands.backup import app
from lake.care import backup
from lake.errors import BackupError, ConfigError
from lake.settings import settings
from lake.sources import tiny_market
from lake.store import Lake
from lake.tables import BARS

Ask = Callable[..., tuple[int, str]]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("QUANTLAKE_HOME", str(tmp_path / "home"))
    settings.cache_clear()
    Lake.open().merge(BARS, tiny_market(["AAPL"], sessions=8, seed=5))
    yield tmp_path / "home"
    settings.cache_clear()


@pytest.fixture
def ask() -> Ask:
    def asked(*words: str) -> tuple[int, str]:
        done = CliRunner().invoke(app, list(words))
        if done.exception is not None and not isinstance(done.exception, SystemExit):
            raise done.exception
        return done.exit_code, done.stdout

    return asked


def test_from_the_first_backup_to_another_home(home: Path, ask: Ask, tmp_path: Path) -> None:
    at = ("--from", str(tmp_path / "backups"))
    assert "There is no backup in" in ask("list", *at)[1]
    code, said = ask("create", "--to", str(tmp_path / "backups"))
    assert code == 0
    assert "writers were held off for" in said
    assert "holds the API keys" in said
    made = json.loads(ask("create", "--to", str(tmp_path / "backups"), "--keep", "1", "--json")[1])
    assert len(made["pruned"]) == 1
    listed: Any = json.loads(ask("list", *at, "--json")[1])
    assert [one["id"] for one in listed["backups"]] == [made["id"]]
    assert listed["backups"][0]["tables"]["bars"] == 1
    assert f"{made['id']}" in ask("list", *at)[1]
    assert ask("verify", *at)[0] == 0
    code, said = ask("restore", *at, "--into", str(tmp_path / "new"))
    assert code == 0
    assert f"QUANTLAKE_HOME={tmp_path / 'new'} quantlake advance" in said
    assert Lake(tmp_path / "new" / "tables").read(BARS).equals(Lake(home / "tables").read(BARS))
    assert "Nothing was left to delete." in ask("prune", "--keep", "1", *at)[1]


@pytest.mark.usefixtures("home")
def test_a_damaged_file_is_named_and_the_exit_code_is_one(ask: Ask, tmp_path: Path) -> None:
    root = tmp_path / "backups"
    made = json.loads(ask("create", "--to", str(root), "--json")[1])
    (backup_made,) = backup.read_all(root)[0]
    stored = backup.Blobs(root).path(next(f.digest for f in backup_made.files if f.path.endswith(".parquet")))
    stored.write_bytes(b"other bytes")
    code, said = ask("verify", made["id"], "--from", str(root))
    assert code == 1
    assert str(stored) in said
    assert f"{made['id']}/tables/" in said
    with pytest.raises(BackupError, match="nothing was restored"):
        ask("restore", "--from", str(root), "--into", str(tmp_path / "new"))
    assert not (tmp_path / "new").exists()
    (root / "backups" / f"{made['id']}.json").write_text("{")
    assert ask("list", "--from", str(root))[0] == 1
    with pytest.raises(BackupError, match="There is no backup in "):
        ask("restore", "--from", str(root), "--into", str(tmp_path / "new"))


@pytest.mark.usefixtures("home")
def test_where_is_asked_for_when_nothing_says_it(ask: Ask, tmp_path: Path) -> None:
    for words in (
        ["create"],
        ["list"],
        ["verify"],
        ["prune", "--keep", "1"],
        ["restore", "--into", str(tmp_path / "n")],
    ):
        with pytest.raises(ConfigError, match="set QUANTLAKE_BACKUPS"):
            ask(*words)


@pytest.mark.usefixtures("home")
def test_a_folder_that_cannot_be_written_is_said(ask: Ask, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(BackupError, match="was not made: "):
        ask("create", "--to", str(tmp_path / "file" / "backups"))
