"""Explanations: the time of one by the engines of each model, over HTTP, and what the forecasts beside it lose."""

import statistics
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from subprocess import PIPE

import httpx
import numpy as np
import polars as pl

from benchmarks.asking_explanations import EXPLAIN
from benchmarks.load import in_turn, post
from benchmarks.report import RATIO, Figure, Topic
from benchmarks.serving import PREDICT, started
from benchmarks.timing import timed
from feature_repo.online.redis_server import running_redis
from lake.settings import Settings, settings
from lake.store import Lake
from lake.tables import FORECASTS
from serving.access import local_key
from serving.api.explanations import Depth
from serving.deployment import Champions
from serving.explain import Explainer, explain_forecast
from serving.forecasts import REPLAY
from serving.supervision import serve_environment

FORECASTS_EACH = 60
"""Forecasts of each model that are explained."""
TURNS, SECONDS = 20, 2.0
KNOWN = 200
"""Times that an explanation which is known is asked for."""
DEPTHS: tuple[Depth, ...] = ("fast", "detailed")
SLOWER = 1.1
"""Most that the 95 % point of a forecast may grow beside an explanation."""


def measure(configured: Settings | None = None) -> Topic:
    """Explain forecasts of every model of the home, then ask the service for forecasts beside explanations."""
    configured = (configured or settings()).model_copy(update={"workers": 1})
    ids = _ids(Lake.open(configured))
    alone = {name: _by_engine(configured, each[:FORECASTS_EACH]) for name, each in ids.items()}
    with ExitStack() as stack:
        stack.enter_context(running_redis(configured))
        address = stack.enter_context(started(configured))
        served = {depth: _over_http(configured, address, depth) for depth in DEPTHS}
        every = [one for each in zip(*ids.values(), strict=False) for one in each]
        without, beside, computed = _beside(configured, address, every)
        known = _known(configured, address, every[computed:])
    figures = [
        Figure("U7 fast explanation over HTTP, p95 / 300 ms", 300.0, _percentile(served["fast"], 95), 1.0),
        Figure(
            "explanation that is known, beside those that are computed, p95 / 50 ms", 50.0, _percentile(known, 95), 1.0
        ),
        Figure("forecast p95 beside explanations / alone, one worker, median of the turns", without, beside, SLOWER),
    ]
    notes = [
        f"{name}, {depth}: p50 {_percentile(times[depth], 50):.1f}, p95 {_percentile(times[depth], 95):.1f} ms"
        for name, times in alone.items()
        for depth in DEPTHS
    ]
    notes += [
        f"blend over HTTP with the reading of its inputs, {depth}: p50 {_percentile(times, 50):.1f}, "
        f"p95 {_percentile(times, 95):.1f} ms over {len(times)} forecasts"
        for depth, times in served.items()
    ]
    notes.append(f"{computed} detailed explanations were computed beside the forecasts")
    text = (
        f"{FORECASTS_EACH} replayed forecasts of each model of the demo, explained by its engine alone from four "
        f"typical windows of 30 x 25: fast takes 200 rows, detailed 776. Then {TURNS} turns of {SECONDS:.0f} s of one "
        "client that asks for forecasts, without and beside a process that asks for detailed explanations all the time."
    )
    return Topic("Explanations", text, RATIO, tuple(figure.to_row() for figure in figures), tuple(notes))


def _ids(lake: Lake) -> dict[str, list[str]]:
    """By model, ids of its replayed forecasts, the newest first."""
    rows = lake.scan(FORECASTS).filter(pl.col("kind") == REPLAY).sort("event_time", "forecast_id").collect()
    return {
        str(name): part["forecast_id"].reverse().to_list()
        for (name,), part in rows.group_by("model_name", maintain_order=True)
    }


def _by_engine(configured: Settings, ids: Sequence[str]) -> dict[Depth, list[float]]:
    """Seconds of each explanation without the reading of its inputs."""
    explainer = Explainer(Lake.open(configured), Champions(configured))
    forecasts = [explainer.forecast(forecast_id) for forecast_id in ids]
    explain_forecast(forecasts[0])
    return {depth: [explain_forecast(each, depth).seconds for each in forecasts] for depth in DEPTHS}


def _over_http(configured: Settings, address: str, depth: Depth) -> list[float]:
    """Seconds from the question to the answer, each about a forecast that was just answered."""
    seconds = []
    with httpx.Client(base_url=address, headers=_headers(configured), timeout=60) as client:
        symbols = [
            each["symbol"] for each in client.get("/api/v1/public/symbols").json()["symbols"] if each["has_model_input"]
        ]
        asked = [(symbol, horizon) for horizon in (1, 5) for symbol in symbols] * 2
        for symbol, horizon in asked:
            forecast = client.post(PREDICT, json={"symbol": symbol, "horizon_sessions": horizon}).json()
            question = {"prediction_id": forecast["prediction_id"], "explanation_type": depth}
            seconds.append(timed(lambda body=question: client.post(EXPLAIN, json=body).raise_for_status()))
    return seconds


def _known(configured: Settings, address: str, ids: Sequence[str]) -> list[float]:
    """Seconds of an explanation that was computed before, while other ones are computed."""
    body, others = {"prediction_id": ids[0]}, ids[1:]
    with httpx.Client(base_url=address, headers=_headers(configured), timeout=60) as client:
        client.post(EXPLAIN, json=body).raise_for_status()
        with _explaining(configured, others):
            return [timed(lambda: client.post(EXPLAIN, json=body).raise_for_status()) for _ in range(KNOWN)]


def _beside(configured: Settings, address: str, ids: Sequence[str]) -> tuple[float, float, int]:
    """Median over the turns of the 95 % point of a forecast in milliseconds, alone and beside explanations.

    The third is how many explanations there were.
    """
    request = post(PREDICT, {"symbol": "AAPL", "horizon_sessions": 1}, _headers(configured))
    alone, beside, computed = list[float](), list[float](), 0
    for _ in range(TURNS):
        alone.append(in_turn(address, [request], clients=1, seconds=SECONDS).percentile(95))
        with _explaining(configured, ids[computed:]) as count:
            beside.append(in_turn(address, [request], clients=1, seconds=SECONDS).percentile(95))
        computed += count[0]
    return statistics.median(alone), statistics.median(beside), computed


@contextmanager
def _explaining(configured: Settings, ids: Sequence[str]) -> Iterator[list[int]]:
    """Have a process ask for one explanation after the other while a block lasts; gives how many there were."""
    command, environment = [sys.executable, "-m", "benchmarks.asking_explanations"], serve_environment(configured)
    with subprocess.Popen(command, env=environment, stdin=PIPE, stdout=PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write("\n".join(ids))
        process.stdin.close()
        done = list[int]()
        yield done
        process.terminate()
        done.append(int(process.stdout.read()))


def _headers(configured: Settings) -> dict[str, str]:
    return {"x-api-key": local_key(configured)}


def _percentile(seconds: Sequence[float], q: float) -> float:
    """Percentile in milliseconds."""
    return float(np.percentile(seconds, q)) * 1e3
