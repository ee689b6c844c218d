"""Exposure of the endpoint: loopback, or any address once it is safe; and the web pages that may call it."""

import ipaddress
import ssl
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from lake.disk import OTHERS
from lake.errors import ConfigError
from serving.access.keys import id_of, kept_local_key, listing

if TYPE_CHECKING:
    from starlette.types import Scope

    from lake.settings import Settings

HEADERS_A_PAGE_SENDS = ["authorization", "content-type", "x-api-key", "x-correlation-id"]
HEADERS_A_PAGE_READS = [
    *(f"ratelimit-{name}" for name in ("limit", "remaining", "reset", "scope")),
    "retry-after",
    "x-answered-by",
    "x-correlation-id",
]


def require_safe_address(configured: "Settings") -> None:
    """Refuse an address that other machines can reach unless keys and TLS are configured.

    Raises
    ------
    ConfigError
        Naming everything that is missing, or what is wrong with the certificate or with a proxy's address.
    """
    require_certificate(configured)
    trusted_proxies(configured)
    if is_loopback(configured.host):
        return
    missing = [
        f"QUANTLAKE_{name.upper()}, a PEM file"
        for name in ("tls_certificate", "tls_key")
        if getattr(configured, name) is None
    ]
    if not _has_keys(configured):
        missing.append("an API key that was made on purpose: `quantlake keys create`")
    if missing:
        raise ConfigError(
            f"The endpoint was to listen on {configured.host!r}, where other machines could reach it. For that it "
            f"needs {'; and '.join(missing)}. Set QUANTLAKE_HOST=127.0.0.1 to serve this machine alone."
        )


def require_certificate(configured: "Settings") -> None:
    """Refuse a certificate that cannot be served.

    Raises
    ------
    ConfigError
        Naming the file, and what is wrong with it.
    """
    certificate, key = configured.tls_certificate, configured.tls_key
    if certificate is None and key is None:
        return
    if certificate is None or key is None:
        given, needed = ("TLS_KEY", "TLS_CERTIFICATE") if certificate is None else ("TLS_CERTIFICATE", "TLS_KEY")
        raise ConfigError(f"QUANTLAKE_{given} is set and QUANTLAKE_{needed} is not. Set both, or neither.")
    for path in (certificate, key):
        if not path.is_file():
            raise ConfigError(
                f"There is no file {path} for TLS. Correct QUANTLAKE_TLS_CERTIFICATE or QUANTLAKE_TLS_KEY."
            )
    if key.stat().st_mode & OTHERS:
        raise ConfigError(f"The private key {key} is open to others. Run `chmod 600 {key}`.")
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(certificate, key, password="")
    except (ssl.SSLError, OSError) as error:
        raise ConfigError(
            f"{certificate} and {key} are no certificate and its unencrypted private key as PEM: {error}."
        ) from error


def local_address(configured: "Settings") -> str:
    """Address at which a local program reaches the endpoint."""
    scheme = "http" if configured.tls_certificate is None else "https"
    host = "127.0.0.1" if configured.host in {"0.0.0.0", "::"} else configured.host  # noqa: S104 - compared, not bound
    return f"{scheme}://{f'[{host}]' if ':' in host else host}:{configured.port}"


def trusting(configured: "Settings") -> ssl.SSLContext | None:
    """TLS context with which a local program verifies the endpoint's certificate; None without TLS.

    It trusts the settings' own certificate and no other, whatever name or issuer that has.
    """
    if configured.tls_certificate is None:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False  # the certificate itself is known, which says more than a name in it
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    context.load_verify_locations(configured.tls_certificate)
    return context


def is_from_here(scope: "Scope") -> bool:
    """Whether the other end of a request's connection is this machine; not where it is unknown."""
    peer = scope.get("client")
    return peer is not None and is_loopback(peer[0])


def is_loopback(host: str) -> bool:
    """Whether an address is a loopback address; a host name is not resolved, since its address may change."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def origins(configured: "Settings") -> dict[str, Any]:
    """Options of the CORS middleware; empty when no web page may call the endpoint.

    Raises
    ------
    ConfigError
        If one of the settings' origins is none.
    """
    pages = [page.strip() for page in configured.cors_origins.split(",") if page.strip()]
    for page in pages:
        parts = urlsplit(page)
        if parts.scheme not in {"http", "https"} or not parts.netloc or page != f"{parts.scheme}://{parts.netloc}":
            raise ConfigError(
                f"QUANTLAKE_CORS_ORIGINS holds {page!r}. Write scheme, host and port of each page that may ask, "
                "e.g. https://desk.example or http://127.0.0.1:8080; nothing stands for all pages."
            )
    if not pages:
        return {}
    return {
        "allow_origins": pages,
        "allow_methods": ["GET", "POST", "PUT"],
        "allow_headers": HEADERS_A_PAGE_SENDS,
        "expose_headers": HEADERS_A_PAGE_READS,
        "allow_private_network": True,  # a page from the web asks this machine, which browsers ask about apart
    }


def trusted_proxies(configured: "Settings") -> str:
    """Return the trusted proxies in the server's form; empty when there are none.

    Raises
    ------
    ConfigError
        If an entry is neither an address nor a network.
    """
    given = [entry.strip() for entry in configured.trusted_proxies.split(",") if entry.strip()]
    for entry in given:
        try:
            ipaddress.ip_network(entry)
        except ValueError as error:
            raise ConfigError(
                f"QUANTLAKE_TRUSTED_PROXIES holds {entry!r}. Write the address or network of each proxy, with commas "
                "between, e.g. 127.0.0.1 or 10.0.0.0/24; nothing stands for all, because whoever is trusted can say "
                "that anybody asks."
            ) from error
    return ",".join(given)


def _has_keys(configured: "Settings") -> bool:
    """Whether a key is in force that is not just the one of this machine's own programs."""
    local, now = id_of(kept_local_key(configured) or ""), datetime.now(UTC)
    return any(key.is_in_force(now) and key.id != local for key in listing(configured))
