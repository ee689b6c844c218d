"""The metrics of the dashboard, for Prometheus."""

from typing import TYPE_CHECKING

from prometheus_client import CONTENT_TYPE_LATEST
from starlette.responses import Response

from serving.monitoring.metrics import page_exposition

if TYPE_CHECKING:
    from starlette.requests import Request


def show(_request: "Request") -> Response:
    """Return counters and timings of the pages in Prometheus' text form."""
    return Response(page_exposition(), media_type=CONTENT_TYPE_LATEST)
