"""A typed client of the forecast endpoint.

Examples
--------
::

    from serving.client import Client

    with Client("http://127.0.0.1:3000", key="ql_...") as client:
        answer = client.predict("AAPL", horizon_sessions=1)
        print(answer.prediction.p10, answer.prediction.p50, answer.prediction.p90)
        for update in client.stream(["AAPL", "IBM"]):
            said = update.prediction
            print(update.symbol, said.outlook, said.target_price, said.currency, said.price_basis, said.target_session)
"""

import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import httpx
from pydantic import BaseModel, TypeAdapter, ValidationError

from lake.errors import NotReadyError, OverloadedError, QuantlakeError
from serving import api
from serving.api import RefusedError, refusal
from serving.api.explanations import (
    CounterfactualAnswer,
    CounterfactualRequest,
    Depth,
    ExplainRequest,
    ExplanationAnswer,
    Grain,
    Method,
    Quantity,
)
from serving.api.importance import ImportanceAnswer
from serving.api.receipts import ReceiptAnswer

if TYPE_CHECKING:
    import ssl
    from types import TracebackType
    from typing import Self

    from lake.settings import Settings

PUBLIC = "/api/v1/public"
STREAM = "/ws/v1/predictions"
TIMEOUT_SECONDS = 30.0
ATTEMPTS = 4
MOST_WAIT_SECONDS = 10.0
"""Longest time spent waiting between the attempts of one call."""
RETRIED = frozenset({429, 503})
SLOW = 4008

Stored = api.PredictAnswer | api.StoredForecast
STORED: TypeAdapter[Stored] = TypeAdapter(Stored)
Typed = TypeVar("Typed", bound=BaseModel)
Read = TypeVar("Read")


