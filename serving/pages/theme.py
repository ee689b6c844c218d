"""Light or dark, as a visitor chose it: kept in a cookie of the browser and said by every page, so that none flashes.

The cookie holds the name of a theme and nothing else.
"""

from typing import TYPE_CHECKING, Literal

from serving.access.browsers import cookie_values

if TYPE_CHECKING:
    from starlette.responses import Response
    from starlette.types import Scope

Theme = Literal["system", "light", "dark"]
SCHEMES: dict[Theme, str] = {"system": "light dark", "light": "light", "dark": "dark"}
"""Each theme with the colour schemes that a page declares under it; the system chooses among two."""
USUAL: Theme = "system"
COOKIE = "quantlake-theme"
YEAR_SECONDS = 365 * 24 * 3_600


def theme_of(scope: "Scope") -> Theme:
    """Return the theme of a request; the usual one where its cookie is missing or holds anything else.

    Examples
    --------
    >>> theme_of({"headers": [(b"cookie", b"quantlake-theme=dark")]})
    'dark'
    >>> theme_of({"headers": [(b"cookie", b"quantlake-theme=pink")]})
    'system'
    """
    return next((found for value in cookie_values(scope, COOKIE) if (found := theme_named(value))), USUAL)


def theme_named(name: str) -> Theme | None:
    """Return the theme of a name; None where there is none."""
    return next((theme for theme in SCHEMES if theme == name), None)


def keep_theme(answer: "Response", theme: Theme, root: str) -> None:
    """Let the browser keep a theme for a year, for the pages below a root path."""
    answer.set_cookie(COOKIE, theme, max_age=YEAR_SECONDS, path=root or "/", httponly=True, samesite="strict")
