"""The switch: halting, reducing and resuming, by commands and pages and by trips.

A change is in the latch before anything else is tried, so it holds with the service, Redis, Dagster and the tables
down. The latch keeps each change until `settle` has it in the table `risk_events` and in the audit trail.
"""

import os
import time
import uuid
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from filelock import FileLock, Timeout

from lake.disk import OWNER_ONLY, file_lock, write_private
from lake.errors import ConfigError
from serving.risk.latch import EMERGENCY, FOLDER, LOCK, emergency_halts, latch_path, read_latch, write_latch
from serving.risk.states import (
    EVERYTHING,
    REASON_LETTERS,
    STATES,
    Restriction,
    Scope,
    SwitchReading,
    SwitchState,
    printed,
)

if TYPE_CHECKING:
    from pathlib import Path

HALT_WAIT_SECONDS = 0.5
"""How long a halt waits for another process that is changing the latch; then it halts everything beside it."""


def restrict(
    home: "Path",
    state: SwitchState,
    *,
    by: str,
    reason: str,
    scope: Scope = EVERYTHING,
    confirmations: int = 0,
    figures: "dict[str, Any] | None" = None,
) -> SwitchReading:
    """Put a scope into `reducing` or `halted`; a more restrictive state of the same scope stays.

    Parameters
    ----------
    by, reason
        Who, and why, on one line each.
    confirmations
        Distinct quotes that confirmed a trip.
    figures
        ``limit``, ``used``, ``hard`` of a trip.

    Returns
    -------
    SwitchReading
        As it stands now. It is on disk.

    Raises
    ------
    ConfigError
        If the reason or the name is missing, or the state is `active`: that is `resume`.
    """
    if state == "active":
        raise ConfigError("A scope becomes active by `resume`, which needs a name and a reason.")
    who, why = printed("name", by), printed("reason", reason, REASON_LETTERS)
    now = datetime.now(UTC)
    made = Restriction(scope, state, who, why, now, confirmations)
    folder = home / FOLDER
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    try:
        with FileLock(folder / LOCK, timeout=HALT_WAIT_SECONDS):
            return _restrict(home, made, figures or {})
    except (Timeout, OSError):
        _halt_beside(home, made)
        return read_latch(home)


def resume(home: "Path", *, by: str, reason: str, scope: Scope = EVERYTHING) -> SwitchReading:
    """Release a scope; a latch that cannot be believed, or was never made, is made anew by releasing everything.

    Restrictions of other scopes stay: a symbol that is halted stays halted when the account resumes.

    Raises
    ------
    ConfigError
        If the name or the reason is missing, or the scope is not restricted.
    """
    who, why = printed("name", by), printed("reason", reason, REASON_LETTERS)
    first = read_latch(home)
    (home / FOLDER).mkdir(parents=True, exist_ok=True, mode=0o700)
    with file_lock(home / FOLDER / LOCK, "The switch"):
        halts, found = emergency_halts(home), read_latch(home)
        if first.is_new and not latch_path(home).exists():
            found = first
        kept = tuple(each for each in found.restrictions if each.scope != scope)
        is_all = scope == EVERYTHING and found.is_closed
        if len(kept) == len(found.restrictions) and not is_all:
            in_force = ", ".join(f"{each.scope} ({each.state})" for each in found.restrictions) or "nothing"
            problem = f" {found.problem}" if found.problem else ""
            raise ConfigError(f"{scope} is not restricted, so nothing was resumed; restricted: {in_force}.{problem}")
        before = found.state if scope == EVERYTHING else next(e.state for e in found.restrictions if e.scope == scope)
        event = event_of("resume", scope, before, "active", who, why, note=found.problem)
        write_latch(home, kept, [*found.events, event])
        for path in halts if scope == EVERYTHING else ():
            path.unlink(missing_ok=True)  # only those that were looked at: one that came since halts on
        return read_latch(home)


def event_of(
    kind: str, scope: Scope, before: str, after: str, who: str, reason: str, *, confirmations: int = 0, **figures: Any
) -> "dict[str, Any]":
    """Return a change as the latch and the table `risk_events` keep it; times are ISO 8601 in UTC."""
    note = figures.pop("note", "")
    return {
        "event_id": uuid.uuid4().hex,
        "event_time": datetime.now(UTC).isoformat(),
        "kind": kind,
        "scope": str(scope),
        "limit": figures.get("limit", ""),
        "used": figures.get("used"),
        "hard": figures.get("hard"),
        "state_before": before,
        "state_after": after,
        "confirmations": confirmations,
        "who": who,
        "reason": f"{reason} ({note})" if note else reason,
    }


def _restrict(home: "Path", made: Restriction, figures: "dict[str, Any]") -> SwitchReading:
    found = read_latch(home)
    before = next((each.state for each in found.restrictions if each.scope == made.scope), "active")
    worse = max(before, made.state, key=STATES.index)
    kept = [each for each in found.restrictions if each.scope != made.scope or each.state == worse]
    if before != worse:
        kept = [each for each in kept if each.scope != made.scope] + [made]
    if found.is_closed and made.scope != EVERYTHING:
        # Written as it stands, the latch would be sound again and release everything but this scope.
        kept.append(Restriction(EVERYTHING, "halted", made.by, found.problem, made.since))
    elif found.is_closed and worse != "halted":
        kept = [each for each in kept if each.scope != EVERYTHING]
        kept.append(Restriction(EVERYTHING, "halted", made.by, found.problem, made.since))
    event = event_of(
        "trip" if made.confirmations else "halt",
        made.scope,
        "halted" if found.is_closed else before,
        worse,
        made.by,
        made.reason,
        confirmations=made.confirmations,
        note=found.problem,
        **figures,
    )
    write_latch(home, kept, [*found.events, event])
    return read_latch(home)


def _halt_beside(home: "Path", made: Restriction) -> None:
    """Halt everything by a file beside the latch, which another process holds."""
    name = f"{EMERGENCY}-{time.time_ns()}-{os.getpid()}"
    try:
        write_private(home / FOLDER / name, f"{made.since.isoformat()} {made.by}: {made.reason}\n")
    except OSError:  # a full disk has no room for a sentence; the name alone halts
        os.close(os.open(home / FOLDER / name, os.O_WRONLY | os.O_CREAT, OWNER_ONLY))
