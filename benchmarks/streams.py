"""Newest stored forecasts looked up in cache and table, and updates over many connections, beside what is asked."""

import asyncio
import time
import uuid
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import httpx
import numpy as np
import polars as pl
import psutil

from benchmarks.report import RATIO, Figure, Topic
from benchmarks.serving import started
from feature_repo.online.redis_server import running_redis
from lake.settings import Settings, settings
from lake.store import Lake
from lake.tables import FORECASTS
from serving.access import local_key
from serving.forecast_log import newest_in_lake
from serving.web.routes.streams import PATH

PUBLIC = "/api/v1/public"
LOOK_UPS, CONNECTIONS, UPDATES, SECONDS_APART = 1_000, 1_000, 30, 1.0
SESSIONS, A_SESSION, SYMBOLS = 30, 10_000, 5_000
CACHE_MS, TABLE_MS, DELIVERY_MS = 10.0, 100.0, 500.0


def measure(configured: Settings | None = None) -> Topic:
    """Start the real service on the home of the settings and measure it; a table of its own is made for the lake."""
    configured = configured or settings()
    with running_redis(configured), started(configured) as address:
        headers = {"x-api-key": local_key(configured)}
        with httpx.Client(base_url=address, headers=headers, timeout=30) as client:
            client.post(f"{PUBLIC}/predict", json={"symbol": "AAPL", "horizon_sessions": 1}).raise_for_status()
            cached = _timed(lambda _: client.get(f"{PUBLIC}/predictions/latest/AAPL").raise_for_status(), LOOK_UPS)
        before = _memory()
        delays, while_open = asyncio.run(_deliver(address, headers))
    with TemporaryDirectory() as folder:
        lake = _large_lake(Path(folder))
        stored = _timed(lambda n: newest_in_lake(lake, f"S{n:04d}", 1), 200)
    figures = [
        Figure("newest forecast from the cache, over HTTP, p95 / 10 ms", CACHE_MS, _at(cached, 95), 1.0),
        Figure("newest forecast from the table, p95 / 100 ms", TABLE_MS, _at(stored, 95), 1.0),
        Figure(f"update over {CONNECTIONS:,} connections, slowest / 500 ms", DELIVERY_MS, max(delays), 1.0),
    ]
    notes = (
        f"cache: p50 {_at(cached, 50):.1f} ms; table: p50 {_at(stored, 50):.1f} ms of {SESSIONS * A_SESSION:,} rows",
        f"{len(delays):,} of {CONNECTIONS * UPDATES:,} updates delivered, from the forecast to the client",
        f"delivery: p50 {_at(delays, 50):.0f} ms, p95 {_at(delays, 95):.0f} ms, slowest {max(delays):.0f} ms",
        f"memory of the service {before:.0f} MiB, {while_open:.0f} MiB with the connections open",
    )
    text = "Bounds of the issue in the place of a rival; the clients share the machine with the service."
    return Topic("Streams", text, RATIO, tuple(figure.to_row() for figure in figures), notes)


async def _deliver(address: str, headers: dict[str, str]) -> tuple[list[float], float]:
    """Open the connections, let one forecast after the other be made, and time each delivery in milliseconds."""
    delays: list[float] = []
    ready = asyncio.Semaphore(0)
    listening = [asyncio.create_task(_listen(address, headers, ready, delays)) for _ in range(CONNECTIONS)]
    for _ in range(CONNECTIONS):
        await ready.acquire()
    while_open = _memory()
    async with httpx.AsyncClient(base_url=address, headers=headers, timeout=60) as client:
        for _ in range(UPDATES):
            answer = await client.post(f"{PUBLIC}/predict", json={"symbol": "AAPL", "horizon_sessions": 1})
            answer.raise_for_status()
            await asyncio.sleep(SECONDS_APART)
    await asyncio.gather(*listening)
    return delays, while_open


async def _listen(address: str, headers: dict[str, str], ready: asyncio.Semaphore, delays: list[float]) -> None:
    from websockets.asyncio.client import connect

    at = f"ws{address.removeprefix('http')}{PATH}"
    async with connect(
        at, additional_headers=headers, compression=None, ping_interval=None, open_timeout=120
    ) as opened:
        await opened.send('{"action": "subscribe", "symbols": ["AAPL"]}')
        await opened.recv()
        ready.release()
        for _ in range(UPDATES):
            text = str(await asyncio.wait_for(opened.recv(), 120))
            made_at = text.partition('"made_at":"')[2].partition('"')[0]
            delays.append((time.time() - datetime.fromisoformat(made_at).timestamp()) * 1e3)


def _large_lake(folder: Path) -> Lake:
    """Store many forecasts, a commit for each session."""
    lake, random = Lake(folder), np.random.default_rng(7)
    for session in range(SESSIONS):
        at = datetime(2012, 11, 1, 21, tzinfo=UTC) + timedelta(days=session)
        drawn = random.integers(0, SYMBOLS, A_SESSION)
        constants = {
            "kind": "served", "event_time": at, "known_time": at, "horizon_sessions": 1, "p10": -0.1, "p50": 0.0,
            "p90": 0.1, "reference_price": 10.0, "model_name": "blend", "model_version": "1", "model_digest": "a" * 64,
            "strategy": "lstm", "regime": "high_volatility_uptrend", "feature_table_versions": "{}",
            "feature_hash": "b" * 64, "latency_ms": 1.0, "degraded": False,
            "price_basis": "as_traded", "currency": "USD", "target_session": at.date() + timedelta(days=1),
        }  # fmt: skip
        rows = pl.DataFrame(
            {
                "forecast_id": [str(uuid.UUID(bytes=random.bytes(16))) for _ in drawn],
                "symbol": [f"S{number:04d}" for number in drawn],
                "made_at": [at + timedelta(milliseconds=n) for n in range(A_SESSION)],
            }
        ).with_columns(**{name: pl.lit(value) for name, value in constants.items()})
        lake.append(FORECASTS, rows.select(FORECASTS.names).cast(FORECASTS.schema), batch_id=str(session))
    return lake


def _timed(ask: Callable[[int], object], times: int) -> list[float]:
    """Milliseconds of each call, after a few to warm up."""
    taken = []
    for number in range(-20, times):
        began = time.perf_counter()
        ask(abs(number))
        taken.append((time.perf_counter() - began) * 1e3)
    return taken[20:]


def _at(values: Sequence[float], q: float) -> float:
    return float(np.percentile(values, q))


def _memory() -> float:
    """Resident memory of the largest process this one has started, in MiB."""
    children = psutil.Process().children(recursive=True)
    return float(max((child.memory_info().rss for child in children), default=0) / 2**20)
