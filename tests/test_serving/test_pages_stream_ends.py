"""A live page that leaves, or does not read, ends its stream without an error in the log; a fault has one."""

import asyncio
import logging
import socket
from contextlib import contextmanager

import pytest

from serving.pages.live import EventStream, event_stream
from serving.web.streaming import Subscriber
from support.clients import listening
from support.waiting import PATIENCE_SECONDS, until

SEND_BYTES = 4_096
LARGE = "data: " + "x" * 100_000 + "\n\n"


@pytest.fixture(autouse=True)
def _short_grace(monkeypatch):
    monkeypatch.setattr(event_stream, "GRACE_SECONDS", 0.05)


@contextmanager
def hearing():
    """Messages of Uvicorn and of ours with their levels, of a server that is up: Uvicorn's start removes handlers."""
    found = []

    class Kept(logging.Handler):
        def emit(self, record):
            found.append((record.levelname, record.getMessage()))

    kept, loggers = Kept(), [logging.getLogger(name) for name in ("uvicorn.error", "quantlake.serving")]
    before = [each.level for each in loggers]
    for each in loggers:
        each.addHandler(kept)
        each.setLevel(logging.INFO)
    yield found
    for each, level in zip(loggers, before, strict=True):
        each.removeHandler(kept)
        each.setLevel(level)


async def until_left():
    await asyncio.get_running_loop().create_future()


def answered(send, may_read=lambda: True, waiting=("data: 1\n\n",)):
    """Run a stream whose client is heard of no more; returns how often it ended."""
    ended = []

    async def run():
        subscriber = Subscriber()
        for text in waiting:
            subscriber.put(text)
        await EventStream(subscriber, may_read, lambda: ended.append(1))({}, until_left, send)

    asyncio.run(run())
    return len(ended)


@pytest.mark.parametrize("sent", [0, 1, 2, 3])
def test_a_connection_that_closes_is_no_fault_at_whichever_message_it_is_noticed(sent):
    messages = []

    async def send(message):
        if len(messages) == sent:
            raise OSError("the connection is closed")
        messages.append(message)

    assert answered(send, waiting=("data: 1\n\n", "data: 2\n\n")) == 1
    assert len(messages) == sent


def test_a_fault_of_the_program_is_raised():
    asked = []

    def may_read():
        asked.append(1)
        if len(asked) == 3:
            raise OSError("the disk does not answer")
        return True

    async def send(_message):
        pass

    with pytest.raises(OSError, match="the disk does not answer"):
        answered(send, may_read)


@pytest.mark.parametrize("protocol", ["httptools", "h11"])
def test_a_reader_that_does_not_read_is_dropped_without_an_error_line(protocol):
    ended = []

    async def app(scope, receive, send):
        subscriber = Subscriber(2)
        ending = EventStream(subscriber, lambda: True, lambda: ended.append(1))(scope, receive, send)
        streaming = asyncio.create_task(overflow(subscriber))
        await ending
        await streaming

    async def overflow(subscriber):
        while not subscriber.is_slow:
            subscriber.put(LARGE)
            await asyncio.sleep(0)

    with (
        listening(app, protocol, send_bytes=SEND_BYTES, lifespan="off") as (host, port),
        hearing() as lines,
        socket.socket() as slow,
    ):
        slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SEND_BYTES)
        slow.settimeout(PATIENCE_SECONDS)
        slow.connect((host, port))
        slow.sendall(b"GET / HTTP/1.1\r\nhost: tests\r\n\r\n")
        until(lambda: any("did not read" in said for _, said in lines), "it was not dropped")
        while slow.recv(65_536):
            pass
    assert ended == [1]
    assert [said for level, said in lines if level in {"WARNING", "ERROR"}] == []


def test_an_application_that_forgets_the_end_has_its_error_line():
    async def app(_scope, _receive, send):
        EventStream(Subscriber(), lambda: True, lambda: None)
        await send({"type": "http.response.start", "status": 200, "headers": []})

    with (
        listening(app, "h11", lifespan="off") as address,
        hearing() as lines,
        socket.create_connection(address) as client,
    ):
        client.sendall(b"GET / HTTP/1.1\r\nhost: tests\r\n\r\n")
        while client.recv(65_536):
            pass
    assert ("ERROR", event_stream.UNFINISHED) in lines
