"""Requests are counted per metering scope, in a locked file that all processes of a home share."""

import json
from collections import defaultdict
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

from lake.clock import Clock
from lake.disk import file_lock, write_durably
from lake.errors import DamagedFileError, QuotaError
from lake.sources.http.values import Limit

LONG_WINDOW_SECONDS = 3_600.0
"""Limits over this span or a longer one are an allowance: a run that would exceed it is refused before it starts."""


@dataclass(frozen=True)
class RequestCount:
    """The requests made of late under the limits of one connector.

    Parameters
    ----------
    folder
        Where the counts lie, one file per scope.
    limits
        Several may hold at once, for one scope or several.
    """

    folder: Path
    limits: tuple[Limit, ...]
    clock: Clock

    def take(self) -> float:
        """Count one request, or return the seconds until there is room for it; 0 says that it was counted.

        The window slides: at no instant lie more than the allowed requests in the span that ends there.
        """
        waits = [self._take(scope, limits) for scope, limits in self._by_scope().items()]
        return max(waits, default=0.0)

    def require(self, requests: int, title: str) -> None:
        """Refuse a run whose planned requests exceed what is left of an allowance.

        Raises
        ------
        QuotaError
            With the instant at which there is room for all of them, or for as many as the allowance has at most.
        """
        now = self.clock.now().timestamp()
        for scope, limits in self._by_scope().items():
            with self._locked(scope):
                times = self._read(scope, now)
            for limit in limits:
                inside = [at for at in times if at > now - limit.seconds]
                if limit.seconds < LONG_WINDOW_SECONDS or len(inside) + requests <= limit.requests:
                    continue
                to_leave = max(1, min(len(inside), len(inside) + requests - limit.requests))
                resume = inside[to_leave - 1] + limit.seconds if inside else now
                raise QuotaError(
                    f"{title} allows {limit}; {len(inside)} are used and this run needs {requests}. "
                    "Name fewer symbols, or wait.",
                    datetime.fromtimestamp(resume, UTC),
                )

    def used(self) -> dict[Limit, int]:
        """Return how many requests lie in the window of each limit now."""
        now = self.clock.now().timestamp()
        found: dict[Limit, int] = {}
        for scope, limits in self._by_scope().items():
            times = self._read(scope, now)
            found |= {limit: sum(at > now - limit.seconds for at in times) for limit in limits}
        return found

    def _take(self, scope: str, limits: Sequence[Limit]) -> float:
        with self._locked(scope):
            now = self.clock.now().timestamp()
            longest = max(limit.seconds for limit in limits)
            times = [at for at in self._read(scope, now) if at > now - longest]
            wait = max(_wait(times, limit, now) for limit in limits)
            if wait <= 0:
                write_durably(self._path(scope), json.dumps([*times, now]))
            return max(wait, 0.0)

    def _by_scope(self) -> dict[str, list[Limit]]:
        found = defaultdict(list)
        for limit in self.limits:
            found[limit.scope].append(limit)
        return found

    def _locked(self, scope: str) -> AbstractContextManager[None]:
        return file_lock(self.folder / f"{scope}.lock", f"The count of requests '{scope}'")

    def _path(self, scope: str) -> Path:
        return self.folder / f"{scope}.json"

    def _read(self, scope: str, now: float) -> list[float]:
        """Times of counted requests, in order; one from a clock that ran ahead counts as made now."""
        try:
            content = self._path(scope).read_bytes()
        except FileNotFoundError:
            return []
        try:
            return sorted(min(float(at), now) for at in json.loads(content))
        except (ValueError, TypeError) as error:
            raise DamagedFileError(
                f"The count of requests in {self._path(scope)} cannot be read: {error}. Delete the file; the vendor's "
                "own count still holds."
            ) from error


def _wait(times: Sequence[float], limit: Limit, now: float) -> float:
    """Seconds until the window of a limit has room for one more."""
    inside = [at for at in times if at > now - limit.seconds]
    if len(inside) < limit.requests:
        return 0.0
    return inside[-limit.requests] + limit.seconds - now


def next_midnight(after: datetime, zone: str) -> datetime:
    """Return the first midnight of a zone after an instant, in UTC: when daily allowances begin anew."""
    local = after.astimezone(ZoneInfo(zone))
    midnight = (local + timedelta(days=1)).replace(hour=0, minute=0, second=0, microsecond=0)
    return midnight.astimezone(UTC)
