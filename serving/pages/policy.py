"""Pages and the role that each needs; a path that is not declared is refused."""

from serving.access import Policy, Rule

STATIC = "/static/{path:path}"
DOCS = "/docs/{path:path}"
RULES: tuple[Rule, ...] = (
    Rule("GET", "/login", "open"),
    Rule("POST", "/login", "open"),
    Rule("GET", STATIC, "open"),
    Rule("GET", "/metrics", "local"),
    Rule("POST", "/logout", "read"),
    Rule("POST", "/appearance", "read"),
    Rule("GET", "/settings", "read"),
    Rule("POST", "/settings/sessions", "read"),
    Rule("POST", "/settings/keys", "read"),
    Rule("GET", "/", "read"),
    Rule("POST", "/watchlist", "read"),
    Rule("GET", "/s/{symbol}", "read"),
    Rule("GET", "/s/{symbol}/why", "predict"),
    Rule("GET", "/s/{symbol}/words", "predict"),
    Rule("GET", "/s/{symbol}/advice", "read"),
    Rule("POST", "/s/{symbol}/advice", "predict"),
    Rule("GET", "/jobs/{job_id}", "read"),
    Rule("POST", "/jobs/{job_id}/cancel", "predict"),
    Rule("GET", "/receipts/{prediction_id}", "read"),
    Rule("GET", "/models/{name}", "read"),
    Rule("GET", "/models", "read"),
    Rule("GET", "/strategies", "read"),
    Rule("GET", "/desk", "operator"),
    Rule("GET", "/desk/{decision_id}", "operator"),
    Rule("GET", "/risk", "read"),
    Rule("POST", "/risk/halt", "operator"),
    Rule("POST", "/risk/resume", "operator"),
    Rule("POST", "/risk/alerts", "operator"),
    Rule("GET", "/portfolio", "read"),
    Rule("GET", "/portfolio/{name}", "read"),
    Rule("GET", "/backtests", "read"),
    Rule("GET", "/backtests/{backtest_id}", "read"),
    Rule("GET", "/operations", "operator"),
    Rule("GET", "/about", "read"),
    Rule("GET", DOCS, "read"),
    Rule("GET", "/stream", "read"),
)


def page_policy() -> Policy:
    """Return what each page needs."""
    return Policy(RULES)
