"""The client: forecasts, look-ups, status and the stream."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from functools import cached_property

from pydantic import TypeAdapter

from lake.errors import NotReadyError, OverloadedError, QuantlakeError
from serving import api
from serving.api.receipts import ReceiptAnswer
from serving.client.advice import AdviceCalls
from serving.client.connection import how_far, part
from serving.client.explanations import ExplanationCalls
from serving.client.history import HistoryCalls
from serving.client.updates import Updates

STREAM = "/ws/v1/predictions"
SLOW = 4008

Stored = api.PredictAnswer | api.StoredForecast
STORED: TypeAdapter[Stored] = TypeAdapter(Stored)


class Client(ExplanationCalls, AdviceCalls):
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
        body = {"symbol": symbol} | how_far(horizon_sessions, horizon_minutes)
        return self._typed(api.PredictAnswer, "POST", "/predict", json=body)

    def predict_with_values(
        self,
        symbol: str,
        features: Mapping[str, float],
        horizon_sessions: int | None = None,
        *,
        horizon_minutes: int | None = None,
    ) -> api.PredictAnswer:
        """Forecast one symbol as `predict` does, and from own values of features in the last session beside it.

        Parameters
        ----------
        features
            Values by name; what they forecast is the answer's `what_if`, and stored nowhere.
        """
        body = {"symbol": symbol, "features": dict(features)} | how_far(horizon_sessions, horizon_minutes)
        return self._typed(api.PredictAnswer, "POST", "/predict", json=body)

    def predict_explained(
        self, symbol: str, horizon_sessions: int | None = None, *, horizon_minutes: int | None = None
    ) -> api.PredictAnswer:
        """Forecast one symbol as `predict` does, with the features that contribute most, or why they are not told."""
        body = {"symbol": symbol, "include_explanation": True} | how_far(horizon_sessions, horizon_minutes)
        return self._typed(api.PredictAnswer, "POST", "/predict", json=body)

    def predict_batch(
        self, symbols: Sequence[str], horizon_sessions: int | None = None, *, horizon_minutes: int | None = None
    ) -> api.BatchAnswer:
        """Forecast up to 5,000 symbols; those that cannot be forecast yet are listed apart."""
        body = {"symbols": list(symbols)} | how_far(horizon_sessions, horizon_minutes)
        return self._typed(api.BatchAnswer, "POST", "/predict/batch", json=body)

    def latest(self, symbol: str, horizon_sessions: int | None = None, *, horizon_minutes: int | None = None) -> Stored:
        """Return the newest stored forecast of a symbol; nothing is computed."""
        asked = how_far(horizon_sessions, horizon_minutes)
        found = self._ask("GET", f"/predictions/latest/{part(symbol)}", params=asked)
        return self._read(STORED, found)

    def prediction(self, prediction_id: str) -> Stored:
        """Return an earlier forecast."""
        return self._read(STORED, self._ask("GET", f"/predictions/{part(prediction_id)}"))

    def receipt(self, prediction_id: str) -> ReceiptAnswer:
        """Return what an earlier forecast was made from."""
        return self._typed(ReceiptAnswer, "GET", f"/predictions/{part(prediction_id)}/receipt")

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
        return self._typed(api.FeaturesAnswer, "GET", f"/features/latest/{part(symbol)}")

    def regime(self, symbol: str) -> api.RegimeAnswer:
        """Return the regime of the market that a symbol is traded in."""
        return self._typed(api.RegimeAnswer, "GET", f"/regime/{part(symbol)}")

    def strategy(self, symbol: str) -> api.StrategyAnswer:
        """Return the strategy in force for a symbol."""
        return self._typed(api.StrategyAnswer, "GET", f"/strategy/{part(symbol)}")

    @cached_property
    def history(self) -> HistoryCalls:
        """Questions about what was known at an instant, and the watch list of the key."""
        return HistoryCalls(self._typed)

    def stream(self, symbols: Sequence[str]) -> Iterator[api.PredictAnswer]:
        """Yield every forecast of some symbols that is stored from now on, until the connection ends.

        Raises
        ------
        OverloadedError
            If the caller takes updates too slowly, and the service let go of the connection.
        RefusedError
            If the service refuses the connection or the symbols.
        """
        with self.subscribe(symbols) as updates:
            yield from (said for said in updates if isinstance(said, api.PredictAnswer))

    @contextmanager
    def subscribe(self, symbols: Sequence[str]) -> Iterator[Updates]:
        """Subscribe to some symbols while a block lasts: as `stream`, and it says since when, and another may end it.

        Raises
        ------
        RefusedError
            If the service refuses the connection; symbols that it refuses are an error of the iteration.
        NotReadyError
            If no service answers.
        """
        from websockets.sync.client import connect

        address = f"ws{self._address.removeprefix('http')}{STREAM}"
        with ExitStack() as stack:
            with self._translating():
                opening = connect(
                    address, additional_headers=self._headers, compression=None, proxy=None, ssl=self._trusted
                )
                updates = Updates(stack.enter_context(opening), self._translating)
                updates.subscribe(symbols)
            yield updates

    @contextmanager
    def _translating(self) -> Iterator[None]:
        """Turn what a WebSocket raises into errors of this project."""
        from websockets.exceptions import ConnectionClosed, ConnectionClosedOK, InvalidHandshake, InvalidStatus

        try:
            yield
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
