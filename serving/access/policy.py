"""Access policy: the role that each route needs. A route that is not declared is refused."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from serving.api import Role

Need = Literal["open", "local"] | Role
"""``open`` to everyone; ``local`` to this machine, and to any key from elsewhere; or a role."""
PUBLIC, INTERNAL = "/api/v1/public", "/api/v1/internal"
WEBSOCKET = "WEBSOCKET"


@dataclass(frozen=True)
class Rule:
    """One route.

    Parameters
    ----------
    method
        As in the request; ``WEBSOCKET`` for one.
    path
        As the application declares it, with its parameters.
    needs
        Who may ask.
    """

    method: str
    path: str
    needs: Need

    @property
    def role(self) -> Role:
        """Least role that a key needs where one is needed."""
        return "read" if self.needs == "open" or self.needs == "local" else self.needs  # noqa: PLR1714 - narrows the type


RULES: tuple[Rule, ...] = (
    Rule("GET", "/", "open"),
    Rule("GET", "/healthz", "open"),
    Rule("GET", "/readyz", "open"),
    Rule("GET", "/metrics", "local"),
    Rule("GET", "/.well-known/jwks.json", "open"),
    Rule("GET", "/docs", "open"),
    Rule("GET", "/docs/oauth2-redirect", "open"),
    Rule("GET", "/redoc", "open"),
    Rule("GET", "/openapi.json", "open"),
    Rule("GET", "/static-offline-docs/{path:path}", "open"),
    Rule("GET", "/problems", "open"),
    Rule("GET", "/problems/{slug}", "open"),
    Rule("POST", f"{PUBLIC}/token", "read"),
    Rule("POST", f"{PUBLIC}/predict", "predict"),
    Rule("POST", f"{PUBLIC}/predict/batch", "predict"),
    Rule("GET", f"{PUBLIC}/explain/features", "read"),
    Rule("POST", f"{PUBLIC}/explain/prediction", "predict"),
    Rule("POST", f"{PUBLIC}/explain/counterfactual", "predict"),
    Rule("POST", f"{PUBLIC}/explain/recommendation", "predict"),
    Rule("POST", f"{PUBLIC}/recommend", "predict"),
    Rule("GET", f"{PUBLIC}/recommendations", "read"),
    Rule("GET", f"{PUBLIC}/recommendations/{{recommendation_id}}", "read"),
    Rule("GET", f"{PUBLIC}/predictions/{{prediction_id}}", "read"),
    Rule("GET", f"{PUBLIC}/predictions/{{prediction_id}}/receipt", "read"),
    Rule("GET", f"{PUBLIC}/predictions/latest/{{symbol}}", "read"),
    Rule("GET", f"{PUBLIC}/models/status", "read"),
    Rule("GET", f"{PUBLIC}/symbols", "read"),
    Rule("GET", f"{PUBLIC}/features/schema", "read"),
    Rule("GET", f"{PUBLIC}/features/latest/{{symbol}}", "read"),
    Rule("GET", f"{PUBLIC}/regime/{{symbol}}", "read"),
    Rule("GET", f"{PUBLIC}/strategy/{{symbol}}", "read"),
    Rule("GET", f"{PUBLIC}/bars/{{symbol}}", "read"),
    Rule("GET", f"{PUBLIC}/forecasts/{{symbol}}", "read"),
    Rule("GET", f"{PUBLIC}/outcomes/{{symbol}}", "read"),
    Rule("GET", f"{PUBLIC}/calibration/{{symbol}}", "read"),
    Rule("GET", f"{PUBLIC}/accuracy/{{symbol}}", "read"),
    Rule("GET", f"{PUBLIC}/portfolio/{{name}}", "read"),
    Rule("GET", f"{PUBLIC}/watchlist", "read"),
    Rule("PUT", f"{PUBLIC}/watchlist", "read"),
    Rule("POST", f"{PUBLIC}/watchlist/changes", "read"),
    Rule("POST", f"{PUBLIC}/explanations/{{symbol}}", "predict"),
    Rule("GET", f"{PUBLIC}/explanations/{{symbol}}", "read"),
    Rule("GET", f"{PUBLIC}/explanations/jobs/{{job_id}}", "read"),
    Rule("DELETE", f"{PUBLIC}/explanations/jobs/{{job_id}}", "predict"),
    Rule("GET", f"{PUBLIC}/explanations/jobs/{{job_id}}/events", "read"),
    Rule(WEBSOCKET, "/ws/v1/predictions", "read"),
    Rule("POST", f"{INTERNAL}/models/reload", "operator"),
    Rule("POST", f"{INTERNAL}/models/benchmark", "operator"),
    Rule("POST", f"{INTERNAL}/models/shadow", "operator"),
    Rule("POST", f"{INTERNAL}/models/canary", "operator"),
    Rule("POST", f"{INTERNAL}/models/rollback", "operator"),
    Rule("GET", f"{INTERNAL}/predictions/{{prediction_id}}", "operator"),
    Rule("POST", f"{INTERNAL}/predictions/batch", "operator"),
    Rule("GET", f"{INTERNAL}/admin/keys", "operator"),
    Rule("POST", f"{INTERNAL}/admin/keys", "operator"),
    Rule("POST", f"{INTERNAL}/admin/keys/revoke", "operator"),
    Rule("GET", f"{INTERNAL}/admin/limits", "operator"),
    Rule("GET", f"{INTERNAL}/admin/settings", "operator"),
    Rule("POST", f"{INTERNAL}/alerts", "operator"),
    Rule("POST", f"{INTERNAL}/ingest/{{source}}", "operator"),
    Rule("GET", f"{INTERNAL}/ingest/status", "operator"),
)


class Policy:
    """Finds the rule of a request, by the paths that the router would match.

    Parameters
    ----------
    rules
        Every route there is.
    """

    def __init__(self, rules: Sequence[Rule] = RULES) -> None:
        self.rules = tuple(rules)
        plain = [rule for rule in rules if "{" not in rule.path]
        self._plain = {(rule.method, rule.path): rule for rule in plain}
        self._patterns = [(rule, _pattern(rule.path)) for rule in rules if rule not in plain]

    def rule(self, method: str, path: str) -> Rule | None:
        """Return what a request needs; None where nothing is declared. HEAD needs what GET needs."""
        method = "GET" if method == "HEAD" else method
        found = self._plain.get((method, path))
        if found is not None:
            return found
        for rule, pattern in self._patterns:
            if rule.method == method and pattern.fullmatch(path):
                return rule
        return None

    def methods(self, path: str) -> list[str]:
        """Methods of HTTP that a path takes, sorted; HEAD where GET is declared."""
        plain = {method for method, known in self._plain if known == path}
        found = plain | {rule.method for rule, pattern in self._patterns if pattern.fullmatch(path)}
        return sorted((found | ({"HEAD"} if "GET" in found else set())) - {WEBSOCKET})


def _pattern(path: str) -> re.Pattern[str]:
    """Match the same paths as Starlette does."""
    parts = re.split(r"(\{[^}]+\})", path)
    return re.compile("".join(_part(part) if part.startswith("{") else re.escape(part) for part in parts))


def _part(parameter: str) -> str:
    return ".*" if parameter.endswith(":path}") else "[^/]+"
