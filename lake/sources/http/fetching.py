"""One policy for all connectors: limits, tries, waits, kinds of failure, and keys that stay out of sight.

| what happens | what it is | what is done |
|---|---|---|
| no connection, reset, time-out, 5xx, 408, cut body, bad gzip, no JSON | `OutageError` | 5 tries, 1-2-4-8 s apart |
| 429, or the vendor's own note | `ThrottledError` | wait as told; more than 120 s in all is a `QuotaError` |
| the allowance is used up | `QuotaError` | no further request |
| 401, 403, or the vendor's own form | `AuthError` | no further request |
| 402, 426, or the vendor's own form | `EntitlementError` | no further request |
| 404, or the vendor's own form | `UnknownSymbolError` | of that symbol alone |
| anything else that is not the documented success | `ContractError` | of that symbol alone |

Redirects are not followed, and a next page is asked for at the connector's own host only: a key goes nowhere else.
"""

import time
from collections import deque
from collections.abc import Callable, Iterator
from datetime import UTC, timedelta
from email.utils import parsedate_to_datetime
from random import SystemRandom
from types import TracebackType
from typing import Self

import httpx

from lake.clock import Clock
from lake.errors import (
    AuthError,
    ConfigError,
    ContractError,
    EntitlementError,
    OutageError,
    QuotaError,
    SourceError,
    ThrottledError,
    UnknownSymbolError,
)
from lake.sources.http.limits import RequestCount
from lake.sources.http.redaction import redact, silence_address_logs
from lake.sources.http.values import Connector, HttpAnswer, HttpRequest, Page

TRIES = 5
MOST_WAIT_SECONDS = 120.0
TIMEOUT_SECONDS = 20.0
MOST_PAGES = 1_000
JITTER = 0.25
OK, TIMED_OUT, TOO_MANY, SERVER_ERROR = 200, 408, 429, 500
REDIRECTS = range(300, 400)
KINDS: dict[int, type[SourceError]] = {
    401: AuthError,
    402: EntitlementError,
    403: AuthError,
    404: UnknownSymbolError,
    426: EntitlementError,
}
LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})