class Client:
    """Client of one service. Thread-safe.

    Parameters
    ----------
    address
        Of the service, without a path.
    key
        API key or token; None to send none.
    timeout_seconds
        Longest wait for one answer.
    attempts
        How often a call is tried that is answered with 429 or 503; the service's ``Retry-After`` says when.
    trusted
        What the service's certificate is checked with; by default the authorities that this machine trusts.
    sleep
        Waits between attempts.
    """

    def __init__(
        self,
        address: str = "http://127.0.0.1:3000",
        key: str | None = None,
        *,
        timeout_seconds: float = TIMEOUT_SECONDS,
        attempts: int = ATTEMPTS,
        trusted: "ssl.SSLContext | None" = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._address = address.rstrip("/")
        self._headers = {} if key is None else {"authorization": f"Bearer {key}"}
        self._attempts, self._sleep = attempts, sleep
        # No proxy of the environment stands between a program and a service on its own machine.
        self._trusted = trusted
        self._http = httpx.Client(
            base_url=self._address,
            headers=self._headers,
            timeout=timeout_seconds,
            trust_env=not _is_local(address),
            verify=_authorities(self._address) if trusted is None else trusted,
        )

    @classmethod
    def local(cls, settings: "Settings", **options: Any) -> "Client":
        """Return a client of the service of these settings, with the key that the programs of its home use.

        Raises
        ------
        ConfigError
            If another user listens at the service's address: the key is not sent to them.
        """
        from serving.access import local_address, local_key, trusting
        from serving.processes.sockets import require_own

        require_own(address := local_address(settings))
        return cls(address, local_key(settings), trusted=trusting(settings), **options)

    def __enter__(self) -> "Self":
        """The client itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: "TracebackType | None"
    ) -> None:
        """Close its connections."""
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def predict(
        self, symbol: str, horizon_sessions: int | None = None, *, horizon_minutes: int | None = None
    ) -> api.PredictAnswer:
        """Forecast one symbol, one session ahead unless a horizon is named; a market of minutes is asked in minutes.

        Raises
        ------
        UnknownNameError
            If there is no such symbol; `nearest` holds the names closest to it.
        NotReadyError
            If it cannot be forecast yet, or no service answers.
        RefusedError
            For every other refusal, these two included; `problem` is the service's problem document.
        """
        body = {"symbol": symbol} | _horizon(horizon_sessions, horizon_minutes)
        return self._typed(api.PredictAnswer, "POST", "/predict", json=body)

    def predict_explained(
        self, symbol: str, horizon_sessions: int | None = None, *, horizon_minutes: int | None = None
    ) -> api.PredictAnswer:
        """Forecast one symbol as `predict` does, with the features that contribute most, or why they are not told."""
        body = {"symbol": symbol, "include_explanation": True} | _horizon(horizon_sessions, horizon_minutes)
        return self._typed(api.PredictAnswer, "POST", "/predict", json=body)

    def predict_batch(
        self, symbols: Sequence[str], horizon_sessions: int | None = None, *, horizon_minutes: int | None = None
    ) -> api.BatchAnswer:
        """Forecast up to 5,000 symbols; those that cannot be forecast yet are listed apart."""
        body = {"symbols": list(symbols)} | _horizon(horizon_sessions, horizon_minutes)
        return self._typed(api.BatchAnswer, "POST", "/predict/batch", json=body)

    def latest(self, symbol: str, horizon_sessions: int | None = None, *, horizon_minutes: int | None = None) -> Stored:
        """Return the newest stored forecast of a symbol; nothing is computed."""
        asked = _horizon(horizon_sessions, horizon_minutes)
        found = self._ask("GET", f"/predictions/latest/{_part(symbol)}", params=asked)
        return self._read(STORED, found)

    def prediction(self, prediction_id: str) -> Stored:
        """Return an earlier forecast."""
        return self._read(STORED, self._ask("GET", f"/predictions/{_part(prediction_id)}"))

    def receipt(self, prediction_id: str) -> ReceiptAnswer:
        """Return what an earlier forecast was made from."""
        return self._typed(ReceiptAnswer, "GET", f"/predictions/{_part(prediction_id)}/receipt")

    def explain(
        self,
        prediction_id: str,
        *,
        quantile: Quantity = "p50",
        explanation_type: Depth = "fast",
        method: Method = "shapley",
        grain: Grain = "feature",
    ) -> ExplanationAnswer:
        """Split an earlier forecast into contributions of its features; see docs/explanations.md."""
        body = ExplainRequest(
            prediction_id=prediction_id,
            quantile=quantile,
            explanation_type=explanation_type,
            method=method,
            grain=grain,
        )
        return self._typed(ExplanationAnswer, "POST", "/explain/prediction", json=body.model_dump(mode="json"))

    def what_if(self, question: CounterfactualRequest) -> CounterfactualAnswer:
        """Forecast a changed input of an earlier forecast: named changes, a sweep, or a search for a turn."""
        body = question.model_dump(mode="json", exclude_none=True)
        return self._typed(CounterfactualAnswer, "POST", "/explain/counterfactual", json=body)

    def importance(
        self,
        model: str = "blend",
        horizon_sessions: int | None = None,
        *,
        horizon_minutes: int | None = None,
        regime: str = "all",
        as_of: str | None = None,
    ) -> ImportanceAnswer:
        """Return how much worse a model forecasts when a feature is exchanged among the symbols of each session."""
        asked = {"model": model, "regime": regime} | _horizon(horizon_sessions, horizon_minutes)
        asked |= {} if as_of is None else {"as_of": as_of}
        return self._typed(ImportanceAnswer, "GET", "/explain/features", params=asked)

    def status(self) -> api.StatusAnswer:
        """Return the models in service."""
        return self._typed(api.StatusAnswer, "GET", "/models/status")

    def symbols(self) -> api.SymbolsAnswer:
        """List every symbol that can be asked for."""
        return self._typed(api.SymbolsAnswer, "GET", "/symbols")

    def features_schema(self) -> api.FeatureSchemaAnswer:
        """List every feature with its unit, formula and look-back."""
        return self._typed(api.FeatureSchemaAnswer, "GET", "/features/schema")

    def features(self, symbol: str) -> api.FeaturesAnswer:
        """Return the newest features of a symbol."""
        return self._typed(api.FeaturesAnswer, "GET", f"/features/latest/{_part(symbol)}")

    def regime(self, symbol: str) -> api.RegimeAnswer:
        """Return the regime of the market that a symbol is traded in."""
        return self._typed(api.RegimeAnswer, "GET", f"/regime/{_part(symbol)}")

    def strategy(self, symbol: str) -> api.StrategyAnswer:
        """Return the strategy in force for a symbol."""
        return self._typed(api.StrategyAnswer, "GET", f"/strategy/{_part(symbol)}")

    def stream(self, symbols: Sequence[str]) -> Iterator[api.PredictAnswer]:
        """Yield every forecast of some symbols that is stored from now on, until the connection ends.

        Raises
        ------
        OverloadedError
            If the caller takes updates too slowly, and the service let go of the connection.
        RefusedError
            If the service refuses the connection or the symbols.
        """
        from websockets.exceptions import ConnectionClosed, ConnectionClosedOK, InvalidHandshake, InvalidStatus
        from websockets.sync.client import connect

        address = f"ws{self._address.removeprefix('http')}{STREAM}"
        try:
            with connect(
                address, additional_headers=self._headers, compression=None, proxy=None, ssl=self._trusted
            ) as opened:
                opened.send(json.dumps({"action": "subscribe", "symbols": list(symbols)}))
                for text in opened:
                    message = json.loads(text)
                    if message["event"] == "error":
                        raise refusal(api.Problem.model_validate(message["problem"]))
                    if message["event"] == "prediction_update":
                        yield api.PredictionUpdate.model_validate(message).prediction
        except ConnectionClosedOK:
            return
        except ConnectionClosed as error:
            code, reason = (error.rcvd.code, error.rcvd.reason) if error.rcvd else (0, "the connection was lost")
            kind = OverloadedError if code == SLOW else NotReadyError
            raise kind(f"The service at {self._address} ended the stream: {reason}. Subscribe again.") from error
        except InvalidStatus as error:
            raise self._refusal(bytes(error.response.body or b"")) from error
        except InvalidHandshake as error:
            raise QuantlakeError(self._stranger()) from error
        except OSError as error:
            raise self._nobody(error) from error

    def _typed(self, kind: type[Typed], method: str, path: str, **sent: Any) -> Typed:
        return self._read(TypeAdapter(kind), self._ask(method, path, **sent))

    def _read(self, kind: "TypeAdapter[Read]", answer: httpx.Response) -> Read:
        try:
            return kind.validate_json(answer.content)
        except ValidationError as error:
            raise QuantlakeError(self._stranger()) from error

    def _ask(self, method: str, path: str, **sent: Any) -> httpx.Response:
        """Send a request; retries 429 and 503 within the allowed attempts and waiting time."""
        left = MOST_WAIT_SECONDS
        for attempt in range(1, self._attempts + 1):
            try:
                answer = self._http.request(method, f"{PUBLIC}{path}", **sent)
            except (httpx.TransportError, httpx.InvalidURL) as error:
                raise self._nobody(error) from error
            if answer.is_success:
                return answer
            wait = _wait_seconds(answer.headers)
            if answer.status_code not in RETRIED or attempt == self._attempts or wait > left:
                break
            left -= wait
            self._sleep(wait)
        raise self._refusal(answer.content)

    def _refusal(self, body: bytes) -> QuantlakeError:
        """Error of a problem document; any other body means that another service answered."""
        try:
            return refusal(api.Problem.model_validate_json(body))
        except ValidationError:
            return QuantlakeError(self._stranger())

    def _nobody(self, error: Exception) -> NotReadyError:
        return NotReadyError(
            f"No service answers at {self._address} ({error or type(error).__name__}). Start it with `make serve`."
        )

    def _stranger(self) -> str:
        found = f"What listens at {self._address} is not this service."
        return f"{found} Stop it, or set QUANTLAKE_PORT, for `make serve` too."


def _wait_seconds(headers: Mapping[str, str]) -> float:
    """Seconds of ``Retry-After``; one second where it is missing."""
    value = headers.get("retry-after", "")
    return float(value) if value.isascii() and value.isdigit() else 1.0


def _part(text: str) -> str:
    """A name as one part of a path."""
    from urllib.parse import quote

    return quote(text, safe="")


def _authorities(address: str) -> "bool | ssl.SSLContext":
    """Return what certificates are checked with; reading the authorities of a machine takes longer than a forecast."""
    from ssl import PROTOCOL_TLS_CLIENT, SSLContext

    return True if address.startswith("https:") else SSLContext(PROTOCOL_TLS_CLIENT)  # trusts nobody


def _is_local(address: str) -> bool:
    return httpx.URL(address).host in {"127.0.0.1", "localhost", "::1"}


__all__ = ["Client", "RefusedError"]


def _horizon(sessions: int | None, minutes: int | None) -> dict[str, Any]:
    """Member of a request that says how far ahead; both where both are given, which the service refuses."""
    given = {"horizon_sessions": sessions, "horizon_minutes": minutes}
    return {name: value for name, value in given.items() if value is not None} or {"horizon_sessions": 1}
