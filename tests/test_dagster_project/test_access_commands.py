"""The verbs of `quantlake keys`, `quantlake audit` and `quantlake user-data`, on a home of their own."""

import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from click.testing import Result
from typer.testing import CliRunner

from dagster_project.cli import app
from dagster_project.servers import endpoint
from lake.errors import UnknownNameError
from lake.settings import Settings
from lake.store import Lake
from lake.tables import AUDIT
from serving import audit
from serving.access import keys, signing
from serving.access.keyring import KeyRing

Say = Callable[..., Result]


@pytest.fixture
def say(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Say:
    monkeypatch.setattr("lake.settings.settings", lambda: settings)

    def run(*arguments: str, code: int = 0, typed: str = "") -> Result:
        said = CliRunner().invoke(app, list(arguments), input=typed, catch_exceptions=False)
        assert said.exit_code == code, said.output
        return said

    return run


def values(said: Result) -> Any:
    return json.loads(said.output)


def test_a_key_is_shown_once_and_opens_what_it_says(say: Say, settings: Settings) -> None:
    said = say("keys", "create", "research desk", "--role", "read", "--tier", "free").output
    text = said.split()[0]
    caller = KeyRing(settings).find(text)
    assert caller is not None
    assert (caller.role, caller.tier) == ("read", "free")
    assert "cannot be shown again" in said
    listed = say("keys", "list").output
    assert caller.key_id in listed
    assert "research" in listed
    assert "desk" in listed
    assert text.split("_")[2] not in listed


def test_the_list_says_when_a_key_was_made_used_and_revoked(say: Say, settings: Settings) -> None:
    assert "There is no key" in say("keys", "list").output
    made = values(say("keys", "create", "a", "--days", "7", "--json"))
    assert made["key"].startswith(f"ql_{made['id']}_")
    assert made["ends"] > made["created"]
    assert (made["last_used"], made["state"], made["role"], made["tier"]) == (None, "in force", "predict", "standard")
    say("keys", "revoke", made["id"])
    (found,) = values(say("keys", "list", "--json"))
    assert found["state"] == "revoked"
    assert found["revoked"] is not None
    assert KeyRing(settings).find(made["key"]) is None


def test_a_key_that_does_not_exist_is_said_so(say: Say) -> None:
    with pytest.raises(UnknownNameError, match="no key 'nope'"):
        say("keys", "revoke", "nope")
    with pytest.raises(UnknownNameError, match=r"no role 'reader'\. Did you mean read"):
        say("keys", "create", "a", "--role", "reader")


def test_a_rotation_lets_another_key_sign(say: Say, settings: Settings) -> None:
    before = signing.current(settings).kid
    said = say("keys", "rotate").output
    after = signing.current(settings).kid
    assert after != before
    assert after in said


def test_the_trail_is_shown_with_the_names_of_keys_that_are_there(say: Say, settings: Settings) -> None:
    made = values(say("keys", "create", "desk", "--json"))
    say("keys", "revoke", made["id"])
    shown = values(say("audit", "show", "--json"))
    assert [row["what"] for row in shown] == ["key.create", "key.revoke"]
    assert {row["who"] for row in shown} == {audit.console()}
    assert {row["details"]["key"] for row in shown} == {f"desk ({made['id']})"}
    assert [row["what"] for row in values(say("audit", "show", "--what", "key.r", "--json"))] == ["key.revoke"]
    assert "key.create" in say("audit", "show", "--rows", "5").output
    keys.forget(settings, made["id"], by="tests")
    assert {row["details"]["key"] for row in values(say("audit", "show", "--json"))} == {made["who"]}


def test_an_edited_trail_is_said_and_ends_with_one(say: Say, settings: Settings) -> None:
    assert "All 0 rows are there" in say("audit", "verify").output
    for name in ("a", "b"):
        say("keys", "create", name)
    assert "All 2 rows are there" in say("audit", "verify").output
    assert values(say("audit", "verify", "--json")) == []
    lake = Lake.open(settings)
    rows = lake.read(AUDIT).with_columns(pl.lit("somebody else").alias("who"))
    shutil.rmtree(lake.path(AUDIT))
    lake.append(AUDIT, rows, batch_id="forged")
    assert "Row 1 does not have the hash of what it says" in say("audit", "verify", code=1).output
    assert [one["row"] for one in values(say("audit", "verify", "--json", code=1))] == [1, 2]


def test_what_is_stored_about_a_key_is_handed_over_and_deleted(say: Say, settings: Settings, tmp_path: Any) -> None:
    made = values(say("keys", "create", "Ada", "--json"))
    found = values(say("user-data", "export", made["id"]))
    assert found["key"]["name"] == "Ada"
    say("user-data", "export", made["id"], "--to", str(tmp_path / "ada.json"))
    assert json.loads((tmp_path / "ada.json").read_text())["key"] == found["key"]
    say("user-data", "delete", made["id"], typed="n\n", code=1)
    assert keys.listing(settings), "nothing is deleted without a yes"
    assert "leads nowhere" in say("user-data", "delete", made["id"], "--yes").output
    assert keys.listing(settings) == []
    assert "are there, in order" in say("audit", "verify").output


@pytest.mark.parametrize("shows_key", [False, True])
def test_the_question_to_paste_sends_the_key_and_shows_it_only_where_that_is_asked(
    settings: Settings, tmp_path: Path, *, shows_key: bool
) -> None:
    """A shell expands it, from a home whose path has a blank; `printf` stands where the program is called."""
    settings = settings.model_copy(update={"home": tmp_path / "a home"})
    key = keys.local_key(settings)
    question = endpoint._curl(settings, "http://127.0.0.1:3000", shows_key=shows_key)
    assert (key in question) is shows_key
    sent = subprocess.run(
        ["/bin/sh", "-c", question.replace("curl -s", "printf '%s\\n'", 1)], capture_output=True, text=True, check=True
    ).stdout.splitlines()
    assert sent[0] == "http://127.0.0.1:3000/api/v1/public/predict"
    assert sent[2] == f"authorization: Bearer {key}"
    assert json.loads(sent[-1]) == {"symbol": "AAPL", "horizon_sessions": 1}


def test_the_question_to_paste_trusts_the_certificate(settings: Settings, tmp_path: Path) -> None:
    assert "--cacert" not in endpoint._curl(settings, "http://127.0.0.1:3000", shows_key=False)
    secure = settings.model_copy(update={"tls_certificate": tmp_path / "c.pem"})
    assert f"--cacert '{tmp_path / 'c.pem'}'" in endpoint._curl(secure, "https://127.0.0.1:3000", shows_key=False)
