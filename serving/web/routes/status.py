"""Status routes: models in service, symbols, health, readiness, metrics."""

import asyncio
import math
import time
from typing import TYPE_CHECKING

from anyio import to_thread
from fastapi import FastAPI, Request, Response
from prometheus_client import CONTENT_TYPE_LATEST

from lake.market import PACKAGED
from lake.universe import INSTRUMENTS
from serving import api
from serving.deployment import read_refusals
from serving.monitoring.metrics import exposition
from serving.web.routes.forecasts import PREFIX

if TYPE_CHECKING:
    from serving.deployment import ModelRefusal
    from serving.predict import Predictor

READINESS_SECONDS = 0.25
"""Lifetime of a cached readiness result."""


def add_routes(app: FastAPI) -> None:
    """Add them to an application."""
    readiness = _Readiness()

    @app.get(f"{PREFIX}/models/status", tags=["status"])
    def models_status(request: Request) -> api.StatusAnswer:
        """Return the models in service, where they compute, and why the newest promotion is not among them if so."""
        return status_of(request.app.state.predictor)

    @app.get(f"{PREFIX}/symbols", tags=["status"])
    def symbols(request: Request) -> api.SymbolsAnswer:
        """List every symbol that can be asked for."""
        predictor: Predictor = request.app.state.predictor
        market = predictor.logged.configured.declared_market
        is_packaged = market.name in PACKAGED
        names = {instrument.symbol: instrument.name for instrument in INSTRUMENTS} if is_packaged else {}
        return api.SymbolsAnswer(
            symbols=[
                api.Instrument(
                    symbol=symbol,
                    name=names.get(symbol),
                    has_model_input=ready,
                    other_names=[span.name for span in market.names.former_names(symbol)],
                )
                for symbol, ready in predictor.symbols().items()
            ]
        )

    @app.get("/healthz", tags=["status"])
    async def healthz() -> api.Health:
        """Say that the process answers."""
        return api.Health(status="alive")

    @app.get("/readyz", tags=["status"])
    async def readyz(request: Request) -> api.Health:
        """Say whether a forecast could be made now: models loaded, features there, engines that answer."""
        await readiness.require(request.app.state.predictor)
        return api.Health(status="ready")

    @app.get("/metrics", tags=["status"], response_class=Response)
    def metrics(request: Request) -> Response:
        """Return counters and timings of all workers in Prometheus' text form."""
        configured = request.app.state.predictor.logged.configured
        return Response(exposition(configured), media_type=CONTENT_TYPE_LATEST)


class _Readiness:
    """Readiness check by a trial forecast, shared by concurrent requests.

    The route is open, so a request must not cost a forecast each.
    """

    def __init__(self) -> None:
        self._found: asyncio.Task[None] | None = None
        self._until = -math.inf

    async def require(self, predictor: "Predictor") -> None:
        """Raise what would stop a forecast, see `Predictor.require_ready`; at most a quarter of a second old."""
        if self._found is None or (self._found.done() and time.monotonic() >= self._until):
            self._found = asyncio.create_task(to_thread.run_sync(predictor.require_ready))
            self._found.add_done_callback(self._note)
        await asyncio.shield(self._found)

    def _note(self, found: "asyncio.Task[None]") -> None:
        """Start the lifetime of the result; retrieves an exception that no request awaited."""
        self._until = time.monotonic() + READINESS_SECONDS
        if not found.cancelled():
            found.exception()


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
                looks_ahead=[str(predictor.market.horizon_of(bars)) for bars in bundle.signature.horizons],
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
        challengers=[api.ChallengerStatus(**challenger.trial.model_dump()) for challenger in models.challengers],
        refused=[api.RefusalStatus(**refusal.model_dump()) for refusal in _refusals(predictor)],
    )


def _refusals(predictor: "Predictor") -> "list[ModelRefusal]":
    """What this worker refused, then what the process that follows the registry did."""
    return [*predictor.champions.refusals, *read_refusals(predictor.champions.configured)]
