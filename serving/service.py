"""The BentoML service: it starts, supervises and stops the workers; every route is in `serving.app`.

Start it with ``make serve``, or with the command of `serving.launch.serve_command`.
"""

from typing import TYPE_CHECKING

import bentoml

from lake.settings import settings
from serving.app import build_app, put_in_service
from serving.batching import Batcher
from serving.launch import TIMEOUT_SECONDS, keep_out_training, require_loopback
from serving.predictor import Predictor

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

configured = settings()
require_loopback(configured)
app = build_app()


class AnswerFirst:
    """Hand every request to our application before BentoML's own routes see it.

    So health, metrics and errors have one form, and nothing of BentoML's (task routes, schema, its own page) is
    reachable. Start and stop of the process stay BentoML's.

    Parameters
    ----------
    app
        BentoML's application.
    """

    def __init__(self, app: "ASGIApp") -> None:
        self._bentoml = app

    async def __call__(self, scope: "Scope", receive: "Receive", send: "Send") -> None:
        """Route by kind: HTTP and WebSockets to ours, the life cycle to BentoML."""
        await (app if scope["type"] in {"http", "websocket"} else self._bentoml)(scope, receive, send)


@bentoml.service(
    name="forecasts",
    workers=configured.workers,
    traffic={"timeout": TIMEOUT_SECONDS},
    tracing={"excluded_urls": ".*"},  # spans are ours to make, where an exporter is configured
    logging={"access": {"enabled": False}},
    metrics={"enabled": False},
    http={"host": configured.host, "port": configured.port},
)
class ForecastService:
    """One worker: opens the predictor when it starts, and closes the forecast log when it stops."""

    def __init__(self) -> None:
        keep_out_training()
        self.predictor = Predictor.open(configured)
        batcher = Batcher(self.predictor, rows=configured.batch_rows, queue_ms=configured.queue_ms)
        put_in_service(app, self.predictor, batcher)
        app.state.latest.start(self.predictor.log)

    @bentoml.on_shutdown
    def close(self) -> None:
        """Answer what waits, and write what is queued in the forecast log."""
        app.state.batcher.close()
        self.predictor.close()
        app.state.latest.close()


ForecastService.add_asgi_middleware(AnswerFirst)  # type: ignore[attr-defined]
