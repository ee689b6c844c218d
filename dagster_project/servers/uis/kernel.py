"""A Jupyter kernel without a debugger: ``python -m dagster_project.servers.uis.kernel -f CONNECTION_FILE``.

The debugger listens on a TCP port without authentication, and whoever reaches it runs code in the kernel.
"""

import json
import runpy
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

DEBUGGER = "debugpy"


def write_spec(folder: "Path") -> None:
    """Describe this kernel as Jupyter's ``python3``.

    Parameters
    ----------
    folder
        Folder to be named in ``JUPYTER_PATH``, which comes before the kernel that ipykernel brings.
    """
    spec = folder / "kernels" / "python3"
    spec.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "dagster_project.servers.uis.kernel", "-f", "{connection_file}"]
    described = {"argv": command, "display_name": "Python 3", "language": "python", "metadata": {"debugger": False}}
    (spec / "kernel.json").write_text(json.dumps(described), encoding="utf-8")


def main() -> None:
    """Run ipykernel as if its debugger were not installed; ipykernel then reports no debugger to Jupyter."""
    sys.modules[DEBUGGER] = None  # type: ignore[assignment]  # Python's own way to say "not here"
    runpy.run_module("ipykernel_launcher", run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
