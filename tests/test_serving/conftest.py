"""A real home for the serving tests: the packaged market, real windows, exported networks, a running Redis."""

import hashlib
import json
import shutil
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import polars as pl
import pytest
import uvicorn
from fastapi import FastAPI

from feature_repo.catalog import FEATURES_TECHNICAL
from feature_repo.online import OnlineReader
from feature_repo.online.redis_server import running_redis
from feature_repo.retrieval import materialize
from feature_repo.targets import FORECAST_V2, build_windows, to_model_input
from lake.clock import DEMO_START
from lake.settings import Settings
from lake.store import Lake
from lake.tables import BLEND_WEIGHTS, MODEL_WINDOWS, REGIMES, STRATEGY_ASSIGNMENTS
from lake.universe import SYMBOLS
from serving.client import Client
from serving.deployment import Champions, LoadedModels, deployment_or_none
from serving.deployment.placing import place
from serving.deployment.record import Release, write_deployment
from serving.deployment.registry import register_and_promote
from serving.engines import (
    BACKGROUND_FILE,
    MODEL_FILE,
    PARITY_FILE,
    SIGNATURE_FILE,
    Background,
    Bundle,
    choose_background,
)
from serving.engines.export import export_model
from serving.forecast_log import ForecastLog, LogReader, drain
from serving.forecasts import Row
from serving.predict import Predictor, split_ready
from serving.predict.predictor import OnlineValues
from serving.web.app import build_app
from support.blend import weights_row
from support.dashboard import live_through
from support.ports import free_port
from support.receipts import Home
from support.services import copied_home
from support.waiting import until
from training.data import fit_scaler
from training.models import InputSpec, OutputSpec, build_network

TRAIN_UNTIL = datetime(2011, 12, 30, 21, tzinfo=UTC)
NOBODY = "redis://127.0.0.1:1025/0"
"""An address that no Redis listens on."""
WEIGHTS = {"naive": 0.1, "buy_and_hold": 0.2, "ridge": 0.3, "lstm": 0.4}
MODEL_WEIGHTS = {1: {"lstm": 0.5, "naive": 0.2, "ridge": 0.3}, 5: {"lstm": 0.1, "naive": 0.3, "ridge": 0.6}}


@contextmanager
def serve(app: FastAPI) -> Iterator[str]:
    """Serve an application over HTTP on a port of its own, in a thread; gives its address."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        server = uvicorn.Server(uvicorn.Config(app, log_level="error", ws_ping_interval=None))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
        thread.start()
        until(lambda: server.started, "the server did not start")
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        server.should_exit = True
        thread.join()


@pytest.fixture(scope="session")
def served() -> Callable[[FastAPI], AbstractContextManager[str]]:
    """Serve an application while a block lasts."""
    return serve


@pytest.fixture(scope="session")
def inputs(featured_lake: Lake) -> np.ndarray:
    """1,200 real model inputs, evenly drawn from the whole panel."""
    features = featured_lake.read_as_of(FEATURES_TECHNICAL, DEMO_START)
    values = build_windows(features, FORECAST_V2).values
    return to_model_input(values[np.linspace(0, len(values) - 1, 1_200).astype(int)])


@pytest.fixture(scope="session")
def networks(inputs: np.ndarray) -> dict:
    """Real networks with a real scaler; their weights are drawn, not trained: no test here is about skill."""
    spec = InputSpec(FORECAST_V2.features, FORECAST_V2.sessions)
    scaler = fit_scaler(inputs)
    built = {
        "naive": build_network("naive", spec, OutputSpec(), scaler),
        "ridge": build_network("ridge", spec, OutputSpec(), scaler),
        "lstm": build_network("lstm", spec, OutputSpec(), scaler, hidden=8),
    }
    random = np.random.default_rng(1)
    ridge = built["ridge"]
    ridge.weight.copy_(ridge.weight.new_tensor(random.normal(0, 0.02, ridge.weight.shape)))
    ridge.residuals.copy_(ridge.residuals.new_tensor([[-1.2, 0.0, 1.3], [-1.1, 0.0, 1.2]]))
    return {name: network.eval() for name, network in built.items()}  # an export is the work of one worker alone


@pytest.fixture(scope="session")
def background(featured_lake: Lake) -> Background:
    """Typical windows of the whole panel by the market's regimes."""
    windows = build_windows(featured_lake.read_as_of(FEATURES_TECHNICAL, DEMO_START), FORECAST_V2)
    regimes = featured_lake.read_as_of(REGIMES, DEMO_START).select("event_time", "regime")
    return choose_background(to_model_input(windows.values), windows.keys, regimes, FORECAST_V2.features)


