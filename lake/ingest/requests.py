"""Requests to ask a source now: small files in the home, left by the service and picked up by a sensor.

A request is *pending* until the sensor looks, and *started* until its run is known to have been asked for. The service
writes and the sensor reads, so neither imports the other.
"""

import json
from collections.abc import Collection
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Literal
from uuid import uuid4

from lake.clock import SystemClock
from lake.disk import file_lock, write_durably
from lake.errors import DamagedFileError, UnknownNameError
from lake.settings import Settings

FOLDER = "requests"
State = Literal["pending", "started"]


@dataclass(frozen=True)
class IngestRequest:
    """One request: its id, the source to ask, when and by whom it was left, and how far it has come."""

    id: str
    source: str
    asked_at: datetime
    who: str
    state: State = "pending"


def source_names(configured: Settings) -> tuple[str, ...]:
    """Return the sources of the home's market, the first one first.

    Examples
    --------
    >>> source_names(Settings(home=Path("no/such/home")))
    ('packaged',)
    """
    further = () if configured.source else configured.declared_market.other_sources
    return tuple(dict.fromkeys((configured.source_name, *further)))


def request_ingest(configured: Settings, source: str, who: str) -> IngestRequest:
    """Leave a request to ask a source now; one that is pending already is returned as it is.

    Raises
    ------
    UnknownNameError
        If it is no source of the home's market, with those that are.

    Examples
    --------
    >>> import tempfile
    >>> configured = Settings(home=Path(tempfile.mkdtemp()))
    >>> first = request_ingest(configured, "packaged", "a key")
    >>> request_ingest(configured, "packaged", "another key") == first
    True
    """
    if source not in source_names(configured):
        raise UnknownNameError("source", source, source_names(configured))
    folder = _folder(configured)
    with _locked(folder):
        for asked in _read(folder):
            if asked.source == source and asked.state == "pending":
                return asked
        made = IngestRequest(uuid4().hex, source, SystemClock().now(), who)
        _write(folder, made)
    return made


def open_requests(configured: Settings) -> list[IngestRequest]:
    """Return the requests that are pending or started, oldest first."""
    return _read(_folder(configured))


def start_requests(configured: Settings) -> list[IngestRequest]:
    """Mark every pending request as started, and return all that are started, oldest first.

    One that was started before and not forgotten is among them: who asks for its run twice names the run by the
    request's id. A request that is left from now on is a new one, because the run may have asked its source already.
    """
    folder = _folder(configured)
    if not folder.exists():
        return []
    with _locked(folder):
        started = [IngestRequest(each.id, each.source, each.asked_at, each.who, "started") for each in _read(folder)]
        for each in started:
            _write(folder, each)
    return started


def forget_requests(configured: Settings, ids: Collection[str]) -> None:
    """Delete requests whose run has been asked for."""
    folder = _folder(configured)
    for request in ids:
        (folder / f"{request}.json").unlink(missing_ok=True)


def _folder(configured: Settings) -> Path:
    return configured.sources / FOLDER


def _locked(folder: Path) -> AbstractContextManager[None]:
    return file_lock(folder / "requests.lock", "The requests to ask sources")


def _write(folder: Path, request: IngestRequest) -> None:
    content = asdict(request) | {"asked_at": request.asked_at.isoformat()}
    write_durably(folder / f"{request.id}.json", json.dumps(content))


def _read(folder: Path) -> list[IngestRequest]:
    found = []
    for path in folder.glob("*.json"):
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            found.append(IngestRequest(**content | {"asked_at": datetime.fromisoformat(content["asked_at"])}))
        except FileNotFoundError:  # its run was asked for meanwhile
            continue
        except (ValueError, TypeError, KeyError) as error:
            raise DamagedFileError(
                f"The request to ask a source in {path} cannot be read: {error}. Delete the file and ask again."
            ) from error
    return sorted(found, key=lambda each: (each.asked_at, each.id))
