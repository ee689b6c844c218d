"""One worker of a shared study, in a process of its own: `search_worker.py FOLDER TRIALS GRACE_SECONDS`.

It stops inside a trial while a file `hold`, or `hold-<slot>`, lies in the folder, and says so by a file `held-...`.
"""

import os
import sys
from pathlib import Path

import optuna

from support.waiting import rest, until
from training.fit.study import SharedStudy


def main(folder: Path, trials: int, grace_seconds: int) -> None:
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    shared = SharedStudy(
        "lstm",
        folder,
        trials,
        {"x": 0.5},
        seed=7,
        startup_trials=2,
        pruner=optuna.pruners.NopPruner(),
        heartbeat_seconds=1,
        grace_seconds=grace_seconds,
    )
    ran = []

    def objective(trial: optuna.Trial) -> float:
        slot, drawn = trial.user_attrs["slot"], trial.suggest_float("x", 0.0, 1.0)
        is_held = lambda: (folder / "hold").exists() or (folder / f"hold-{slot}").exists()  # noqa: E731 - one look
        if is_held():
            (folder / f"held-{os.getpid()}-{slot}").touch()
            until(lambda: not is_held())
        return (drawn - 0.3) ** 2

    with shared.joined():
        while len(shared.finished()) < trials:
            if not shared.run_one(objective, ran.append) and shared.others_run():
                rest(0.05)
    (folder / f"ran-{os.getpid()}").write_text(str(len(ran)))


if __name__ == "__main__":
    main(Path(sys.argv[1]), *map(int, sys.argv[2:]))
