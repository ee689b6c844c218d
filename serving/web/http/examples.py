"""Recorded example requests and answers for the OpenAPI description and `docs/api.md`.

``python -m serving.web.http.examples`` asks the service that runs (`make serve`) all of them anew and keeps the
answers.
"""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any

FILE = Path(__file__).parent / "examples.json"
PUBLIC, INTERNAL, ADMIN = "/api/v1/public", "/api/v1/internal/models", "/api/v1/internal/admin"
KEPT_ENTRIES = 2
"""Entries kept of a long list, and of a long mapping twice as many: an example is to be read."""
LONG = 6


@dataclass(frozen=True)
class ExampleRequest:
    """One question.

    Parameters
    ----------
    name
        What it shows, in a few words.
    method, route
        As the application declares them.
    parameters
        Values of the parameters in path and query; ``{prediction_id}`` is that of the first answer.
    body
        What is sent as JSON; None for nothing. ``{prediction_id}`` in a value is that of the first answer.
    """

    name: str
    method: str
    route: str
    parameters: Mapping[str, Any]
    body: Any = None

    def path(self, prediction_id: str) -> str:
        """Path and query that are asked."""
        values = {name: value if value != LAST_ID else prediction_id for name, value in self.parameters.items()}
        inside = set(re.findall(r"{(\w+)}", self.route))
        query = "&".join(f"{name}={value}" for name, value in values.items() if name not in inside)
        return self.route.format(**values) + (f"?{query}" if query else "")


@dataclass(frozen=True)
class Example(ExampleRequest):
    """A question with the answer it got."""

    status: int = 200
    headers: Mapping[str, str] | None = None
    answer: Any = None


LAST_ID = "{prediction_id}"
ONE = {"symbol": "AAPL"}
QUESTIONS: tuple[ExampleRequest, ...] = (
    ExampleRequest("one forecast", "POST", f"{PUBLIC}/predict", {}, {"symbol": "AAPL", "horizon_sessions": 1}),
    ExampleRequest(
        "many at once", "POST", f"{PUBLIC}/predict/batch", {}, {"symbols": ["AAPL", "IBM"], "horizon_sessions": 5}
    ),
    ExampleRequest("the newest", "GET", f"{PUBLIC}/predictions/latest/{{symbol}}", ONE | {"horizon_sessions": 1}),
    ExampleRequest("an earlier one", "GET", f"{PUBLIC}/predictions/{{prediction_id}}", {"prediction_id": LAST_ID}),
    ExampleRequest("its receipt", "GET", f"{PUBLIC}/predictions/{{prediction_id}}/receipt", {"prediction_id": LAST_ID}),
    ExampleRequest(
        "which features it comes from",
        "POST",
        f"{PUBLIC}/explain/prediction",
        {},
        {"prediction_id": LAST_ID, "quantile": "width", "grain": "group"},
    ),
    ExampleRequest(
        "what another input would have given",
        "POST",
        f"{PUBLIC}/explain/counterfactual",
        {},
        {"prediction_id": LAST_ID, "changes": {"volatility_garch": {"by": 0.05}}},
    ),
    ExampleRequest(
        "what to do about it",
        "POST",
        f"{PUBLIC}/recommend",
        {},
        {
            "symbol": "AAPL",
            "horizon_sessions": 5,
            "portfolio_context": {"current_position": 100, "equity": 100_000, "risk_tolerance": "moderate"},
        },
    ),
    ExampleRequest("symbols", "GET", f"{PUBLIC}/symbols", {}),
    ExampleRequest("declared features", "GET", f"{PUBLIC}/features/schema", {}),
    ExampleRequest("features now", "GET", f"{PUBLIC}/features/latest/{{symbol}}", ONE),
    ExampleRequest("regime", "GET", f"{PUBLIC}/regime/{{symbol}}", ONE),
    ExampleRequest("strategy", "GET", f"{PUBLIC}/strategy/{{symbol}}", ONE),
    ExampleRequest("bars as known", "GET", f"{PUBLIC}/bars/{{symbol}}", ONE | {"as_of": "2012-12-28", "limit": 2}),
    ExampleRequest("past forecasts", "GET", f"{PUBLIC}/forecasts/{{symbol}}", ONE | {"horizon_sessions": 5}),
    ExampleRequest("how bands held", "GET", f"{PUBLIC}/calibration/{{symbol}}", ONE | {"horizon_sessions": 1}),
    ExampleRequest("past accuracy", "GET", f"{PUBLIC}/accuracy/{{symbol}}", ONE | {"horizon_sessions": 5, "limit": 1}),
    ExampleRequest("a watch list stored", "PUT", f"{PUBLIC}/watchlist", {}, {"symbols": ["AAPL", "IBM"]}),
    ExampleRequest(
        "a watch list changed", "POST", f"{PUBLIC}/watchlist/changes", {}, {"add": ["KO"], "remove": ["IBM"]}
    ),
    ExampleRequest("the watch list", "GET", f"{PUBLIC}/watchlist", {}),
    ExampleRequest("models", "GET", f"{PUBLIC}/models/status", {}),
    ExampleRequest("models, looked at anew", "POST", f"{INTERNAL}/reload", {}),
    ExampleRequest("how fast they are", "POST", f"{INTERNAL}/benchmark", {}, {"seconds": 0.1, "windows": 1}),
    ExampleRequest("limits in force", "GET", f"{ADMIN}/limits", {}),
    ExampleRequest("keys of tokens", "GET", "/.well-known/jwks.json", {}),
    ExampleRequest("health", "GET", "/healthz", {}),
    ExampleRequest("readiness", "GET", "/readyz", {}),
    ExampleRequest("kinds of problems", "GET", "/problems", {}),
    ExampleRequest("a kind of problem", "GET", "/problems/{slug}", {"slug": "unknown-symbol"}),
    ExampleRequest("a name that does not exist", "GET", f"{PUBLIC}/regime/{{symbol}}", {"symbol": "APPL"}),
)

