"""The latch: one small file that says who may not trade, believed only where nobody else could have written it.

It is opened by its path at every look, without following a link: a file or folder that is moved away, damaged, open to
others, of another user or of another home reads as halted. Nothing but the file system is needed for that.
"""

import hashlib
import json
import os
import stat
from contextlib import suppress
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lake.disk import OTHERS, write_private
from serving.risk.states import SCOPE_KINDS, STATES, Restriction, Scope, SwitchReading

if TYPE_CHECKING:
    from collections.abc import Sequence

FOLDER, FILE, LOCK, EMERGENCY = "switch", "latch.json", "latch.lock", "halt"
"""A file whose name begins with `halt` halts everything, whatever is in it: also one that `touch` made."""
FORM = 1
MOST_BYTES = 4_000_000


class _DoubtfulError(Exception):
    """The latch cannot be believed; the text says why."""


def latch_path(home: Path) -> Path:
    """Return where the latch of a home is."""
    return home / FOLDER / FILE


def read_latch(home: Path) -> SwitchReading:
    """Look at the latch; whatever cannot be read and believed is halted.

    Returns
    -------
    SwitchReading
        With `problem` where everything is halted because of the file itself. No error is raised.
    """
    try:
        folder = os.open(home / FOLDER, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except FileNotFoundError:
        return SwitchReading(problem=f"{home / FOLDER} does not exist: nobody has released trading yet.", is_new=True)
    except OSError as error:
        return SwitchReading(problem=f"{home / FOLDER} cannot be opened: {error.strerror}.")
    try:
        _refuse_others(os.fstat(folder), f"{home / FOLDER}")
        halts = sorted(name for name in os.listdir(folder) if name.startswith(EMERGENCY))  # noqa: PTH208 - the folder that was opened
        found = _parse(_content(folder, home), home)
    except _DoubtfulError as doubt:
        return SwitchReading(problem=f"{doubt} Everything is halted.")
    except (OSError, ValueError, TypeError, KeyError, RecursionError) as error:
        return SwitchReading(problem=f"{latch_path(home)} cannot be read: {error}. Everything is halted.")
    finally:
        os.close(folder)
    if halts:
        return SwitchReading(found.restrictions, f"{home / FOLDER / halts[0]} halts everything.", events=found.events)
    return found


def write_latch(home: Path, restrictions: "Sequence[Restriction]", events: "Sequence[dict[str, Any]]") -> None:
    """Replace the latch; it is on disk when this returns, and every process sees it at its next look."""
    folder = home / FOLDER
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    if folder.stat().st_uid == os.geteuid():
        folder.chmod(0o700)
    body = {
        "form": FORM,
        "home": os.path.realpath(home),
        "restrictions": [asdict(each) | {"since": each.since.isoformat()} for each in restrictions],
        "events": list(events),
    }
    write_private(folder / FILE, json.dumps({"body": body, "digest": _digest(body)}, indent=1))


def emergency_halts(home: Path) -> list[Path]:
    """Return the files that halt everything by being there, by name."""
    with suppress(OSError):
        return sorted(path for path in (home / FOLDER).iterdir() if path.name.startswith(EMERGENCY))
    return []


def _content(folder: int, home: Path) -> bytes:
    try:
        file = os.open(FILE, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=folder)
    except FileNotFoundError:
        raise _DoubtfulError(f"{latch_path(home)} is gone, and its folder is there.") from None
    try:
        found = os.fstat(file)
        _refuse_others(found, f"{latch_path(home)}")
        if not stat.S_ISREG(found.st_mode) or found.st_size > MOST_BYTES:
            raise _DoubtfulError(f"{latch_path(home)} is no regular file of at most {MOST_BYTES:,} bytes.")
        return os.read(file, MOST_BYTES)
    finally:
        os.close(file)


def _refuse_others(found: os.stat_result, path: str) -> None:
    if found.st_uid != os.geteuid():
        raise _DoubtfulError(f"{path} belongs to user {found.st_uid}, expected user {os.geteuid()}.")
    if found.st_mode & OTHERS:
        raise _DoubtfulError(f"{path} is open to other users (mode {stat.S_IMODE(found.st_mode):03o}, expected none).")


def _parse(content: bytes, home: Path) -> SwitchReading:
    read = json.loads(content)
    body = read["body"]
    if read["digest"] != _digest(body) or body["form"] != FORM:
        raise _DoubtfulError(f"{latch_path(home)} is not what was written.")
    if body["home"] != os.path.realpath(home):
        raise _DoubtfulError(f"{latch_path(home)} was written for {body['home']}: the folder was moved or copied.")
    restrictions = tuple(
        Restriction(**(each | {"scope": Scope(**each["scope"]), "since": datetime.fromisoformat(each["since"])}))
        for each in body["restrictions"]
    )
    if any(each.state not in STATES or each.scope.kind not in SCOPE_KINDS for each in restrictions):
        raise _DoubtfulError(f"{latch_path(home)} has a state or a scope that does not exist.")
    return SwitchReading(restrictions, events=tuple(body["events"]))


def _digest(body: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()
