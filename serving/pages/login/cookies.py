"""The cookie that holds the id of a login session: its name, the paths it is sent to, and its attributes."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from serving.access.browsers import cookie_values
from serving.pages.login.sessions import LONGEST_SECONDS

if TYPE_CHECKING:
    from starlette.responses import Response
    from starlette.types import Scope

    from lake.settings import Settings


@dataclass(frozen=True)
class SessionCookie:
    """Cookie of one dashboard, kept from scripts and from other sites.

    Parameters
    ----------
    name
        With the port, because cookies are shared by all ports of a host; ``__Secure-`` in front under TLS.
    path
        Below which a browser sends it.
    is_secure
        Whether a browser sends it over TLS alone.
    """

    name: str
    path: str = "/"
    is_secure: bool = False

    @classmethod
    def of(cls, settings: "Settings", root: str = "") -> "SessionCookie":
        """Return the cookie of a dashboard of its own, or of one that the endpoint serves below a root path."""
        if not root:
            return cls(f"quantlake-dashboard-{settings.dashboard_port}")
        is_secure = settings.tls_certificate is not None
        return cls(f"{'__Secure-' if is_secure else ''}quantlake-dashboard-{settings.port}", root, is_secure)

    def values(self, scope: "Scope") -> Iterator[str]:
        """Yield every value that a request has for it."""
        return cookie_values(scope, self.name)

    def keep(self, answer: "Response", identifier: str) -> None:
        """Let the browser keep the id of a session for as long as one may last."""
        answer.set_cookie(
            self.name,
            identifier,
            max_age=int(LONGEST_SECONDS),
            path=self.path,
            secure=self.is_secure,
            httponly=True,
            samesite="strict",
        )

    def drop(self, answer: "Response") -> None:
        """Let the browser forget it."""
        answer.delete_cookie(self.name, path=self.path, secure=self.is_secure, httponly=True, samesite="strict")
