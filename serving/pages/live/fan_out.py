"""Fan-out of stored forecasts to the pages that are open, as server-sent events."""

import asyncio
import json
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import quote

from serving.monitoring.metrics import PAGE_STREAMS
from serving.pages.live.feed import Feed, FeedState
from serving.web.streaming import Subscriber

if TYPE_CHECKING:
    from collections.abc import Callable

    from lake.horizons import Horizon
    from serving.api import PredictAnswer
    from serving.client import Client
    from serving.pages.live.feed import Heard

READERS = 100
"""Most pages that are told at a time."""
WAITING_EVENTS = 256
"""Most events that may wait for one page; on one more it counts as slow and is dropped."""
KEPT_EVENTS = 1_000
"""Newest forecasts from which a page that lost its connection is told what it missed."""


@dataclass(frozen=True, eq=False)
class LiveReader:
    """One open page: the symbols and the horizon that it shows, and the events that wait for it."""

    symbols: frozenset[str]
    ahead: "Horizon"
    waiting: Subscriber

    def wants(self, answer: "PredictAnswer") -> bool:
        """Whether a forecast is one of those that the page shows."""
        return answer.symbol in self.symbols and getattr(answer.prediction, self.ahead.member) == self.ahead.n


class _Told(NamedTuple):
    """A forecast that was told, and its event."""

    answer: "PredictAnswer"
    text: str


class LiveForecasts:
    """Tells every open page of the forecasts that it shows, in the order in which they were stored.

    It belongs to one event loop. The endpoint is asked for nothing before the first page joins.

    Parameters
    ----------
    open_client
        Opens a client of the endpoint, with a key of the role ``read`` or more.
    root
        Path that the dashboard is served below.
    readers, waiting, kept
        Bounds, see the constants of this module.
    """

    def __init__(
        self,
        open_client: "Callable[[], Client]",
        *,
        root: str = "",
        readers: int = READERS,
        waiting: int = WAITING_EVENTS,
        kept: int = KEPT_EVENTS,
    ) -> None:
        self._open_client, self._root = open_client, root
        self._most_readers, self._most_waiting = readers, waiting
        self._readers: set[LiveReader] = set()
        self._kept: deque[_Told] = deque(maxlen=kept)
        self._feed: Feed | None = None
        self._state: FeedState | None = None

    def __len__(self) -> int:
        """How many pages are told."""
        return len(self._readers)

    @property
    def is_full(self) -> bool:
        """Whether the limit of pages is reached."""
        return len(self._readers) >= self._most_readers

    def join(self, symbols: frozenset[str], ahead: "Horizon", after: str = "") -> LiveReader:
        """Add a page, and tell it what was stored after an event that it names, as far as that is still kept.

        Parameters
        ----------
        after
            Id of the last event that the page was told; an unknown one stands for the newest.
        """
        reader = LiveReader(symbols, ahead, Subscriber(self._most_waiting))
        if self._state is not None:
            reader.waiting.put(_state_event(self._state))
        identifiers = [told.answer.prediction_id for told in self._kept]
        missed = list(self._kept)[identifiers.index(after) + 1 :] if after in identifiers else []
        for told in missed:
            if reader.wants(told.answer):
                reader.waiting.put(told.text)
        self._readers.add(reader)
        PAGE_STREAMS.set(len(self._readers))
        if self._feed is None:
            loop = asyncio.get_running_loop()
            self._feed = Feed(self._open_client, lambda heard: loop.call_soon_threadsafe(self._hear, heard))
        return reader

    def leave(self, reader: LiveReader) -> None:
        """Forget a page."""
        self._readers.discard(reader)
        PAGE_STREAMS.set(len(self._readers))

    def close(self) -> None:
        """End the subscription to the endpoint."""
        if self._feed is not None:
            self._feed.close()
            self._feed, self._state = None, None

    def _hear(self, heard: "Heard") -> None:
        if heard == self._state:
            return
        if isinstance(heard, FeedState):
            self._state, text = heard, _state_event(heard)
            told = list(self._readers)
        else:
            text = _forecast_event(heard, self._root)
            self._kept.append(_Told(heard, text))
            told = [reader for reader in self._readers if reader.wants(heard)]
        for reader in told:
            reader.waiting.put(text)


def _state_event(state: FeedState) -> str:
    return f"event: state\ndata: {state}\n\n"


def _forecast_event(answer: "PredictAnswer", root: str) -> str:
    """Return the event of a forecast: what the page says, and where the forecast is shown."""
    shown = {
        "said": f"new forecast of {answer.symbol}, {answer.made_at:%H:%M:%S} UTC",
        "receipt": f"{root}/receipts/{quote(answer.prediction_id, safe='')}",
    }
    return f"id: {answer.prediction_id}\nevent: forecast\ndata: {json.dumps(shown)}\n\n"
