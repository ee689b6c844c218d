"""Host check: a request with another Host header, or none, is refused before all else.

A page of a stranger can make a browser on this machine ask 127.0.0.1 under the page's own name, whose address the
stranger changes after the page was loaded (DNS rebinding). The browser then takes the endpoint for a part of the page.
The header ``Host`` still says the stranger's name, so refusing unknown names ends that.
"""

import re
from typing import TYPE_CHECKING

from lake.errors import ConfigError
from serving.api import problem_kinds as kinds
from serving.web.http import arrival, problems

if TYPE_CHECKING:
    from pathlib import Path

    from starlette.types import ASGIApp, Receive, Scope, Send

    from lake.settings import AccessLog, Settings

LOOPBACK_NAMES = ("127.0.0.1", "localhost", "[::1]")
EVERYWHERE = {"0.0.0.0", "::"}  # noqa: S104 - compared, not bound
HOST = re.compile(r"(\[[0-9a-f:.]+\]|[a-z0-9_](?:[a-z0-9._-]*[a-z0-9_])?)(?::([0-9]{1,5}))?")
"""A host as a client sends it, in lower case: name or address, and a port."""
NAME = re.compile(rf"(?:\*\.)?{HOST.pattern}")
SHOWN = 100
USUAL = 64
"""Values of the header that are recognised without being read again; there are few."""
POLICY_VIOLATION = 1008
"""Code with which a WebSocket is closed whose server cannot send an answer instead."""


class Hosts:
    """The names that an endpoint answers to.

    Parameters
    ----------
    names
        Names and addresses, those of IPv6 in brackets, each for every port unless it ends in one. ``*.example`` stands
        for one label in front of ``.example``.
    """

    def __init__(self, names: "list[str]") -> None:
        self.names = tuple(dict.fromkeys(name.lower() for name in names))
        self._known = frozenset(self.names)
        self._usual: set[bytes] = set()

    @classmethod
    def of(cls, configured: "Settings") -> "Hosts":
        """Return the names of the settings: loopback, their host, those allowed, and those of a certificate.

        Where other machines reach the endpoint, the certificate's names count, because clients that check it can use
        no others.

        Raises
        ------
        ConfigError
            If an allowed host is none, or other machines reach the endpoint and no name is known under which.
        """
        given = _given(configured.allowed_hosts)
        names = [*LOOPBACK_NAMES, *given]
        if configured.host not in EVERYWHERE:
            names.append(_bracketed(configured.host))
        if configured.tls_certificate is not None:
            names += (certified := certificate_names(configured.tls_certificate))
            given += certified
        if configured.host in EVERYWHERE and not given:
            raise ConfigError(
                f"The endpoint was to listen on {configured.host}, and no name of it is known: the "
                "certificate has no subject alternative names. Set QUANTLAKE_ALLOWED_HOSTS, e.g. forecasts.example."
            )
        return cls(names)

    def allow(self, host: bytes) -> bool:
        """Whether the value of a ``Host`` header names this endpoint."""
        if host in self._usual:
            return True
        is_allowed = self._judge(host.decode("latin-1").lower())
        if is_allowed and len(self._usual) < USUAL:
            self._usual.add(host)
        return is_allowed

    def _judge(self, text: str) -> bool:
        if text in self._known:
            return True
        found = HOST.fullmatch(text)
        if found is None:
            return False
        name = found[1]
        if name in self._known:
            return True
        parent = name.partition(".")[2]
        return bool(parent) and f"*.{parent}" in self._known


class HostCheck:
    """Refuse with 421 what names another host, no host, or more than one; HTTP and WebSockets alike.

    Parameters
    ----------
    app
        Application behind it.
    hosts
        Names that pass.
    access_log, slow_ms
        Which refusals get a line in the log, see `serving.web.http.arrival.RequestMetrics`.
    """

    def __init__(self, app: "ASGIApp", hosts: Hosts, access_log: "AccessLog", slow_ms: float) -> None:
        self._app, self._hosts = app, hosts
        self._refuse = arrival.CorrelationIds(arrival.RequestMetrics(self._answer, access_log, slow_ms))

    async def __call__(self, scope: "Scope", receive: "Receive", send: "Send") -> None:
        """Pass a request on, or refuse it."""
        if scope["type"] in {"http", "websocket"} and not self._is_for_us(scope):
            await self._refuse(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    def _is_for_us(self, scope: "Scope") -> bool:
        named = [value for name, value in scope["headers"] if name == b"host"]
        return len(named) == 1 and self._hosts.allow(named[0])

    async def _answer(self, scope: "Scope", receive: "Receive", send: "Send") -> None:
        if scope["type"] == "websocket" and "websocket.http.response" not in scope.get("extensions", {}):
            await send({"type": "websocket.close", "code": POLICY_VIOLATION, "reason": kinds.WRONG_HOST.title})
            return
        named = [value.decode("latin-1") for name, value in scope["headers"] if name == b"host"]
        found = f"the host {named[0][:SHOWN]!r}" if len(named) == 1 else f"{len(named)} Host headers"
        expected = ", ".join(self._hosts.names)
        detail = f"The request names {found}; this endpoint answers to one of {expected}."
        await problems.respond(kinds.WRONG_HOST, detail, scope)(scope, receive, send)


def certificate_names(certificate: "Path") -> list[str]:
    """Return the names and addresses that a certificate is for: its subject alternative names, in its own order.

    Parameters
    ----------
    certificate
        PEM file; its first certificate counts. One that cannot be read gives no names: `require_certificate` names it.
    """
    from cryptography import x509

    try:
        found = x509.load_pem_x509_certificate(certificate.read_bytes())
        names = found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (OSError, ValueError, x509.ExtensionNotFound):
        return []
    addresses = [_bracketed(str(address)) for address in names.get_values_for_type(x509.IPAddress)]
    return [*names.get_values_for_type(x509.DNSName), *addresses]


def _given(text: str) -> list[str]:
    names = [name.strip().lower() for name in text.split(",") if name.strip()]
    for name in names:
        if not NAME.fullmatch(name):
            raise ConfigError(
                f"QUANTLAKE_ALLOWED_HOSTS holds {name!r}. Write names or addresses as clients send them in the header "
                "Host, with commas between, e.g. forecasts.example or 10.0.0.5:3000; *.example stands for one label."
            )
    return names


def _bracketed(host: str) -> str:
    """A host as it stands in the header: addresses of IPv6 in brackets."""
    return f"[{host}]" if ":" in host else host
