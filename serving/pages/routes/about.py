"""Limits, licences and disclaimers."""

from typing import TYPE_CHECKING

from lake.membership import survivorship_of
from serving.pages.rendering import STATIC
from serving.pages.routes.frame import Visit

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response


def show(request: "Request") -> "Response":
    """Show what these pages can and cannot tell."""
    visit = Visit.of(request)
    notice = (STATIC / "vendor" / "NOTICE").read_text(encoding="utf-8")
    survivors = survivorship_of(visit.tables.reader, visit.as_of.instant)
    return visit.page("about.html", "About", notice=notice, survivorship=survivors)
