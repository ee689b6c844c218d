"""The archive of economic series for tests: what a test changes of its answers, and the client that asks it."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from lake.settings import Settings
from lake.sources import MacroBatch, connector_of, fred, pull_series
from lake.sources.http import Fetcher, RequestCount
from lake.sources.replay import PlayedArchive, Reply
from support.replay_server import FaultyServer, VirtualTime

KEY = "key/of a test+1"


class Archive(PlayedArchive):
    """The archive, with answers that a test changes before they are sent."""

    change: Callable[[dict[str, Any]], object] | None = None

    def sent(self, content: dict[str, Any]) -> Reply:
        if self.change is not None:
            self.change(content)
        return super().sent(content)


@dataclass
class ArchiveStand:
    """An archive, the server that plays it, and the clock that both share."""

    archive: Archive
    server: FaultyServer
    time: VirtualTime
    folder: Path

    @property
    def settings(self) -> Settings:
        return Settings(
            home=self.folder / "home", source_url=self.server.url, https_proxy=None, fred_api_key=SecretStr(KEY)
        )

    def pull(self, series: Sequence[str] = ("GDP",)) -> MacroBatch:
        """Ask as `quantlake sources pull fred` does."""
        return pull_series("fred", series, self.settings, clock=self.time, sleep=self.time.sleep)

    def hasty_pull(self, timeout_seconds: float) -> MacroBatch:
        """Ask without limits, and without much patience."""
        count = RequestCount(self.settings.sources, (), self.time)
        connector, address = connector_of("fred"), self.server.url
        fetcher = Fetcher(
            connector, count, base_url=address, secret=KEY, sleep=self.time.sleep, timeout_seconds=timeout_seconds
        )
        return fred.pull(fetcher, ["GDP"])


@contextmanager
def archive_stand(folder: Path, at: datetime) -> Iterator[ArchiveStand]:
    """Start an archive; both clocks stand at an instant."""
    archive, time = Archive(), VirtualTime(at)
    with FaultyServer(time, archive.answer) as server:
        yield ArchiveStand(archive, server, time, folder)
