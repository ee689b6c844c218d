"""Pages of the kinds of problem: the target of `type` in a problem document."""

from typing import TYPE_CHECKING

from serving import api
from serving.api.problem_kinds import KINDS, PREFIX, Kind, kind_named

if TYPE_CHECKING:
    from fastapi import FastAPI


def add_routes(app: "FastAPI") -> None:
    """Add the pages to an application."""

    @app.get(PREFIX, tags=["problems"])
    async def problems() -> api.ProblemPages:
        """List every kind of problem that the endpoint answers with."""
        return api.ProblemPages(problems=[_page(kind) for kind in KINDS])

    @app.get(f"{PREFIX}/{{slug}}", tags=["problems"])
    async def problem(slug: str) -> api.ProblemPage:
        """Explain one kind of problem: the `type` of a problem document is the address of its page."""
        return _page(kind_named(slug[:64]))


def _page(kind: Kind) -> api.ProblemPage:
    return api.ProblemPage(type=kind.type, title=kind.title, status=kind.status, meaning=kind.meaning, hint=kind.hint)
