"""For tests of written explanations: made-up inputs and passages, and a language model that says what it is told to."""

import json
import random
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from lake.tables import INTERNAL_NOTES
from serving.api import outlook_of
from serving.explain.narrative.deep import CLOSE_CHANGES, BarScenario, DeepFindings, LineFidelity
from serving.explain.narrative.documents import Document
from serving.explain.narrative.drivers import Driver, Drivers
from serving.explain.narrative.facts import BandCount, NarrativeInputs
from serving.explain.narrative.retrieve import Passage
from serving.explain.result import Stability
from serving.explain.similar import SimilarWindow
from serving.forecasts import direction_of

CLOSE = datetime(2012, 12, 31, 21, tzinfo=UTC)
SYMBOLS = ("AAPL", "BRK.B", "BTC-USD", "7203.T", "^GSPC", "ES=F", "A", "ALL")
FEATURES = ("return_1d", "return_5d", "volatility_20d", "rsi_14", "macd_relative", "atr_relative", "market_beta")
REGIMES = ("low_volatility_uptrend", "high_volatility_downtrend", "low_volatility_downtrend")
STRATEGIES = ("equal_weight", "buy_and_hold", "lstm", "naive")


def made_inputs(seed: int) -> NarrativeInputs:
    """Return inputs as a receipt may give them, with parts left out now and then."""
    rng = random.Random(seed)
    p50 = rng.choice((0.0, rng.gauss(0, 0.02), rng.gauss(0, 0.0002)))
    close = CLOSE - timedelta(days=rng.randrange(4_000))
    sure = rng.choice((None, rng.uniform(0.5, 1)))
    price = rng.choice((None, rng.uniform(0.2, 200_000)))
    models = rng.sample(("naive", "ridge", "lightgbm", "lstm", "tft"), rng.randint(1, 4))
    return NarrativeInputs(
        symbol=rng.choice(SYMBOLS),
        as_of=close,
        known_time=close,
        horizon=rng.choice((1, 5, 60)),
        horizon_unit=rng.choice(("session", "sessions", "minutes")),
        p10=p50 - abs(rng.gauss(0, 0.05)),
        p50=p50,
        p90=p50 + abs(rng.gauss(0, 0.05)),
        coverage_target=0.8,
        confidence=sure,
        outlook=None if sure is None else outlook_of(direction_of(p50), sure),
        reference_price=price,
        target_price=None if price is None else price * (1 + p50),
        currency=rng.choice((None, "USD", "JPY")),
        target_session=rng.choice((None, (close + timedelta(days=7)).date())),
        regime=rng.choice(REGIMES),
        strategy=rng.choice((None, *STRATEGIES)),
        strategy_confidence=rng.choice((None, rng.uniform(0.4, 1))),
        models=tuple((name, 1 / len(models)) for name in models),
        calibrated_on=rng.choice((None, rng.randrange(2_000))),
        answered=_record(rng),
        replayed=_record(rng),
        age=rng.randrange(3),
        age_unit="sessions",
        is_degraded=rng.random() < 0.3,
        is_intact=rng.choice((None, True, False)),
        drivers=rng.choice((None, _drivers(rng))),
        deep=rng.choice((None, _deep(rng, close))),
        has_daily_bars=rng.random() < 0.8,
    )


def _record(rng: random.Random) -> BandCount:
    share = rng.random()
    enough = BandCount(rng.randrange(30, 5_000), share, share * 0.9, min(1.0, share * 1.1))
    return rng.choice((BandCount(0), BandCount(12), enough, enough._replace(low=None, high=None)))


def _drivers(rng: random.Random) -> Drivers:
    features = rng.sample(FEATURES, rng.randint(1, len(FEATURES)))
    made = [Driver(name, rng.choice((0.0, rng.gauss(0, 0.003))), abs(rng.gauss(0, 0.0003))) for name in features]
    return Drivers(rng.gauss(0, 0.002), tuple(made))


def _deep(rng: random.Random, close: datetime) -> DeepFindings:
    """Return what a deep explanation may find, each part left out now and then."""
    windows = tuple(
        SimilarWindow(close - timedelta(days=rng.randrange(10, 3_000)), rng.uniform(0, 60), rng.gauss(0, 0.03))
        for _ in range(rng.randrange(6))
    )
    scenarios = []
    for change in CLOSE_CHANGES.values():
        if rng.random() < 0.8:
            low, middle, high = sorted(rng.gauss(0, 0.03) for _ in range(3))
            scenarios.append(BarScenario(change, low, middle, high, rng.randrange(30), rng.randrange(9)))
    return DeepFindings(
        drivers=rng.choice((None, _drivers(rng))),
        stability=rng.choice((None, Stability(8, rng.uniform(-1, 1), rng.uniform(-1, 1)))),
        line=rng.choice((None, LineFidelity(rng.uniform(-0.2, 1), 0.8))),
        similar=windows,
        scenarios=tuple(scenarios),
    )


def document(name: str, text: str, **changes: Any) -> Document:
    """Return a document of the market that was known at `CLOSE`."""
    said = {"source": INTERNAL_NOTES, "symbol": None, "title": f"Note {name}", "section": "note", "licence": "ours"}
    times = {"published_at": CLOSE, "known_time": CLOSE}
    return Document(**({"doc_id": name, "text": text} | said | times | changes))


def passage(place: int, text: str, *, source: str = INTERNAL_NOTES) -> Passage:
    """Return a passage as retrieval gives it."""
    return Passage(f"S{place}", f"note#{place}", f"Note {place}", text, source, CLOSE, CLOSE, 1.0)


Answer = str | bytes | list[dict[str, Any]]


@dataclass
class LanguageModel:
    """A server that speaks the OpenAI-compatible interface and Ollama's, and answers as scripted.

    Parameters
    ----------
    answer
        Gets the prompt's facts and passages, returns sentences, or a text in the place of the content.
    """

    answer: Callable[[dict[str, Any]], Answer]
    port: int = 0
    status: int = 200
    asked: list[dict[str, Any]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    is_held: threading.Event = field(default_factory=threading.Event)
    """Answers wait until it is set."""

    def __post_init__(self) -> None:
        self.is_held.set()

    @property
    def openai(self) -> str:
        """Address of the OpenAI-compatible interface."""
        return f"http://127.0.0.1:{self.port}/v1"

    @property
    def ollama(self) -> str:
        """Address of Ollama's interface."""
        return f"http://127.0.0.1:{self.port}/api"

    def body(self, path: str, question: dict[str, Any]) -> bytes:
        """Return the answer to a question under a path."""
        self.asked.append(question)
        said = self.answer(json.loads(question["messages"][1]["content"]))
        if isinstance(said, bytes):
            return said
        message = {"content": said if isinstance(said, str) else json.dumps({"sentences": said})}
        answers = {"/v1/chat/completions": {"choices": [{"message": message}]}, "/api/chat": {"message": message}}
        return json.dumps(answers[path]).encode()


@contextmanager
def language_model(answer: Callable[[dict[str, Any]], Answer]) -> Iterator[LanguageModel]:
    """Run a language model on a port of this machine while a block lasts."""
    model = LanguageModel(answer)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            question = json.loads(self.rfile.read(int(self.headers["content-length"])))
            model.headers.append({name.lower(): value for name, value in self.headers.items()})
            body = model.body(self.path, question)
            model.is_held.wait()
            self.send_response(model.status)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Write nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    model.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield model
    finally:
        model.is_held.set()
        server.shutdown()
        thread.join()
        server.server_close()
