"""Clients of the online store, whichever server it is."""

from pathlib import Path
from urllib.parse import unquote, urlparse

from redis import Redis
from redis.backoff import NoBackoff
from redis.credentials import CredentialProvider
from redis.exceptions import AuthenticationError
from redis.retry import Retry

from feature_repo.online.redis_server.paths import PASSWORD_NAME, SOCKET_NAME


class PasswordFile(CredentialProvider):
    """Reads the password each time a connection is made: each start of the embedded server has its own.

    Parameters
    ----------
    path
        Of the file.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def get_credentials(self) -> tuple[str]:
        """Return the password for the server's one user."""
        try:
            return (self._path.read_text(encoding="ascii").strip(),)
        except (OSError, ValueError) as error:
            raise AuthenticationError(f"the password file {self._path} cannot be read") from error

    async def get_credentials_async(self) -> tuple[str]:
        """Return the same to a client of an event loop; the file is of one block."""
        return self.get_credentials()


def credentials_of(url: str) -> PasswordFile | None:
    """Return where a client of this address gets its password; None unless it is that of an embedded server."""
    parts = urlparse(url)
    path = Path(unquote(parts.path))
    if parts.scheme != "unix" or path.name != SOCKET_NAME or parts.password:
        return None
    return PasswordFile(path.with_name(PASSWORD_NAME))


def connect(url: str, timeout_seconds: float) -> Redis:
    """Return a client that gives up after a timeout per step and never tries twice: a caller's deadline holds."""
    return Redis.from_url(
        url,
        credential_provider=credentials_of(url),
        socket_timeout=timeout_seconds,
        socket_connect_timeout=timeout_seconds,
        retry=Retry(NoBackoff(), 0),
        retry_on_error=[],
    )
