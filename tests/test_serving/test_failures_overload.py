"""Four times the load that can be borne: the excess is turned away at once, and what is taken stays quick."""

import asyncio
import json
import sys
import threading
import time
from collections import Counter

import numpy as np
import pytest

from lake.universe import SYMBOLS
from serving.api import Problem
from support.clients import headers_of
from support.failures import PREDICT
from support.services import running_service

BORNE, SECONDS = 64, 5.0
HEAD_END = b"\r\n\r\n"


@pytest.fixture
def service(copy_home, tmp_path):
    with running_service(copy_home(tmp_path / "home").settings) as service:
        yield service


def question(symbol, headers):
    body = json.dumps({"symbol": symbol, "horizon_sessions": 1}).encode()
    lines = [f"POST {PREDICT} HTTP/1.1", "host: a", "content-type: application/json", f"content-length: {len(body)}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return "\r\n".join(lines).encode() + HEAD_END + body


async def load(address, requests, clients):
    """Clients that ask one question after the other, and wait as long as they are told to when they are turned away."""
    told, refusals, over = [], [], time.monotonic() + SECONDS

    async def one(number):
        reader, writer = await asyncio.open_connection(*address)
        at = number
        while time.monotonic() < over:
            began = time.monotonic()
            writer.write(requests[at % len(requests)])
            at += clients
            head = (await reader.readuntil(HEAD_END)).decode().lower()
            fields = dict(line.split(": ", 1) for line in head.strip().split("\r\n")[1:])
            body = await reader.readexactly(int(fields["content-length"]))
            status = int(head[9:12])
            told.append((status, time.monotonic() - began))
            if status != 200:
                refusals.append((fields, body))
                await asyncio.sleep(float(fields["retry-after"]))
        writer.close()

    await asyncio.gather(*(one(number) for number in range(clients)))
    return told, refusals


def p99(told):
    return float(np.percentile([seconds for status, seconds in told if status == 200], 99))


@pytest.mark.slow
def test_at_four_times_the_load_the_excess_is_turned_away_and_the_rest_stays_quick(service):
    requests = [question(symbol, headers_of(service.settings)) for symbol in SYMBOLS]
    asyncio.run(load(service.at, requests, BORNE))
    borne, refused = asyncio.run(load(service.at, requests, BORNE))
    assert refused == []
    told, refused = asyncio.run(load(service.at, requests, 4 * BORNE))
    statuses = Counter(status for status, _ in told)
    sys.stdout.write(f"{statuses}, p99 {p99(told) * 1e3:.0f} ms, {p99(borne) * 1e3:.0f} ms when borne\n")
    assert set(statuses) == {200, 503}
    assert p99(told) <= 2 * p99(borne)
    for fields, body in refused:
        assert fields["content-type"] == "application/problem+json"
        assert Problem.model_validate_json(body).type == "/problems/overloaded"
    threading.Event().wait(1.0)
    after, refused = asyncio.run(load(service.at, requests, BORNE // 2))
    assert refused == []
    assert {status for status, _ in after} == {200}
