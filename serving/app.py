"""Routes of the forecast endpoint over a `Predictor`; nothing is decided here."""

import asyncio
from typing import TYPE_CHECKING, Any

from anyio import CapacityLimiter, to_thread
from fastapi import FastAPI, Request, Response
from fastapi_offline import FastAPIOffline
from prometheus_client import CONTENT_TYPE_LATEST, REGISTRY, CollectorRegistry, generate_latest, values
from prometheus_client.multiprocess import MultiProcessCollector

from lake.errors import UnknownNameError
from lake.universe import INSTRUMENTS
from serving import api, middleware, problems

if TYPE_CHECKING:
    from serving.predictor import Answers, Predictor

PREFIX = "/api/v1/public"
JSON = "application/json"
COMPUTE_THREADS = 8
"""Forecasts computed at a time; while one waits for Redis or computes in the engine, another holds the interpreter."""
LOG_SECONDS = 10.0


def build_app(predictor: "Predictor | None" = None) -> FastAPI:
    """Return the application; without a predictor, whoever serves it sets ``app.state.predictor`` before it starts."""
    app = FastAPIOffline(
        title="quantlake",
        description="Forecasts of daily returns, each with the data and the models that made it.",
        version="1",
        responses=problems.RESPONSES,
    )
    app.state.predictor = predictor
    app.state.compute_threads = CapacityLimiter(COMPUTE_THREADS)
    app.add_middleware(middleware.LimitBody)
    app.add_middleware(middleware.Measure)
    problems.install(app)
    _add_forecasts(app)
    _add_status(app)
    return app


def _add_forecasts(app: FastAPI) -> None:
    @app.post(f"{PREFIX}/predict", response_model=api.PredictAnswer, tags=["forecasts"])
    async def predict(body: api.PredictRequest, request: Request) -> Response:
        """Forecast one symbol. The answer is in the forecast log before it is sent."""
        answers = await _forecast(request, [body.symbol], body.horizon_sessions)
        return Response(answers.answers[0], media_type=JSON)

    @app.post(f"{PREFIX}/predict/batch", response_model=api.BatchAnswer, tags=["forecasts"])
    async def predict_batch(body: api.BatchRequest, request: Request) -> Response:
        """Forecast up to 5,000 symbols with one online read and one engine call per model."""
        answers = await _forecast(request, body.symbols, body.horizon_sessions)
        unavailable = ",".join(api.Unavailable(symbol=s, reason=r).model_dump_json() for s, r in answers.unavailable)
        text = f'{{"predictions":[{",".join(answers.answers)}],"unavailable":[{unavailable}]}}'
        return Response(text, media_type=JSON)

    @app.get(f"{PREFIX}/predictions/{{prediction_id}}", response_model=api.PredictAnswer, tags=["forecasts"])
    def look_up(prediction_id: str, request: Request) -> Response:
        """Return an earlier answer, byte for byte as it was sent."""
        found = _predictor(request).log.get(prediction_id)
        if found is None:
            raise UnknownNameError("prediction", prediction_id[:64], [])
        return Response(found, media_type=JSON)


def _add_status(app: FastAPI) -> None:
    @app.get(f"{PREFIX}/models/status", tags=["status"])
    def models_status(request: Request) -> api.StatusAnswer:
        """Return the models in service, where they compute, and why the newest promotion is not among them if so."""
        return status_of(_predictor(request))

    @app.get(f"{PREFIX}/symbols", tags=["status"])
    def symbols(request: Request) -> api.SymbolsAnswer:
        """List every symbol that can be asked for."""
        names = {instrument.symbol: instrument.name for instrument in INSTRUMENTS}
        found = _predictor(request).symbols().items()
        return api.SymbolsAnswer(
            symbols=[api.Instrument(symbol=s, name=names.get(s), has_model_input=ready) for s, ready in found]
        )

    @app.get("/healthz", tags=["status"])
    async def healthz() -> api.Health:
        """Say that the process answers."""
        return api.Health(status="alive")

    @app.get("/readyz", tags=["status"])
    def readyz(request: Request) -> api.Health:
        """Say whether a forecast could be made now: models loaded, online store reachable, features there."""
        _predictor(request).require_ready()
        return api.Health(status="ready")

    @app.get("/metrics", tags=["status"], response_class=Response)
    def metrics() -> Response:
        """Return counters and timings of all workers in Prometheus' text form."""
        return Response(generate_latest(_registry()), media_type=CONTENT_TYPE_LATEST)


def status_of(predictor: "Predictor") -> api.StatusAnswer:
    """Describe the models in service."""
    models = predictor.champions.current()
    return api.StatusAnswer(
        market_now=predictor.clock.now(),
        models=[
            api.ModelStatus(
                name=name,
                version=bundle.version,
                digest=bundle.digest,
                signature=bundle.signature.fingerprint,
                horizons=list(bundle.signature.horizons),
                quantiles=list(bundle.signature.quantiles),
                features=list(bundle.signature.features),
                sessions=bundle.signature.sessions,
                table_versions=bundle.signature.table_versions,
                train_until=bundle.signature.train_until,
                parity_windows=bundle.parity.windows,
                parity_max_absolute_difference=bundle.parity.max_absolute_difference,
                device=models.engines[name].device,
            )
            for name, bundle in models.bundles.items()
        ],
        problem=predictor.champions.problem,
    )


async def _forecast(request: Request, symbols: list[str], horizon: int) -> "Answers":
    """Compute in one of a few threads, then wait for the disk in none, so that many answers share one flush."""
    answers = await to_thread.run_sync(
        _predictor(request).compute, symbols, horizon, limiter=request.app.state.compute_threads
    )
    await asyncio.wait_for(asyncio.wrap_future(answers.logged), LOG_SECONDS)
    return answers


def _predictor(request: Request) -> "Predictor":
    predictor: Predictor = request.app.state.predictor
    return predictor


def _registry() -> Any:
    """Metrics of this process, or of all workers when they were started with a folder to share them in."""
    if values.ValueClass is values.MutexValue:
        return REGISTRY
    registry = CollectorRegistry()
    MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    return registry
