"""Routes of written explanations: ask for one, look at the job that writes it, follow it as it goes."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Annotated, Any

from anyio import to_thread
from fastapi import FastAPI, Header, Request, Response
from fastapi.responses import StreamingResponse

from serving import api
from serving.explain.narrative import FIRST_TEXT_SECONDS, JobQuestion
from serving.predict import bars_asked
from serving.web.routes.forecasts import JSON, PREFIX
from serving.web.routes.lookups import PathSymbol, asked_symbol, require_id, why_none

if TYPE_CHECKING:
    from lake.names import AskedSymbol
    from serving.explain.narrative import ExplanationJobs, JobRecord
    from serving.predict import Predictor

EXPLANATIONS = f"{PREFIX}/explanations"
LOOK_SECONDS = 0.05
"""How often the record of a job is looked at while somebody follows it."""
HEARTBEAT_LOOKS = 300
"""Looks without an event after which a comment is sent, so that a dead connection is noticed."""
EVENT_STREAM = "text/event-stream"
JOB: dict[int | str, dict[str, Any]] = {202: {"model": api.ExplanationJobAnswer, "description": "Under way"}}
STREAM: dict[int | str, dict[str, Any]] = {
    200: {"content": {EVENT_STREAM: {"schema": {"type": "string"}}}, "description": "Events of the job"}
}


def add_routes(app: FastAPI) -> None:
    """Add them to an application."""
    _add_cancelling(app)

    @app.post(
        f"{EXPLANATIONS}/{{symbol}}", tags=["explanations"], status_code=202, response_model=api.ExplanationJobAccepted
    )
    def explain(symbol: PathSymbol, body: api.ExplanationJobRequest, request: Request) -> api.ExplanationJobAccepted:
        """Ask for a forecast in words; the same question within 300 seconds gets the same job."""
        asked = asked_symbol(request, symbol)
        named = body.prediction_id
        prediction_id = _newest(request, asked.symbol, body) if named is None else require_id(named)
        question = JobQuestion(symbol=asked.symbol, prediction_id=prediction_id, depth=body.depth)
        record, is_cached = _jobs(request).ask(question)
        is_done = record.status == "completed"
        return api.ExplanationJobAccepted(
            job_id=record.job_id,
            status="completed" if is_done else "processing",
            estimated_seconds=0 if is_done else FIRST_TEXT_SECONDS,
            is_cached=is_cached,
        )

    @app.get(
        f"{EXPLANATIONS}/{{symbol}}",
        tags=["explanations"],
        response_model=api.ExplanationJobAnswer,
        responses=JOB,
    )
    def newest(symbol: PathSymbol, request: Request) -> Response:
        """Return the explanation of a symbol that was asked for last; 202 while it is being written."""
        asked = asked_symbol(request, symbol)
        return _answer(_jobs(request).newest(asked.symbol), asked)

    @app.get(
        f"{EXPLANATIONS}/jobs/{{job_id}}",
        tags=["explanations"],
        response_model=api.ExplanationJobAnswer,
        responses=JOB,
    )
    def job(job_id: str, request: Request) -> Response:
        """Return a job: 202 while it is being written, with the template's text as soon as there is one."""
        return _answer(_jobs(request).find(job_id))

    @app.get(
        f"{EXPLANATIONS}/jobs/{{job_id}}/events",
        tags=["explanations"],
        response_class=StreamingResponse,
        responses=STREAM,
    )
    async def events(job_id: str, request: Request, last_event_id: Annotated[str, Header()] = "") -> StreamingResponse:
        """Follow a job: its steps, and each sentence once it has passed the check; `Last-Event-ID` goes on from one."""
        jobs = _jobs(request)
        if await to_thread.run_sync(jobs.events, job_id) is None:
            await to_thread.run_sync(jobs.find, job_id)  # says why
        sent = int(last_event_id) if last_event_id.isascii() and last_event_id.isdigit() else 0
        return StreamingResponse(_events(jobs, job_id, sent), media_type=EVENT_STREAM)


def _add_cancelling(app: FastAPI) -> None:
    @app.delete(f"{EXPLANATIONS}/jobs/{{job_id}}", tags=["explanations"])
    def cancel(job_id: str, request: Request) -> api.ExplanationJobCancelled:
        """Cancel a job, for everyone who asked the same question; one that is completed stays so."""
        record = _jobs(request).cancel(job_id)
        is_done = record.status == "completed"
        return api.ExplanationJobCancelled(job_id=record.job_id, status="completed" if is_done else "cancelled")


async def _events(jobs: "ExplanationJobs", job_id: str, sent: int) -> AsyncIterator[str]:
    """Yield events as server-sent events, numbered from 1, until the job has ended."""
    quiet = 0
    while True:
        found = await to_thread.run_sync(jobs.events, job_id)
        if found is None:  # forgotten meanwhile
            return
        for number, event in enumerate(found[sent:], start=sent + 1):
            data = json.dumps(event.model_dump(mode="json", exclude_none=True))
            yield f"id: {number}\nevent: {event.event}\ndata: {data}\n\n"
        quiet = 0 if len(found) > sent else quiet + 1
        sent = max(sent, len(found))
        if found and found[-1].event in {"completed", "failed"}:
            return
        if quiet and quiet % HEARTBEAT_LOOKS == 0:
            yield ": still under way\n\n"
        await asyncio.sleep(LOOK_SECONDS)


def _answer(record: "JobRecord", asked: "AskedSymbol | None" = None) -> Response:
    said = api.ExplanationJobAnswer(
        job_id=record.job_id,
        status="completed" if record.status == "completed" else "processing",
        step=record.step,
        progress=record.progress,
        symbol=record.question.symbol,
        asked=None if asked is None else api.AskedName.of(asked),
        prediction_id=record.question.prediction_id,
        as_of=record.known_time,
        depth=record.question.depth,
        seconds=record.seconds,
        explanation=record.explanation,
    )
    status = 200 if record.status == "completed" else 202
    return Response(said.model_dump_json(), status, media_type=JSON, headers={"cache-control": "no-store"})


def _newest(request: Request, symbol: str, body: api.ExplanationJobRequest) -> str:
    """Id of the newest stored forecast of a symbol, over the first horizon of the market unless one is named."""
    predictor: Predictor = request.app.state.predictor
    bars = bars_asked(predictor.market, body.horizon_sessions, body.horizon_minutes)
    found = request.app.state.latest.newest(symbol, bars)
    if found is None:
        raise why_none(predictor, symbol, bars)
    identifier: str = json.loads(found.answer)["prediction_id"]
    return identifier


def _jobs(request: Request) -> "ExplanationJobs":
    jobs: ExplanationJobs = request.app.state.explanation_jobs
    return jobs
