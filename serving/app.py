"""The application over a `Predictor`: its routes, and what every request passes through on the way to them."""

from typing import TYPE_CHECKING

from anyio import CapacityLimiter
from fastapi import FastAPI
from fastapi_offline import FastAPIOffline

from serving import middleware, problems
from serving.batching import Batcher
from serving.latest import LatestForecasts
from serving.routes import forecasts, lookups, status, streams
from serving.routes import problems as problem_pages
from serving.streaming import Hub

if TYPE_CHECKING:
    from serving.predictor import Predictor

LARGE_QUESTIONS = 2
"""Large batches computed at a time, beside the small questions."""
ROUTES = (forecasts, lookups, status, streams, problem_pages)


def build_app(predictor: "Predictor | None" = None) -> FastAPI:
    """Return the application; without a predictor, whoever serves it calls `put_in_service` before it starts."""
    app = FastAPIOffline(
        title="quantlake",
        description="Forecasts of daily returns, each with the data and the models that made it.",
        version="1",
        responses=problems.RESPONSES,
    )
    app.state.large_questions = CapacityLimiter(LARGE_QUESTIONS)
    app.add_middleware(middleware.LimitBody)
    app.add_middleware(middleware.Measure)
    problems.install(app)
    for topic in ROUTES:
        topic.add_routes(app)
    if predictor is not None:
        put_in_service(app, predictor)
    return app


def put_in_service(app: FastAPI, predictor: "Predictor", batcher: Batcher | None = None) -> None:
    """Let an application answer by a predictor."""
    app.state.predictor = predictor
    app.state.batcher = batcher or Batcher(predictor)
    app.state.hub = Hub(predictor.logged.configured)
    app.state.latest = LatestForecasts(predictor.logged.configured, predictor.logged)
