"""User data: what is stored about the holder of a key, its export, and its deletion, watch list included.

A key's id stands in three places outside this folder's own: beside the forecasts and the recommendations that were
asked for with it, in their logs, and as a pseudonym in the audit trail. The first two are deleted; the third leads
nowhere once the key's entry with its salt is gone, and the trail's hashes still hold.
"""

import time
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from lake.store import Lake
from serving import audit
from serving.access import KEY_REFRESH_SECONDS, keys, watch_lists
from serving.forecast_log.log_files import log_paths, open_log
from serving.recommendation_log import advised_keys, forget_advised, recommendations_asked_with

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from lake.settings import Settings

SETTLE_SECONDS = 3 * KEY_REFRESH_SECONDS
"""After this time no worker lets the key in any more, and what it had asked for is logged."""
ASKED_WITH = """
SELECT r.forecast_id, f.symbol, f.horizon_sessions, json_extract(f.row, '$.made_at')
FROM requests AS r LEFT JOIN forecasts AS f USING (forecast_id) WHERE r.key_id = ? ORDER BY f.sequence
"""
ASKERS = """
WITH RECURSIVE askers(key_id) AS (
    SELECT min(key_id) FROM requests
    UNION ALL
    SELECT (SELECT min(key_id) FROM requests WHERE key_id > askers.key_id) FROM askers WHERE key_id IS NOT NULL
) SELECT key_id FROM askers WHERE key_id IS NOT NULL
"""
"""Each key once; a step in the index for each, however many forecasts it asked for."""
COLUMNS = ("forecast_id", "symbol", "horizon_sessions", "made_at")


@dataclass(frozen=True)
class Deleted:
    """Result of a deletion.

    Parameters
    ----------
    forecasts, recommendations
        Forecasts and recommendations whose requester was removed.
    audit_rows
        Rows of the audit trail that go on under the pseudonym.
    """

    forecasts: int
    recommendations: int
    audit_rows: int


def export(settings: "Settings", key_id: str, *, by: str) -> dict[str, Any]:
    """Everything that is stored about a key, as plain values; that it was handed over is in the audit trail.

    Raises
    ------
    UnknownNameError
        If there is no such key.
    """
    key = keys.find(settings, key_id)
    lake = Lake.open(settings)
    audit.record(lake, who=by, what="user_data.export", details={"key": key.who})
    entry = {"id": key.id, "name": key.name, "role": key.role, "tier": key.tier, "pseudonym": key.who}
    times = {"created_at": key.created_at, "expires_at": key.expires_at, "revoked_at": key.revoked_at}
    times["last_used_at"] = keys.last_used(settings).get(key.id)
    watched = watch_lists.read(settings, key.id)
    return {
        "key": entry | {name: _text(at) for name, at in times.items()},
        "watch_list": {"symbols": list(watched.symbols), "changed_at": _text(watched.changed_at)},
        "audit": [{name: _text(value) for name, value in row.items()} for row in audit.about(lake, key.who)],
        "recommendations": [
            {name: _text(value) for name, value in row.items() if name != "answer"}
            for row in recommendations_asked_with(lake, settings, key.id)
        ],
        "forecasts": [found for path in log_paths(settings) for found in _asked_with(path, key.id)],
    }


def delete(settings: "Settings", key_id: str, *, by: str) -> Deleted:
    """Delete everything stored that identifies the holder of a key, and the key itself.

    The forecasts stay, without the key that requested them. A deletion that was interrupted can be repeated.

    Raises
    ------
    UnknownNameError
        If there is no such key.
    """
    key = keys.find(settings, key_id)
    keys.revoke(settings, key.id, by=by)
    time.sleep(SETTLE_SECONDS)
    deleted = sum(_forget_requests(path, [key.id]) for path in log_paths(settings))
    advised = forget_advised(settings, [key.id])
    watch_lists.forget(settings, key.id)
    keys.forget(settings, key.id, by=by)
    deleted += forget_unknown(settings)
    return Deleted(deleted, advised, len(audit.about(Lake.open(settings), key.who)))


def _asked_with(path: "Path", key_id: str) -> list[dict[str, Any]]:
    with closing(open_log(path)) as connection:
        return [dict(zip(COLUMNS, row, strict=True)) for row in connection.execute(ASKED_WITH, (key_id,))]


def forget_unknown(settings: "Settings") -> int:
    """Delete who asked where the key is gone: what was under way when it was deleted may have been logged since."""
    held = {path: _askers(path) for path in log_paths(settings)}
    advised = advised_keys(settings)
    # Read after the log, so that a key which was made meanwhile is known. Without the file nothing is known.
    known = (
        {key.id for key in keys.listing(settings)}
        if keys.keys_path(settings).exists()
        else advised.union(*held.values())
    )
    if advised - known:
        forget_advised(settings, advised - known)
    return sum(_forget_requests(path, sorted(ids - known)) for path, ids in held.items() if ids - known)


def _askers(path: "Path") -> set[str]:
    with closing(open_log(path)) as connection:
        return {key_id for (key_id,) in connection.execute(ASKERS)}


def _forget_requests(path: "Path", key_ids: "Sequence[str]") -> int:
    """Delete rows so that their bytes are gone from the file too."""
    with closing(open_log(path)) as connection:
        connection.execute("PRAGMA secure_delete = ON")
        with connection:
            before = connection.total_changes
            connection.executemany("DELETE FROM requests WHERE key_id = ?", [(key_id,) for key_id in key_ids])
            deleted = connection.total_changes - before
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return deleted


def _text(value: Any) -> Any:
    return value.isoformat() if isinstance(value, datetime) else value
