"""A third-party module as a process that ends with its parent.

``python -m dagster_project.servers.uis.child_module MODULE ...``

The module is run in this process as ``python -m MODULE ...`` would, with a lifeline beside it.
"""

import runpy
import sys

from serving.processes import end_with_parent

GRACE_SECONDS = 2.0


def main() -> None:
    """Run the module that the first argument names with the rest of the arguments."""
    end_with_parent(grace_seconds=GRACE_SECONDS)
    module = sys.argv[1]
    del sys.argv[0]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
