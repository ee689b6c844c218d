"""OpenTelemetry spans, made only where an exporter is configured: the request and each of its stages.

A micro-batch answers several requests, so every request gets the stages of its batch as its own children, with the
times they really had: a trace is complete by itself. What decides over sampling and resources is the SDK's own
environment (``OTEL_TRACES_SAMPLER``, ``OTEL_SERVICE_NAME``, ``OTEL_EXPORTER_OTLP_HEADERS``, ...).
"""

import time
from functools import partial
from typing import TYPE_CHECKING, Any, Self

from lake.errors import ConfigError
from serving.monitoring.request_context import FIRST_FAULT, route_of

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.trace import Span
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from lake.settings import Settings
    from serving.monitoring.stopwatch import Lap, Stopwatch

SERVICE = "quantlake"
NAMELESS = "unknown_service"
"""What the SDK calls a service that the environment gives no name."""
CARRIERS = (b"traceparent", b"tracestate")


class Tracing:
    """Makes spans and hands them to a provider.

    Parameters
    ----------
    provider
        Where they go.
    """

    def __init__(self, provider: "TracerProvider") -> None:
        self._provider = provider
        self.tracer = provider.get_tracer(SERVICE)

    @classmethod
    def of(cls, configured: "Settings") -> Self | None:
        """Return what sends spans to the settings' endpoint by OTLP over HTTP; None where there is none.

        Raises
        ------
        ConfigError
            If an endpoint is set and the exporter is not installed.
        """
        if configured.otlp_endpoint is None:
            return None
        try:
            from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        except ImportError as error:
            raise ConfigError(
                "OTEL_EXPORTER_OTLP_ENDPOINT is set and the exporter is not installed. Install quantlake[otel], or "
                "unset the variable."
            ) from error
        from opentelemetry.sdk.resources import SERVICE_NAME, Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor

        resource = Resource.create()
        if str(resource.attributes[SERVICE_NAME]).startswith(NAMELESS):
            resource = resource.merge(Resource({SERVICE_NAME: SERVICE}))
        provider = TracerProvider(resource=resource)
        exporter = OTLPSpanExporter(f"{configured.otlp_endpoint.rstrip('/')}/v1/traces")
        provider.add_span_processor(BatchSpanProcessor(exporter))
        return cls(provider)

    def wrap(self, app: "ASGIApp") -> "ASGIApp":
        """Wrap an application so that every request has a span."""
        return _Spans(app, self)

    def close(self) -> None:
        """Send what waits to be sent."""
        self._provider.shutdown()

    def add_stages(self, request: "Span", watch: "Stopwatch") -> None:
        """Add the spans of a request's stages after its answer."""
        from opentelemetry import trace

        offset = time.time_ns() - round(time.perf_counter() * 1e9)
        inside = trace.set_span_in_context(request)
        for stage, lap in watch.stages.items():
            span = self._lap(stage, lap, inside, offset)
            if stage == "compute":
                within = trace.set_span_in_context(span)
                for model, of_model in watch.engines.items():
                    self._lap("compute model", of_model, within, offset, {"quantlake.model": model})

    def _lap(
        self, name: str, lap: "Lap", context: Any, offset: int, attributes: dict[str, str] | None = None
    ) -> "Span":
        start, end = (round(at * 1e9) + offset for at in lap)
        span = self.tracer.start_span(name, context=context, start_time=start, attributes=attributes)
        span.end(end)
        return span


class _Spans:
    """Make one span for each request, a child of the client's where it names one."""

    def __init__(self, app: "ASGIApp", tracing: Tracing) -> None:
        self._app, self._tracing = app, tracing

    async def __call__(self, scope: "Scope", receive: "Receive", send: "Send") -> None:
        """Start the span, pass the request on, and set the status on the span."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        from opentelemetry import trace
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

        carried = {name.decode(): value.decode("latin-1") for name, value in scope["headers"] if name in CARRIERS}
        context = TraceContextTextMapPropagator().extract(carried)
        span = self._tracing.tracer.start_span("request", context=context, kind=trace.SpanKind.SERVER)
        scope["state"]["follow"] = partial(self._tracing.add_stages, span)
        status = 500

        async def note(message: "Message") -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, note)
        finally:
            _finish(span, scope, status)


def _finish(span: "Span", scope: "Scope", status: int) -> None:
    """Name a span as OpenTelemetry's conventions for HTTP servers do, and end it."""
    from opentelemetry.trace import StatusCode

    route, state = route_of(scope), scope["state"]
    span.update_name(f"{scope['method']} {route}")
    span.set_attributes(
        {
            "http.request.method": scope["method"],
            "http.route": route,
            "http.response.status_code": status,
            "quantlake.correlation_id": state["correlation_id"],
        }
    )
    if problem := state.get("problem"):
        span.set_attribute("error.type", problem)
    if status >= FIRST_FAULT:
        span.set_status(StatusCode.ERROR)
    span.end()
