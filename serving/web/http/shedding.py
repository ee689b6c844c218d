"""Load shedding: refuses forecasts in front of all other middleware while the batcher is full.

At several times the load that the service can bear, nearly every request is refused, and each refusal takes time from
the answered ones. A refused request is counted and nothing else: its body is not read, its key is not checked, its
limit is not used, and the log has no line of it.
"""

import json
import os
from typing import TYPE_CHECKING

from serving.api.problem_kinds import OVERLOADED
from serving.monitoring import metrics
from serving.web.http.problems import MEDIA_TYPE, document
from serving.web.routes.forecasts import PREDICT

if TYPE_CHECKING:
    from fastapi import FastAPI
    from starlette.types import ASGIApp, Receive, Scope, Send

DETAIL = "More forecasts are under way than can be answered in time."
MARK = "0" * 32
"""Stands for the identifier of the request in the prepared answer."""


class LoadShedding:
    """Refuse forecasts of one symbol while the application's batcher is full.

    Parameters
    ----------
    app
        Application whose batcher answers.
    behind
        What takes everything else.
    """

    def __init__(self, app: "FastAPI", behind: "ASGIApp") -> None:
        self._app, self._behind = app, behind
        scope = {"path": PREDICT, "state": {"correlation_id": MARK}}
        prepared = json.dumps(document(OVERLOADED, DETAIL, scope).model_dump(mode="json"), separators=(",", ":"))
        self._before, _, self._after = prepared.encode().partition(MARK.encode())
        self._headers = [
            (b"content-type", MEDIA_TYPE.encode()),
            (b"retry-after", str(OVERLOADED.retry_seconds).encode()),
            (b"content-length", str(len(prepared)).encode()),
        ]
        self._seconds = metrics.timer(metrics.REQUEST_SECONDS, PREDICT, str(OVERLOADED.status))
        self._count = metrics.PROBLEMS.labels(OVERLOADED.slug, str(OVERLOADED.status))

    async def __call__(self, scope: "Scope", receive: "Receive", send: "Send") -> None:
        """Answer, or pass on."""
        is_question = scope["type"] == "http" and scope["path"] == PREDICT and scope["method"] == "POST"
        batcher = getattr(self._app.state, "batcher", None) if is_question else None
        if batcher is None or not batcher.is_full:
            await self._behind(scope, receive, send)
            return
        number = os.urandom(16).hex().encode()
        headers = [*self._headers, (b"x-correlation-id", number)]
        await send({"type": "http.response.start", "status": OVERLOADED.status, "headers": headers})
        await send({"type": "http.response.body", "body": self._before + number + self._after})
        self._count.inc()
        metrics.observe(self._seconds, 0.0)
