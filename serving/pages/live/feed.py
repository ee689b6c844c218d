"""The subscription of one process to every forecast that the endpoint stores, in a thread of its own."""

import logging
import threading
from collections.abc import Callable
from enum import StrEnum

from lake.errors import QuantlakeError
from serving.api import Acknowledged, PredictAnswer
from serving.client import Client, Updates

logger = logging.getLogger("quantlake.pages")

FIRST_WAIT_SECONDS, LONGEST_WAIT_SECONDS = 0.25, 8.0
"""Wait before a lost subscription is opened again: doubled each time, from the first up to the longest."""


class FeedState(StrEnum):
    """Whether each forecast that is stored is heard of, in the words of the page."""

    LIVE = "live"
    NOT_LIVE = "not live"


Heard = PredictAnswer | FeedState


class Feed:
    """Tells of forecasts as they are stored, and of each loss and return of the subscription.

    It asks for the symbols that the endpoint knows when the subscription is opened.

    Parameters
    ----------
    open_client
        Opens a client of the endpoint.
    tell
        Called in the thread of the feed.
    """

    def __init__(self, open_client: Callable[[], Client], tell: Callable[[Heard], object]) -> None:
        self._open_client, self._tell = open_client, tell
        self._updates: Updates | None = None
        self._ended, self._wait = threading.Event(), FIRST_WAIT_SECONDS
        self._thread = threading.Thread(target=self._run, name="live-forecasts", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End the subscription and the thread."""
        self._ended.set()
        if self._updates is not None:
            self._updates.close()
        self._thread.join()

    def _run(self) -> None:
        while not self._ended.is_set():
            try:
                self._follow()
            except QuantlakeError as error:
                logger.info("Forecasts are not live: %s", error)
            except Exception:
                logger.exception("The subscription to new forecasts ended; it is opened again")
            self._tell(FeedState.NOT_LIVE)
            self._ended.wait(self._wait)
            self._wait = min(2 * self._wait, LONGEST_WAIT_SECONDS)

    def _follow(self) -> None:
        """Tell what one subscription says, until it ends."""
        with self._open_client() as client:
            symbols = [each.symbol for each in client.symbols().symbols]
            with client.subscribe(symbols) as updates:
                self._updates = updates
                if self._ended.is_set():  # `close` came before there was anything to close
                    return
                for said in updates:
                    if isinstance(said, Acknowledged):
                        self._wait = FIRST_WAIT_SECONDS
                        self._tell(FeedState.LIVE)
                    else:
                        self._tell(said)