@pytest.fixture(scope="session")
def exports(made_once, featured_lake: Lake, request, tmp_path_factory) -> dict[str, Bundle]:
    """Their bundles, with proofs that this machine computes the same from them."""

    def make(folder: Path) -> None:
        networks, inputs = request.getfixturevalue("networks"), request.getfixturevalue("inputs")
        made = {"train_until": TRAIN_UNTIL, "background": request.getfixturevalue("background")}
        versions = {FEATURES_TECHNICAL.name: featured_lake.version(FEATURES_TECHNICAL)}
        for name, network in networks.items():
            export_model(network, name, FORECAST_V2, versions, inputs, folder / name, **made)

    root = shutil.copytree(made_once("exports", make), tmp_path_factory.mktemp("exports") / "bundles")
    return {name: Bundle.load(root / name) for name in ("naive", "ridge", "lstm")}


@pytest.fixture(scope="session")
def transformer(made_once, inputs: np.ndarray, background: Background) -> Bundle:
    """A small transformer, exported with its graph; its weights are drawn, not trained."""

    def make(folder: Path) -> None:
        spec = InputSpec(FORECAST_V2.features, FORECAST_V2.sessions)
        network = build_network("tft", spec, OutputSpec(), fit_scaler(inputs), hidden=8).eval()
        export_model(network, "tft", FORECAST_V2, {}, inputs, folder, train_until=TRAIN_UNTIL, background=background)

    return Bundle.load(made_once("transformer", make))


@pytest.fixture(scope="session")
def home(made_once, featured_lake: Lake, exports: dict[str, Bundle], tmp_path_factory) -> Iterator[Home]:
    """The real market up to the end of 2012, models in service, strategies, and a Redis that holds today's values."""

    def make(folder: Path) -> None:
        shutil.copytree(featured_lake.root, (made := Home.at(Settings(home=folder))).settings.tables)
        for bundle in exports.values():
            register_and_promote(bundle, made.lake, made.settings, clock=made.clock)
        made.lake.merge(STRATEGY_ASSIGNMENTS, assignments(made, WEIGHTS))
        made.lake.merge(BLEND_WEIGHTS, weights_row(made.clock.now(), MODEL_WEIGHTS))

    folder = shutil.copytree(made_once("home", make), tmp_path_factory.mktemp("shared") / "home")
    settings = Settings(home=folder, port=free_port(), redis_url=None, online_timeout_ms=8_000)
    mine = Home.at(settings)
    with running_redis(settings):
        materialize(mine.lake, settings, mine.clock.now())
        yield mine


@pytest.fixture(scope="session")
def copy_home(home: Home) -> Callable[..., Home]:
    """Copy the home, for a service of its own or to be spoilt: ``copy_home(folder, **settings)``."""
    return lambda folder, **changes: Home.at(copied_home(home.settings, folder, **changes))


@pytest.fixture(scope="session")
def predicting(home: Home) -> Callable[..., AbstractContextManager[Predictor]]:
    """Open a predictor of the home while a block lasts, with the forecast log of other settings."""

    @contextmanager
    def opened(
        own: Settings, online: OnlineValues | None = None, champions: Champions | None = None
    ) -> Iterator[Predictor]:
        online, champions = online or OnlineReader(home.settings), champions or Champions(home.settings)
        made = Predictor(online, champions, ForecastLog.open(own), LogReader(own), home.clock)
        yield made
        made.close()

    return opened


@pytest.fixture
def log(settings: Settings) -> Iterator[ForecastLog]:
    """The forecast log of an empty home, to write to."""
    opened = ForecastLog.open(settings)
    yield opened
    opened.close()


@pytest.fixture
def logged(settings: Settings) -> LogReader:
    """The forecast log of an empty home, to read from."""
    return LogReader(settings)


@pytest.fixture(scope="module")
def aside(home: Home, tmp_path_factory) -> Settings:
    """The home's settings with a folder of its own for log and keys, and no Redis: newest forecasts are in the log."""
    return home.settings.model_copy(update={"home": tmp_path_factory.mktemp("aside"), "redis_url": NOBODY})


@pytest.fixture(scope="module")
def predictor_aside(predicting, aside: Settings) -> Iterator[Predictor]:
    with predicting(aside) as made:
        yield made


