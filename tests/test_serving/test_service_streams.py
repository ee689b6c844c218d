"""Updates from the service as a user starts it, with two worker processes: each tells of what the other has stored."""

import json
import signal
from contextlib import ExitStack

import pytest
import websockets
from websockets.sync.client import connect

from dagster_project.servers.endpoint import forecast_service
from serving.client import Client
from serving.web.routes.streams import PATH
from support.clients import headers_of

CONNECTIONS, FORECASTS = 8, 6
WAIT_SECONDS = 120.0


@pytest.fixture(scope="module")
def settings(copy_home, tmp_path_factory):
    return copy_home(tmp_path_factory.mktemp("streams") / "home", workers=2).settings


def hear(stream):
    return json.loads(stream.recv(timeout=WAIT_SECONDS))


@pytest.mark.slow
def test_whichever_worker_answers_every_connection_hears_of_it_once_and_is_told_of_the_end(home, settings):
    with forecast_service(settings) as (address, process), ExitStack() as opened:
        at = f"ws{address.removeprefix('http')}{PATH}"
        streams = [
            opened.enter_context(
                connect(at, additional_headers=headers_of(settings), close_timeout=1, ping_interval=None)
            )
            for _ in range(CONNECTIONS)
        ]
        for stream in streams:
            stream.send(json.dumps({"action": "subscribe", "symbols": ["AAPL"]}))
            assert hear(stream)["symbols"] == 1
        made = []
        for _ in range(FORECASTS):
            with Client.local(settings) as client:  # a new connection each time, so that both workers are asked
                made.append(client.predict("AAPL", 5).prediction_id)
        for stream in streams:
            heard = [hear(stream)["prediction"]["prediction_id"] for _ in made]
            assert heard == made
            stream.send('{"action": "ping"}')
            assert hear(stream)["event"] == "acknowledged"  # and nothing was told twice
        process.send_signal(signal.SIGTERM)
        for stream in streams:
            with pytest.raises(websockets.ConnectionClosed) as ended:
                hear(stream)
            assert ended.value.rcvd.code == 1012
        process.wait(WAIT_SECONDS)
