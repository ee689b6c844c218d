"""Operator routes: reload, try, roll back and time models."""

import time
from typing import TYPE_CHECKING, Any

import numpy as np
from fastapi import FastAPI, Request

from feature_repo.targets import to_model_input
from lake.errors import NotReadyError
from serving import api
from serving.deployment import DeploymentContext, Move, put_on_trial, roll_back
from serving.web.routes.status import status_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from serving.deployment import LoadedModels, Mode
    from serving.engines import Engine
    from serving.predict import Predictor

PREFIX = "/api/v1/internal/models"
LEAST_CALLS = 3


def add_routes(app: FastAPI) -> None:
    """Add them to an application."""

    @app.post(f"{PREFIX}/reload", tags=["operators"])
    def reload(request: Request) -> api.StatusAnswer:
        """Look at the deployment now, and try again what was refused."""
        predictor: Predictor = request.app.state.predictor
        predictor.champions.look()
        return status_of(predictor)

    @app.post(f"{PREFIX}/benchmark", tags=["operators"])
    def benchmark(body: api.BenchmarkRequest, request: Request) -> api.BenchmarkAnswer:
        """Time every loaded engine on real windows, for a bounded time."""
        return time_engines(request.app.state.predictor, body.seconds, body.windows)

    @app.post(f"{PREFIX}/shadow", tags=["operators"])
    def shadow(body: api.TrialRequest, request: Request) -> api.MoveAnswer:
        """Let a version forecast a share of the symbols beside the champion; what it says is logged, never answered."""
        return _on_trial(request, body, "shadow")

    @app.post(f"{PREFIX}/canary", tags=["operators"])
    def canary(body: api.TrialRequest, request: Request) -> api.MoveAnswer:
        """Let a version answer for a share of the symbols; what the champion says there is logged."""
        return _on_trial(request, body, "canary")

    @app.post(f"{PREFIX}/rollback", tags=["operators"])
    def rollback(body: api.RollbackRequest, request: Request) -> api.MoveAnswer:
        """End the trial of a model if one runs, else put the champion before in service again."""
        return _moved(request, roll_back(_context(request), body.model))


def time_engines(predictor: "Predictor", seconds: float, windows: int) -> api.BenchmarkAnswer:
    """Time every engine in service or on trial, each for its part of the time, on the newest windows."""
    models = predictor.champions.current()
    symbols = predictor.online.symbols()[:windows]
    if not symbols:
        raise NotReadyError(
            "The online store holds no window to time engines on. Materialise the asset 'online_store'."
        )
    x = to_model_input(np.resize(predictor.online.read(symbols).window, (windows, *_shape(models))))
    engines = list(_engines(models))
    return api.BenchmarkAnswer(engines=[_time(role, engine, x, seconds / len(engines)) for role, engine in engines])


def _time(role: Any, engine: "Engine", x: "NDArray[np.float32]", seconds: float) -> api.EngineTiming:
    taken: list[float] = []
    end = time.perf_counter() + seconds
    while time.perf_counter() < end or len(taken) < LEAST_CALLS:
        started = time.perf_counter()
        engine.predict(x)
        taken.append(time.perf_counter() - started)
    median, p95 = (float(value) for value in np.quantile(taken, [0.5, 0.95]))
    return api.EngineTiming(
        model=engine.signature.name,
        version=engine.version,
        digest=engine.digest,
        role=role,
        device=engine.device,
        windows=len(x),
        calls=len(taken),
        median_ms=median * 1e3,
        p95_ms=p95 * 1e3,
        windows_per_second=len(x) / median,
    )


def _engines(models: "LoadedModels") -> "Iterator[tuple[str, Engine]]":
    yield from (("champion", engine) for engine in models.engines.values())
    yield from ((challenger.trial.mode, challenger.loaded.engine) for challenger in models.challengers)


def _shape(models: "LoadedModels") -> tuple[int, int]:
    signature = next(iter(models.bundles.values())).signature
    return signature.sessions, len(signature.features)


def _on_trial(request: Request, body: api.TrialRequest, mode: "Mode") -> api.MoveAnswer:
    return _moved(request, put_on_trial(_context(request), body.model, body.version, mode, body.share))


def _context(request: Request) -> DeploymentContext:
    """Where moves of this request are written down; whoever asks is named as the audit trail names keys."""
    from lake.store import Lake

    predictor: Predictor = request.app.state.predictor
    configured = predictor.champions.configured
    caller = getattr(request.state, "caller", None)
    return DeploymentContext(
        lake=Lake.open(configured),
        configured=configured,
        clock=predictor.clock,
        who=getattr(caller, "who", "operator"),
    )


def _moved(request: Request, move: Move) -> api.MoveAnswer:
    """Answer once this worker has taken the move up; the others look twice a second."""
    request.app.state.predictor.champions.look()
    return api.MoveAnswer(
        what=move.what,
        model=move.model,
        alias=move.alias,
        version=move.version,
        digest=move.digest,
        previous=move.previous,
    )
