"""A soak of the dashboard: streams that stay open and views at a rate, for some minutes, bounded in number and time."""

import asyncio
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import httpx
import numpy as np
import psutil

from benchmarks.load import HEAD_END, Result, at_rate
from lake.settings import Settings
from serving.access import local_key
from serving.client import Client
from serving.pages import dashboard_address

if TYPE_CHECKING:
    from playwright.sync_api import Browser

STREAMS, PER_SECOND, CONNECTIONS = 99, 50.0, 16
"""With the page of the browser a hundred streams are open."""
SLICE_SECONDS, WARM_SECONDS = 2.0, 10.0
"""Length of a part of the soak, at whose end no view is overdue; and of the time before it, which is not counted."""
CORES, VIEW_MS = 1.0, 200.0
FORECAST_SECONDS = 10.0
"""How often a forecast is made, for the streams to tell of."""
MOST_MINUTES = 60.0
PATHS = ("/", "/s/{symbol}", "/models", "/strategies")


@dataclass(frozen=True)
class Soak:
    """What came of a soak.

    Parameters
    ----------
    views
        Pages that were asked for at the rate.
    cores
        Processor time of the dashboard's process over the time of the soak.
    heap_megabytes
        By how much the heap of a page that stayed open grew, after garbage was collected.
    before_mib, after_mib
        Resident memory of the process after the first views, and at the end.
    told
        Forecasts that the streams were told of, all together.
    """

    views: Result
    cores: float
    heap_megabytes: float
    before_mib: float
    after_mib: float
    told: int
    streams: int = STREAMS + 1
    per_second: float = PER_SECOND

    @property
    def notes(self) -> tuple[str, ...]:
        """The same in sentences, with what the figures leave out."""
        views = (
            f"soak: {len(self.views.milliseconds):,} views answered, {self.views.rate:.0f} a second, "
            f"{self.views.failed} failed, p50 "
            f"{self.views.percentile(50):.0f}, p99 {self.views.percentile(99):.0f} ms from when each was due"
        )
        return (
            views,
            f"soak: {self.told:,} events of forecasts came over the streams",
        )


def soak(
    configured: Settings, browser: "Browser", state: Any, pid: int, symbols: Sequence[str], minutes: float
) -> Soak:
    """Hold streams open and view pages at a rate, for at most an hour.

    Parameters
    ----------
    pid
        Process of the dashboard.
    """
    seconds = 60.0 * min(minutes, MOST_MINUTES)
    address, process = dashboard_address(configured), psutil.Process(pid)
    cookie = _cookie(configured)
    requests = [_get(address, path.format(symbol=symbol), cookie) for symbol in symbols[:8] for path in PATHS]
    with ThreadPoolExecutor(2) as threads:
        threads.submit(_view, address, requests, WARM_SECONDS).result()
        page = browser.new_context(base_url=address, storage_state=state).new_page()
        page.goto(f"/s/{symbols[0]}")
        page.locator("[data-live='state']:text-is('live')").wait_for()
        collector = page.context.new_cdp_session(page)
        heap, before, used = _heap(collector), _memory(process), _processor_seconds(process)
        following = threads.submit(_follow, address, cookie, symbols[0], seconds)
        viewing = threads.submit(_view, address, requests, seconds)
        with Client.local(configured) as client:
            began = time.monotonic()
            while not viewing.done():
                client.predict(symbols[0])
                page.wait_for_timeout(1e3 * min(FORECAST_SECONDS, max(0.1, began + seconds - time.monotonic())))
        views, told = viewing.result(), following.result()
        cores = (_processor_seconds(process) - used) / views.seconds
        grown, after = (_heap(collector) - heap) / 1e6, _memory(process)
        page.context.close()
    return Soak(views, cores, grown, before, after, told)


def _view(address: str, requests: Sequence[bytes], seconds: float) -> Result:
    """View pages at the rate, in slices: what one slice is late by delays the next, and the end is that of the time."""
    slices, began = list[Result](), time.perf_counter()
    while time.perf_counter() < began + seconds:
        slices.append(at_rate(address, requests, connections=CONNECTIONS, per_second=PER_SECOND, seconds=SLICE_SECONDS))
    times = np.concatenate([each.milliseconds for each in slices])
    return Result(times, sum((each.statuses for each in slices), Counter()), time.perf_counter() - began)


def _follow(address: str, cookie: str, symbol: str, seconds: float) -> int:
    """Hold the streams open, and return how many forecasts came over them."""

    async def one(client: httpx.AsyncClient) -> int:
        told = 0
        try:
            async with asyncio.timeout(seconds), client.stream("GET", "/stream", params={"symbols": symbol}) as answer:
                answer.raise_for_status()
                async for line in answer.aiter_lines():
                    told += line == "event: forecast"
        except TimeoutError:
            pass
        return told

    async def run() -> int:
        limits = httpx.Limits(max_connections=STREAMS)
        headers = {"cookie": cookie}
        async with httpx.AsyncClient(base_url=address, headers=headers, limits=limits, timeout=None) as client:
            return sum(await asyncio.gather(*(one(client) for _ in range(STREAMS))))

    return asyncio.run(run())


def _cookie(configured: Settings) -> str:
    """Log in, and return the cookie of the session."""
    address = dashboard_address(configured)
    answer = httpx.post(f"{address}/login", data={"key": local_key(configured)}, headers={"origin": address})
    return "; ".join(f"{name}={value}" for name, value in answer.cookies.items())


def _get(address: str, path: str, cookie: str) -> bytes:
    host = address.rpartition("/")[2]
    lines = [f"GET {path} HTTP/1.1", f"host: {host}", f"cookie: {cookie}", "accept-encoding: gzip"]
    return "\r\n".join(lines).encode() + HEAD_END


def _heap(collector: Any) -> float:
    collector.send("HeapProfiler.collectGarbage")
    return float(collector.send("Runtime.getHeapUsage")["usedSize"])


def _memory(process: psutil.Process) -> float:
    return float(process.memory_info().rss / 2**20)


def _processor_seconds(process: psutil.Process) -> float:
    used = process.cpu_times()
    return float(used.user + used.system)
