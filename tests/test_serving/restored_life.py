"""A restored home in a process of its own: everything in it looked at and made again, and then life goes on in it.

``restored_life.py HOME KEY BUNDLE [as-it-was]`` prints what came of it as JSON. With the last word, MLflow's addresses
are left as they were backed up: the mutant that must be noticed.
"""

import json
import sys
from pathlib import Path


def main() -> None:
    """Do what an operator does in a home: check, replay, let in, register a model, let a session pass, drain."""
    from dagster_project.runs import update, users_platform
    from feature_repo.online.redis_server import running_redis
    from lake import calendars
    from lake.clock import ReplayClock
    from lake.settings import settings
    from lake.store import Lake
    from serving import audit, backups
    from serving.access.keyring import KeyRing
    from serving.deployment import registry
    from serving.engines import Bundle
    from serving.forecast_log import drain
    from serving.replay import counts, replay

    key, bundle = sys.argv[2], Path(sys.argv[3])
    if sys.argv[4:] == ["as-it-was"]:
        from training.tracking import store

        store.localize = lambda _: 0
    configured = settings()
    assert configured.home == Path(sys.argv[1])
    lake, clock = Lake.open(configured), ReplayClock(configured.home / "clock.json")
    said = {"faults": backups.faults(configured, seed="restored")}
    asked = [one for one in replay(lake, configured) if one.kind == "served"]
    said["replayed"] = {str(verdict): count for verdict, count in counts(asked).items()}
    caller = KeyRing(configured).find(key)
    said["role"] = caller and caller.role
    said["audit"] = [str(one) for one in audit.verify(lake)]
    said["registered"] = registry.register(Bundle.load(bundle), configured)
    said["drained"] = drain(lake, configured).added
    clock.move_to(calendars.next_closes(clock.now(), 1)[0])
    with running_redis(configured):
        stages = update(users_platform(configured), forecast_sessions=1)
    said["added"] = {stage.name: stage.added for stage in stages}
    said["faults after"] = backups.faults(configured, seed="later")
    sys.stdout.write(json.dumps(said) + "\n")


if __name__ == "__main__":
    main()
