"""Choose between light and dark, and among the colours of up and down."""

from typing import TYPE_CHECKING

from starlette.responses import RedirectResponse

from serving.pages.appearance import CHOICES
from serving.pages.rendering import root_of
from serving.pages.routes.forms import Form, of_own_pages, one_of, page_after

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from serving.pages.login import LoginSession


@of_own_pages
async def choose(request: "Request", _session: "LoginSession", form: Form) -> "Response":
    """Let the browser keep each choice that the form holds, and lead back."""
    root = root_of(request.scope)
    answer = RedirectResponse(page_after(form, root), 303)
    for choice in CHOICES:
        if choice.name in form:
            choice.keep(answer, one_of(choice.name, form[choice.name], choice.known), root)
    return answer
