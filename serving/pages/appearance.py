"""Light or dark, and the two colours of up and down, as a visitor chose them: said by every page, so that none flashes.

Each choice is kept in a cookie of the browser that holds its name and nothing else.
"""

from typing import TYPE_CHECKING, Literal, NamedTuple

from serving.access.browsers import cookie_values

if TYPE_CHECKING:
    from starlette.responses import Response
    from starlette.types import Scope

Theme = Literal["system", "light", "dark"]
SCHEMES: dict[Theme, str] = {"system": "light dark", "light": "light", "dark": "dark"}
"""Each theme with the colour schemes that a page declares under it; the system chooses among two."""


class KeptChoice(NamedTuple):
    """One choice of the appearance.

    Parameters
    ----------
    name
        Of the form field; with ``quantlake-`` in front, of the cookie.
    known
        What there is to choose from, the usual one first.
    """

    name: str
    known: tuple[str, ...]

    def of(self, scope: "Scope") -> str:
        """Return what a request chose; the usual one where its cookie is missing or holds anything else.

        Examples
        --------
        >>> THEME.of({"headers": [(b"cookie", b"quantlake-theme=dark")]})
        'dark'
        >>> THEME.of({"headers": [(b"cookie", b"quantlake-theme=pink")]})
        'system'
        """
        return next((value for value in cookie_values(scope, self._cookie) if value in self.known), self.known[0])

    def keep(self, answer: "Response", value: str, root: str) -> None:
        """Let the browser keep a choice for a year, for the pages below a root path."""
        path = root or "/"
        answer.set_cookie(self._cookie, value, max_age=YEAR_SECONDS, path=path, httponly=True, samesite="strict")

    @property
    def _cookie(self) -> str:
        return f"quantlake-{self.name}"


YEAR_SECONDS = 365 * 24 * 3_600
THEME = KeptChoice("theme", tuple(SCHEMES))
COLOURS = KeptChoice("colours", ("blue-orange", "green-red", "purple-green"))
"""Colours of up and down; an arrow and a sign stand beside each of them."""
CHOICES = (THEME, COLOURS)
