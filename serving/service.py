"""The BentoML service: opens and closes the resources of a worker; every route is in `serving.web.app`.

Start it with ``make serve``, or with the command of `serving.supervision.launch.serve_command`.
"""

import sys
from contextlib import ExitStack, suppress
from typing import TYPE_CHECKING, cast

import bentoml

from lake.disk import close_new_files
from lake.errors import QuantlakeError
from lake.settings import settings
from serving.access import origins, require_safe_address, trusted_proxies
from serving.explain.worker import RemoteExplanations, socket_path
from serving.monitoring import Tracing, json_logs
from serving.predict import Batcher, Predictor
from serving.processes import keep_out_training
from serving.web.app import build_app, put_in_service
from serving.web.gauge_sampler import GaugeSampler
from serving.web.http import connections

if TYPE_CHECKING:
    from starlette.applications import Starlette
    from starlette.types import ASGIApp, Receive, Scope, Send

close_new_files()
configured = settings()
require_safe_address(configured)
connections.use(trusted_proxies(configured))
tracing = Tracing.of(configured)
app = build_app(origins=origins(configured), configured=configured, tracing=tracing)
SWITCH_SECONDS = 0.0005
"""Longest wait of the event loop for the thread that computes; Python's own is ten times that, for each turn."""


class AnswerFirst:
    """Hand every request to our application before BentoML's own routes and layers see it.

    So health, metrics and errors have one form, nothing of BentoML's (task routes, schema, its own page) is reachable,
    and no request pays for spans, timers and tasks that ours do without. Start and stop of the process stay BentoML's.

    Parameters
    ----------
    bento
        BentoML's application.
    """

    def __init__(self, bento: "ASGIApp") -> None:
        self._bento = bento

    async def __call__(self, scope: "Scope", receive: "Receive", send: "Send") -> None:
        """Route by kind: HTTP and WebSockets to ours, the life cycle to BentoML."""
        if scope["type"] != "lifespan":
            await app(scope, receive, send)
            return
        # BentoML puts this class behind its own layers. At the start it moves itself in front of them.
        outermost: Starlette = scope["app"]
        if not isinstance(outermost.middleware_stack, AnswerFirst):
            outermost.middleware_stack = AnswerFirst(cast("ASGIApp", outermost.middleware_stack))
        await self._bento(scope, receive, send)


@bentoml.service(
    name="forecasts",
    workers=configured.workers,
    logging={"access": {"enabled": False}},
    metrics={"enabled": False},
    http={"host": configured.host, "port": configured.port},
)
class ForecastService:
    """One worker: opens the predictor when it starts, and closes the forecast log when it stops."""

    def __init__(self) -> None:
        keep_out_training()
        sys.setswitchinterval(SWITCH_SECONDS)
        json_logs.install(configured)
        self.predictor = Predictor.open(configured)
        batcher = Batcher(self.predictor, rows=configured.batch_rows, queue_ms=configured.queue_ms)
        put_in_service(app, self.predictor, batcher, RemoteExplanations(socket_path(configured)))
        with suppress(QuantlakeError):  # the first forecast builds a calendar and more; no client is to wait for that
            self.predictor.require_ready()
        app.state.latest.start(self.predictor.log)
        self.gauge_sampler = GaugeSampler(self.predictor, configured).start()

    @bentoml.on_shutdown
    def close(self) -> None:
        """Answer what waits, and hand over what was logged; whatever fails, the rest is done."""
        with ExitStack() as ending:
            if tracing is not None:
                ending.callback(tracing.close)
            for part in (
                app.state.latest,
                self.predictor,
                app.state.batcher,
                app.state.explanations,
                self.gauge_sampler,
            ):  # the last one first
                ending.callback(part.close)
            ending.callback(app.state.explanation_jobs.close)


ForecastService.add_asgi_middleware(AnswerFirst)  # type: ignore[attr-defined]
