"""The WebSocket route of stored forecasts."""

import asyncio
import time
from typing import TYPE_CHECKING

from anyio import to_thread
from fastapi import FastAPI, WebSocket
from pydantic import TypeAdapter, ValidationError
from starlette.websockets import WebSocketDisconnect

from lake.errors import QuantlakeError
from serving import api
from serving.api import problem_kinds
from serving.predict import require_known
from serving.web.http import problems

if TYPE_CHECKING:
    from serving.api import Problem
    from serving.predict import Predictor
    from serving.web.asked_names import AskedNames
    from serving.web.streaming import Hub, Subscriber

PATH = "/ws/v1/predictions"
MESSAGE_BYTES = 262_144
"""Largest message of a client: a subscription to 5,000 symbols takes about a third of it."""
GRACE_SECONDS = 5.0
"""How long a slow connection is kept for its close frame; nobody else waits meanwhile."""
KNOWN_SECONDS = 1.0
TOO_SLOW, TRY_LATER, TOO_BIG = 4008, 1013, 1009
SLOW_REASON = "too slow: more than {limit} updates waited; subscribe to fewer symbols or read faster"
EXAMPLE = '{"action": "subscribe", "symbols": ["AAPL"]}'

COMMAND: TypeAdapter[api.Command] = TypeAdapter(api.Command)


def add_routes(app: FastAPI) -> None:
    """Add it to an application."""

    @app.websocket(PATH)
    async def predictions(websocket: WebSocket) -> None:
        """Carry out commands, and send an update of each stored forecast of the symbols subscribed to."""
        hub: Hub = websocket.app.state.hub
        await websocket.accept()
        if hub.is_full:
            await websocket.close(TRY_LATER, "too many connections; try again later")
            return
        subscriber = hub.join()
        try:
            await _Connection(websocket, hub, subscriber).last()
        finally:
            hub.leave(subscriber)


class _Connection:
    """What one connection does until it ends."""

    def __init__(self, websocket: WebSocket, hub: "Hub", subscriber: "Subscriber") -> None:
        self._websocket, self._hub, self._subscriber = websocket, hub, subscriber

    async def last(self) -> None:
        """Listen and send until the client leaves or is too slow."""
        tasks = [
            asyncio.ensure_future(part)
            for part in (self._listen(), self._subscriber.send_all(self._send), self._subscriber.until_slow())
        ]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            ended = await asyncio.gather(*tasks, return_exceptions=True)
        if self._subscriber.is_slow:
            await self._close(TOO_SLOW, SLOW_REASON.format(limit=self._subscriber.limit))
        for outcome in ended:
            if isinstance(outcome, Exception) and not isinstance(outcome, WebSocketDisconnect):
                raise outcome

    async def _listen(self) -> None:
        """Carry out one command after the other."""
        while True:
            message = await self._websocket.receive()
            if message["type"] == "websocket.disconnect":
                return
            text = message.get("text")
            if len(text or message.get("bytes") or b"") > MESSAGE_BYTES:
                await self._close(TOO_BIG, f"a message may have {MESSAGE_BYTES} bytes")
                return
            answer = await self._carry_out(text or "")
            await self._send(answer.model_dump_json())

    async def _carry_out(self, text: str) -> api.Acknowledged | api.Refused:
        try:
            command = COMMAND.validate_json(text)
        except ValidationError as error:
            broken = problems.rules(error.errors())
            return self._refuse(
                problems.document(problem_kinds.INVALID, broken, self._websocket.scope, hint=f"Send e.g. {EXAMPLE}")
            )
        try:
            if isinstance(command, api.Subscription):
                await self._subscription(command)
        except QuantlakeError as error:
            return self._refuse(problems.explain(error, self._websocket.scope))
        return api.Acknowledged(action=command.action, symbols=len(self._subscriber.symbols))

    async def _subscription(self, command: api.Subscription) -> None:
        names: AskedNames = self._websocket.app.state.asked_names
        symbols = [each.symbol for each in await to_thread.run_sync(names.find, command.symbols)]
        if command.action == "unsubscribe":
            self._hub.unsubscribe(self._subscriber, symbols)
            return
        require_known(symbols, await _known(self._websocket))
        await self._hub.subscribe(self._subscriber, symbols)

    def _refuse(self, problem: "Problem") -> api.Refused:
        return api.Refused(problem=problem)

    async def _send(self, text: str) -> None:
        await self._websocket.send_text(text)

    async def _close(self, code: int, reason: str) -> None:
        """Send the close frame, unless the client does not read even that."""
        try:
            async with asyncio.timeout(GRACE_SECONDS):
                await self._websocket.close(code, reason)
        except (TimeoutError, RuntimeError, WebSocketDisconnect):
            return


async def _known(websocket: WebSocket) -> list[str]:
    """Every symbol there is; many connections that come at once share one look."""
    state = websocket.app.state
    names, good_until = getattr(state, "known_symbols", ([], 0.0))
    if time.monotonic() > good_until:
        predictor: Predictor = state.predictor
        names = list(await to_thread.run_sync(predictor.symbols))
        state.known_symbols = names, time.monotonic() + KNOWN_SECONDS
    return list(names)
