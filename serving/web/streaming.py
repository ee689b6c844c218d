"""Subscriptions to stored forecasts: one reader of the forecast log per process, shared by its connections.

Each connection has a bounded queue; a connection whose queue is full is dropped, and the others are not delayed.
"""

import asyncio
import logging
import time
from collections import defaultdict, deque
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from serving.forecast_log import LogTail
from serving.forecasts import ANSWERED
from serving.monitoring import metrics

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Sequence

    from lake.settings import Settings
    from serving.forecast_log import Stored

logger = logging.getLogger("quantlake.serving")

LOOK_SECONDS = 0.05
"""Polling interval of the log while a connection is open; polling an unchanged file costs microseconds."""
QUEUE_MESSAGES = 1_024
"""Most updates that may wait for one connection to a few symbols."""
UPDATES_PER_SYMBOL = 4
"""Of many symbols as many may wait: after each session every horizon of every symbol comes at once."""
CONNECTIONS = 2_000
"""Most connections of one process."""
AT_A_TIME = 64
"""Updates handed out before other work of the process gets its turn."""


class Subscriber:
    """One connection's symbols, and the updates that wait for it.

    Parameters
    ----------
    least
        So many updates may wait, whatever the number of symbols.
    """

    def __init__(self, least: int = QUEUE_MESSAGES) -> None:
        self.symbols: set[str] = set()
        self._least = least
        self._queue: deque[str] = deque()
        self._ready, self._slow = asyncio.Event(), asyncio.Event()

    @property
    def limit(self) -> int:
        """Most updates that may wait."""
        return max(self._least, UPDATES_PER_SYMBOL * len(self.symbols))

    @property
    def is_slow(self) -> bool:
        """Whether the queue overflowed."""
        return self._slow.is_set()

    def put(self, text: str) -> None:
        """Queue an update; on overflow the connection counts as slow, and its queue is cleared."""
        if self.is_slow:
            return
        if len(self._queue) >= self.limit:
            self._queue.clear()
            self._slow.set()
            metrics.STREAM_DROPPED.inc()
            return
        self._queue.append(text)
        self._ready.set()

    async def send_all(self, send: "Callable[[str], Awaitable[None]]") -> None:
        """Send what waits, in order, for as long as the connection lasts."""
        while True:
            await self._ready.wait()
            self._ready.clear()
            while self._queue:
                await send(self._queue.popleft())

    async def until_slow(self) -> None:
        """Return once more waited than may."""
        await self._slow.wait()


class Hub:
    """Hands every stored forecast to those who subscribed to its symbol: once, and in the order of the log.

    It belongs to one event loop.

    Parameters
    ----------
    configured
        Say in which home the forecast log is.
    queue_messages, connections
        Bounds, see the constants of this module.
    """

    def __init__(
        self, configured: "Settings", *, queue_messages: int = QUEUE_MESSAGES, connections: int = CONNECTIONS
    ) -> None:
        self._configured = configured
        self._queue_messages, self._connections = queue_messages, connections
        self._open: set[Subscriber] = set()
        self._by_symbol: dict[str, set[Subscriber]] = defaultdict(set)
        self._following: asyncio.Task[None] | None = None
        self._ready = asyncio.Event()

    def __len__(self) -> int:
        """How many connections there are."""
        return len(self._open)

    @property
    def is_full(self) -> bool:
        """Whether the limit of connections is reached."""
        return len(self._open) >= self._connections

    def join(self) -> Subscriber:
        """Add a connection, which has subscribed to nothing yet."""
        subscriber = Subscriber(self._queue_messages)
        self._open.add(subscriber)
        metrics.STREAMS.inc()
        return subscriber

    def leave(self, subscriber: Subscriber) -> None:
        """Forget a connection."""
        self.unsubscribe(subscriber, set(subscriber.symbols))
        self._open.discard(subscriber)
        metrics.STREAMS.dec()

    async def subscribe(self, subscriber: Subscriber, symbols: "Iterable[str]") -> None:
        """Subscribe a connection to symbols: to every forecast stored after this returns."""
        await self._follow_log()
        for symbol in symbols:
            subscriber.symbols.add(symbol)
            self._by_symbol[symbol].add(subscriber)

    def unsubscribe(self, subscriber: Subscriber, symbols: "Iterable[str]") -> None:
        """Unsubscribe a connection from symbols."""
        for symbol in symbols:
            subscriber.symbols.discard(symbol)
            listening = self._by_symbol.get(symbol, set())
            listening.discard(subscriber)
            if not listening:
                self._by_symbol.pop(symbol, None)

    async def _follow_log(self) -> None:
        """Start following the log; raises what prevents it."""
        if self._following is None:
            self._ready = asyncio.Event()
            self._following = asyncio.create_task(self._follow(self._ready), name="prediction-updates")
        following = self._following
        await self._ready.wait()
        if following.done():
            following.result()

    async def _follow(self, ready: asyncio.Event) -> None:
        """Read the log while a connection is open."""
        loop = asyncio.get_running_loop()
        with ThreadPoolExecutor(1, "prediction-updates") as thread:
            try:
                tail = await loop.run_in_executor(thread, LogTail, self._configured)
            except BaseException:
                self._following = None
                raise
            finally:
                ready.set()
            while self._open:
                await asyncio.sleep(LOOK_SECONDS)
                try:
                    news = await loop.run_in_executor(thread, tail.read)
                except Exception:
                    logger.exception("the forecast log could not be read for updates; it is tried again")
                    continue
                await self._hand_out(news)
            self._following = None  # the next subscription starts a new task
            await loop.run_in_executor(thread, tail.close)

    async def _hand_out(self, news: "Sequence[Stored]") -> None:
        handed = 0
        for stored in news:
            listening = self._by_symbol.get(stored.symbol)
            if not listening or stored.kind not in ANSWERED:
                continue
            text = f'{{"event":"prediction_update","prediction":{stored.answer}}}'
            for subscriber in list(listening):
                subscriber.put(text)
                handed += 1
                if handed % AT_A_TIME == 0:
                    await asyncio.sleep(0)
        metrics.STREAM_UPDATES.inc(handed)
        if handed:
            metrics.STREAM_DELAY_SECONDS.set(time.time() - news[-1].made_at.timestamp())
