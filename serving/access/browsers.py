"""Browsers: the cookies that they send, and whether one of our own pages made a request.

A browser sends the cookies of a host with every request to it, whichever page caused that, and other ports of the host
are other sites that share its cookies. A request with a session therefore counts only if its headers say that a page of
this very address made it, or the user.
"""

from collections.abc import Iterator
from http.cookies import CookieError, SimpleCookie
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from starlette.types import Scope

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
OWN_PAGES = frozenset({b"same-origin", b"none"})
"""Values of ``Sec-Fetch-Site`` of a request that one of our own pages, or the user, made."""
OWN_NAMES = ("127.0.0.1", "localhost", "[::1]")
"""Names of this machine's loopback in the header ``Host``."""


def header_values(scope: "Scope", name: bytes) -> list[bytes]:
    """Return every value of a header, by its lower-case name."""
    return [value for found, value in scope["headers"] if found == name]


def own_hosts(port: int) -> frozenset[str]:
    """Return the values of ``Host`` under which a listener on loopback is asked."""
    return frozenset(f"{name}:{port}" for name in OWN_NAMES)


def is_own_host(scope: "Scope", port: int) -> bool:
    """Whether a request names exactly one host, and that is loopback at a port."""
    hosts = header_values(scope, b"host")
    return len(hosts) == 1 and hosts[0].decode("latin-1").lower() in own_hosts(port)


def cookie_values(scope: "Scope", name: str) -> Iterator[str]:
    """Yield every value that a request has for a cookie; a header that cannot be read has none.

    Examples
    --------
    >>> list(cookie_values({"headers": [(b"cookie", b"a=1; b=2"), (b"cookie", b"a=3")]}, "a"))
    ['1', '3']
    """
    for value in header_values(scope, b"cookie"):
        try:
            cookies = SimpleCookie(value.decode("latin-1"))
        except CookieError:
            continue
        if name in cookies:
            yield cookies[name].value


def cross_site_reason(scope: "Scope") -> str:
    """Return why a request counts as one of another page; empty for one of our own pages or of the user.

    Parameters
    ----------
    scope
        Of a request or a WebSocket whose header ``Host`` was checked. A change, and a WebSocket, names its origin.
    """
    scheme = b"https://" if scope.get("scheme") in {"https", "wss"} else b"http://"
    ours = {scheme + host.lower() for host in header_values(scope, b"host")}
    origins, sites = header_values(scope, b"origin"), header_values(scope, b"sec-fetch-site")
    is_websocket = scope["type"] == "websocket"
    if (is_websocket and not origins) or any(origin not in ours for origin in origins):
        return "Only pages of this address may ask it. Open it in a window of its own."
    if any(site not in OWN_PAGES for site in sites):
        return "Only pages of this address may lead to it. Type the address, or reload the page."
    if not is_websocket and scope["method"] not in SAFE_METHODS and not origins and not sites:
        return "A change needs the header Origin. Programs send a key: Authorization: Bearer KEY."
    return ""
