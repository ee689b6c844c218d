"""Ingest routes for operators: have a source asked now, and see what sources were asked last.

The service asks no source itself: it leaves a request in the home, and the sensor `ingest_requests` of the orchestrator
turns that into a run.
"""

from typing import TYPE_CHECKING

from fastapi import FastAPI, Request

from serving import api

if TYPE_CHECKING:
    from lake.ingest import IngestRequest
    from lake.settings import Settings

PREFIX = "/api/v1/internal/ingest"
ACCEPTED = 202


def add_routes(app: FastAPI) -> None:
    """Add them to an application."""

    @app.post(f"{PREFIX}/{{source}}", tags=["operators"], status_code=ACCEPTED)
    def request(source: str, request: Request) -> api.IngestAnswer:
        """Have a source of the market asked now; a run does it, soon after."""
        from lake.ingest import request_ingest

        caller = getattr(request.state, "caller", None)
        return _answer(request_ingest(_configured(request), source, getattr(caller, "who", "operator")))

    @app.get(f"{PREFIX}/status", tags=["operators"])
    def status(request: Request) -> api.IngestStatusAnswer:
        """Requests that wait, and what each source of the market was asked last and answered."""
        return status_of(_configured(request))


def status_of(configured: "Settings") -> api.IngestStatusAnswer:
    """Return the requests of a home that wait, and the newest delivery of each source of its market."""
    from lake.ingest import last_deliveries, open_requests, source_names
    from lake.store import Lake

    last = {each["source"]: each for each in last_deliveries(Lake.open(configured))}
    never = dict.fromkeys(("subjects", "failed", "rows", "stored", "refused"), 0)
    shown = [last.get(name, {"source": name} | never) for name in {*source_names(configured), *last}]
    return api.IngestStatusAnswer(
        requests=[_answer(each) for each in open_requests(configured)],
        sources=[
            api.SourceStatus.model_validate({field: each.get(field) for field in api.SourceStatus.model_fields})
            for each in sorted(shown, key=lambda each: str(each["source"]))
        ],
    )


def _answer(asked: "IngestRequest") -> api.IngestAnswer:
    return api.IngestAnswer(id=asked.id, source=asked.source, asked_at=asked.asked_at, state=asked.state)


def _configured(request: Request) -> "Settings":
    found: Settings = request.app.state.predictor.champions.configured
    return found
