"""Choose between light and dark."""

from typing import TYPE_CHECKING

from starlette.responses import RedirectResponse

from lake.errors import UnknownNameError
from serving.pages.rendering import root_of
from serving.pages.routes.forms import Form, of_own_pages, page_after
from serving.pages.theme import SCHEMES, keep_theme, theme_named

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from serving.pages.login import LoginSession


@of_own_pages
async def choose(request: "Request", _session: "LoginSession", form: Form) -> "Response":
    """Let the browser keep a theme, and lead back."""
    name = form.get("theme", "")
    theme = theme_named(name)
    if theme is None:
        raise UnknownNameError("theme", name[:20], list(SCHEMES))
    root = root_of(request.scope)
    answer = RedirectResponse(page_after(form, root), 303)
    keep_theme(answer, theme, root)
    return answer
