"""The floor of an endpoint: an application without framework that parses, calls the engines and answers.

``python -m benchmarks.rivals.raw_asgi PORT PROCESSES``: uvicorn on the loopback address, until it is ended. As the
service does, it answers from several processes, and questions that wait together share an engine call. Nothing is
read online, authorised, measured or logged, and every question is answered from the same window.
"""

import asyncio
import json
import sys
from typing import TYPE_CHECKING

import numpy as np
import uvicorn

from feature_repo.online import OnlineReader
from feature_repo.targets import to_model_input
from lake.settings import settings
from serving.deployment import Champions
from serving.predict import split_ready

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray
    from starlette.types import Receive, Scope, Send

    from serving.engines import Engine

HEADERS = [(b"content-type", b"application/json")]


class RawApplication:
    """One call of each weighted engine for all requests that wait.

    Parameters
    ----------
    engines
        Engines that are called, in the order of the answer's quantiles.
    window
        `[1, session, feature]`; every question is answered from it, whatever symbol is asked for.
    """

    def __init__(self, engines: "Sequence[Engine]", window: "NDArray[np.float32]") -> None:
        self.engines, self.window = engines, window
        self._waiting: list[asyncio.Future[list[list[float]]]] = []

    async def __call__(self, scope: "Scope", receive: "Receive", send: "Send") -> None:
        """Answer one request."""
        if scope["type"] == "lifespan":
            return
        asked = json.loads((await receive())["body"])
        body = json.dumps({"symbol": asked["symbol"], "quantiles": await self._forecast()}).encode()
        headers = [*HEADERS, (b"content-length", b"%d" % len(body))]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    async def _forecast(self) -> list[list[float]]:
        """Wait for the quantiles of each engine, computed with those of every other request that is there."""
        loop = asyncio.get_running_loop()
        if not self._waiting:
            loop.call_soon(self._answer_waiting)
        answer: asyncio.Future[list[list[float]]] = loop.create_future()
        self._waiting.append(answer)
        return await answer

    def _answer_waiting(self) -> None:
        waiting, self._waiting = self._waiting, []
        windows = np.repeat(self.window, len(waiting), axis=0)
        computed = [engine.predict(windows)[:, 0] for engine in self.engines]  # [request, quantile]
        for number, answer in enumerate(waiting):
            if not answer.done():  # its client has gone
                answer.set_result([quantiles[number].tolist() for quantiles in computed])


def application(symbol: str = "AAPL") -> RawApplication:
    """Return the application on the models in service, one session ahead, and the newest window of a symbol."""
    configured = settings()
    (row,), _ = split_ready(OnlineReader(configured).read([symbol]))
    engines = Champions(configured).current().engines
    return RawApplication([engines[name] for name in row.blend.of_horizon(1)], to_model_input(row.window[None]))


def main(port: int, processes: int) -> None:
    """Serve until ended."""
    of_this_module = "benchmarks.rivals.raw_asgi:application"
    uvicorn.run(
        of_this_module,
        factory=True,
        port=port,
        workers=processes,
        lifespan="off",
        access_log=False,
        log_level="warning",
    )


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
