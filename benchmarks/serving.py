"""The endpoint under load, beside the bare engine call, a bare application, and itself without batching."""

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

import httpx
import numpy as np

from benchmarks.load import Result, at_rate, in_turn, post
from benchmarks.report import RATIO, Figure, Topic
from feature_repo.online import OnlineReader
from feature_repo.online.redis_server import running_redis
from feature_repo.targets import to_model_input
from lake.errors import NotReadyError
from lake.settings import Settings, settings
from serving.access import local_key
from serving.deployment import Champions, LoadedModels
from serving.predict import Batcher, Predictor, Question, forecast, split_ready
from serving.supervision import serve_command, serve_environment

PREDICT = "/api/v1/public/predict"
CLIENTS, CONNECTIONS, SECONDS, TURNS = 64, 500, 5.0, 4
RATES = (500.0, 1_000.0)
"""Requests a second of P11: 30,000 a minute, and the aim of 60,000."""
LONE_REQUESTS, SCORED, SCORINGS = 300, 5_000, 5
START_SECONDS = 120.0


def measure(configured: Settings | None = None) -> Topic:
    """Start the real service on the home of the settings, and its rivals, and measure them in turns.

    Raises
    ------
    NotReadyError
        If nothing can be forecast in this home yet, or a service does not come up.
    """
    remembering = configured or settings()
    port = remembering.port
    configured = remembering.model_copy(update={"port": port + 1, "forecast_cache_symbols": 0})
    alone = configured.model_copy(update={"port": port + 2, "batch_rows": 1})
    raw = f"http://127.0.0.1:{port + 3}"
    with ExitStack() as stack:
        stack.enter_context(running_redis(configured))
        ours, unbatched = (stack.enter_context(started(each)) for each in (configured, alone))
        stack.enter_context(_raw_application(configured, raw))
        bare, models, rows = bare_engine_call(configured, "AAPL")
        requests = _requests(ours, local_key(configured))
        lone = _lone({"ours": ours, "as by default": stack.enter_context(started(remembering))}, requests, bare)
        full = _together({"ours": ours, "raw": raw, "unbatched": unbatched}, requests)
        batching = asyncio.run(_batching_alone(configured))
    remembered, anew = (_over_open_connections(each, requests) for each in (remembering, configured))
    figures = [
        Figure("P9 served p95, one client / bare engine call", lone["bare"][1], lone["ours"][1], 3.0, 2.2),
        Figure(
            "P9 the same as by default, forecasts remembered / bare engine call",
            lone["bare"][1],
            lone["as by default"][1],
            3.0,
            2.2,
        ),
        _throughput("raw ASGI, batching in as many processes", full["raw"], full["ours"], "P10", 0.5, 0.75),
        *(_deadline(rate, result) for rate, result in zip(RATES, remembered, strict=True)),
        *(_deadline(rate, result, ", every one computed anew") for rate, result in zip(RATES, anew, strict=True)),
        Figure("P12 batching, added for a lone client to what a thread of its own takes / 0.1 ms", 0.1, batching, 1.0),
        _throughput("itself without batching", full["unbatched"], full["ours"], "P12", 1.5, 2.0),
        Figure(f"P14 scoring {SCORED:,} windows / bare chunked engine loop", *_scoring(models, rows), 1.3, 1.1),
    ]
    results_of = {f"{name}, {CLIENTS} clients": result for name, result in full.items()}
    for how, results in (("", remembered), (", every one computed anew", anew)):
        results_of |= {
            f"{rate:.0f}/s over {CONNECTIONS} connections{how}": r for rate, r in zip(RATES, results, strict=True)
        }
    notes = (
        f"models of the blend: {', '.join(models.engines)}; processes that answer: {configured.workers}",
        "every request carries a key, is measured, and is in the forecast log, flushed to disk, before it is answered",
        "computed anew: QUANTLAKE_FORECAST_CACHE_SYMBOLS=0, as all of P10 and P12; P11 as by default unless it says so",
        *(f"one client, {name}: p50 {p50:.2f}, p95 {p95:.2f} ms" for name, (p50, p95) in lone.items()),
        *(f"{name}: {_said(result)}" for name, result in results_of.items()),
    )
    text = f"Rivals and ours in {TURNS} turns of {SECONDS:.0f} s each; the clients share the machine with the service."
    return Topic("Serving", text, RATIO, tuple(figure.to_row() for figure in figures), notes)


def _throughput(rival: str, theirs: Result, ours: Result, number: str, must: float, aim: float) -> Figure:
    what = f"{number} throughput, {CLIENTS} clients / {rival}"
    return Figure(what, theirs.rate, ours.rate, must, aim, more_is_better=True, unit="/s")


def _deadline(rate: float, result: Result, how: str = "") -> Figure:
    what = f"P11 p95 at {rate * 60:,.0f}/min over {CONNECTIONS} connections{how} / 10 ms"
    return Figure(what, 10.0, result.percentile(95), 1.0)


@contextmanager
def started(configured: Settings) -> Iterator[str]:
    """Run the service as `quantlake serve` does, until it is ready, and stop it afterwards."""
    with _process(serve_command(configured), serve_environment(configured)) as process:
        address = f"http://{configured.host}:{configured.port}"
        _wait_until(lambda: httpx.get(f"{address}/readyz", timeout=5).status_code == 200, process, address)
        yield address


