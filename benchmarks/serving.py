"""Served forecasts, one client and many, beside the bare engine call and an empty endpoint of the same service."""

import asyncio
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import httpx
import numpy as np

from benchmarks.report import Topic
from feature_repo.online import OnlineReader
from feature_repo.redis_server import running_redis
from feature_repo.windows import to_model_input
from lake.errors import NotReadyError
from lake.settings import Settings, settings
from serving.champions import Champions
from serving.forecasting import forecast
from serving.launch import serve_command, serve_environment
from serving.rows import split_ready

PREDICT = "/api/v1/public/predict"
REQUESTS, CLIENTS, SECONDS, BLOCKS = 1_000, 32, 20.0, 10
WARM_UP = 50
START_SECONDS = 120.0


def measure(configured: Settings | None = None) -> Topic:
    """Start the real service on the home of the settings and measure it.

    The three things that are compared are interleaved in blocks, so that a busy neighbour meets all of them.

    Raises
    ------
    NotReadyError
        If nothing can be forecast in this home yet, or the service does not come up.
    """
    configured = configured or settings()
    with (
        running_redis(configured),
        started(configured) as address,
        httpx.Client(base_url=address, timeout=30) as client,
    ):
        symbols = [s["symbol"] for s in client.get("/api/v1/public/symbols").json()["symbols"] if s["has_model_input"]]
        engine, members = bare_engine_call(configured, symbols[0])

        def predict() -> None:
            client.post(PREDICT, json={"symbol": symbols[0], "horizon_sessions": 1}).raise_for_status()

        def empty() -> None:
            client.get("/healthz").raise_for_status()

        timings = in_blocks({"engine": engine, "empty": empty, "predict": predict})
        concurrent, failed = asyncio.run(many_clients(address, symbols))
    floor = np.median(timings["engine"])
    rows = [
        as_row(f"engine call alone ({', '.join(members)})", timings["engine"], floor),
        as_row("empty endpoint, one client", timings["empty"], floor),
        as_row("predict, one client", timings["predict"], floor),
        as_row(f"predict, {CLIENTS} clients for {SECONDS:.0f} s", concurrent, floor),
    ]
    ratio = np.percentile(timings["predict"], 95) / np.percentile(timings["engine"], 95)
    over_empty = np.percentile(timings["predict"], 95) / np.percentile(timings["empty"], 95)
    notes = (
        f"{CLIENTS} clients: {len(concurrent) / SECONDS:.0f} forecasts a second, {failed} failed",
        f"p95 of one client: {ratio:.1f} times the bare engine call, {over_empty:.1f} times the empty endpoint",
        "every forecast was written to the forecast log and flushed to disk before it was answered",
    )
    text = (
        f"{REQUESTS:,} sequential requests of each kind, interleaved in {BLOCKS} blocks, on one kept-open connection."
    )
    return Topic("Serving", text, ("what", "p50 ms", "p95 ms", "p99 ms", "p50 / engine"), tuple(rows), notes)


@contextmanager
def started(configured: Settings) -> Iterator[str]:
    """Run the service as `quantlake serve` does, until it is ready, and stop it afterwards."""
    process = subprocess.Popen(serve_command(configured), env=serve_environment(configured))
    address, deadline = f"http://{configured.host}:{configured.port}", time.monotonic() + START_SECONDS
    try:
        while not _is_ready(address):
            if process.poll() is not None or time.monotonic() > deadline:
                raise NotReadyError(f"The service did not become ready at {address}. Run `make demo` first.")
            time.sleep(0.1)
        yield address
    finally:
        process.terminate()
        process.wait(30)


def bare_engine_call(configured: Settings, symbol: str) -> tuple[Callable[[], object], list[str]]:
    """The computation inside one predict call, without HTTP, online store and log; and the models in it."""
    models = Champions(configured).current()
    rows, unavailable = split_ready(OnlineReader(configured).read([symbol]))
    if not rows:
        raise NotReadyError(unavailable[0][1])
    names = [member.name for member in forecast(rows, models).members[0]]
    x = to_model_input(rows[0].window[None])
    return lambda: [models.engines[name].predict(x) for name in names], names


def in_blocks(kinds: dict[str, Callable[[], object]]) -> dict[str, np.ndarray]:
    """Time each kind `REQUESTS` times, a block of one after a block of another; seconds."""
    for call in kinds.values():
        for _ in range(WARM_UP):
            call()
    timings: dict[str, list[float]] = {name: [] for name in kinds}
    for _ in range(BLOCKS):
        for name, call in kinds.items():
            for _ in range(REQUESTS // BLOCKS):
                started_at = time.perf_counter()
                call()
                timings[name].append(time.perf_counter() - started_at)
    return {name: np.array(values) for name, values in timings.items()}


async def many_clients(address: str, symbols: list[str]) -> tuple[np.ndarray, int]:
    """Let `CLIENTS` clients ask one request after the other for `SECONDS`; seconds per answer, and failures."""
    timings: list[float] = []
    failed = 0
    limits = httpx.Limits(max_connections=CLIENTS, max_keepalive_connections=CLIENTS)
    async with httpx.AsyncClient(base_url=address, timeout=30, limits=limits) as client:
        end = time.perf_counter() + SECONDS

        async def ask(number: int) -> None:
            nonlocal failed
            while (began := time.perf_counter()) < end:
                body = {"symbol": symbols[number % len(symbols)], "horizon_sessions": 1}
                answer = await client.post(PREDICT, json=body)
                if answer.status_code == 200:
                    timings.append(time.perf_counter() - began)
                else:
                    failed += 1

        await asyncio.gather(*(ask(number) for number in range(CLIENTS)))
    return np.array(timings), failed


def as_row(name: str, seconds: np.ndarray, floor: float) -> tuple[str, ...]:
    """One line of the table, in milliseconds."""
    p50, p95, p99 = np.percentile(seconds, [50, 95, 99]) * 1e3
    return name, f"{p50:.2f}", f"{p95:.2f}", f"{p99:.2f}", f"{p50 / (floor * 1e3):.1f}"


def _is_ready(address: str) -> bool:
    try:
        return httpx.get(f"{address}/readyz", timeout=5).status_code == 200
    except httpx.HTTPError:
        return False
