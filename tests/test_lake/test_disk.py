"""Files on local disk: whether one is the same and unchanged, secrets in files, and whole SQLite databases."""

import os
import sqlite3
import tempfile
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lake.disk import (
    FileIdentity,
    check_pages,
    create_key_file,
    digest_of_sources,
    file_at,
    identity_of,
    is_own_folder,
    is_sqlite,
    read_key_file,
    sqlite_files,
    write_durably,
)
from lake.errors import ConfigError, OnlineStoreError


def test_a_file_that_is_replaced_is_another_one(tmp_path: Path) -> None:
    path = tmp_path / "state.json"
    path.write_text("1")
    before = identity_of(path)
    assert before == FileIdentity.of(path)
    write_durably(path, "1")
    assert identity_of(path) != before


def test_a_file_that_is_written_to_is_the_same_and_changed(tmp_path: Path) -> None:
    path = tmp_path / "state.json"
    path.write_text("1")
    before, same = identity_of(path), file_at(path)
    with path.open("a") as file:
        file.write("2")
    assert identity_of(path) != before
    assert file_at(path) == same


def test_no_file_is_none_and_another_error_is_raised_unless_it_does_not_matter(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert identity_of(tmp_path / "none") is file_at(tmp_path / "none") is None
    below = tmp_path / "file" / "below"
    with pytest.raises(NotADirectoryError):
        identity_of(below)
    assert identity_of(below, is_lenient=True) is file_at(below, is_lenient=True) is None


def test_of_many_makers_of_a_key_one_wins_and_all_read_the_same(tmp_path: Path) -> None:
    path = tmp_path / "keys" / "service.key"

    def make(number: int) -> tuple[bool, bytes]:
        return create_key_file(path, f"secret {number}"), read_key_file(path)

    with ThreadPoolExecutor(8) as threads:
        outcomes = list(threads.map(make, range(16)))
    assert sum(made for made, _ in outcomes) == 1
    assert len({content for _, content in outcomes}) == 1
    assert list(path.parent.iterdir()) == [path]


def test_a_key_that_others_may_read_is_refused_with_the_remedy(tmp_path: Path) -> None:
    path = tmp_path / "service.key"
    create_key_file(path, "secret")
    path.chmod(0o640)
    with pytest.raises(ConfigError, match=r"open to others \(mode 640, expected 600\)\. Run `chmod 600"):
        read_key_file(path)
    with pytest.raises(OnlineStoreError, match="Delete it"):
        read_key_file(path, remedy="Delete it.", error=OnlineStoreError)
    with pytest.raises(FileNotFoundError):
        read_key_file(tmp_path / "none")


def test_a_key_of_another_user_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "service.key"
    create_key_file(path, "secret")
    if os.geteuid() == 0:
        os.chown(path, 1, -1)
    owner = path.stat().st_uid
    monkeypatch.setattr(os, "geteuid", lambda: owner + 1)
    with pytest.raises(ConfigError, match=f"belongs to user {owner}, expected user {owner + 1}"):
        read_key_file(path)
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert read_key_file(path) == b"secret"


def test_a_link_to_a_folder_is_no_own_folder(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path)
    assert is_own_folder(tmp_path)
    assert not is_own_folder(tmp_path / "link")


def test_a_whole_database_has_no_fault_and_a_spoilt_one_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "facts.sqlite"
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("CREATE TABLE facts (number INTEGER)")
        database.executemany("INSERT INTO facts VALUES (?)", [(number,) for number in range(5_000)])
    assert is_sqlite(path)
    assert check_pages(path, busy_seconds=1) == ""
    content = bytearray(path.read_bytes())
    content[8_192:8_292] = b"\xff" * 100
    path.write_bytes(content)
    assert check_pages(path, busy_seconds=1)
    monkeypatch.setattr(sqlite_files, "STEPS", 1)
    with pytest.raises(sqlite3.OperationalError, match="interrupted"):
        check_pages(path, busy_seconds=1, seconds=-1)


@settings(max_examples=40, deadline=None)
@given(*[st.lists(st.sampled_from(["", "a", "b", "ab", "1:a", "0:"]), max_size=3)] * 4)
def test_lists_of_texts_have_one_digest_only_where_they_are_the_same(files, declared, others, other_declared):
    def digest(contents, texts):
        with tempfile.TemporaryDirectory() as folder:
            made = [Path(folder) / f"{place}.py" for place in range(len(contents))]
            for path, content in zip(made, contents, strict=True):
                path.write_text(content)
            return digest_of_sources(made, *texts)

    is_same = (files, declared) == (others, other_declared)
    assert (digest(files, declared) == digest(others, other_declared)) is is_same


def test_texts_that_are_the_same_when_joined_have_other_digests(tmp_path):
    one, other = tmp_path / "a.py", tmp_path / "b.py"
    assert digest_of_sources((), "XNYS", "AAPL") != digest_of_sources((), "XNYSAAPL")
    one.write_text("LIMIT = 1\nRATE = 2\n")
    other.write_text("")
    joined = digest_of_sources([one, other])
    one.write_text("LIMIT = 1\n")
    other.write_text("RATE = 2\n")
    assert digest_of_sources([one, other]) != joined