class Fetcher:
    """Asks the vendor of one connector, one request at a time.

    Parameters
    ----------
    count
        The requests counted against the connector's limits, and the clock by which they are.
    base_url
        Address asked in place of the connector's own: that of a replay server or a mirror.
    secret
        The key; None where the connector needs none.
    sleep
        How a wait is spent; a test moves its clock.
    proxy
        Address of a proxy; not used for an address of this machine.
    timeout_seconds
        Longest wait for a connection, and for each next piece of an answer.

    Raises
    ------
    ConfigError
        If the address is neither https nor on this machine: a key would go over the network for all to read.
    """

    def __init__(
        self,
        connector: Connector,
        count: RequestCount,
        *,
        base_url: str = "",
        secret: str | None = None,
        sleep: Callable[[float], object] = time.sleep,
        proxy: str | None = None,
        timeout_seconds: float = TIMEOUT_SECONDS,
    ) -> None:
        silence_address_logs()
        self.connector, self.count = connector, count
        self.base_url = httpx.URL(base_url or connector.base_url)
        if self.base_url.scheme != "https" and self.base_url.host not in LOOPBACK:
            raise ConfigError(
                f"QUANTLAKE_SOURCE_URL is {base_url}, and a key must not go there in the clear. Use https."
            )
        self._secret, self._sleep = secret, sleep
        self._jitter = SystemRandom()
        self._client = httpx.Client(
            trust_env=False,  # settings alone read the environment, and no key comes from a .netrc
            proxy=None if self.base_url.host in LOOPBACK else proxy,
            verify=httpx.create_ssl_context()
            if self.base_url.scheme == "https"
            else False,  # no TLS, nothing to verify
            follow_redirects=False,
            timeout=timeout_seconds,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._client.close()

    @property
    def clock(self) -> Clock:
        """The clock by which answers are stamped and requests counted."""
        return self.count.clock

    def pages(self, request: HttpRequest) -> Iterator[tuple[HttpAnswer, Page]]:
        """Return the answers to a request, to those for its next pages, and to those that it is the key to.

        Raises
        ------
        ContractError
            If a next page was read already, or there are more than `MOST_PAGES`: a vendor whose pages have no end
            would be asked for ever.
        """
        seen: set[str] = set()
        waiting = deque([request])
        while waiting:
            next_request = waiting.popleft()
            if str(next_request) in seen or len(seen) >= MOST_PAGES:
                raise self._told(
                    ContractError(f"The next page {next_request} was read already, or there are over {MOST_PAGES:,}.")
                )
            seen.add(str(next_request))
            answer, page = self.fetch(next_request)
            yield answer, page
            waiting.extend([page.next] if page.next else [])
            waiting.extend(page.following)

    def fetch(self, request: HttpRequest) -> tuple[HttpAnswer, Page]:
        """Return the answer to one request and what it says, after as many tries and waits as the policy allows.

        Raises
        ------
        SourceError
            Of the kind in the table above; its text names the source and holds no key.
        """
        tries, waited = 0, 0.0
        while True:
            tries += 1
            try:
                self._take_turn()
                answer = self._get(request)
                return answer, self._judge(answer)
            except ThrottledError as error:
                wait = self._back_off(tries) if error.wait_seconds is None else error.wait_seconds
                waited += wait
                if waited > MOST_WAIT_SECONDS:
                    resume = self.clock.now() + timedelta(seconds=wait)
                    raise self._told(QuotaError(f"It asks for a wait of {wait:.0f} s: {error}", resume)) from None
            except OutageError as error:
                if tries == TRIES:
                    raise self._told(
                        OutageError(f"{str(error).rstrip('.')}; {TRIES} tries failed. Ask again later.")
                    ) from None
                wait = self._back_off(tries)
            except SourceError as error:
                raise self._told(error) from None
            self._sleep(wait)

    def _take_turn(self) -> None:
        """Wait until the limits have room for one more request."""
        while (wait := self.count.take()) > 0:
            if wait > MOST_WAIT_SECONDS:
                limits = " and ".join(map(str, self.count.limits))
                resume = self.clock.now() + timedelta(seconds=wait)
                raise QuotaError(f"Its limit of {limits} requests is used up.", resume)
            self._sleep(wait)

    def _get(self, request: HttpRequest) -> HttpAnswer:
        url = self.base_url.join(request.path)
        own = (self.base_url.scheme, self.base_url.host, self.base_url.port)
        if (url.scheme, url.host, url.port) != own:
            raise ContractError(f"The next page lies at {url.host}, and only {self.base_url.host} is asked.")
        headers, secret_params = {"accept": "application/json", **request.headers}, {}
        auth = self.connector.auth
        if auth is not None:
            if not self._secret:
                raise AuthError(f"It needs a key. Set {auth.variable} to yours.")
            if auth.place == "query":
                secret_params[auth.name] = self._secret
            else:
                headers["authorization" if auth.place == "bearer" else auth.name] = (
                    f"Bearer {self._secret}" if auth.place == "bearer" else self._secret
                )
        try:
            response = self._client.get(url.copy_merge_params({**request.params, **secret_params}), headers=headers)
            body = response.text
        except httpx.RequestError as error:
            raise OutageError(f"{request} was not answered ({type(error).__name__}: {error})") from None
        return HttpAnswer(request, response.status_code, body, self.clock.now(), dict(response.headers))

    def _judge(self, answer: HttpAnswer) -> Page:
        if answer.status == OK:
            page = self.connector.parse(answer)
            for _, failure in page.failures:
                self._told(failure)
            return page
        raise self.connector.refusal(answer) or self._refusal(answer)

    def _refusal(self, answer: HttpAnswer) -> SourceError:
        what = f"{answer.request} was answered with status {answer.status}"
        if answer.status == TOO_MANY:
            return ThrottledError(f"{what}.", retry_after(answer))
        if answer.status >= SERVER_ERROR or answer.status == TIMED_OUT:
            return OutageError(f"{what}.")
        if answer.status in REDIRECTS:
            return ContractError(f"{what}: it moved, and redirects are not followed. Look for a newer release.")
        kind = KINDS.get(answer.status, ContractError)
        if kind is UnknownSymbolError:
            return UnknownSymbolError(f"There is no symbol '{answer.request.subject}' ({what}).")
        auth = self.connector.auth
        if kind is AuthError and auth is not None:
            return AuthError(f"{what}. Check the key in {auth.variable}.")
        return kind(f"{what}: {' '.join(answer.body[:200].split())}")

    def _told(self, error: SourceError) -> SourceError:
        """Give an error the name of its source, and take the key out of its text."""
        error.args = (redact(f"{self.connector.title}: {error}", self._secret),)
        return error

    def _back_off(self, tries: int) -> float:
        return float(2 ** (tries - 1)) * (1 + JITTER * self._jitter.uniform(-1, 1))


def retry_after(answer: HttpAnswer) -> float | None:
    """Return the seconds that an answer asks to wait, which it says as seconds or as a date; None where it does not.

    Examples
    --------
    >>> from datetime import datetime
    >>> at = datetime.fromisoformat("2012-12-31T22:00:00+00:00")
    >>> said = {"retry-after": "Mon, 31 Dec 2012 22:00:30 GMT"}
    >>> retry_after(HttpAnswer(HttpRequest("AAA", "/bars"), 429, "", at, said))
    30.0
    """
    text = answer.headers.get("retry-after", "").strip()
    if text.isdigit():
        return float(text)
    try:
        at = parsedate_to_datetime(text)
    except ValueError:
        return None
    at = at.replace(tzinfo=at.tzinfo or UTC)
    return max(0.0, (at - answer.received_at).total_seconds())
