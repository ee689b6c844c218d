"""Forms of the dashboard: their fields and choices, whose page sent them, and the page that they lead to."""

from collections.abc import Awaitable, Callable, Mapping
from functools import wraps
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import parse_qs, urlsplit

from lake.errors import UnknownNameError
from serving.pages.guard import session_of
from serving.pages.login import is_form_of
from serving.pages.rendering import error_page

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from serving.pages.login import LoginSession

Form = dict[str, str]
Chosen = TypeVar("Chosen", bound=str)
MOST_BYTES = 4_096
"""Of a form; a key has fewer than a hundred."""


async def read_form(request: "Request") -> Form:
    """Return the fields of a form, the last of each name; none where it is larger than any of ours."""
    body = b""
    async for part in request.stream():
        body += part
        if len(body) > MOST_BYTES:
            return {}
    fields = parse_qs(body.decode("utf-8", "replace"), keep_blank_values=True)
    return {name: values[-1] for name, values in fields.items()}


def of_own_pages(
    act: "Callable[[Request, LoginSession, Form], Awaitable[Response]]",
) -> "Callable[[Request], Awaitable[Response]]":
    """Return a route that acts on forms of the visitor's own pages; any other is refused before anything is done."""

    @wraps(act)
    async def route(request: "Request") -> "Response":
        session, form = session_of(request), await read_form(request)
        if session is None or not is_form_of(session, form.get("form_token", "")):
            sentence = "The form is not one of this session. Reload the page."
            return error_page(request.scope, 403, "Not from here", sentence)
        return await act(request, session, form)

    return route


def address_of(request: "Request") -> str:
    """Return the address that a request came from; empty where the server does not know it."""
    return request.client.host if request.client else ""


def one_of(kind: str, text: str, known: "tuple[Chosen, ...]") -> "Chosen":
    """Return the choice that a text names.

    Raises
    ------
    UnknownNameError
        If it names none, with the known ones.

    Examples
    --------
    >>> one_of("list", "mine", ("all", "mine"))
    'mine'
    """
    for choice in known:
        if choice == text:
            return choice
    raise UnknownNameError(kind, text[:20], list(map(str, known)))


def page_after(given: Mapping[str, str], root: str = "") -> str:
    """Return the page of the dashboard to go on to; the watch list in place of an address that leads elsewhere.

    Parameters
    ----------
    root
        Path that the dashboard is served below.

    Examples
    --------
    >>> page_after({"next": "/s/KO?horizon=5"}), page_after({"next": "//evil.example"}), page_after({})
    ('/s/KO?horizon=5', '/', '/')
    >>> page_after({"next": "/app/s/KO"}, "/app"), page_after({"next": "/docs"}, "/app")
    ('/app/s/KO', '/app/')
    """
    first = f"{root}/"
    address = given.get("next", first)
    parts = urlsplit(address)
    is_ours = (
        address.startswith(first) and not address.startswith(("//", "/\\")) and not parts.scheme and not parts.netloc
    )
    return address if is_ours and address.isprintable() else first
