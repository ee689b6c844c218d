"""Connection to one service: transport, attempts, and refusals as errors."""

import time
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import quote

import httpx
from pydantic import BaseModel, TypeAdapter, ValidationError

from lake.errors import NotReadyError, QuantlakeError
from serving import api
from serving.api import refusal

if TYPE_CHECKING:
    import ssl
    from types import TracebackType
    from typing import Self

    from lake.settings import Settings

PUBLIC = "/api/v1/public"
TIMEOUT_SECONDS = 30.0
ATTEMPTS = 4
MOST_WAIT_SECONDS = 10.0
"""Longest time spent waiting between the attempts of one call."""
RETRIED = frozenset({429, 503})
DATA = "data: "
"""What lines of server-sent events begin with that hold one."""

Typed = TypeVar("Typed", bound=BaseModel)
Read = TypeVar("Read")


class Connection:
    """Connection to one service: what `serving.client.Client`, which describes the parameters, sends through."""

    def __init__(
        self,
        address: str = "http://127.0.0.1:3000",
        key: str | None = None,
        *,
        timeout_seconds: float = TIMEOUT_SECONDS,
        attempts: int = ATTEMPTS,
        trusted: "ssl.SSLContext | None" = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._address = address.rstrip("/")
        self._headers = {} if key is None else {"authorization": f"Bearer {key}"}
        self._attempts, self._sleep = attempts, sleep
        # No proxy of the environment stands between a program and a service on its own machine.
        self._trusted = trusted
        self._http = httpx.Client(
            base_url=self._address,
            headers=self._headers,
            timeout=timeout_seconds,
            trust_env=not _is_local(address),
            verify=_authorities(self._address) if trusted is None else trusted,
        )

    @classmethod
    def local(cls, settings: "Settings", **options: Any) -> "Self":
        """Return a client of the service of these settings, with the key that the programs of its home use.

        Raises
        ------
        ConfigError
            If another user listens at the service's address: the key is not sent to them.
        """
        from serving.access import local_address, local_key, trusting
        from serving.processes.sockets import require_own

        require_own(address := local_address(settings))
        return cls(address, local_key(settings), trusted=trusting(settings), **options)

    def __enter__(self) -> "Self":
        """The client itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: "TracebackType | None"
    ) -> None:
        """Close its connections."""
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def _typed(self, kind: type[Typed], method: str, path: str, **sent: Any) -> Typed:
        return self._read(TypeAdapter(kind), self._ask(method, path, **sent))

    def _read(self, kind: "TypeAdapter[Read]", answer: httpx.Response) -> Read:
        try:
            return kind.validate_json(answer.content)
        except ValidationError as error:
            raise QuantlakeError(self._stranger()) from error

    def _ask(self, method: str, path: str, **sent: Any) -> httpx.Response:
        """Send a request; retries 429 and 503 within the allowed attempts and waiting time."""
        left = MOST_WAIT_SECONDS
        for attempt in range(1, self._attempts + 1):
            try:
                answer = self._http.request(method, f"{PUBLIC}{path}", **sent)
            except (httpx.TransportError, httpx.InvalidURL) as error:
                raise self._nobody(error) from error
            if answer.is_success:
                return answer
            wait = _wait_seconds(answer.headers)
            if answer.status_code not in RETRIED or attempt == self._attempts or wait > left:
                break
            left -= wait
            self._sleep(wait)
        raise self._refusal(answer.content)

    def _events(self, path: str, after: int) -> Iterator[str]:
        """Yield the data of server-sent events, from the one after a number on."""
        try:
            with self._http.stream("GET", f"{PUBLIC}{path}", headers={"last-event-id": str(after)}) as answer:
                if not answer.is_success:
                    raise self._refusal(answer.read())
                for line in answer.iter_lines():
                    if line.startswith(DATA):
                        yield line.removeprefix(DATA)
        except httpx.TransportError as error:
            raise self._nobody(error) from error

    def _refusal(self, body: bytes) -> QuantlakeError:
        """Error of a problem document; any other body means that another service answered."""
        try:
            return refusal(api.Problem.model_validate_json(body))
        except ValidationError:
            return QuantlakeError(self._stranger())

    def _nobody(self, error: Exception) -> NotReadyError:
        return NotReadyError(
            f"No service answers at {self._address} ({error or type(error).__name__}). Start it with `make serve`."
        )

    def _stranger(self) -> str:
        found = f"What listens at {self._address} is not this service."
        return f"{found} Stop it, or set QUANTLAKE_PORT, for `make serve` too."


def part(text: str) -> str:
    """Return a name as one part of a path."""
    return quote(text, safe="")


def how_far(sessions: int | None, minutes: int | None) -> dict[str, int]:
    """Return the member of a request that says how far ahead; both where both are given, which the service refuses.

    Examples
    --------
    >>> how_far(None, None), how_far(None, 60)
    ({'horizon_sessions': 1}, {'horizon_minutes': 60})
    """
    given = {"horizon_sessions": sessions, "horizon_minutes": minutes}
    return {name: value for name, value in given.items() if value is not None} or {"horizon_sessions": 1}


def _wait_seconds(headers: Mapping[str, str]) -> float:
    """Seconds of ``Retry-After``; one second where it is missing."""
    value = headers.get("retry-after", "")
    return float(value) if value.isascii() and value.isdigit() else 1.0


def _authorities(address: str) -> "bool | ssl.SSLContext":
    """Return what certificates are checked with; reading the authorities of a machine takes longer than a forecast."""
    from ssl import PROTOCOL_TLS_CLIENT, SSLContext

    return True if address.startswith("https:") else SSLContext(PROTOCOL_TLS_CLIENT)  # trusts nobody


def _is_local(address: str) -> bool:
    return httpx.URL(address).host in {"127.0.0.1", "localhost", "::1"}
