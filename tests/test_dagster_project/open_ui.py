"""A web UI that answers everything, behind the gate or not: ``open_ui.py guarded|open``; writes its port."""

import socket
import sys

import uvicorn
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from dagster_project.servers.uis.gate import Gate

served = Starlette(routes=[Route("/{path:path}", lambda _: PlainTextResponse("data"), methods=["GET", "POST"])])
with socket.create_server(("127.0.0.1", 0)) as listening:
    port = listening.getsockname()[1]
    app = (
        Gate(served, port=port, link_token="a" * 40, api_key="b" * 40, where="") if sys.argv[1] == "guarded" else served
    )
    sys.stdout.write(f"{port}\n")
    sys.stdout.flush()
    uvicorn.Server(uvicorn.Config(app, log_level="error")).run(sockets=[listening])
