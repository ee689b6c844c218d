"""The rival of the throughput benchmark does what the service does: requests that wait share an engine call."""

import asyncio
import json
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.rivals.raw_asgi import RawApplication


class CountingEngine:
    """Three quantiles per window, the number of the row in its batch; remembers how large each batch was."""

    def __init__(self) -> None:
        self.batches: list[int] = []

    def predict(self, x: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return `[batch, horizon, quantile]`."""
        self.batches.append(len(x))
        return np.arange(len(x), dtype=np.float32)[:, None, None] + np.zeros((1, 2, 3), dtype=np.float32)


async def _ask(application: RawApplication, symbol: str) -> dict[str, Any]:
    sent: list[Any] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": json.dumps({"symbol": symbol}).encode()}

    async def send(message: Any) -> None:
        sent.append(message)

    await application({"type": "http"}, receive, send)
    answer: dict[str, Any] = json.loads(sent[1]["body"])
    return answer


def test_requests_that_wait_together_share_one_call_of_each_engine() -> None:
    engines = [CountingEngine(), CountingEngine()]
    application = RawApplication(engines, np.zeros((1, 30, 25), dtype=np.float32))

    async def ask_all() -> list[dict[str, Any]]:
        together = await asyncio.gather(*(_ask(application, symbol) for symbol in ("A", "B", "C")))
        return [*together, await _ask(application, "D")]

    answers = asyncio.run(ask_all())
    assert [engine.batches for engine in engines] == [[3, 1], [3, 1]]
    assert [answer["symbol"] for answer in answers] == ["A", "B", "C", "D"]
    assert [answer["quantiles"] for answer in answers[:3]] == [[[n] * 3] * 2 for n in (0.0, 1.0, 2.0)]


def test_a_client_that_has_gone_takes_no_answer_from_the_others() -> None:
    application = RawApplication([CountingEngine()], np.zeros((1, 30, 25), dtype=np.float32))

    async def leave_one() -> dict[str, Any]:
        gone, stays = asyncio.create_task(_ask(application, "A")), asyncio.create_task(_ask(application, "B"))
        await asyncio.sleep(0)
        gone.cancel()
        return await stays

    assert asyncio.run(leave_one())["quantiles"] == [[1.0, 1.0, 1.0]]