Asks = Callable[[str, str, Any], tuple[int, Mapping[str, str], Any]]
"""Takes method, path and body; gives status, headers and the answer read from JSON."""


@cache
def examples() -> tuple[Example, ...]:
    """The recorded examples."""
    if not FILE.exists():
        return ()
    return tuple(Example(**fields) for fields in json.loads(FILE.read_text(encoding="utf-8")))


def ask_all(ask: Asks) -> tuple[Example, ...]:
    """Send every question, in order."""
    found: list[Example] = []
    for question in QUESTIONS:
        prediction_id = found[0].answer["prediction_id"] if found else ""
        body = _with_id(question.body, prediction_id)
        status, headers, answer = ask(question.method, question.path(prediction_id), body)
        kept = {name: value for name, value in headers.items() if name.lower() == "x-answered-by"}
        given = {name: prediction_id if value == LAST_ID else value for name, value in question.parameters.items()}
        found.append(Example(question.name, question.method, question.route, given, body, status, kept, answer))
    return tuple(found)


def _with_id(body: Any, prediction_id: str) -> Any:
    """Return a body in which the id stands for `LAST_ID`."""
    if not isinstance(body, dict):
        return body
    return {name: prediction_id if value == LAST_ID else value for name, value in body.items()}


def shortened(value: Any) -> Any:
    """Keep the beginning of long lists and mappings."""
    if isinstance(value, list):
        return [shortened(entry) for entry in (value if len(value) <= LONG else value[:KEPT_ENTRIES])]
    if isinstance(value, dict):
        is_data = len(value) > LONG and all(isinstance(entry, int | float | None) for entry in value.values())
        kept = list(value.items())[: 2 * KEPT_ENTRIES] if is_data else value.items()
        return {name: shortened(entry) for name, entry in kept}
    return value


def main() -> None:
    """Query the running service, and record its answers."""
    import httpx

    from lake.settings import settings
    from serving.access import local_key

    configured = settings()
    address = f"http://{configured.host}:{configured.port}"
    with httpx.Client(base_url=address, headers={"x-api-key": local_key(configured)}, timeout=30) as client:

        def ask(method: str, path: str, body: Any) -> tuple[int, Mapping[str, str], Any]:
            answer = client.request(method, path, json=body)
            return answer.status_code, answer.headers, answer.json()

        client.post(f"{PUBLIC}/token").raise_for_status()  # there are no keys of tokens before the first one
        found = [asdict(example) | {"answer": shortened(example.answer)} for example in ask_all(ask)]
    FILE.write_text(f"{json.dumps(found, indent=1, ensure_ascii=False)}\n", encoding="utf-8")


if __name__ == "__main__":
    main()