@contextmanager
def _raw_application(configured: Settings, address: str) -> Iterator[None]:
    port, processes = address.rpartition(":")[2], str(configured.workers)
    command = [sys.executable, "-m", "benchmarks.rivals.raw_asgi", port, processes]
    with _process(command, serve_environment(configured)) as process:
        asked = {"symbol": "AAPL", "horizon_sessions": 1}
        _wait_until(lambda: httpx.post(address, json=asked, timeout=5).status_code == 200, process, address)
        yield


@contextmanager
def _process(command: list[str], environment: dict[str, str]) -> Iterator["subprocess.Popen[bytes]"]:
    process = subprocess.Popen(command, env=os.environ | environment)
    try:
        yield process
    finally:
        process.terminate()
        process.wait(30)


def _wait_until(is_up: Callable[[], bool], process: "subprocess.Popen[bytes]", address: str) -> None:
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            if is_up():
                return
        except httpx.HTTPError:
            pass
        if process.poll() is not None or time.monotonic() > deadline:
            raise NotReadyError(f"Nothing became ready at {address}. Run `make demo` first.")
        time.sleep(0.1)


def bare_engine_call(configured: Settings, symbol: str) -> tuple[Callable[[], object], LoadedModels, list]:
    """The computation inside one predict call, without HTTP, online store and log; the models, and every row."""
    models, reader = Champions(configured).current(), OnlineReader(configured)
    rows, unavailable = split_ready(reader.read([symbol, *(s for s in reader.symbols() if s != symbol)]))
    if not rows:
        raise NotReadyError(unavailable[0][1])
    names = [member.name for member in forecast(rows[:1], models).members[0]]
    x = to_model_input(rows[0].window[None])
    return lambda: [models.engines[name].predict(x) for name in names], models, rows


def _requests(address: str, key: str) -> list[bytes]:
    headers = {"x-api-key": key}
    found = httpx.get(f"{address}/api/v1/public/symbols", headers=headers, timeout=30).json()["symbols"]
    symbols = [each["symbol"] for each in found if each["has_model_input"]]
    return [post(PREDICT, {"symbol": symbol, "horizon_sessions": 1}, headers) for symbol in symbols]


def _lone(
    addresses: dict[str, str], requests: list[bytes], bare: Callable[[], object]
) -> dict[str, tuple[float, float]]:
    """One client on each address and the bare call, in turns: p50 and p95 of each in milliseconds."""
    taken: dict[str, list[float]] = {"bare": []} | {name: [] for name in addresses}
    for _ in range(TURNS):
        for name, address in addresses.items():
            taken[name] += in_turn(address, requests, clients=1, seconds=SECONDS / 2).milliseconds.tolist()
        for _ in range(LONE_REQUESTS):
            began = time.perf_counter()
            bare()
            taken["bare"].append((time.perf_counter() - began) * 1e3)
    return {name: (float(np.percentile(ms, 50)), float(np.percentile(ms, 95))) for name, ms in taken.items()}


def _together(addresses: dict[str, str], requests: list[bytes]) -> dict[str, Result]:
    """Many clients on each address, in turns."""
    results: dict[str, list[Result]] = {name: [] for name in addresses}
    for _ in range(TURNS):
        for name, address in addresses.items():
            results[name].append(in_turn(address, requests, clients=CLIENTS, seconds=SECONDS))
    return {name: _sum(parts) for name, parts in results.items()}


def _over_open_connections(configured: Settings, requests: list[bytes]) -> list[Result]:
    """Many connections at each rate, with nothing else running."""
    with running_redis(configured), started(configured) as address:
        in_turn(address, requests, clients=1, seconds=SECONDS / 2)  # the first question of each symbol is a cold one
        return [
            at_rate(address, requests, connections=CONNECTIONS, per_second=rate, seconds=3 * SECONDS) for rate in RATES
        ]


def _sum(parts: list[Result]) -> Result:
    statuses = sum((part.statuses for part in parts[1:]), parts[0].statuses)
    return Result(np.concatenate([p.milliseconds for p in parts]), statuses, sum(p.seconds for p in parts))


async def _batching_alone(configured: Settings) -> float:
    """Milliseconds that the batcher adds to the question of a lone client, by the medians.

    Beside the same question in a thread of the usual pool: either way the event loop must not wait for Redis and disk.
    """
    predictor = Predictor.open(configured)
    batcher, question = Batcher(predictor), Question(["AAPL"], 1)
    direct, batched = [], []
    for _ in range(LONE_REQUESTS):
        began = time.perf_counter()
        await asyncio.to_thread(predictor.answer, question)
        between = time.perf_counter()
        await batcher.ask(question)
        direct.append(between - began)
        batched.append(time.perf_counter() - between)
    batcher.close()
    predictor.close()
    return float(np.median(batched) - np.median(direct)) * 1e3


def _scoring(models: LoadedModels, rows: list) -> tuple[float, float]:
    """Milliseconds of the bare chunked loop over the engines, and of `forecast`, for many windows."""
    many = [rows[number % len(rows)] for number in range(SCORED)]
    x = to_model_input(np.stack([row.window for row in many]))
    names = [member.name for member in forecast(rows[:1], models).members[0]]
    loop, ours = [], []
    for _ in range(SCORINGS):
        began = time.perf_counter()
        for name in names:
            models.engines[name].predict(x)
        between = time.perf_counter()
        forecast(many, models)
        loop.append(between - began)
        ours.append(time.perf_counter() - between)
    return float(np.median(loop)) * 1e3, float(np.median(ours)) * 1e3


def _said(result: Result) -> str:
    p50, p95, p99 = (result.percentile(q) for q in (50, 95, 99))
    return f"{result.rate:.0f}/s, p50 {p50:.1f}, p95 {p95:.1f}, p99 {p99:.1f} ms, {result.failed} not answered"
