"""The Dagster UI behind the gate: ``python -m dagster_project.servers.uis.dagster_ui PORT``.

It does what ``dagster-webserver`` does, with our gate in front. The code server that it starts listens on a unix socket
in TMPDIR, which the verb points at a folder of mode 700.
"""

from typing import TYPE_CHECKING

from dagster_project.servers.uis.serving import run, serve

if TYPE_CHECKING:
    from lake.settings import Settings

STATEMENT_MS, RECYCLE_SECONDS, OVERFLOW = 15_000, 3_600, 20
"""As dagster-webserver sets them by default."""


def main(settings: "Settings", port: int, secret: str) -> None:
    """Serve until SIGTERM."""
    from dagster import DagsterInstance, __version__
    from dagster._core.workspace.context import WorkspaceProcessContext
    from dagster._core.workspace.load_target import WorkspaceFileTarget
    from dagster_webserver.app import create_app_from_workspace_process_context

    from dagster_project.runs import WORKSPACE

    with DagsterInstance.get() as instance:
        instance.optimize_for_webserver(STATEMENT_MS, RECYCLE_SECONDS, OVERFLOW)
        target = WorkspaceFileTarget(paths=[str(WORKSPACE)])
        with WorkspaceProcessContext(instance, version=__version__, workspace_load_target=target) as context:
            serve(create_app_from_workspace_process_context(context), settings, port, secret)


if __name__ == "__main__":
    run(main)
