"""A subscription to stored forecasts: what the service says over one WebSocket, until either side ends it."""

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING

from serving import api
from serving.api import refusal

if TYPE_CHECKING:
    from websockets.sync.client import ClientConnection

Said = api.Acknowledged | api.PredictAnswer


class Updates:
    """One open subscription. Iterated in one thread; `close` may be called from any, and ends the iteration.

    Parameters
    ----------
    opened
        The connection.
    translating
        Turns what the transport raises into errors of this project.
    """

    def __init__(self, opened: "ClientConnection", translating: Callable[[], AbstractContextManager[None]]) -> None:
        self._opened, self._translating = opened, translating

    def subscribe(self, symbols: Sequence[str]) -> None:
        """Ask for every forecast of some symbols that is stored from now on."""
        self._opened.send(json.dumps({"action": "subscribe", "symbols": list(symbols)}))

    def __iter__(self) -> Iterator[Said]:
        """Yield each forecast in the order of the log, and an acknowledgement once the subscription is in force."""
        with self._translating():
            for text in self._opened:
                message = json.loads(text)
                if message["event"] == "error":
                    raise refusal(api.Problem.model_validate(message["problem"]))
                if message["event"] == "acknowledged":
                    yield api.Acknowledged.model_validate(message)
                elif message["event"] == "prediction_update":
                    yield api.PredictionUpdate.model_validate(message).prediction

    def close(self) -> None:
        """End the subscription; nothing happens where it has ended."""
        self._opened.close()
