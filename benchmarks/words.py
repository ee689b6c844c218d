"""Explanations in words over HTTP: how long until a job is accepted, and until its text is there."""

import time
from contextlib import ExitStack
from itertools import product

import numpy as np

from benchmarks.report import RATIO, Figure, Topic
from benchmarks.serving import started
from benchmarks.timing import timed
from feature_repo.online.redis_server import running_redis
from lake.settings import Settings, settings
from serving.access import local_key
from serving.api import WrittenDepth
from serving.client import Client

DEPTHS: tuple[WrittenDepth, ...] = ("fast", "medium")
"""Those whose goal is a second; a deep explanation has a minute."""
ACCEPTED_MS, TEXT_MS = 100.0, 1_000.0


def measure(configured: Settings | None = None) -> Topic:
    """Ask for every newest forecast of the home in words at the depths of a second, one after the other."""
    configured = configured or settings()
    with ExitStack() as stack:
        stack.enter_context(running_redis(configured))
        address = stack.enter_context(started(configured))
        client = stack.enter_context(Client(address, local_key(configured), attempts=1))
        horizons = configured.declared_market.horizon_bars
        questions = list(
            product([each.symbol for each in client.symbols().symbols if each.has_model_input], horizons, DEPTHS)
        )
        times = [_asked(client, *question) for question in questions]
    accepted, done = (np.array(each) * 1e3 for each in zip(*times, strict=True))
    figures = (
        Figure("U8 job accepted, p95 / 100 ms", ACCEPTED_MS, float(np.percentile(accepted, 95)), 1.0),
        Figure("U8 text of the template, p95 / 1 s", TEXT_MS, float(np.percentile(done, 95)), 1.0),
    )
    notes = tuple(
        f"{name}: p50 {np.percentile(each, 50):.0f}, p95 {np.percentile(each, 95):.0f}, most {each.max():.0f} ms"
        for name, each in (("accepted", accepted), ("from the question to the end of the job", done))
    )
    text = (
        f"{len(questions)} questions of one client, each about another newest forecast or at another depth, without a "
        "language model. Each waits for the end of the job before it."
    )
    return Topic("Explanations in words", text, RATIO, tuple(figure.to_row() for figure in figures), notes)


def _asked(client: Client, symbol: str, horizon: int, depth: WrittenDepth) -> tuple[float, float]:
    """Seconds until a job is accepted, and until it is done."""
    started_at = time.perf_counter()
    job = client.ask_in_words(symbol, depth=depth, horizon_sessions=horizon)
    accepted = time.perf_counter() - started_at
    return accepted, accepted + timed(lambda: list(client.follow_words(job.job_id)))
