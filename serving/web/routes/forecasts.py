"""Forecast routes."""

import json
from typing import TYPE_CHECKING

from anyio import to_thread
from fastapi import FastAPI, Request, Response
from pydantic import ValidationError

from lake.errors import OverloadedError, QuantlakeError
from serving import api
from serving.api import problem_kinds as kinds
from serving.predict import LARGE_ROWS, Answers, Batcher, Question, bars_ahead
from serving.web.asked_names import AskedNames, told
from serving.web.explaining import told_beside
from serving.web.http import problems
from serving.web.http.strict_json import oddity_of
from serving.web.own_values import of_own_values, require_features

if TYPE_CHECKING:
    from collections.abc import Sequence

    from starlette.datastructures import State
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from lake.names import AskedSymbol
    from serving.api import Caller
    from serving.api.explanations import ForecastExplanation

PREFIX = "/api/v1/public"
PREDICT = f"{PREFIX}/predict"
JSON = "application/json"
LARGE_WAITING = 4
"""Large questions that may wait for those being computed; more are refused."""
MEMBERS = 2
"""Of a request for one forecast: a symbol and one horizon."""


def add_routes(app: FastAPI) -> None:
    """Add them to an application."""
    app.state.large_under_way = 0

    @app.post(PREDICT, response_model=api.PredictAnswer, tags=["forecasts"])
    async def predict(body: api.PredictRequest, request: Request) -> Response:
        """Forecast one symbol. The answer is in the forecast log before it is sent."""
        (asked,) = await asked_names_of(request, [body.symbol])
        state = request.app.state
        require_features(body.features or ())
        answers = await _forecast(request, _question(request.scope, [asked.symbol], body, state))
        text, prediction_id = told(answers.texts[0], asked), answers.entries[0].row["forecast_id"]
        if body.include_explanation:
            text = beside(text, *await told_beside(state, prediction_id))
        if body.features is not None:
            own = await of_own_values(state, prediction_id, body.features)
            text = f'{text[:-1]},"what_if":{own.model_dump_json()}}}'
        return Response(text, media_type=JSON)

    @app.post(f"{PREDICT}/batch", response_model=api.BatchAnswer, tags=["forecasts"])
    async def predict_batch(body: api.BatchRequest, request: Request) -> Response:
        """Forecast up to 5,000 symbols with one online read and one engine call per model."""
        asked = await asked_names_of(request, body.symbols)
        symbols = list(dict.fromkeys(each.symbol for each in asked))
        answers = await _forecast(request, _question(request.scope, symbols, body, request.app.state))
        texts, reasons = {entry.row["symbol"]: entry.answer for entry in answers.entries}, dict(answers.unavailable)
        predictions = ",".join(told(texts[each.symbol], each) for each in asked if each.symbol in texts)
        unavailable = ",".join(
            api.Unavailable(symbol=each.asked, reason=reasons[each.symbol]).model_dump_json()
            for each in asked
            if each.symbol not in texts
        )
        content = f'"predictions":[{predictions}],"unavailable":[{unavailable}]'
        return Response(f'{{"disclaimer":"{api.DISCLAIMER}",{content}}}', media_type=JSON)


class Quick:
    """Answer a well-formed question for one symbol without the framework's handling of bodies and answers.

    Everything else goes on to the framework, whose route says what is wrong with it.

    Parameters
    ----------
    app
        Application whose batcher answers.
    framework
        What takes everything else.
    """

    def __init__(self, app: FastAPI, framework: "ASGIApp") -> None:
        self._app, self._framework = app, framework
        self._described = next(route for route in app.routes if getattr(route, "path", "") == PREDICT)

    async def __call__(self, scope: "Scope", receive: "Receive", send: "Send") -> None:
        """Validate, ask, answer."""
        if scope["type"] != "http" or scope["method"] not in problems.WITH_BODY:
            await self._framework(scope, receive, send)
            return
        message = await receive()  # the whole body: `LimitBody` has gathered it
        try:
            question = _well_formed(scope, message, self._app.state) if scope["path"] == PREDICT else None
        except QuantlakeError as error:
            await problems.respond_to(Request(scope), error)(scope, receive, send)
            return
        if question is None or self._app.state.asked_names.may_be_another(question.symbols[0]):
            if problems.is_json(scope) and (oddity := oddity_of(message.get("body", b""))):
                await problems.respond(kinds.INVALID, oddity, scope)(scope, receive, send)
                return

            async def again() -> "Message":
                return message

            await self._framework(scope, again, send)
            return
        scope["route"] = self._described
        batcher: Batcher = self._app.state.batcher
        try:
            answers = await batcher.ask(question)
        except QuantlakeError as error:
            await problems.respond_to(Request(scope), error)(scope, receive, send)
            return
        scope["state"]["answers"] = answers
        body = answers.texts[0].encode()
        headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})


def beside(text: str, explanation: "ForecastExplanation | None", reason: str) -> str:
    """Return the text of an answer with its explanation, or why it has none; the answer that is logged has neither."""
    if explanation is None:
        return f'{text[:-1]},"no_explanation_because":{json.dumps(reason)}}}'
    return f'{text[:-1]},"explanation":{explanation.model_dump_json()}}}'


def _well_formed(scope: "Scope", message: "Message", state: "State") -> Question | None:
    """What is asked, or None if the request is not just as the documentation describes it."""
    content = message.get("body", b"")
    # Two members are the two that are needed; where there may be more, one of them may be there twice.
    if content.count(b":") != MEMBERS or (b"content-type", b"application/json") not in scope["headers"]:
        return None
    try:
        body = api.PredictRequest.model_validate_json(content)
    except ValidationError:
        return None
    return _question(scope, [body.symbol], body, state)


def _question(scope: "Scope", symbols: "Sequence[str]", body: api.HorizonRequest, served: "State") -> Question:
    """What is asked, with who asks: the key that the request was let in with, and the request's own id."""
    state = scope.get("state", {})
    caller: Caller | None = state.get("caller")
    horizon = bars_ahead(served.predictor.market, body.horizon_sessions, body.horizon_minutes)
    return Question(
        symbols,
        horizon,
        key_id="" if caller is None else caller.key_id,
        correlation_id=state.get("correlation_id", ""),
        follow=state.get("follow"),
    )


async def asked_names_of(request: Request, names: "Sequence[str]") -> "list[AskedSymbol]":
    """Return the symbol of each name; the online store is asked, in a thread, only for a name that another may have."""
    known: AskedNames = request.app.state.asked_names
    if any(known.may_be_another(name) for name in names):
        return await to_thread.run_sync(known.find, names)
    return known.find(names)


async def _forecast(request: Request, question: Question) -> Answers:
    """Small questions are computed with others that wait; a large one on its own, while they go on.

    Raises
    ------
    OverloadedError
        If it would wait for too many others.
    """
    state = request.app.state
    batcher: Batcher = state.batcher
    if len(question.symbols) <= LARGE_ROWS:
        answers = await batcher.ask(question)
    else:
        answers = await _forecast_large(state, question)
    request.state.answers = answers
    return answers


async def _forecast_large(state: "State", question: Question) -> Answers:
    most = state.large_questions.total_tokens + LARGE_WAITING
    if state.large_under_way >= most:
        raise OverloadedError(
            f"{state.large_under_way} questions for more than {LARGE_ROWS} symbols are under way; at most {most:g} may "
            f"be. Ask again a little later, or for at most {LARGE_ROWS} symbols at a time."
        )
    state.large_under_way += 1
    try:
        return await to_thread.run_sync(state.predictor.answer, question, limiter=state.large_questions)
    finally:
        state.large_under_way -= 1
