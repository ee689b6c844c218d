"""API keys: what is stored, who may read it, and how long a key opens anything."""

import json
import os
import re
import subprocess
import sys
import threading
import time
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lake.disk import identity_of
from lake.errors import ConfigError, UnknownNameError
from lake.settings import Settings
from lake.store import Lake
from lake.tables import AUDIT
from serving import audit
from serving.access import KEY_REFRESH_SECONDS, keys
from serving.access.keyring import KeyRing
from serving.access.watched import Watched
from serving.api import ROLES, Caller
from support.waiting import VirtualClock, until


def make(settings, name="desk", role="read", tier="free", **more):
    return keys.create(settings, name, role, tier, by="tests", **more)


def test_a_key_says_what_it_is_and_is_listed(settings):
    key, text = make(settings, "research desk", "predict", "standard")
    assert re.fullmatch(rf"ql_{key.id}_[a-z2-7]{{52}}", text)
    assert keys.listing(settings) == [key]
    assert (key.name, key.role, key.tier, key.revoked_at) == ("research desk", "predict", "standard", None)
    assert keys.find(settings, key.id) == keys.find(settings, text) == key


def test_no_file_of_the_home_holds_the_text_of_a_key(settings):
    texts = [make(settings)[1] for _ in range(3)]
    KeyRing(settings).find(texts[0])
    held = [path.read_bytes() for path in settings.home.rglob("*") if path.is_file()]
    assert held
    for text in texts:
        secret = text.rsplit("_", 1)[1].encode()
        assert not any(secret in content for content in held)


def test_only_the_owner_may_read_what_is_stored(settings):
    keys.local_key(settings)
    KeyRing(settings).find(keys.local_key(settings))
    folder = settings.home / keys.FOLDER
    assert folder.stat().st_mode & 0o777 == 0o700
    for path in (keys.keys_path(settings), keys.local_path(settings)):
        assert path.stat().st_mode & 0o777 == 0o600


def test_a_key_opens_until_it_is_revoked(settings, monkeypatch):
    clock = VirtualClock()
    monkeypatch.setattr("serving.access.watched.time", clock)
    key, text = make(settings, role="operator", tier="unlimited")
    ring = KeyRing(settings)
    assert ring.find(text) == Caller(key.id, "operator", "unlimited", key.who)
    keys.revoke(settings, key.id, by="tests")
    clock.move(KEY_REFRESH_SECONDS)
    assert ring.find(text) is None
    assert KeyRing(settings).find(text) is None
    assert keys.listing(settings)[0].revoked_at is not None


def test_a_key_made_later_opens_at_once(settings):
    ring = KeyRing(settings)
    assert ring.find("ql_a_b") is None
    assert ring.find(make(settings)[1]) is not None


def test_a_key_ends_when_it_was_said_to(settings, monkeypatch):
    ends = datetime.now(UTC) + timedelta(hours=1)
    key, text = make(settings, expires_at=ends)
    ring = KeyRing(settings)
    end = ends.timestamp()
    for now, opens in ((end - 1, True), (end, False), (end + 1, False)):
        monkeypatch.setattr(time, "time", lambda now=now: now)
        assert (ring.find(text) is not None, ring.of_id(key.id) is not None) == (opens, opens)


def test_revoking_twice_keeps_the_first_time(settings):
    key, _ = make(settings)
    first = keys.revoke(settings, key.id, by="tests").revoked_at
    assert keys.revoke(settings, key.id, by="tests").revoked_at == first


@pytest.fixture(scope="module")
def one(tmp_path_factory):
    """The text of the only key of a home, and the ring that knows it."""
    home = Settings(home=tmp_path_factory.mktemp("one") / "home")
    return make(home)[1], KeyRing(home)


@given(shown=st.text(max_size=90) | st.from_regex(r"ql_[a-z2-7]{10}_[a-z2-7]{52}", fullmatch=True))
def test_no_other_text_opens_anything(one, shown):
    assert one[1].find(shown) is None


@given(place=st.integers(0, 64), letter=st.sampled_from("abc7_ \n"))
def test_a_key_with_one_letter_changed_opens_nothing(one, place, letter):
    text, ring = one
    place %= len(text)
    changed = text[:place] + letter + text[place + 1 :]
    assert (ring.find(changed) is not None) == (changed == text)


@pytest.mark.parametrize("name", ["", "  ", "a\nb", "x" * 65, "\x1b[31mred"])
def test_a_name_that_cannot_be_listed_is_refused(settings, name):
    with pytest.raises(ConfigError, match="printable letters"):
        make(settings, name)


def test_unknown_roles_tiers_and_keys_name_the_known_ones(settings):
    with pytest.raises(UnknownNameError, match=r"no role 'operater'\. Did you mean operator"):
        make(settings, role="operater")
    with pytest.raises(UnknownNameError, match="no tier 'gold'"):
        make(settings, tier="gold")
    with pytest.raises(UnknownNameError, match="no key 'nope'"):
        keys.revoke(settings, "nope", by="tests")
    with pytest.raises(ConfigError, match="ended before it was made"):
        make(settings, expires_at=datetime.now(UTC) - timedelta(seconds=1))
    assert keys.listing(settings) == []


