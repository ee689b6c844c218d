"""Every listening socket of our commands, declared: address, permitted callers, and protection.

A test starts each command, lists what its processes really open, and fails on a socket that is not declared here.
`python -m dagster_project.servers.listeners` writes the table into docs/operations.md.
"""

import os
import re
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from lake.settings import Settings
from serving.processes import socket_folder

if TYPE_CHECKING:
    from dagster_project.servers.open_sockets import OpenSocket

PAGE = Path(__file__).parents[2] / "docs" / "operations.md"
BEGIN, END = "<!-- listeners: generated -->\n", "<!-- end of listeners -->\n"
SHORT_FOLDER = Path(tempfile.gettempdir()) / f"quantlake-{os.geteuid()}"
"""Where Redis listens for a home whose path is too long for a unix socket."""

Place = Literal["endpoint", "dashboard", "ui", "mlflow", "lab", "any port", "redis", "sockets"]
ADDRESSES: dict[Place, str] = {
    "endpoint": "tcp `QUANTLAKE_HOST`:`QUANTLAKE_PORT` (127.0.0.1:3000)",
    "dashboard": "tcp 127.0.0.1:`QUANTLAKE_DASHBOARD_PORT` (3002)",
    "ui": "tcp 127.0.0.1:`QUANTLAKE_UI_PORT` (3001)",
    "mlflow": "tcp 127.0.0.1:`QUANTLAKE_MLFLOW_PORT` (5000)",
    "lab": "tcp 127.0.0.1:`QUANTLAKE_LAB_PORT` (8888)",
    "any port": "tcp 127.0.0.1, a port that the system chooses",
    "redis": "unix, in `<home>/redis`, or `quantlake-<uid>` in the temporary folder for a home with a long path",
    "sockets": "unix, in `<home>/run/s`, or `quantlake-<uid>-<digest>` in TMPDIR for a home with a long path",
}


@dataclass(frozen=True)
class Listener:
    """One socket, or one kind of them.

    Parameters
    ----------
    what
        What answers on it.
    commands
        Verbs of `quantlake` that open it.
    place
        Where it listens, see `ADDRESSES`.
    process
        Regular expression of the command line of the process that holds it.
    users
        Who may use it.
    enforced
        What keeps the others out.
    """

    what: str
    commands: tuple[str, ...]
    place: Place
    process: str
    users: str
    enforced: str


LISTENERS: tuple[Listener, ...] = (
    Listener(
        "forecast endpoint",
        ("serve", "demo"),
        "endpoint",
        r"serving\.supervision",
        "whoever has a key; health, documentation and, from this machine, `/metrics` without one",
        "host check, then API key or token with a role for each route; beyond loopback TLS as well",
    ),
    Listener(
        "explanation process",
        ("serve", "demo"),
        "sockets",
        r"serving\.explain\.worker",
        "workers of the forecast endpoint, as the user who started it",
        "unix socket of mode 600 in a folder of mode 700",
    ),
    Listener(
        "dashboard",
        ("serve", "dashboard"),
        "dashboard",
        r"serving\.pages",
        "whoever has a key; the user who started it by the link too; from this machine, `/metrics` without either",
        "host check, login by key or one-time code, role of each page, origin check (`serving/pages/guard.py`)",
    ),
    Listener(
        "embedded Redis",
        ("serve", "ui", "demo"),
        "redis",
        r"(redis|valkey)-server",
        "the user who started it",
        "unix socket in a folder of mode 700",
    ),
    Listener(
        "Dagster UI",
        ("ui",),
        "ui",
        r"dagster_project\.servers\.uis\.dagster_ui",
        "the user who started it: browser by the link, programs by the key file",
        "host check, login, origin check (`dagster_project/servers/uis/gate.py`)",
    ),
    Listener(
        "Dagster code servers",
        ("ui",),
        "sockets",
        r"dagster api grpc",
        "the user who started it",
        "unix socket in a folder of mode 700",
    ),
    Listener(
        "MLflow",
        ("mlflow",),
        "mlflow",
        r"dagster_project\.servers\.uis\.mlflow_ui",
        "the user who started it: browser by the link, programs by the key file",
        "host check, login, origin check (`dagster_project/servers/uis/gate.py`)",
    ),
    Listener(
        "Jupyter",
        ("lab",),
        "lab",
        r"dagster_project\.servers\.uis\.child_module jupyterlab",
        "the user who started it, by the link",
        "Jupyter's token and its host check",
    ),
    Listener(
        "Jupyter kernels",
        ("lab",),
        "sockets",
        r"dagster_project\.servers\.uis\.kernel",
        "the user who started it",
        "unix sockets in a folder of mode 700, signed messages; the debugger, which has no login, is off",
    ),
    Listener(
        "output of a kernel's child processes",
        ("lab",),
        "any port",
        r"dagster_project\.servers\.uis\.kernel",
        "child processes of the kernel",
        "ipykernel drops messages without the kernel's random id, and runs nothing that it is sent here",
    ),
)


def declared(found: "OpenSocket", command: str, settings: Settings) -> Listener | None:
    """Return the declared listener of a socket; None for an undeclared one."""
    for listener in LISTENERS:
        is_opened_by = command in listener.commands and re.search(listener.process, found.command)
        if is_opened_by and _is_at(found, listener.place, settings):
            return listener
    return None


def _is_at(found: "OpenSocket", place: Place, settings: Settings) -> bool:
    if place == "redis" or place == "sockets":  # noqa: PLR1714 - narrows the type
        folders = [settings.redis, SHORT_FOLDER] if place == "redis" else [socket_folder(settings)]
        return found.kind == "unix" and any(folder in Path(found.address).parents for folder in folders)
    if place == "endpoint":
        at: tuple[str, int | None] = (settings.host, settings.port)
    else:
        ports = {
            "dashboard": settings.dashboard_port,
            "ui": settings.ui_port,
            "mlflow": settings.mlflow_port,
            "lab": settings.lab_port,
        }
        at = ("127.0.0.1", ports.get(place))
    return found.kind == "tcp" and found.address == at[0] and at[1] in {found.port, None}


def table(listeners: Iterable[Listener] = LISTENERS) -> str:
    """Return the listeners as a table in Markdown."""
    head = "| what | command | address | who may use it | what keeps the others out |\n|---|---|---|---|---|\n"
    rows = (
        (
            listener.what,
            ", ".join(f"`{c}`" for c in listener.commands),
            ADDRESSES[listener.place],
            listener.users,
            listener.enforced,
        )
        for listener in listeners
    )
    return head + "".join(f"| {' | '.join(row)} |\n" for row in rows)


def page(text: str) -> str:
    """Return a page with its table of listeners renewed."""
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}{table()}{END}{after}"


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
