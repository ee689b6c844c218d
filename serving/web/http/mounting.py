"""Applications below a path of the endpoint, behind its host check and in front of everything else of it."""

from typing import TYPE_CHECKING

from starlette.responses import RedirectResponse

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.types import ASGIApp, Receive, Scope, Send


class Mounts:
    """ASGI middleware: hand each request below a root path to the application that is mounted there.

    The application has an access control of its own: no key, limit or rule of the endpoint applies to it. It finds its
    root in ``scope["root_path"]``; the path of a request stays whole.

    Parameters
    ----------
    app
        Answers every other path.
    mounted
        Application by root path, e.g. ``/app``.
    """

    def __init__(self, app: "ASGIApp", mounted: "Mapping[str, ASGIApp]") -> None:
        self._app, self._mounted = app, mounted

    async def __call__(self, scope: "Scope", receive: "Receive", send: "Send") -> None:
        """Choose the application by path; the root itself leads to the first page below it."""
        path = scope.get("path", "")
        for root, app in self._mounted.items():
            if path == root and scope["type"] == "http":
                await RedirectResponse(f"{root}/")(scope, receive, send)
                return
            if path.startswith(f"{root}/"):
                await app({**scope, "root_path": root}, receive, send)
                return
        await self._app(scope, receive, send)
