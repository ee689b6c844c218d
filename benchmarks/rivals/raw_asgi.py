"""The floor of an endpoint: an application without framework that parses, calls the engines and answers.

``python -m benchmarks.rivals.raw_asgi PORT``: uvicorn on the loopback address, until it is ended. Nothing is read
online, authorised, measured or logged, and every question is answered from the same window.
"""

import json
import sys
from typing import TYPE_CHECKING

import uvicorn

from feature_repo.online import OnlineReader
from feature_repo.targets import to_model_input
from lake.settings import settings
from serving.deployment import Champions
from serving.predict import split_ready

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

    from serving.engines import Engine

HEADERS = [(b"content-type", b"application/json")]


class RawApplication:
    """One engine call per weighted model for each request.

    Parameters
    ----------
    symbol
        Whose newest window is forecast, whatever is asked.
    """

    def __init__(self, symbol: str) -> None:
        configured = settings()
        (row,), _ = split_ready(OnlineReader(configured).read([symbol]))
        engines = Champions(configured).current().engines
        self.engines: list[Engine] = [engines[name] for name in row.blend.of_horizon(1)]
        self.window = to_model_input(row.window[None])

    async def __call__(self, scope: "Scope", receive: "Receive", send: "Send") -> None:
        """Answer one request."""
        if scope["type"] == "lifespan":
            return
        asked = json.loads((await receive())["body"])
        quantiles = [engine.predict(self.window)[0, 0].tolist() for engine in self.engines]
        body = json.dumps({"symbol": asked["symbol"], "quantiles": quantiles}).encode()
        headers = [*HEADERS, (b"content-length", b"%d" % len(body))]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})


def main(port: int, symbol: str = "AAPL") -> None:
    """Serve until ended."""
    uvicorn.run(RawApplication(symbol), port=port, lifespan="off", access_log=False, log_level="warning")


if __name__ == "__main__":
    main(int(sys.argv[1]))
