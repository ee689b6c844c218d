"""Checks of the online store: snapshot, password and key of the embedded server, and the last materialisation."""

import shlex

from dagster_project.checks.health.finding import HealthFinding, set_aside
from lake.settings import Settings


def redis_files(configured: Settings) -> list[HealthFinding]:
    """Look at the files of the embedded server, with its own checker for the snapshot, and at the key of the seals."""
    from feature_repo.online import key_path
    from feature_repo.online.redis_server import ServerPaths, examine

    places = ServerPaths.of(configured)
    meaning = "The embedded server moves it aside at its next start and is filled from the tables"
    named = {
        places.snapshot: ("damaged Redis snapshot", f". {meaning}", set_aside(places.snapshot)),
        places.damaged: ("damaged Redis snapshot", "", f"rm {shlex.quote(str(places.damaged))}"),
        key_path(configured): (
            "damaged online key",
            "",
            f"rm {shlex.quote(str(key_path(configured)))} && quantlake update",
        ),
    }
    found = []
    for path, what, remedy in examine(configured):
        is_private = remedy.startswith(("chmod", "chown"))
        kind, more, command = ("open to others", "", remedy) if is_private else named.get(path, ("", "", remedy))
        found.append(HealthFinding(kind or "online store", path, f"{what}{more}", command, is_damage=not is_private))
    return found


def generation(configured: Settings) -> list[HealthFinding]:
    """Look at the note of what the online store holds."""
    from feature_repo.online import generation_path, read_last_generation

    path = generation_path(configured)
    if not path.exists() or read_last_generation(configured) is not None:
        return []
    meaning = "it cannot be read; the service answers from the newest tables instead"
    return [HealthFinding("damaged note of the online store", path, meaning, set_aside(path))]