def test_every_change_is_in_the_audit_trail_without_the_id(settings):
    key, _ = make(settings)
    keys.revoke(settings, key.id, by="tests")
    keys.forget(settings, key.id, by="tests")
    rows = Lake.open(settings).read(AUDIT).sort("sequence").to_dicts()
    assert [row["what"] for row in rows] == ["key.create", "key.revoke", "key.forget"]
    assert {json.loads(row["details"])["key"] for row in rows} == {key.who}
    assert not any(key.id in str(row) or key.name in str(row) for row in rows)
    assert audit.verify(Lake.open(settings)) == []


def test_a_forgotten_key_leaves_nothing_outside_the_trail(settings):
    other, _ = make(settings, "other")
    key, text = make(settings, "someone in person")
    ring = KeyRing(settings)
    ring.find(text)
    until(lambda: key.id in keys.last_used(settings))
    keys.forget(settings, key.id, by="tests")
    assert keys.listing(settings) == [other]
    keys.note_use(settings, {key.id: datetime.now(UTC)})  # a worker that has not heard of it yet
    for path in settings.home.rglob("*"):
        if path.is_file():
            content = path.read_bytes()
            assert key.id.encode() not in content
            assert b"someone in person" not in content


def test_the_local_key_is_made_once_and_again_when_revoked(settings):
    assert keys.kept_local_key(settings) is None
    text = keys.local_key(settings)
    assert keys.local_key(settings) == keys.kept_local_key(settings) == text
    caller = KeyRing(settings).find(text)
    assert (caller.role, caller.tier) == ("operator", "unlimited")
    keys.revoke(settings, caller.key_id, by="tests")
    assert keys.kept_local_key(settings) is None
    assert keys.local_key(settings) != text
    keys.forget(settings, keys.local_key(settings), by="tests")
    assert not keys.local_path(settings).exists()


def test_a_local_key_that_others_may_read_is_refused(settings):
    keys.local_key(settings)
    keys.local_path(settings).chmod(0o644)
    with pytest.raises(ConfigError, match=r"open to others \(mode 644, expected 600\)\. Run `chmod 600"):
        keys.local_key(settings)


def test_the_last_use_is_written_down_and_never_goes_back(settings):
    key, text = make(settings)
    assert keys.last_used(settings) == {}
    ring = KeyRing(settings)
    ring.find(text)
    until(lambda: key.id in keys.last_used(settings))
    at = keys.last_used(settings)[key.id]
    keys.note_use(settings, {key.id: at - timedelta(days=1)})
    assert keys.last_used(settings) == {key.id: at}


def test_a_file_of_keys_that_cannot_be_read_lets_nobody_in(settings):
    _, text = make(settings)
    keys.keys_path(settings).write_text("{")
    assert KeyRing(settings).find(text) is None
    with pytest.raises(ConfigError, match="Restore it from a backup"):
        keys.listing(settings)


def test_keys_made_by_many_processes_at_once_are_all_kept(settings):
    code = (
        "import sys; from pathlib import Path; from lake.settings import Settings; from serving.access import keys;"
        "s = Settings(home=Path(sys.argv[1]));"
        "[keys.create(s, sys.argv[2], 'read', 'free', by='tests') for _ in range(4)]"
    )
    makers = [
        subprocess.Popen([sys.executable, "-c", code, str(settings.home), f"maker {n}"], env=os.environ)
        for n in range(3)
    ]
    assert [maker.wait(120) for maker in makers] == [0, 0, 0]
    names = [key.name for key in keys.listing(settings)]
    assert sorted(names) == sorted(["maker 0", "maker 1", "maker 2"] * 4)
    assert audit.verify(Lake.open(settings)) == []


def test_two_first_runs_at_once_share_one_local_key(settings):
    found = []
    threads = [threading.Thread(target=lambda: found.append(keys.local_key(settings))) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(found)) == 1
    assert len(keys.listing(settings)) == 1


def test_roles_reach_what_those_before_them_reach():
    for place, role in enumerate(ROLES):
        caller = Caller("id", role, "free", "key:x")
        assert [caller.may(needed) for needed in ROLES] == [n <= place for n in range(len(ROLES))]


def test_a_watched_file_is_read_again_only_when_it_changed(tmp_path):
    path, reads = tmp_path / "file", []
    watched = Watched(path, lambda text: reads.append(text) or text)
    assert watched.fresh() is None
    path.write_text("one")
    assert [watched.fresh(), watched.fresh(), watched.value()] == ["one"] * 3
    assert reads == [None, "one"]
    path.unlink()
    assert watched.fresh() is None


def test_checking_a_key_looks_for_a_change_of_the_file_now_and_then_only(settings, monkeypatch):
    texts = [make(settings)[1] for _ in range(3)]
    clock, looks = VirtualClock(), []
    monkeypatch.setattr("serving.access.watched.time", clock)
    monkeypatch.setattr("serving.access.watched.identity_of", lambda path: looks.append(path.name) or identity_of(path))
    ring = KeyRing(settings)
    assert ring.find(texts[1]) is not None
    assert len(looks) == 1
    for number in range(5):
        assert all(ring.find(texts[1]) for _ in range(100))
        assert len(looks) == 1 + number
        clock.move(KEY_REFRESH_SECONDS)
