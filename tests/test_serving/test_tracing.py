"""Spans as a collector gets them: sent by the real exporter to a receiver on this machine, and none without one."""

import http.server
import sys
import threading
from contextlib import contextmanager

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from lake.errors import ConfigError
from lake.settings import Settings
from serving.monitoring import Tracing
from serving.web.app import build_app
from support.clients import client_of

PREDICT = "/api/v1/public/predict"
STAGES = ["wait", "read", "compute", "compose", "log"]
TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


@contextmanager
def receiver():
    """A collector that keeps what it is sent; gives its address and the spans."""
    spans, resources = [], []

    class Collect(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            assert self.path == "/v1/traces"
            sent = ExportTraceServiceRequest.FromString(self.rfile.read(int(self.headers["content-length"])))
            for resource in sent.resource_spans:
                resources.append({one.key: one.value.string_value for one in resource.resource.attributes})
                spans.extend(span for scope in resource.scope_spans for span in scope.spans)
            self.send_response(200)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *said):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Collect)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", spans, resources
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture(scope="module")
def predictor(predicting, tmp_path_factory):
    with predicting(Settings(home=tmp_path_factory.mktemp("traced"))) as made:
        yield made


def traced(predictor, address, *requests):
    tracing = Tracing.of(Settings(otlp_endpoint=address))
    client = client_of(build_app(predictor, tracing=tracing))
    answers = [client.request(method, path, **options) for method, path, options in requests]
    client.app.state.batcher.close()  # the spans of a batch are made behind its answers, by who writes the log
    client.app.state.predictor.log.require_writable()
    tracing.close()
    return answers


def said(span):
    return {one.key: one.value.string_value or one.value.int_value for one in span.attributes}


def test_a_forecast_is_one_trace_with_its_stages_and_models(predictor):
    body = {"symbol": "AAPL", "horizon_sessions": 1}
    headers = {"traceparent": f"00-{TRACE}-{PARENT}-01"}
    with receiver() as (address, spans, resources):
        (answer,) = traced(predictor, address, ("POST", PREDICT, {"json": body, "headers": headers}))
    assert answer.headers["x-correlation-id"] == TRACE
    assert {span.trace_id.hex() for span in spans} == {TRACE}
    (request,) = [span for span in spans if span.parent_span_id.hex() == PARENT]
    assert request.name == f"POST {PREDICT}"
    assert said(request) == {
        "http.request.method": "POST",
        "http.route": PREDICT,
        "http.response.status_code": 200,
        "quantlake.correlation_id": TRACE,
    }
    stages = {span.name: span for span in spans if span.parent_span_id == request.span_id}
    assert sorted(stages) == sorted(STAGES)
    models = [span for span in spans if span.parent_span_id == stages["compute"].span_id]
    assert {said(span)["quantlake.model"] for span in models} == {"naive", "ridge", "lstm"}
    assert {resource["service.name"] for resource in resources} == {"quantlake"}
    ends = [stages[name].end_time_unix_nano for name in STAGES]
    assert ends == sorted(ends)
    inside = stages["compute"]
    for span in models:
        assert inside.start_time_unix_nano <= span.start_time_unix_nano <= span.end_time_unix_nano
        assert span.end_time_unix_nano <= inside.end_time_unix_nano
    assert request.start_time_unix_nano <= stages["read"].start_time_unix_nano <= request.end_time_unix_nano


def test_a_large_batch_and_a_refusal_are_traced_too(predictor):
    with receiver() as (address, spans, _):
        traced(
            predictor,
            address,
            ("POST", f"{PREDICT}/batch", {"json": {"symbols": ["AAPL", "IBM"], "horizon_sessions": 5}}),
            ("POST", PREDICT, {"json": {"symbol": "NOPE", "horizon_sessions": 1}}),
            ("GET", "/api/v1/public/predictions/HIDDENHERE", {}),
        )
    requests = {span.name: span for span in spans if not span.parent_span_id}
    assert said(requests[f"POST {PREDICT}"])["error.type"] == "unknown-symbol"
    assert said(requests[f"POST {PREDICT}/batch"])["http.response.status_code"] == 200
    assert "GET /api/v1/public/predictions/{prediction_id}" in requests
    assert "HIDDENHERE" not in str(spans)


def test_nothing_is_made_without_an_exporter(predictor):
    assert Tracing.of(Settings()) is None
    client = client_of(build_app(predictor))
    seen = []
    compute = predictor.compute
    predictor.compute = lambda questions, watch: (seen.extend(questions), compute(questions, watch))[1]
    try:
        client.post(PREDICT, json={"symbol": "AAPL", "horizon_sessions": 1})
    finally:
        del predictor.compute
    assert [question.follow for question in seen] == [None]


def test_an_endpoint_without_the_exporter_is_a_clear_mistake(monkeypatch):
    monkeypatch.setitem(sys.modules, "opentelemetry.exporter.otlp.proto.http.trace_exporter", None)
    with pytest.raises(ConfigError, match=r"Install quantlake\[otel\]"):
        Tracing.of(Settings(otlp_endpoint="http://127.0.0.1:1"))


def test_the_usual_variable_turns_it_on(monkeypatch):
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:4318")
    assert Settings().otlp_endpoint == "http://127.0.0.1:4318"
