"""Many times the load that can be borne: the excess is turned away with a reason, and afterwards all are answered."""

import asyncio
import json
import sys
from collections import Counter

import pytest

from lake.universe import SYMBOLS
from serving.api import Problem
from support.clients import headers_of
from support.failures import PREDICT
from support.services import running_service
from support.waiting import rest_async, until

CLIENTS, FEW, QUESTIONS = 256, 8, 50
HEAD_END = b"\r\n\r\n"


@pytest.fixture
def service(copy_home, tmp_path):
    with running_service(copy_home(tmp_path / "home").settings) as service:
        yield service


def question(symbol, headers):
    body = json.dumps({"symbol": symbol, "horizon_sessions": 1}).encode()
    lines = [
        f"POST {PREDICT} HTTP/1.1",
        "host: 127.0.0.1",
        "content-type: application/json",
        f"content-length: {len(body)}",
    ]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return "\r\n".join(lines).encode() + HEAD_END + body


async def load(address, requests, clients):
    """Clients that ask one question after the other, and wait as long as they are told to when they are turned away."""
    told, refusals = [], []

    async def one(number):
        reader, writer = await asyncio.open_connection(*address)
        for at in range(number, number + QUESTIONS * clients, clients):
            writer.write(requests[at % len(requests)])
            head = (await reader.readuntil(HEAD_END)).decode().lower()
            fields = dict(line.split(": ", 1) for line in head.strip().split("\r\n")[1:])
            body = await reader.readexactly(int(fields["content-length"]))
            status = int(head[9:12])
            told.append(status)
            if status != 200:
                refusals.append((fields, body))
                await rest_async(float(fields["retry-after"]))
        writer.close()

    await asyncio.gather(*(one(number) for number in range(clients)))
    return told, refusals


@pytest.mark.slow
def test_the_excess_is_turned_away_with_a_reason_and_the_rest_is_answered(service):
    """How quick the answers stay is measured by `python -m benchmarks`."""
    requests = [question(symbol, headers_of(service.settings)) for symbol in SYMBOLS]
    told, refused = asyncio.run(load(service.at, requests, CLIENTS))
    sys.stdout.write(f"{Counter(told)}\n")
    assert set(told) == {200, 503}
    for fields, body in refused:
        assert fields["content-type"] == "application/problem+json"
        assert Problem.model_validate_json(body).type == "/problems/overloaded"
    until(lambda: set(asyncio.run(load(service.at, requests, FEW))[0]) == {200})