@pytest.fixture(scope="module")
def champions(home: Home) -> LoadedModels:
    """The models in service."""
    return Champions(home.settings).current()


@pytest.fixture(scope="module")
def rows(home: Home) -> list[Row]:
    """What each symbol's forecast is made from now."""
    reader = OnlineReader(home.settings)
    found, _ = split_ready(reader.read(SYMBOLS))
    reader.close()
    return found


@pytest.fixture(scope="session")
def weights() -> dict[str, float]:
    """Weight of each strategy in force."""
    return WEIGHTS


@pytest.fixture(scope="session")
def model_weights() -> dict[int, dict[str, float]]:
    """Weight of each model in force, by horizon."""
    return MODEL_WEIGHTS


def assignments(home: Home, weights: dict[str, float]) -> pl.DataFrame:
    now = home.clock.now()
    windows = home.lake.read_as_of(MODEL_WINDOWS, now)
    regime = home.lake.read_as_of(REGIMES, now).sort("event_time")["regime"][-1]
    return windows.select(
        "symbol",
        "event_time",
        "known_time",
        pl.lit(regime).alias("regime"),
        pl.lit("lstm").alias("selected_strategy"),
        pl.Series("strategies", [list(weights)] * windows.height, dtype=pl.List(pl.String)),
        pl.Series("weights", [list(weights.values())] * windows.height, dtype=pl.List(pl.Float64)),
        pl.lit(0.55).alias("confidence"),
    ).select(STRATEGY_ASSIGNMENTS.names)


@pytest.fixture(scope="session")
def variant(exports: dict[str, Bundle], tmp_path_factory) -> Callable[..., Bundle]:
    """Make further versions of a model: the real graph with other weights, signed and proved as what it is."""
    root: Path = tmp_path_factory.mktemp("variants")
    weights = {"ridge": "weight", "lstm": "head.linear.weight"}

    @cache
    def make(name: str, number: int) -> Bundle:
        graph = onnx.load_model_from_string(exports[name].content)
        (tensor,) = [one for one in graph.graph.initializer if one.name == weights[name]]
        tensor.CopyFrom(
            onnx.numpy_helper.from_array(onnx.numpy_helper.to_array(tensor) * (1 + number / 8), tensor.name)
        )
        return Bundle.load(sign(exports[name].folder, root / f"{name}-{number}", graph.SerializeToString()))

    return make


@pytest.fixture(scope="session")
def sign_anew() -> Callable[..., Path]:
    return sign


def sign(source: Path, folder: Path, content: bytes, **changes: Any) -> Path:
    """Lay out a bundle whose signature and proof belong to this content, whatever it is."""
    folder.mkdir(parents=True, exist_ok=True)
    digest = {"digest": hashlib.sha256(content).hexdigest()}
    (folder / MODEL_FILE).write_bytes(content)
    for name, said in ((SIGNATURE_FILE, digest | changes), (PARITY_FILE, digest)):
        before = json.loads((source / name).read_text())
        (folder / name).write_text(json.dumps(before | said))
    if (source / BACKGROUND_FILE).exists():
        shutil.copyfile(source / BACKGROUND_FILE, folder / BACKGROUND_FILE)
    return folder


@pytest.fixture(scope="session")
def put() -> Callable[..., Release]:
    """Place a bundle as a version of a home and put it in service, without a registry."""

    def put_in_service(settings: Settings, bundle: Bundle, version: str, *, is_champion: bool = True) -> Release:
        place(bundle, settings.models / bundle.name / version)
        release = Release(version=version, digest=bundle.digest)
        deployment = deployment_or_none(settings).knowing(bundle.name, release)
        write_deployment(settings, deployment.promoted(bundle.name, release) if is_champion else deployment)
        return release

    return put_in_service


@pytest.fixture(scope="session")
def watched_home(copy_home, predicting, tmp_path_factory) -> Iterator[Home]:
    """A home behind a listening endpoint, with two months of answered forecasts whose outcomes are known."""
    made: Home = copy_home(tmp_path_factory.mktemp("watched") / "home", dashboard_port=free_port())
    with predicting(made.settings) as predictor, serve(build_app(predictor)) as address:
        settings = made.settings.model_copy(update={"port": int(address.rpartition(":")[2])})
        live_through(made, Champions(settings).current().engines, sessions=45)
        with Client.local(settings) as client:
            client.predict_batch(sorted(SYMBOLS), 1)
        drain(made.lake, settings)
        yield Home.at(settings)
